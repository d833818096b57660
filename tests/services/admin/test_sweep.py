"""Only what neither index nor journal names is swept, and nothing of it is lost at once."""

from __future__ import annotations

import json
import logging
import logging.config
import os
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from gateway.app import Gateway
from gateway.errors import StoreUnavailable
from gateway.index.base import Scope
from gateway.logs import configuration
from gateway.model import ResourcePath, Source
from gateway.services.admin import sweep
from gateway.services.admin.sweep import Sweeper, Swept
from gateway.services.journal.journal import Journal
from gateway.services.objectkeys import make_inflated_key, new_version, trash_key
from gateway.services.recovery.reindex import Reindex
from gateway.settings import Settings
from tests import build

SCOPE, SOURCE = Scope(), Source("stow")
DAY = 24 * 3600.0


async def one(data: bytes) -> AsyncIterator[bytes]:
    yield data


@asynccontextmanager
async def opened(data: Path, *, is_old: bool = True) -> AsyncIterator[Gateway]:
    """A gateway, as if its index had been there from the beginning unless it is not old."""
    gateway = await Gateway.open(Settings(data=str(data)))
    await gateway.start(follow=False)
    if is_old:
        with closing(sqlite3.connect(data / "index.sqlite")) as db, db:
            db.execute("UPDATE archive SET since = 0")
    try:
        yield gateway
    finally:
        await gateway.close()


def sweeper(gateway: Gateway, *, grace: float = -1, undo: float | None = 7 * DAY) -> Sweeper:
    """For which everything is old enough, unless `grace` says otherwise."""
    return Sweeper(
        gateway.store,
        gateway.index,
        Journal(gateway.store),
        gateway.counters,
        undo_seconds=undo,
        grace=grace,
    )


async def stored(gateway: Gateway, count: int) -> list[ResourcePath]:
    session = gateway.ingest.session(SOURCE)
    paths = []
    for _ in range(count):
        ds = build.dataset()
        await session.take(one(build.part10(ds)))
        paths.append(ResourcePath(ds.StudyInstanceUID))
    assert [outcome.failure for outcome in await session.finish()] == [None] * count
    await gateway.ingest.close()
    return paths


async def orphaned(gateway: Gateway, count: int = 1, *, days: float = 0) -> list[str]:
    """Objects that nobody names, drawn `days` ago."""
    keys = []
    for _ in range(count):
        drawn = int(new_version()[:12], 16) - round(days * DAY * 1000)
        version = f"{drawn:012x}{new_version()[12:]}"
        keys.append(f"{version[-2:]}/1/1.2.3/{version}.dcm")
        await gateway.store.put(keys[-1], one(b"left over"))
    return sorted(keys)


def objects(data: Path) -> set[str]:
    """Keys of instances."""
    root = data / "objects"
    return {p.relative_to(root).as_posix() for p in root.rglob("*.dcm")}


# -- what goes, and where to ----------------------------------------------------------------------------


async def test_an_orphan_goes_to_the_trash_and_later_altogether(tmp_path: Path) -> None:
    async with opened(tmp_path) as gateway:
        await stored(gateway, 3)
        named = objects(tmp_path)
        keys = await orphaned(gateway, 2)
        swept = await sweeper(gateway).run(confirmed=False)
        assert (sorted(swept.orphans), swept.why_not) == (keys, "")
        day = time.strftime("%Y%m%d", time.gmtime())
        assert objects(tmp_path) == named | {trash_key(key, day) for key in keys}
        assert gateway.counters["sweep_objects_total"] == 2
        # Kept for the undo window from the end of the day on.
        assert (await sweeper(gateway, undo=DAY).run(confirmed=False)).given_up == []
        later = await sweeper(gateway, undo=-DAY).run(confirmed=False)
        assert sorted(later.given_up) == sorted(trash_key(key, day) for key in keys)
        assert objects(tmp_path) == named
        assert gateway.counters["sweep_trash_total"] == 2


async def test_the_trash_is_kept_where_nothing_is_reclaimed_by_itself(tmp_path: Path) -> None:
    async with opened(tmp_path) as gateway:
        await gateway.store.put(trash_key((await orphaned(gateway))[0], "20200101"), one(b"x"))
        assert (await sweeper(gateway, undo=None).run(confirmed=False)).given_up == []
        assert any(key.startswith("trash/20200101/") for key in objects(tmp_path))


async def test_age_is_that_of_the_name_not_of_the_file(tmp_path: Path) -> None:
    async with opened(tmp_path) as gateway:
        (old,), (young,) = await orphaned(gateway, days=2), await orphaned(gateway)
        os.utime(tmp_path / "objects" / young, (0, 0))
        assert (await sweeper(gateway, grace=DAY).run(confirmed=False)).orphans == [old]
        assert young in objects(tmp_path)


async def test_what_could_not_be_deleted_when_reclaimed_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as gateway:
        kept, gone = await stored(gateway, 2)
        await gateway.remove.remove(SCOPE, gone, SOURCE)

        async def away(key: str) -> None:
            raise StoreUnavailable("away")

        with monkeypatch.context() as broken:
            broken.setattr(gateway.store, "delete", away)
            assert (await gateway.reclaim.run(0)).left == 1
        (swept,) = (await sweeper(gateway).run(confirmed=False)).orphans
        assert gone.study in swept
        assert kept.study not in swept


async def test_objects_of_deleted_and_replaced_versions_stay(tmp_path: Path) -> None:
    async with opened(tmp_path) as gateway:
        (path,) = await stored(gateway, 1)
        await gateway.remove.remove(SCOPE, path, SOURCE)
        before = objects(tmp_path)
        assert (await sweeper(gateway).run(confirmed=False)).count == 0
        assert objects(tmp_path) == before


async def test_derived_objects_go_with_what_they_were_made_of(tmp_path: Path) -> None:
    async with opened(tmp_path) as gateway:
        await stored(gateway, 1)
        (version,) = [version.version async for version, _ in gateway.index.all_versions()]
        orphan = make_inflated_key(new_version())
        for key in (make_inflated_key(version), orphan):
            await gateway.store.put(key, one(b"made"))
        assert (await sweeper(gateway).run(confirmed=False)).derived == [orphan]
        left = [stored.key async for stored in gateway.store.list("derived/")]
        assert left == [make_inflated_key(version)]


async def test_other_files_are_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as gateway:
        for key in ("notes.txt", "aa/1/1.2/mine.dcm", "aa/readme", "journal2/x"):
            await gateway.store.put(key, one(b"x"))
        assert (await sweeper(gateway).run(confirmed=True)).count == 0
        assert (tmp_path / "objects/aa/1/1.2/mine.dcm").exists()


async def test_what_lies_in_the_trash_and_is_named_comes_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as gateway:
        await stored(gateway, 1)
        (key,) = objects(tmp_path)
        await gateway.store.move(key, trash_key(key, "20200101"))
        swept = await sweeper(gateway).run(confirmed=False)
        assert swept.brought_back == [trash_key(key, "20200101")]
        assert objects(tmp_path) == {key}


# -- an index is not believed alone ---------------------------------------------------------------------


async def _lost(data: Path) -> None:
    for file in data.glob("index.sqlite*"):
        file.unlink()


async def _older(data: Path) -> None:
    for file in data.glob("index.sqlite*"):
        file.unlink()
    for file in data.glob("older.sqlite*"):
        shutil.copy(file, data / file.name.replace("older", "index"))


@pytest.mark.parametrize("damage", [_lost, _older])
@pytest.mark.parametrize("confirmed", [False, True])
async def test_an_index_behind_its_journal_sweeps_nothing(
    tmp_path: Path, damage: Any, confirmed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Found: 20 of 20 objects deleted in two seconds by starting the server."""
    async with opened(tmp_path) as gateway:
        await stored(gateway, 5)
    for file in tmp_path.glob("index.sqlite*"):
        shutil.copy(file, tmp_path / file.name.replace("index", "older"))
    async with opened(tmp_path) as gateway:
        await stored(gateway, 15)
    before = objects(tmp_path)
    assert len(before) == 20
    await damage(tmp_path)
    gateway = await Gateway.open(Settings(data=str(tmp_path)))
    with caplog.at_level(logging.WARNING, "gateway.sweep"):
        swept = await sweeper(gateway).run(confirmed=confirmed)
    assert "does not hold revision" in swept.why_not
    assert "nothing swept" in caplog.text
    assert objects(tmp_path) == before
    await gateway.close()


async def test_an_index_that_went_on_without_its_past_sweeps_nothing(tmp_path: Path) -> None:
    """Emptied, and as far as the journal again: it tells another change of the same revision."""
    async with opened(tmp_path) as gateway:
        await stored(gateway, 5)
    before = objects(tmp_path)
    await _lost(tmp_path)
    gateway = await Gateway.open(Settings(data=str(tmp_path)))
    for _ in range(7):
        await gateway.index.admit([_made(gateway)])
    assert await gateway.index.last_revision() >= 5
    swept = await sweeper(gateway).run(confirmed=True)
    assert "differently" in swept.why_not
    assert objects(tmp_path) == before
    await gateway.close()


_MADE: list[int] = []


def _made(gateway: Gateway) -> Any:
    from tests.index.factories import Maker

    _MADE.append(0)
    return Maker(len(_MADE)).version()


async def test_an_index_that_lost_rows_is_corrected_by_the_journal(tmp_path: Path) -> None:
    """Both tell the same last change, and one forgot versions: what the journal names is no orphan."""
    async with opened(tmp_path) as gateway:
        await stored(gateway, 5)
        before = objects(tmp_path)

        async def forget(db: Any) -> None:
            await db.execute("DELETE FROM version WHERE revision <= 3")

        await gateway.index._commit(forget)  # type: ignore[attr-defined]
        swept = await sweeper(gateway).run(confirmed=True)
        assert (swept.count, swept.why_not) == (0, "")
        assert objects(tmp_path) == before


async def test_nothing_is_swept_while_the_index_is_rebuilt(tmp_path: Path) -> None:
    async with opened(tmp_path) as gateway:
        keys = await orphaned(gateway)
        aside = await gateway.index.aside()
        try:
            assert "being rebuilt" in (await sweeper(gateway).run(confirmed=True)).why_not
        finally:
            await aside.close()
        assert (await sweeper(gateway).run(confirmed=True)).orphans == keys


# -- who, and how many ----------------------------------------------------------------------------------


async def test_what_is_older_than_a_rebuilt_index_waits_for_a_confirmation(tmp_path: Path) -> None:
    """The newest journal object is lost with the index: nothing tells that its instances are any but orphans."""
    async with opened(tmp_path) as gateway:
        await stored(gateway, 1)
        before = objects(tmp_path)
        first = {found.key async for found in gateway.store.list("journal/")}
        await stored(gateway, 2)
        for key in {found.key async for found in gateway.store.list("journal/")} - first:
            await gateway.store.delete(key)
        named = objects(tmp_path)
    for file in tmp_path.glob("index.sqlite*"):
        file.unlink()
    async with opened(tmp_path, is_old=False) as gateway:
        await Reindex(gateway.store, gateway.index).run()
    lost = named - before
    async with opened(tmp_path, is_old=False) as gateway:
        late = await orphaned(gateway)
        swept = await sweeper(gateway).run(confirmed=False)
        assert (swept.orphans, set(swept.kept), swept.why_not) == (late, lost, "")
        assert named < objects(tmp_path)
        listed = await sweeper(gateway).run(confirmed=False, dry=True)
        assert (set(listed.orphans), listed.kept) == (lost, [])
        assert set((await sweeper(gateway).run(confirmed=True)).orphans) == lost
        assert not lost & objects(tmp_path)


async def test_the_brake_asks_first(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(tmp_path) as gateway:
        await stored(gateway, 3)
        keys = await orphaned(gateway, sweep.FEWEST + 1)
        before = objects(tmp_path)
        with caplog.at_level(logging.WARNING, "gateway.sweep"):
            stopped = await sweeper(gateway).look()
        assert stopped is not None
        assert "sweep --confirm" in stopped.why_not
        assert "sweep --confirm" in caplog.text
        assert gateway.counters["sweep_stopped_total"] == 1
        assert objects(tmp_path) == before
        dry = await sweeper(gateway).run(confirmed=False, dry=True)
        assert sorted(dry.orphans) == keys
        assert objects(tmp_path) == before
        swept = await sweeper(gateway).run(confirmed=True)
        assert sorted(swept.orphans) == keys
        assert await sweeper(gateway).run(confirmed=False) == Swept()


async def test_large_archives_are_swept_in_portions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "MOST_HELD", 4)
    monkeypatch.setattr(sweep, "PAGE", 2)
    async with opened(tmp_path) as gateway:
        await stored(gateway, 3)
        keys = await orphaned(gateway, 15)
        swept = await sweeper(gateway).run(confirmed=True)
        assert sorted(swept.orphans) == keys


async def test_one_process_sweeps_and_once_a_day(tmp_path: Path) -> None:
    async with opened(tmp_path) as gateway:
        first, second = sweeper(gateway), sweeper(gateway)
        assert await gateway.index.take_lease(sweep.LEASE, "somebody else", 60)
        assert await first.look() is None
        assert "another process" in (await first.run(confirmed=False)).why_not
        await gateway.index.give_back_lease(sweep.LEASE, "somebody else", is_done=False)
        assert await first.look() is not None
        assert await second.look() is None, "it was done a moment ago"
        assert await first.look() is None
        assert (await second.run(confirmed=False)).why_not == ""


async def test_a_lost_lease_stops_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "LEASE_SECONDS", 0.0)
    async with opened(tmp_path) as gateway:
        await orphaned(gateway, 3)
        move = gateway.store.move

        async def moved(key: str, to: str) -> None:
            await move(key, to)
            assert await gateway.index.take_lease(sweep.LEASE, "somebody else", 60)

        monkeypatch.setattr(gateway.store, "move", moved)
        swept = await sweeper(gateway).run(confirmed=False)
        assert "lost" in swept.why_not
        assert gateway.counters["sweep_objects_total"] == 1


# -- what an operator reads -----------------------------------------------------------------------------


async def test_the_lines_of_a_server_name_each_key_and_why_nothing_was_swept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A message that is not filled in tells neither; and INFO is not written by itself."""
    before = logging.root.handlers[:], logging.root.level
    try:
        async with opened(tmp_path) as gateway:
            await stored(gateway, 1)
            keys = await orphaned(gateway, 2)
            logging.config.dictConfig(configuration())
            await sweeper(gateway).run(confirmed=False)
            await orphaned(gateway, sweep.FEWEST + 1)
            await sweeper(gateway).run(confirmed=False)
    finally:
        logging.root.handlers, logging.root.level = before
        logging.getLogger("gateway.sweep").setLevel(logging.NOTSET)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert sorted(line["object"] for line in lines if "object" in line) == keys
    assert "sweep --confirm" in lines[-1]["reason"]


async def test_an_object_that_cannot_be_moved_does_not_stop_the_others(tmp_path: Path) -> None:
    """A copy in the trash of what lies in its place, and is another: every sweep ended there, for ever."""
    async with opened(tmp_path) as gateway:
        await stored(gateway, 1)
        (key,) = objects(tmp_path)
        (orphan,) = await orphaned(gateway, days=30)
        await gateway.store.put(trash_key(key, "20200101"), one(b"another"))
        await gateway.store.put(trash_key(orphan, "20200101"), one(b"past its time"))
        swept = await sweeper(gateway).run(confirmed=False)
        assert not swept.why_not
        assert objects(tmp_path) == {
            key,
            trash_key(key, "20200101"),
            trash_key(orphan, time.strftime("%Y%m%d", time.gmtime())),
        }
