"""`verify` names every damage that there is, alone and beside any other, and says what to do."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from gateway.app import open_index
from gateway.cli import commands
from gateway.model import ResourcePath, Source, StudyUID
from gateway.services.admin.advice import advice
from gateway.services.admin.verify import Difference, Verify
from gateway.settings import Settings
from gateway.store.filesystem import FilesystemStore
from tests import build
from tests.services.recovery.test_reindex import SCOPE, opened, store

COUNT = 12


@dataclass(frozen=True)
class Archive:
    """A copy to be damaged; `older` is its index before the last two changes."""

    folder: Path
    older: Path

    @property
    def root(self) -> Path:
        return self.folder / "objects"

    def objects(self) -> list[Path]:
        """By the time they were stored."""
        return sorted((p for p in self.root.rglob("*.dcm") if "trash" not in p.parts), key=lambda p: p.name)

    def journal(self, revision: int) -> Path:
        return self.root / "journal" / "log" / f"{revision:016d}.jsonl"

    def sql(self, statement: str) -> None:
        with closing(sqlite3.connect(self.folder / "index.sqlite", isolation_level=None)) as db:
            db.execute(statement)
            assert db.execute("SELECT changes()").fetchone()[0]
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    folder = tmp_path_factory.mktemp("made")
    asyncio.run(make(folder))
    return Archive(folder / "data", folder / "older.sqlite")


async def make(folder: Path) -> None:
    """An archive, its index before the last two changes, and another archive."""
    for first, last in ((0, COUNT - 2), (COUNT - 2, COUNT)):
        async with opened(folder / "data") as gateway:
            for n in range(first, last):
                assert await store(gateway, build.instance(InstanceNumber=n)) == [None]
            await gateway.journal.catch_up(gateway.index)
        if last < COUNT:
            shutil.copy(folder / "data" / "index.sqlite", folder / "older.sqlite")
    async with opened(folder / "foreign") as gateway:
        await store(gateway, build.instance())


@pytest.fixture
def archive(made: Archive, tmp_path: Path) -> Archive:
    shutil.copytree(made.folder, tmp_path / "data")
    return Archive(tmp_path / "data", made.older)


# -- damages: each has objects and revisions of its own, so that they can be had in pairs -----------------------


def older_index(a: Archive) -> None:
    shutil.copy(a.older, a.folder / "index.sqlite")


def change_lost(a: Archive) -> None:
    a.sql("DELETE FROM change WHERE revision = 1")


def version_lost(a: Archive) -> None:
    a.sql("DELETE FROM version WHERE revision = 2")


def journal_differs(a: Archive) -> None:
    a.sql("UPDATE change SET instance = '1.2.3' WHERE revision = 3")


def known_damage(a: Archive) -> None:
    a.sql("UPDATE version SET damage = 'object is missing' WHERE revision = 4")
    a.objects()[3].write_bytes(b"not what it was")


def mended(a: Archive) -> None:
    a.sql("UPDATE version SET damage = 'object is missing' WHERE revision = 5")


def object_missing(a: Archive) -> None:
    _object(a, 6).unlink()


def object_truncated(a: Archive) -> None:
    file = _object(a, 7)
    file.write_bytes(file.read_bytes()[:-10])


def bit_flipped(a: Archive) -> None:
    file = _object(a, 8)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)


def object_foreign(a: Archive) -> None:
    _object(a, 9).write_bytes(build.instance(PatientName="Another", PatientComments="another " * 20))


def object_swept(a: Archive) -> None:
    file = _object(a, 10)
    target = a.root / "trash" / "20260101" / file.relative_to(a.root)
    target.parent.mkdir(parents=True, exist_ok=True)
    file.rename(target)


def orphan(a: Archive) -> None:
    name = "0190aaaa" + "0000" + "7" + "0" * 19
    target = a.root / "ab" / "1" / "1.2.3" / f"{name}.dcm"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"left over")


def stray(a: Archive) -> None:
    (a.root / "readme.txt").write_bytes(b"not ours")


def in_trash(a: Archive) -> None:
    target = a.root / "trash" / "20260102" / "ab" / "1" / "1.2.9" / "x.dcm"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"swept")


def journal_deleted(a: Archive) -> None:
    a.journal(2).unlink()


def journal_empty(a: Archive) -> None:
    a.journal(4).write_bytes(b"")


def journal_truncated(a: Archive) -> None:
    data = a.journal(5).read_bytes()
    a.journal(5).write_bytes(data[: len(data) - 40])


def journal_altered(a: Archive) -> None:
    data = a.journal(6).read_bytes()
    a.journal(6).write_bytes(data.replace(b'"store"', b'"stole"'))


def journal_foreign(a: Archive) -> None:
    a.journal(7).write_bytes(_foreign(a).read_bytes())


def journal_doubled(a: Archive) -> None:
    shutil.copy(a.journal(8), a.journal(9999))


def tail_missing(a: Archive) -> None:
    a.journal(COUNT).unlink()


def unjournaled(a: Archive) -> None:
    a.sql(f"UPDATE change SET journaled = 0 WHERE revision = {COUNT}")
    a.journal(COUNT).unlink()


def archive_missing(a: Archive) -> None:
    (a.root / "archive.json").unlink()


def archive_foreign(a: Archive) -> None:
    said = json.loads((a.root / "archive.json").read_bytes())
    (a.root / "archive.json").write_text(json.dumps(said | {"id": "f" * 32}))


def _object(a: Archive, revision: int) -> Path:
    """By name, not by place: others may be gone."""
    with closing(sqlite3.connect(a.folder / "index.sqlite")) as db:
        found = db.execute("SELECT key FROM change WHERE revision = ?", (revision,)).fetchone()
    return a.root / str(found[0])


def _foreign(a: Archive) -> Path:
    return a.older.parent / "foreign" / "objects" / "journal" / "log" / f"{1:016d}.jsonl"


DAMAGES: dict[Callable[[Archive], None], set[str]] = {
    older_index: {"not in index"},
    change_lost: {"not in index"},
    version_lost: {"not in index"},
    journal_differs: {"journal differs"},
    known_damage: {"damaged"},
    mended: {"mended"},
    object_missing: {"object missing"},
    object_truncated: {"object length"},
    bit_flipped: {"object digest"},
    object_foreign: {"object length"},
    object_swept: {"object in trash"},
    orphan: {"orphan"},
    stray: {"stray"},
    in_trash: {"in trash"},
    journal_deleted: {"journal damaged", "not in journal"},
    journal_empty: {"journal damaged", "not in journal"},
    journal_truncated: {"journal damaged", "not in journal"},
    journal_altered: {"journal damaged", "not in journal"},
    journal_foreign: {"journal damaged", "not in journal"},
    journal_doubled: {"journal damaged"},
    tail_missing: {"not in journal"},
    unjournaled: {"unjournaled"},
    archive_missing: {"archive unnamed"},
    archive_foreign: {"archive foreign"},
}
# What the other hides: an index of before knows nothing of what was last, which is one revision; there is one archive.json.
HIDDEN = (
    {older_index, tail_missing},
    {older_index, unjournaled},
    {tail_missing, unjournaled},
    {archive_missing, archive_foreign},
)
NAMES = {damage.__name__: damage for damage in DAMAGES}


async def found(folder: Path, *, digests: bool = True) -> list[Difference]:
    """As the command does, without bringing anything in order before."""
    index = await open_index(f"sqlite://{folder / 'index.sqlite'}")
    differences = Verify(FilesystemStore(folder / "objects"), index).differences(digests=digests)
    listed = [difference async for difference in differences]
    await index.close()
    return listed


async def test_a_known_damage_of_the_same_length_is_not_called_mended_unread(archive: Archive) -> None:
    archive.sql("UPDATE version SET damage = 'its digest differs' WHERE revision = 6")
    file = _object(archive, 6)
    held = file.read_bytes()
    file.write_bytes(held[:-1] + bytes([held[-1] ^ 1]))
    assert [difference.kind for difference in await found(archive.folder, digests=False)] == ["damaged"]


async def test_nothing_is_found_where_nothing_is_wrong(archive: Archive) -> None:
    async with opened(archive.folder) as gateway:
        (one, *_) = await gateway.index.changes(0, 1)
        await gateway.remove.remove(SCOPE, ResourcePath(StudyUID(one.identity.study)), Source("stow"))
    assert await found(archive.folder) == []


@pytest.mark.parametrize("name", NAMES)
async def test_each_damage_is_found(name: str, archive: Archive) -> None:
    damage = NAMES[name]
    damage(archive)
    listed = await found(archive.folder)
    assert DAMAGES[damage] <= {difference.kind for difference in listed}
    assert any(d.is_damage for d in listed) == (damage not in (orphan, stray, in_trash, unjournaled))
    for kind in {difference.kind for difference in listed}:
        assert advice([kind]), f"nothing is said of what to do about '{kind}'"
    assert len(listed) <= 6, listed


def pairs() -> Iterator[tuple[str, str]]:
    for one, other in itertools.combinations(DAMAGES, 2):
        if {one, other} not in HIDDEN:
            yield one.__name__, other.__name__


async def test_each_pair_of_damages_is_found(made: Archive, tmp_path: Path) -> None:
    missed = []
    for n, (one, other) in enumerate(pairs()):
        shutil.copytree(made.folder, tmp_path / str(n))
        archive = Archive(tmp_path / str(n), made.older)
        NAMES[one](archive)
        NAMES[other](archive)
        kinds = {difference.kind for difference in await found(archive.folder)}
        wanted = DAMAGES[NAMES[one]] | DAMAGES[NAMES[other]]
        if not wanted <= kinds:
            missed.append((one, other, wanted - kinds))
        shutil.rmtree(tmp_path / str(n))
    assert missed == []


async def test_a_lost_index_makes_no_orphans(archive: Archive) -> None:
    """What the journal names is not an orphan, whatever the index says."""
    (archive.folder / "index.sqlite").unlink()
    index = await open_index(f"sqlite://{archive.folder / 'index.sqlite'}")
    await index.migrate()
    await index.close()
    listed = await found(archive.folder)
    assert [difference.kind for difference in listed] == ["not in index"]
    assert "revisions 1 to 12" in listed[0].what


async def test_the_command_says_what_to_do(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    object_missing(archive)
    journal_deleted(archive)
    assert await commands.verify(Settings(data=str(archive.folder)), digests=True) == 1
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("3 damaged")
    assert [line.startswith("- ") for line in lines[at + 1 :]] == [True] * len(lines[at + 1 :])
    assert any("reindex" in line for line in lines[at + 1 :])


async def test_without_reading_only_presence_and_length_are_looked_at(archive: Archive) -> None:
    bit_flipped(archive)
    assert await found(archive.folder, digests=False) == []
    object_truncated(archive)
    assert [d.kind for d in await found(archive.folder, digests=False)] == ["object length"]
