"""What `pip install` of the built wheel brings: everything that the commands read lies in it.

Built and installed without a network. The environment sees this one's dependencies, but nothing of the checkout.
"""

from __future__ import annotations

import json
import os
import shutil
import site
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests import build

ROOT = Path(__file__).resolve().parents[2]
BACKEND = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"


@dataclass(frozen=True, slots=True)
class Installed:
    """The wheel, and the environment that it was installed into."""

    wheel: Path
    python: Path
    elsewhere: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.elsewhere,
            env=clean(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def command(self, *arguments: str) -> list[str]:
        return [str(self.python.with_name("dicomweb-gateway")), *arguments]


def clean() -> dict[str, str]:
    """Return the environment without what leads Python to the checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE"))}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    source, wheels, place = folder / "source", folder / "wheels", folder / "an environment"
    # Of a copy: a build leaves its folders where the source lies.
    shutil.copytree(ROOT / "gateway", source / "gateway", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    wheels.mkdir()
    _done([sys.executable, "-c", BACKEND, str(wheels)], source)
    (wheel,) = wheels.glob("*.whl")
    _done([sys.executable, "-m", "venv", "--without-pip", str(place)], folder)
    (packages,) = place.glob("lib/python3*/site-packages")
    (packages / "dependencies.pth").write_text(_dependencies(folder), encoding="utf-8")
    python = place / "bin" / "python"
    pip = [
        str(python),
        "-m",
        "pip",
        "install",
        "--no-index",
        "--no-deps",
        "--no-compile",
        "--ignore-installed",
    ]
    _done([*pip, "--disable-pip-version-check", str(wheel)], folder)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    return Installed(wheel, python, elsewhere)


def _dependencies(folder: Path) -> str:
    """Return folders with links to every package that is installed here, but for what leads to the checkout."""
    links = folder / "dependencies"
    links.mkdir()
    for packages in site.getsitepackages():
        for entry in Path(packages).iterdir():
            if "gateway" not in entry.name and entry.suffix != ".pth":
                (links / entry.name).symlink_to(entry)
    return f"{links}\n"


def _done(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, env=clean(), capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_file_of_data_is_in_it(installed: Installed) -> None:
    data = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "gateway").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".md"
    }
    with zipfile.ZipFile(installed.wheel) as wheel:
        assert data <= set(wheel.namelist())
        assert not [name for name in wheel.namelist() if name.startswith(("tests", "deploy"))]


def test_the_package_is_the_installed_one(installed: Installed) -> None:
    where = [str(installed.python), "-c", "import gateway; print(gateway.__path__[0])"]
    said = subprocess.run(
        where, cwd=installed.elsewhere, env=clean(), capture_output=True, text=True, check=True
    )
    assert said.stdout.startswith(str(installed.python.parents[1]))


def test_it_says_what_it_conforms_to(installed: Installed) -> None:
    said = installed.run("conformance")
    assert said.returncode == 0, said.stderr
    assert "PS3.18" in said.stdout


@pytest.fixture
def served(installed: Installed) -> Iterator[str]:
    """Import an instance, then serve it; the address."""
    file = installed.elsewhere / "image.dcm"
    file.write_bytes(build.instance(StudyInstanceUID="1.2.3"))
    imported = installed.run("import", "--data", "data", str(file))
    assert imported.returncode == 0, imported.stderr
    command = installed.command("serve", "--data", "data", "--port", "0")
    server = subprocess.Popen(
        command, cwd=installed.elsewhere, env=clean(), stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert "http://" in line
        base = line.split(": ", 1)[1].strip()
        _until_it_listens(int(base.removesuffix("/dicom-web").rpartition(":")[2]))
        yield base
    finally:
        server.terminate()
        server.communicate(timeout=30)


def _until_it_listens(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("it does not listen")


def test_what_it_imports_it_serves(served: str) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    assert direct.open(served.removesuffix("/dicom-web") + "/livez", timeout=20).status == 200
    (study,) = json.load(direct.open(served + "/studies", timeout=20))
    assert study["0020000D"]["Value"] == ["1.2.3"]
    assert direct.open(served + "/studies/1.2.3/rendered", timeout=20).headers["Content-Type"] is not None
