"""A gateway of this checkout as a process of its own, by the command that pyproject.toml names."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "dicomweb-gateway"
PREFIX = "GATEWAY_"
# Long enough for pseudonyms; the same each time, as they are made with it.
KEY = bytes(range(32))


@contextmanager
def serving(folder: Path, *options: str, environment: Mapping[str, str]) -> Iterator[int]:
    """Start `serve` on a fresh folder; the port. Raises RuntimeError where it does not come up."""
    key = folder / "deidentification.key"
    key.write_bytes(KEY)
    key.chmod(0o600)
    process = subprocess.Popen(
        [sys.executable, "-c", _program(), "serve", "--data", str(folder / "data"), "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=(folder / "log").open("wb"),
        text=True,
        cwd=ROOT,
        env=_environment({f"{PREFIX}DEIDENTIFICATION_KEY": str(key), **environment}),
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if "http://" not in line:
            raise RuntimeError(f"the gateway did not start: {(folder / 'log').read_text()[-2000:]}")
        port = int(line.rsplit(":", 1)[1].split("/")[0])
        _until_ready(process, port)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _program() -> str:
    """What the installed script does, of this checkout and by whatever name its modules have by now."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, function = project["scripts"][SCRIPT].partition(":")
    return f"import sys; from {module} import {function} as main; sys.exit(main())"


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """Ours, without settings that whoever records happens to have."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    path = os.pathsep.join(filter(None, (str(ROOT), kept.get("PYTHONPATH", ""))))
    return {**kept, "TZ": "UTC", "PYTHONPATH": path, **given}


def _until_ready(process: subprocess.Popen[str], port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.05)
    raise RuntimeError("the gateway did not become ready within 60 s")
