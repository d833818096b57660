"""Make `.venv` and install into it: the gateway with all extras, with `test` also what the tests want.

The Makefile calls this with the Python to use. Needs the standard library only. Whatever is in the way is said
in a sentence, exit code 1.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
MARKS = {"": VENV / "ready", "test": VENV / "ready-to-test"}
FETCHED = re.compile(
    r"\s*(?:Downloading|Using cached) (?P<file>\S+\.(?:whl|gz))(?: (?P<size>\([\d.]+ .B\)))?"
)

# What pip says when it reached no index; it calls a package that it could not look up one without versions.
UNREACHED = (
    "Failed to establish a new connection",
    "Temporary failure in name resolution",
    "Max retries exceeded",
    "Network is unreachable",
    "Connection refused",
    "timed out",
    "(from versions: none)",
)


class Sentence(Exception):
    """What is in the way, for who typed `make`."""


def main(arguments: list[str]) -> int:
    extra = arguments[0] if arguments else ""
    try:
        _virtual_environment()
        _install(extra)
    except Sentence as sentence:
        print(f"\n{sentence}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped while installing; the same command goes on from here.", file=sys.stderr)
        return 130
    MARKS[""].touch()
    MARKS[extra].touch()
    return 0


def _virtual_environment() -> None:
    if _python().exists():
        return
    if any(importlib.util.find_spec(name) is None for name in ("venv", "ensurepip")):
        raise Sentence(
            f"This Python ({sys.executable}) cannot make a virtual environment: on Debian and Ubuntu that is "
            f"a package of its own, `apt install python3-venv` installs it."
        )
    print("making .venv", flush=True)
    # --clear: what is left of one that was broken off, or of a Python that is no more.
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(VENV)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        said = (made.stderr.strip() or made.stdout.strip()).splitlines()
        raise Sentence(
            f"The virtual environment {VENV} cannot be made: {said[-1] if said else 'no reason given'}"
        )


def _install(extra: str) -> None:
    what = f".[all,{extra}]" if extra else ".[all]"
    print(f"installing what {'testing' if extra else 'running'} needs, as requirements.lock says", flush=True)
    options = ["--disable-pip-version-check", "--no-input", "--no-compile", "--progress-bar", "off"]
    command = [str(_python()), "-m", "pip", "install", *options, "-c", "requirements.lock", "-e", what]
    # Tried again only twice: pip's five times keep who has no network waiting for minutes.
    environment = {"PIP_RETRIES": "2", "PIP_DEFAULT_TIMEOUT": "20", **os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as pip:
        assert pip.stdout is not None
        said = _shown(pip.stdout)
    if pip.returncode:
        raise Sentence(_why(said))


def _shown(lines: Iterable[str]) -> list[str]:
    """Print what is fetched and that it is installed; return all lines."""
    said = []
    for line in lines:
        said.append(line.rstrip())
        if fetched := FETCHED.match(line):
            print(
                f"  {Path(fetched['file']).name.split('-')[0]} {fetched['size'] or ''}".rstrip(), flush=True
            )
        elif line.startswith("Installing collected packages"):
            print(f"  unpacking {line.count(',') + 1} packages", flush=True)
    return said


def _why(said: list[str]) -> str:
    """Return the sentence for what pip said before it gave up."""
    if any(word in line for line in said for word in UNREACHED):
        return (
            "The package index cannot be reached: the first `make` needs the network once, or a mirror that "
            "PIP_INDEX_URL names, or a folder of wheels that PIP_FIND_LINKS names (with PIP_NO_INDEX=1)."
        )
    stripped = [line.strip() for line in said]
    errors = [line.removeprefix("ERROR: ") for line in stripped if line.startswith("ERROR:")] or stripped[-1:]
    return f"pip could not install: {errors[0] if errors else 'no reason given'}"


def _python() -> Path:
    return VENV / "bin" / "python"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
