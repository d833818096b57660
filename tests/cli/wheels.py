"""Build the wheel and install it, without a network, where it sees as many packages as a test wants."""

from __future__ import annotations

import os
import shutil
import site
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.parser import Parser
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
BACKEND = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"


@dataclass(frozen=True, slots=True)
class Installed:
    """The wheel, the environment that it was installed into, and a folder with the packages that it sees."""

    wheel: Path
    python: Path
    elsewhere: Path
    packages: Path

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.elsewhere,
            env=self.environment() | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def command(self, *arguments: str) -> list[str]:
        return [str(self.python.with_name("dicomweb-gateway")), *arguments]

    def environment(self) -> dict[str, str]:
        """Return this one's variables, without what leads Python to the checkout."""
        return clean() | {"PYTHONPATH": str(self.packages)}


def clean() -> dict[str, str]:
    """Return the environment without what leads Python to the checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE"))}


def build_wheel(folder: Path) -> Path:
    """Build the wheel below `folder`, of a copy: a build leaves its folders where the source lies."""
    source, wheels = folder / "source", folder / "wheels"
    shutil.copytree(ROOT / "gateway", source / "gateway", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    wheels.mkdir()
    run([sys.executable, "-c", BACKEND, str(wheels)], source, clean())
    (wheel,) = wheels.glob("*.whl")
    return wheel


def install_wheel(wheel: Path, folder: Path) -> Installed:
    """Install the wheel into an environment below `folder` that sees every package that is installed here."""
    place = folder / "an environment"
    packages = link_packages(folder / "dependencies", _list_all())
    run([sys.executable, "-m", "venv", "--without-pip", str(place)], folder, clean())
    python = place / "bin" / "python"
    options = ("--no-index", "--no-deps", "--no-compile", "--ignore-installed", "--disable-pip-version-check")
    pip = [str(python), "-m", "pip", "install", *options, str(wheel)]
    run(pip, folder, clean() | {"PYTHONPATH": str(packages)})
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    return Installed(wheel, python, elsewhere, packages)


def link_packages(folder: Path, entries: Iterable[Path]) -> Path:
    """Make a folder with links to these files and folders of packages."""
    folder.mkdir()
    for entry in entries:
        (folder / entry.name).symlink_to(entry)
    return folder


def _list_all() -> Iterator[Path]:
    """Every package that is installed here, but for what leads to the checkout."""
    for packages in site.getsitepackages():
        for entry in Path(packages).iterdir():
            if "gateway" not in entry.name and entry.suffix != ".pth":
                yield entry


def list_required(wheel: Path, *extras: str) -> set[Path]:
    """Return what lies in the packages' folders of all that the wheel requires, with these extras, and no more."""
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(opened.read(name).decode())
    found: dict[str, Distribution] = {}
    own = canonicalize_name(metadata["Name"])
    _follow(
        [Requirement(text) for text in metadata.get_all("Requires-Dist") or []], {"", *extras}, own, found
    )
    return {entry for one in found.values() for entry in _list_entries(one)}


def _follow(
    requirements: list[Requirement], extras: set[str], own: str, found: dict[str, Distribution]
) -> None:
    """Add the distributions that these requirements lead to."""
    for requirement in requirements:
        if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        name = canonicalize_name(requirement.name)
        if name == own:
            _follow(requirements, set(requirement.extras), own, found)
        elif name not in found:
            found[name] = distribution(name)
            deeper = [Requirement(text) for text in found[name].requires or []]
            _follow(deeper, {"", *requirement.extras}, own, found)


def _list_entries(package: Distribution) -> Iterator[Path]:
    for file in package.files or ():
        if file.parts[0] not in ("..", "__pycache__"):
            yield Path(str(package.locate_file(file.parts[0])))


def run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Run a command, which has to succeed."""
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def serving(installed: Installed, data: str, **environment: str) -> Iterator[str]:
    """Serve what `data` holds, with these variables; the service root. Ends in order."""
    server = subprocess.Popen(
        installed.command("serve", "--data", data, "--port", "0"),
        cwd=installed.elsewhere,
        env=installed.environment() | environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert "http://" in line
        base = line.split(": ", 1)[1].strip()
        _wait_for(int(base.removesuffix("/dicom-web").rpartition(":")[2]))
        yield base
    finally:
        server.terminate()
        server.communicate(timeout=30)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("it does not listen")
