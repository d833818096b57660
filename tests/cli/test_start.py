"""`make demo` on a machine that is not as it should be: a sentence each, no traceback."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "deploy" / "demo.py"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What `make` reads, in a folder whose name is not as simple as ours."""
    folder = tmp_path / "déjà vu" / "dicom gateway"
    shutil.copytree(ROOT / "deploy", folder / "deploy", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "gateway", folder / "gateway", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    return folder


def made(folder: Path, *arguments: str, **environment: str) -> str:
    """Return what a `make` says that is to fail."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "MAKE", "PYTHON"))
    }
    done = subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=kept | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=100,
        check=False,
    )
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stdout
    return done.stdout


def test_an_old_python_is_told_which_one_is_needed(checkout: Path) -> None:
    old = checkout / "python3"
    old.write_text('#!/bin/sh\ncase "$2" in *print*) echo 3.9.2 ;; *) exit 1 ;; esac\n', encoding="utf-8")
    old.chmod(0o755)
    said = made(checkout, "demo", PATH=f"{checkout}:{os.environ['PATH']}")
    assert "Python 3.11 or later is needed, and python3 is 3.9.2: name another, as in" in said
    assert "'make demo PYTHON=python3.12'" in said


def test_no_python_is_said(checkout: Path) -> None:
    said = made(checkout, "demo", "PYTHON=python-of-nowhere")
    assert "There is no python-of-nowhere here: Python 3.11 or later is needed" in said


def test_no_network_is_said(checkout: Path) -> None:
    nowhere = {
        "PIP_INDEX_URL": "http://127.0.0.1:1/simple",
        "PIP_RETRIES": "0",
        "PIP_CONFIG_FILE": os.devnull,
    }
    said = made(checkout, "demo", f"PYTHON={sys.executable}", **nowhere)
    assert "The package index cannot be reached: the first `make` needs the network once" in said
    assert not (checkout / ".venv" / "ready").exists()


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("environment", ROOT / "deploy" / "environment.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    return module


def test_debians_python_without_venv_is_told_the_package(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ensurepip" else found(name)
    )
    assert environment.main([]) == 1
    assert "cannot make a virtual environment" in (said := capsys.readouterr().err)
    assert "`apt install python3-venv` installs it." in said


def test_a_folder_that_cannot_be_written_is_said(
    environment: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(environment, "VENV", tmp_path / "file" / ".venv")
    assert environment.main([]) == 1
    assert re.search(r"The virtual environment .*\.venv cannot be made: .*file", capsys.readouterr().err)


def test_whoever_stops_the_installation_is_told_how_it_goes_on(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(environment, "_virtual_environment", stopped)
    assert environment.main([]) == 130
    assert "Stopped while installing; the same command goes on from here." in capsys.readouterr().err


def test_a_taken_port_is_named_and_another_proposed(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, str(DEMO), "--data", str(tmp_path), "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"Port {port} of 127.0.0.1 cannot be had (address already in use): `make demo PORT=" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_the_demo_in_order(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(DEMO), "--data", str(tmp_path), "--port", str(port)]
    demo = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # As in a terminal: a shell without job control starts what runs in its background deaf to Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert demo.stdout is not None
    said = ""
    for line in demo.stdout:
        said += line
        if "Stop it with Ctrl-C" in line:
            break
    assert "9 stored" in said
    os.killpg(demo.pid, signal.SIGINT)
    rest, _ = demo.communicate(timeout=60)
    assert demo.returncode == 0, rest
    assert "Stopped. `make demo` starts it again" in rest
    assert "Traceback" not in said + rest
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
