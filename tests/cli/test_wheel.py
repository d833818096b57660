"""What `pip install` of the built wheel brings: everything that the commands read lies in it.

Built and installed without a network. The environment sees this one's dependencies, but nothing of the checkout.
"""

from __future__ import annotations

import json
import subprocess
import urllib.request
import zipfile
from collections.abc import Iterator

import pytest
from tests import build
from tests.cli.wheels import ROOT, Installed, build_wheel, install_wheel, serving


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    return install_wheel(build_wheel(folder), folder)


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
        where,
        cwd=installed.elsewhere,
        env=installed.environment(),
        capture_output=True,
        text=True,
        check=True,
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
    with serving(installed, "data") as base:
        yield base


def test_what_it_imports_it_serves(served: str) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    assert direct.open(served.removesuffix("/dicom-web") + "/livez", timeout=20).status == 200
    (study,) = json.load(direct.open(served + "/studies", timeout=20))
    assert study["0020000D"]["Value"] == ["1.2.3"]
    assert direct.open(served + "/studies/1.2.3/rendered", timeout=20).headers["Content-Type"] is not None
