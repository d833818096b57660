"""An index is built beside the serving one and takes its place: nothing is lost, nothing is less, all follow."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from gateway.dicom.query.query import Query
from gateway.errors import Conflict, IndexUnavailable, NotFound
from gateway.index import generations
from gateway.index.base import Admitted, Change, NewVersion
from gateway.index.driver import SqlIndex
from gateway.index.sqlite import SqliteIndex
from gateway.model import Level, Source, VersionId
from tests.index.conftest import Open
from tests.index.factories import SCOPE, Maker
from tests.index.test_replay import answers


async def filled(index: SqlIndex, count: int, seed: int = 0) -> list[NewVersion]:
    made = Maker(seed)
    new = [made.version(f"1.{n % 3 + 1}", f"1.{n % 3 + 1}.1") for n in range(count)]
    assert all(isinstance(v, Admitted) for v in await index.admit(new))
    return new


async def replayed(source: SqlIndex, target: SqlIndex, size: int = 50) -> None:
    while changes := await source.changes(await target.last_revision(), size):
        await target.replay(changes, await source.find_known_versions(changes))


async def test_what_is_built_beside_answers_the_same(open_index: Open) -> None:
    index, other = await open_index(), await open_index()
    await index.migrate()
    new = await filled(index, 30)
    await index.remove(SCOPE, new[3].identity.path, Source("stow"), "wrong")
    await index.reclaim(1 << 60, Source("reclaim"))
    before = await answers(index)
    assert await other.counts() == await index.counts()
    aside = await index.aside()
    await aside.clear("whole")
    await replayed(index, aside.index)  # type: ignore[arg-type]
    assert await aside.settle() == 0
    await aside.close()
    for one in (index, other, await open_index()):
        assert await answers(one) == before
    (verdict,) = await other.admit([Maker(9).version()])
    assert isinstance(verdict, Admitted)
    assert await index.changes(verdict.change.revision - 1) == [verdict.change]
    assert (await index.counts())[Level.INSTANCE] == 30


async def test_what_is_committed_meanwhile_is_there_after(open_index: Open) -> None:
    """Another process stores and searches all the time, also while the tables change places."""
    index, other = await open_index(), await open_index()
    await index.migrate()
    await filled(index, 20)
    stop, stored, least = asyncio.Event(), 20, 20

    async def storing() -> None:
        nonlocal stored
        maker = Maker(7)
        while not stop.is_set():
            (verdict,) = await other.admit([maker.version("1.7", "1.7.1")])
            assert isinstance(verdict, Admitted)
            stored += 1
            await asyncio.sleep(0)

    async def reading(one: SqlIndex) -> None:
        nonlocal least
        while not stop.is_set():
            known = stored
            page = await one.search(SCOPE, Query(Level.INSTANCE, limit=1, count=True))
            assert page.total is not None
            assert page.total >= known
            await asyncio.sleep(0)

    async def rebuilding() -> None:
        try:
            for _ in range(3):
                aside = await index.aside()
                await aside.clear("whole")
                await replayed(index, aside.index)  # type: ignore[arg-type]
                await asyncio.sleep(0.1)
                await aside.settle()
                await aside.close()
        finally:
            stop.set()

    async with asyncio.TaskGroup() as group:
        for job in (storing(), reading(index), reading(other), reading(other), rebuilding()):
            group.create_task(job)
    assert stored > 20
    for one in (index, other):
        assert (await one.counts())[Level.INSTANCE] == stored
        assert await one.last_revision() == stored


async def test_two_do_not_rebuild_at_once(open_index: Open) -> None:
    index, other = await open_index(), await open_index()
    await index.migrate()
    assert not await other.is_rebuilding()
    aside = await index.aside()
    assert await other.is_rebuilding()
    with pytest.raises(Conflict, match="rebuilt by another"):
        await other.aside()
    await aside.close()
    assert not await other.is_rebuilding()
    await (await other.aside()).close()


async def test_what_was_built_is_kept(open_index: Open) -> None:
    index, other = await open_index(), await open_index()
    await index.migrate()
    await filled(index, 10)
    aside = await index.aside()
    await aside.clear("whole")
    changes = await index.changes(0, 4)
    await aside.index.replay(changes, await index.find_known_versions(changes))
    await aside.close()
    again = await other.aside()
    assert (await again.mode(), await again.index.last_revision()) == ("whole", 4)
    await again.settle()
    await again.close()
    assert (await index.counts())[Level.INSTANCE] == 10


async def test_indexes_that_tell_otherwise_do_not_change_places(open_index: Open) -> None:
    index = await open_index()
    await index.migrate()
    await filled(index, 5)
    before = await answers(index)
    aside = await index.aside()
    await aside.clear("whole")
    changes = await index.changes(0, 3)
    changes[-1] = replace(changes[-1], version_after=VersionId("f" * 32))
    await aside.index.replay(changes, {})
    with pytest.raises(Conflict, match="other changes"):
        await aside.settle()
    await aside.close()
    assert await answers(index) == before


async def test_who_follows_the_log_hears_of_it(open_index: Open) -> None:
    index, other = await open_index(), await open_index()
    await index.migrate()
    await filled(index, 3)
    seen: list[Change] = []

    heard = asyncio.Event()

    async def following() -> None:
        async for changes in other.tail():
            seen.extend(changes)
            if seen and other.generation:
                heard.set()

    task = asyncio.create_task(following())
    await asyncio.sleep(0.5)
    aside = await index.aside()
    await aside.clear("whole")
    await aside.settle()
    await aside.close()
    (verdict,) = await index.admit([Maker(5).version()])
    async with asyncio.timeout(30):
        await heard.wait()
    assert isinstance(verdict, Admitted)
    assert seen == [verdict.change]
    assert other.generation == 1
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_an_outcome_can_be_looked_up_afterwards(open_index: Open) -> None:
    """Were it not found, what was done would be taken for not committed, and be done twice."""
    index, other = await open_index(), await open_index()
    await index.migrate()
    new = await filled(index, 4)
    await index.remove(SCOPE, new[0].identity.path, Source("stow"), "wrong", "before")
    aside = await index.aside()
    await aside.clear("whole")
    await replayed(index, aside.index)  # type: ignore[arg-type]
    await index.remove(SCOPE, new[1].identity.path, Source("stow"), "wrong", "meanwhile")
    await aside.settle()
    await aside.close()
    for name, version in (("before", new[0]), ("meanwhile", new[1])):
        found = await other.find_committed(name)
        assert found is not None
        assert [change.version_before for change in found] == [version.version]
    assert await other.find_committed("never") is None


async def test_unjournaled_rows_stay_so(open_index: Open) -> None:
    index = await open_index()
    await index.migrate()
    await filled(index, 4)
    await index.mark_journaled([1, 2])
    aside = await index.aside()
    await aside.clear("whole")
    await replayed(index, aside.index)  # type: ignore[arg-type]
    await aside.settle()
    await aside.close()
    assert [change.revision for change in await index.find_unjournaled()] == [3, 4]


# -- files ------------------------------------------------------------------------------------------------


async def rebuilt(index: SqliteIndex) -> None:
    aside = await index.aside()
    await aside.clear("whole")
    await replayed(index, aside.index)  # type: ignore[arg-type]
    await aside.settle()
    await aside.close()


async def test_a_crash_before_the_link_is_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mark is committed and the link is not there: whoever comes next sets it."""
    path = tmp_path / "index.sqlite"
    index = await SqliteIndex.open(path)
    await index.migrate()
    await filled(index, 4)
    settle = generations.settle
    monkeypatch.setattr(generations, "settle", lambda *_: (_ for _ in ()).throw(OSError("power cut")))
    aside = await index.aside()
    await aside.clear("whole")
    await replayed(index, aside.index)  # type: ignore[arg-type]
    with pytest.raises(OSError, match="power cut"):
        await aside.settle()
    await aside.close()
    assert not path.is_symlink()
    monkeypatch.setattr(generations, "settle", settle)
    after = await SqliteIndex.open(path)
    assert (await after.counts())[Level.INSTANCE] == 4
    await after.admit([Maker(3).version()])
    assert os.readlink(path) == "index-1.sqlite"
    assert (await index.counts())[Level.INSTANCE] == 5
    await index.close()
    await after.close()


async def test_files_of_before_go_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    index = await SqliteIndex.open(path)
    await index.migrate()
    for seed in range(3):
        await filled(index, 2, seed)
        await rebuilt(index)
    assert os.readlink(path) == "index-3.sqlite"
    other = await SqliteIndex.open(path)
    assert (await other.counts())[Level.INSTANCE] == 6
    names = {file.name for file in tmp_path.iterdir() if not file.name.endswith(("-wal", "-shm", ".rebuild"))}
    assert names == {"index.sqlite", "index-3.sqlite"}
    assert (await index.counts())[Level.INSTANCE] == 6
    await index.close()
    await other.close()
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_lost_generation_is_not_made_by_reading(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    index = await SqliteIndex.open(path)
    await index.migrate()
    await rebuilt(index)
    await index.close()
    (tmp_path / "index-1.sqlite").unlink()
    fresh = await SqliteIndex.open(path)
    # Whoever still holds what was lost removes its log by name: that name is not used again.
    assert os.readlink(path) == "index-2.sqlite"
    await fresh.migrate()
    with pytest.raises(NotFound):
        await fresh.version_set(SCOPE, Maker().version().identity.path)
    assert not (tmp_path / "index-1.sqlite").exists()
    await rebuilt(fresh)
    assert os.readlink(path) == "index-3.sqlite"
    await fresh.close()


async def test_a_file_that_goes_while_it_is_open_is_not_made_again(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    index = await SqliteIndex.open(path)
    await index.migrate()
    await rebuilt(index)
    await index.counts()
    late = await SqliteIndex.open(path)
    (tmp_path / "index-1.sqlite").unlink()
    with pytest.raises(IndexUnavailable):
        await late.counts()
    assert not (tmp_path / "index-1.sqlite").exists()
    await index.close()
    await late.close()
