"""What a command says when it cannot start: one line that names the thing, no traceback, codes 1 and 2."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from gateway.cli.main import main


def test_a_port_that_is_taken_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", "--data", str(tmp_path), "--port", str(port)]) == 1
    said = capsys.readouterr().err
    assert f"cannot bind 127.0.0.1 port {port}: address already in use" in said


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_bytes(b"")
    assert main(["serve", "--data", str(in_the_way), "--port", "0"]) == 2
    said = capsys.readouterr().err
    assert f"store folder {in_the_way}/objects: not a directory; want a folder that" in said


def test_a_data_folder_that_takes_no_notes_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_bytes(b"")
    places = ["--store", f"file://{tmp_path}/objects", "--index", f"sqlite://{tmp_path}/index.sqlite"]
    assert main(["import", "--data", str(in_the_way), *places, str(tmp_path)]) == 2
    assert f"{in_the_way}/imports: Not a directory" in capsys.readouterr().err


def test_the_version_is_an_option_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["--version"])
    assert done.value.code == 0
    assert capsys.readouterr().out.startswith("dicomweb-gateway ")


@pytest.mark.parametrize("index", ["file/index.sqlite", "folder", "file"])
def test_an_index_that_cannot_be_opened_is_named_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], index: str
) -> None:
    (tmp_path / "file").write_bytes(b"this is no database" * 100)
    (tmp_path / "folder").mkdir()
    url = f"sqlite://{tmp_path / index}"
    assert main(["verify", "--data", str(tmp_path / "data"), "--index", url]) == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith("dicomweb-gateway: the index")
    assert f"({url}: " in said
    assert "Traceback" not in said
    assert "\n" not in said


def test_the_password_of_an_index_is_not_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = "postgresql://me:secret@127.0.0.1:1/x"
    assert main(["verify", "--data", str(tmp_path), "--index", url]) == 1
    said = capsys.readouterr().err
    assert "127.0.0.1:1/x" in said
    assert "secret" not in said


@pytest.mark.parametrize("command", ["verify", "reindex", "reclaim"])
def test_a_folder_that_is_not_there_is_not_called_undamaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    mistyped = tmp_path / "dtaa"
    assert main([command, "--data", str(mistyped)]) == 2
    assert f"data '{mistyped}': no such folder" in capsys.readouterr().err
    assert not mistyped.exists()
