"""`make sizes`: what the plain installation weighs, and what each extra adds, in fresh environments.

Needs the package index. Prints a table in Markdown; README and decision 10 hold its figures.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: Sequence[str]) -> int:
    """Install and measure one after another; 1 where pip fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", action="store_true", help="list the packages of `all`, largest first")
    options = parser.parse_args(arguments)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = sorted(name for name in extras if name not in ("all", "test"))
    try:
        with tempfile.TemporaryDirectory() as folder:
            _copy_source(Path(folder) / "source")
            if options.packages:
                _print_packages(_install(Path(folder), "all"))
            else:
                _print_extras(Path(folder), ["", *names, "all"])
    except subprocess.CalledProcessError as error:
        print(f"pip could not install: {(error.stderr or '').strip()[-300:]}", file=sys.stderr)
        return 1
    return 0


def _print_extras(folder: Path, extras: Sequence[str]) -> None:
    print("| installed | packages | MB |\n|---|---|---|")
    for extra in extras:
        found = measure_packages(_install(folder, extra))
        name = f"`pip install 'dicomweb-gateway[{extra}]'`" if extra else "`pip install dicomweb-gateway`"
        print(f"| {name} | {len(found)} | {_format_megabytes(sum(found.values()))} |", flush=True)


def _print_packages(site: Path) -> None:
    print("| package | MB |\n|---|---|")
    found = measure_packages(site)
    for name in sorted(found, key=lambda name: -found[name]):
        print(f"| {name} | {_format_megabytes(found[name])} |")


def _copy_source(to: Path) -> None:
    """Copy what a build reads: it would leave its own folders in the checkout."""
    shutil.copytree(ROOT / "gateway", to / "gateway", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, to)


def _install(folder: Path, extra: str) -> Path:
    """Install the source with an extra into a folder of its own, not compiled; return that folder."""
    target = folder / (extra or "plain")
    source = folder / "source"
    what = f"{source}[{extra}]" if extra else str(source)
    options = (
        "--quiet",
        "--no-input",
        "--no-compile",
        "--disable-pip-version-check",
        "--target",
        str(target),
    )
    command = [sys.executable, "-m", "pip", "install", *options, "-c", str(ROOT / "requirements.lock"), what]
    subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True)
    return target


def measure_packages(site: Path) -> dict[str, int]:
    """Return the bytes of each distribution that is installed in this folder, by what its RECORD lists."""
    found: dict[str, int] = {}
    for record in site.glob("*.dist-info/RECORD"):
        lines = record.read_text(encoding="utf-8").splitlines()
        files = (site / line.rsplit(",", 2)[0].strip('"') for line in lines)
        name = record.parent.name.partition("-")[0]
        found[name] = sum(file.stat().st_size for file in files if file.is_file())
    return found


def _format_megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}" if size < 1e7 else f"{size / 1e6:.0f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
