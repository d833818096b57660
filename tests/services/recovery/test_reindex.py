"""`reindex` gives back every answer byte for byte; nothing refused or deleted comes back."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from gateway.app import Gateway
from gateway.dicom.query.query import Query
from gateway.errors import ForeignArchive, JournalDamaged, ObjectDamaged, StoreUnavailable
from gateway.index.base import Scope
from gateway.model import Level, ResourcePath, Source, StudyUID
from gateway.services.admin.sweep import Sweeper
from gateway.services.admin.verify import Verify
from gateway.services.recovery.reindex import Reindex
from gateway.services.recovery.reread import Reread
from gateway.settings import Settings
from tests import build

SCOPE = Scope()


async def one(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def store(gateway: Gateway, *files: bytes) -> list[int | None]:
    session = gateway.ingest.session(Source("stow"))
    for file in files:
        await session.take(one(file))
    return [outcome.failure for outcome in await session.finish()]


async def answers(gateway: Gateway) -> list[object]:
    """All searches, metadata and version sets."""
    seen: list[object] = []
    for level in Level:
        page = await gateway.index.search(SCOPE, Query(level, include_all=True))
        seen.append((level, list(page.rows)))
    studies = await gateway.index.search(SCOPE, Query(Level.STUDY))
    for row in studies.rows:
        uid = row.split(b"/studies/")[1].split(b'"')[0].decode()
        path = ResourcePath(StudyUID(uid))
        seen.append(await gateway.index.version_set(SCOPE, path))
        seen.append(await gateway.index.metadata(SCOPE, path))
        seen.append(await gateway.index.instances(SCOPE, path))
    seen.append(await gateway.index.conflicts(SCOPE))
    seen.append(await gateway.index.changes(0))
    return seen


async def test_every_answer_comes_back(tmp_path: Path) -> None:
    gateway = await Gateway.open(Settings(data=str(tmp_path)))
    await gateway.start(follow=False)
    ds = build.dataset(StudyDescription="first")
    other = build.dataset(StudyInstanceUID=ds.StudyInstanceUID, PatientName="Other^Name", Modality="PT")
    gone = build.dataset()
    assert await store(gateway, build.part10(ds), build.part10(other), build.part10(gone)) == [None] * 3
    assert await store(gateway, build.part10(ds)) == [None]
    changed = build.part10(
        build.dataset(**{e.keyword: e.value for e in ds if e.keyword} | {"PatientID": "x"})
    )
    assert await store(gateway, changed) == [0x0111]
    assert await store(gateway, b"not dicom") == [0xC000]
    await gateway.remove.remove(SCOPE, ResourcePath(gone.StudyInstanceUID), Source("stow"))
    assert await store(gateway, build.instance(StudyInstanceUID=ds.StudyInstanceUID, SeriesNumber=2)) == [
        None
    ]
    before = await answers(gateway)
    await gateway.ingest.close()
    await Reindex(gateway.store, gateway.index).run()
    assert await answers(gateway) == before
    assert [d async for d in Verify(gateway.store, gateway.index).differences()] == []
    await gateway.close()


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Gateway]:
    gateway = await Gateway.open(Settings(data=str(folder)))
    await gateway.start(follow=False)
    try:
        yield gateway
    finally:
        await gateway.close()


def objects(folder: Path) -> list[Path]:
    return sorted((folder / "objects").rglob("*.dcm"))


def journal(folder: Path) -> list[Path]:
    return sorted((folder / "objects" / "journal").rglob("*.jsonl"))


async def count(gateway: Gateway) -> int:
    return (await gateway.index.counts())[Level.INSTANCE]


@pytest.mark.parametrize("headers", [False, True])
async def test_what_is_missing_or_damaged_is_named_and_the_rest_is_whole(
    tmp_path: Path, headers: bool
) -> None:
    async with opened(tmp_path) as gateway:
        first = build.dataset()
        same = {"StudyInstanceUID": first.StudyInstanceUID}
        files = [build.part10(first), *(build.instance(**same, InstanceNumber=n) for n in range(2, 5))]
        assert await store(gateway, *files) == [None] * 4
        whole, cut, gone, altered = objects(tmp_path)
        cut.write_bytes(cut.read_bytes()[:-20])
        gone.unlink()
        data = bytearray(altered.read_bytes())
        data[-1] ^= 1
        altered.write_bytes(data)
        job = Reindex(gateway.store, gateway.index, headers=headers)
        await job.run()
        damaged = {
            stored.locator.key.rpartition("/")[2]: stored.damage async for stored in job.list_damaged()
        }
        assert damaged.keys() == {cut.name, gone.name} | (set() if headers else {altered.name})
        assert "missing" in damaged[gone.name]
        assert await count(gateway) == 4
        path = ResourcePath(StudyUID(str(first.StudyInstanceUID)))
        found, missing = await gateway.retrieve.sound(SCOPE, path)
        assert missing == len(damaged)
        assert whole.name in {one.locator.key.rpartition("/")[2] for one in found}
        # Their headers were known to the index before, and are still.
        assert all(await gateway.retrieve.metadata(SCOPE, path))
        for stored in await gateway.index.instances(SCOPE, path):
            if stored.damage:
                with pytest.raises(ObjectDamaged, match=stored.identity.instance):
                    await gateway.retrieve.locate(SCOPE, stored.identity.path)


async def test_headers_do_not_take_a_known_damage_for_mended(tmp_path: Path) -> None:
    async with opened(tmp_path) as gateway:
        assert await store(gateway, build.instance(), build.instance()) == [None] * 2
        altered, _ = objects(tmp_path)
        was = altered.read_bytes()
        altered.write_bytes(was[:-1] + bytes([was[-1] ^ 1]))
        for headers in (False, True, True):
            job = Reindex(gateway.store, gateway.index, headers=headers)
            await job.run()
            assert [stored.locator.key.rpartition("/")[2] async for stored in job.list_damaged()] == [
                altered.name
            ]
        altered.write_bytes(was)
        job = Reindex(gateway.store, gateway.index, headers=True)
        await job.run()
        assert [stored async for stored in job.list_damaged()] == []


async def test_a_damaged_instance_that_is_sent_again_heals(tmp_path: Path) -> None:
    file = build.instance()
    async with opened(tmp_path) as gateway:
        await store(gateway, file)
    objects(tmp_path)[0].unlink()
    for name in tmp_path.glob("index.sqlite*"):
        name.unlink()
    async with opened(tmp_path) as gateway:
        (row,) = (await gateway.index.search(SCOPE, Query(Level.INSTANCE))).rows
        assert b'"UNAVAILABLE"' in row
        study = ResourcePath(StudyUID(row.split(b"/studies/")[1].split(b"/")[0].decode()))
        with pytest.raises(ObjectDamaged):
            await gateway.retrieve.metadata(SCOPE, study)
        assert await store(gateway, file) == [None]
        (row,) = (await gateway.index.search(SCOPE, Query(Level.INSTANCE))).rows
        assert b'"ONLINE"' in row
        (stored,) = await gateway.retrieve.instances(SCOPE, study)
        assert not stored.damage
        before = await answers(gateway)
        await Reindex(gateway.store, gateway.index).run()
        assert await answers(gateway) == before
        assert len(objects(tmp_path)) == 1


async def test_what_was_swept_is_brought_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as gateway:
        await store(gateway, build.instance(), build.instance())
        before = await answers(gateway)
        root = tmp_path / "objects"
        for file in objects(tmp_path):
            target = root / "trash" / "20260102" / file.relative_to(root)
            target.parent.mkdir(parents=True)
            file.rename(target)
        done = await Reindex(gateway.store, gateway.index).run()
        assert done.restored == 2
        assert await answers(gateway) == before


async def test_an_interrupted_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is stopped by, the serving index is as it was."""
    async with opened(tmp_path) as gateway:
        for _ in range(5):
            await store(gateway, *(build.instance() for _ in range(3)))
        before = await answers(gateway)
        read = Reread.versions
        monkeypatch.setattr("gateway.services.recovery.replay.BATCH", 4)
        calls = 0

        async def fails(self: Reread, changes: object) -> object:
            nonlocal calls
            calls += 1
            if calls == 3:
                raise StoreUnavailable("the store went away")
            return await read(self, changes)  # type: ignore[arg-type]

        monkeypatch.setattr(Reread, "versions", fails)
        with pytest.raises(StoreUnavailable):
            await Reindex(gateway.store, gateway.index).run()
        assert await answers(gateway) == before
        done = await Reindex(gateway.store, gateway.index).run()
        assert done.begun >= 4
        assert done.begun + done.changes == 15
        assert await answers(gateway) == before


async def test_a_headers_run_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    async with opened(tmp_path) as gateway:
        await store(gateway, build.instance(), build.instance())
        aside = await gateway.index.aside()
        await aside.clear("headers")
        await aside.index.replay(await gateway.index.changes(0, 1), {})
        await aside.close()
        done = await Reindex(gateway.store, gateway.index).run()
        assert (done.begun, done.changes) == (0, 2)


async def test_a_damaged_journal_is_refused_unless_told(tmp_path: Path) -> None:
    async with opened(tmp_path) as gateway:
        for _ in range(4):
            await store(gateway, build.instance())
    assert len(journal(tmp_path)) == 4
    lost = journal(tmp_path)[1]
    for name in tmp_path.glob("index.sqlite*"):
        name.unlink()
    data = bytearray(lost.read_bytes())
    data[-5] ^= 1
    lost.write_bytes(data)
    gateway = await Gateway.open(Settings(data=str(tmp_path)))
    with pytest.raises(JournalDamaged) as refused:
        await Reindex(gateway.store, gateway.index).run()
    assert lost.name in refused.value.detail
    assert "--accept-gaps" in refused.value.detail
    done = await Reindex(gateway.store, gateway.index, accept_gaps=True).run()
    assert len(done.problems) == 1
    assert await count(gateway) == 3
    await gateway.close()


async def test_what_the_journal_lost_is_taken_from_the_index(tmp_path: Path) -> None:
    async with opened(tmp_path) as gateway:
        for _ in range(4):
            await store(gateway, build.instance())
        before = await answers(gateway)
        journal(tmp_path)[1].unlink()
        done = await Reindex(gateway.store, gateway.index).run()
        assert (done.filled, done.problems) == (1, [])
        assert await answers(gateway) == before


async def test_the_index_of_another_archive_is_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path / "one") as one, opened(tmp_path / "other") as other:
        await store(one, build.instance())
        await store(other, build.instance())
        before = await answers(other)
        with pytest.raises(ForeignArchive):
            await Reindex(one.store, other.index).run()
        assert await answers(other) == before


async def test_memory_is_that_of_a_page(tmp_path: Path) -> None:
    """No more changes and versions are held at once than two batches: one is written, one is read."""
    async with opened(tmp_path) as gateway:
        for _ in range(6):
            await store(gateway, *(build.instance() for _ in range(10)))
        most = 0
        read = Reread.versions

        async def counted(self: Reread, changes: object) -> object:
            nonlocal most
            found = await read(self, changes)  # type: ignore[arg-type]
            most = max(most, len(found))
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Reread, "versions", counted)
            patch.setattr("gateway.services.recovery.replay.BATCH", 7)
            await Reindex(gateway.store, gateway.index).run()
        assert 0 < most <= 7
        assert await count(gateway) == 60


def lose_index(folder: Path) -> None:
    for name in folder.glob("index.sqlite*"):
        name.unlink()


@pytest.mark.parametrize("damage", [b"", b"{}\n", None], ids=["empty", "foreign", "cut off"])
async def test_a_start_goes_on_after_the_journals_end_was_given_up(
    tmp_path: Path, damage: bytes | None
) -> None:
    """As a power cut leaves it: the last object is damaged, and the index is lost as well."""
    async with opened(tmp_path) as gateway:
        for _ in range(4):
            await store(gateway, build.instance())
    lose_index(tmp_path)
    last = journal(tmp_path)[-1]
    body = last.read_bytes()[:-20] if damage is None else damage
    last.write_bytes(body)
    gateway = await Gateway.open(Settings(data=str(tmp_path)))
    done = await Reindex(gateway.store, gateway.index, accept_gaps=True).run()
    await gateway.close()
    assert [problem.key[-13:] for problem in done.problems] == [last.name[-13:]]
    [aside] = (tmp_path / "objects" / "trash").rglob("*.jsonl")
    assert aside.read_bytes() == body
    async with opened(tmp_path) as gateway:
        assert await count(gateway) == 3
        there = objects(tmp_path)
        sweeper = Sweeper(
            *(gateway.store, gateway.index, gateway.journal, gateway.counters), undo_seconds=0.0, grace=0.0
        )
        swept = await sweeper.run(confirmed=False)
        assert "sweep --confirm" in swept.why_not  # what was acknowledged may be among the orphans
        assert objects(tmp_path) == there
        assert await store(gateway, build.instance()) == [None]
        before = await answers(gateway)
    lose_index(tmp_path)
    async with opened(tmp_path) as gateway:
        assert await answers(gateway) == before


@pytest.mark.parametrize("at", [1, -1], ids=["within", "at the end"])
@pytest.mark.parametrize("damage", ["gone", "empty", "altered"])
async def test_what_the_index_knows_is_journaled_again(tmp_path: Path, at: int, damage: str) -> None:
    """Else it is lost with the index, though nobody had to lose it."""
    async with opened(tmp_path) as gateway:
        for _ in range(4):
            await store(gateway, build.instance(), build.instance())
        before = await answers(gateway)
        lost = journal(tmp_path)[at]
        told = lost.read_bytes().count(b"\n") - 1  # the first line is the header
        if damage == "gone":
            lost.unlink()
        else:
            lost.write_bytes(b"" if damage == "empty" else lost.read_bytes().replace(b"store", b"stoke"))
        # How far the last object went, nobody can tell from the journal.
        is_open = at == -1 and damage != "gone"
        done = await Reindex(gateway.store, gateway.index, accept_gaps=is_open).run()
        assert done.journaled == told
        assert [d async for d in Verify(gateway.store, gateway.index).differences() if d.is_damage] == []
    lose_index(tmp_path)
    async with opened(tmp_path) as gateway:
        assert await answers(gateway) == before


async def test_a_journal_that_was_lost_whole_is_written_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as gateway:
        for _ in range(3):
            await store(gateway, build.instance())
        before = await answers(gateway)
    shutil.rmtree(tmp_path / "objects" / "journal")
    gateway = await Gateway.open(Settings(data=str(tmp_path)))
    with pytest.raises(ForeignArchive, match="reindex"):
        await gateway.start(follow=False)
    assert (await Reindex(gateway.store, gateway.index).run()).journaled == 3
    await gateway.close()
    lose_index(tmp_path)
    async with opened(tmp_path) as gateway:
        assert await answers(gateway) == before


@pytest.mark.parametrize("kind", ["emptied store", "archive.json of another"])
async def test_a_store_that_is_another_is_left_alone(tmp_path: Path, kind: str) -> None:
    async with opened(tmp_path / "one") as gateway:
        await store(gateway, build.instance())
    async with opened(tmp_path / "other") as gateway:
        await store(gateway, build.instance())
    objects = tmp_path / "one" / "objects"
    if kind == "emptied store":
        objects.rename(tmp_path / "aside")
    else:
        shutil.copy(tmp_path / "other" / "objects" / "archive.json", objects / "archive.json")
        lose_index(tmp_path / "one")
    before = len(journal(tmp_path / "one"))
    gateway = await Gateway.open(Settings(data=str(tmp_path / "one")))
    with pytest.raises(ForeignArchive):
        await Reindex(gateway.store, gateway.index, accept_gaps=True).run()
    await gateway.close()
    assert len(journal(tmp_path / "one")) == before
