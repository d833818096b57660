"""What `import` takes from archives: each member stands or falls alone, and an archive is opened once for all of them."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gateway.cli.main import main
from tests import build


def archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return path


def instances(count: int) -> dict[str, bytes]:
    return {f"{n:05}.dcm": build.instance() for n in range(count)}


def patched(path: Path, name: str, *, flags: int = 0, method: int | None = None, damage: int = 0) -> None:
    """Change the headers of a member, both its own and the directory's, or a byte of its data."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as found:
        info = found.getinfo(name)
    local = info.header_offset
    entry = data.rindex(name.encode()) - 46
    for at, shift in ((local, 0), (entry, 2)):
        if flags:
            struct.pack_into("<H", data, at + 6 + shift, info.flag_bits | flags)
        if method is not None:
            struct.pack_into("<H", data, at + 8 + shift, method)
    if damage:
        data[local + 30 + len(name) + damage] ^= 0xFF
    path.write_bytes(bytes(data))


def encrypted(path: Path) -> None:
    patched(path, "b.dcm", flags=1)


def corrupt(path: Path) -> None:
    patched(path, "b.dcm", damage=40)


def strange(path: Path) -> None:
    patched(path, "b.dcm", method=97)


DAMAGES: list[tuple[Callable[[Path], None], str]] = [
    (encrypted, "is encrypted"),
    (corrupt, "cannot be read: "),
    (strange, "is compressed by a method that is not known here"),
]


def imported(tmp_path: Path, *paths: Path) -> int:
    return main(["import", "--data", str(tmp_path / "data"), *map(str, paths)])


@pytest.mark.parametrize(("damage", "why"), DAMAGES)
def test_a_member_that_cannot_be_read_is_refused_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None], why: str
) -> None:
    path = archive(tmp_path / "some.zip", {n: build.instance() for n in ("a.dcm", "b.dcm", "c.dcm")})
    damage(path)
    assert imported(tmp_path, path) == 1
    out, err = capsys.readouterr()
    assert out == "2 stored, 0 received again, 0 done before, 1 refused\n"
    assert err.startswith(f"refused {path}!b.dcm: C000H {why}")
    assert imported(tmp_path, path) == 1
    assert capsys.readouterr().out == "0 stored, 0 received again, 2 done before, 1 refused\n"


def test_an_archive_with_a_bad_directory_is_refused_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    path = archive(folder / "bad.zip", instances(2))
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2")] = 0
    path.write_bytes(bytes(data))
    archive(folder / "good.zip", instances(2))
    (folder / "one.dcm").write_bytes(build.instance())
    assert imported(tmp_path, folder) == 1
    out, err = capsys.readouterr()
    assert out == "3 stored, 0 received again, 0 done before, 1 refused\n"
    assert err == f"refused {path}: C000H the archive's directory cannot be read: BadZipFile\n"


def test_a_bomb_is_refused_by_what_it_declares(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = io.BytesIO()
    with (
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as made,
        made.open("zeros", "w", force_zip64=True) as out,
    ):
        for _ in range(64):
            out.write(bytes(1 << 20))
        made_of = 64 << 20
    path = tmp_path / "bomb.zip"
    path.write_bytes(bomb.getvalue())
    assert path.stat().st_size < made_of // 900
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("it was opened"))
    assert imported(tmp_path, path) == 1
    assert f"refused {path}!zeros: C000H grows more than 200-fold" in capsys.readouterr().err


def test_names_of_members_lead_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["../../outside.dcm", "/absolute.dcm", "a/b/c.dcm", "\x1b[2Jred\n.dcm"]
    path = archive(tmp_path / "odd.zip", {**{n: build.instance() for n in names}, "\x1b[31mno": b"no DICOM"})
    assert imported(tmp_path, path) == 1
    out, err = capsys.readouterr()
    assert out == "4 stored, 0 received again, 0 done before, 1 refused\n"
    assert "\x1b" not in err
    assert "!\\x1b[31mno: C000H" in err
    assert {path.name for path in tmp_path.iterdir()} == {"odd.zip", "data"}
    assert not (tmp_path.parent / "outside.dcm").exists()


def test_an_archive_is_opened_once_however_many_members_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [archive(tmp_path / f"{n}.zip", instances(21)) for n in range(2)]
    opened: list[Any] = []

    class Counted(zipfile.ZipFile):
        def __init__(self, file: Any) -> None:
            opened.append(file)
            super().__init__(file)

    monkeypatch.setattr(zipfile, "ZipFile", Counted)
    assert imported(tmp_path, *paths) == 0
    assert capsys.readouterr().out == "42 stored, 0 received again, 0 done before, 0 refused\n"
    # To list its members, and to read them.
    assert sorted(opened) == sorted(paths * 2)
