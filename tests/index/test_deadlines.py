"""A search has its time, its place and its queue: nothing it asks keeps others from what they read."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
from gateway.dicom.query.query import Equals, Fuzzy, Match, Query, Wildcard
from gateway.errors import Busy, Overdue
from gateway.index import postgres, searching, sqlite, sqlite_connection
from gateway.index.connection import Connection
from gateway.index.deadline import Deadline
from gateway.index.driver import SqlIndex
from gateway.index.postgres import PostgresIndex
from gateway.index.sqlite import SqliteIndex
from gateway.model import Level, ResourcePath, StudyUID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.index.conftest import shared_database
from tests.index.factories import SCOPE, Maker, attribute

SOON = 0.3
# A net for what must end long before.
NET = 60
ENDLESS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n WHERE i < 0",
    "postgres": "SELECT pg_sleep(600)",
}


async def endless(db: Connection) -> None:
    await db.fetch(ENDLESS[db.dialect.name])


@pytest.fixture(params=["sqlite", "postgres"])
async def opened(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Callable[[float], Awaitable[SqlIndex]]]:
    """Opens a driver with empty tables whose searches may take so many seconds."""
    drivers: list[SqlIndex] = []

    async def open_one(seconds: float) -> SqlIndex:
        driver: SqlIndex
        if request.param == "sqlite":
            driver = await SqliteIndex.open(tmp_path / "index.sqlite", search_seconds=seconds)
        else:
            uri = await shared_database(request.getfixturevalue("postgres"))
            driver = await PostgresIndex.open(uri, search_seconds=seconds)
        drivers.append(driver)
        await driver.migrate()
        await driver.reset()
        return driver

    yield open_one
    for driver in drivers:
        await driver.close()


Opened = Callable[[float], Awaitable[SqlIndex]]


async def test_a_search_is_given_up_when_its_time_is_over(opened: Opened) -> None:
    index = await opened(SOON)
    with pytest.raises(Overdue, match=r"search took longer than the 0\.3 s"):
        await asyncio.wait_for(index._search(endless), NET)
    assert not (await index.search(SCOPE, Query(Level.STUDY))).rows  # the connection is whole


async def test_a_plain_read_that_is_given_up_is_not_called_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "READ_SECONDS", SOON)
    index = await SqliteIndex.open(tmp_path / "index.sqlite")
    await index.migrate()
    with pytest.raises(Overdue, match=r"^reading the index took longer than 0\.3 s"):
        await asyncio.wait_for(index._query(endless), NET)
    await index.close()


async def test_our_own_loops_look_at_the_time_too(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    index = await opened(SOON)
    maker = Maker()
    await index.admit([maker.version(f"1.{n}", f"1.{n}.1") for n in range(1, 40)])
    looked = 0

    def slow(*_: object) -> bool:
        nonlocal looked
        looked += 1
        time.sleep(SOON)
        return True

    monkeypatch.setattr(searching, "satisfies", slow)
    left = Equals((0x00104000,), "LT", "x")
    with pytest.raises(Overdue):
        await asyncio.wait_for(index.search(SCOPE, Query(Level.STUDY, matches=(left,))), NET)
    assert looked <= 3


async def test_searches_that_never_end_leave_instances_and_health_alone(opened: Opened) -> None:
    index = await opened(NET)
    await index.admit([Maker().version("1.1", "1.1.1")])
    stuck = [asyncio.create_task(index._search(endless)) for _ in range(20)]
    await asyncio.sleep(SOON)
    try:
        await asyncio.wait_for(index.ping(SCOPE), NET / 3)
        path = ResourcePath(StudyUID("1.1"))
        assert len(await asyncio.wait_for(index.instances(SCOPE, path), NET / 3)) == 1
        assert not any(task.done() for task in stuck)
    finally:
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)
    # Who left made room at once.
    assert (await asyncio.wait_for(index.search(SCOPE, Query(Level.STUDY)), NET / 3)).rows


async def test_the_queue_of_searches_has_an_end(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    index = await opened(NET)
    for driver in (sqlite, postgres):
        monkeypatch.setattr(driver, "MOST_WAITING", 2)
    room = (sqlite if isinstance(index, SqliteIndex) else postgres).SEARCHERS + 2
    stuck = [asyncio.create_task(index._search(endless)) for _ in range(room)]
    await asyncio.sleep(0)
    with pytest.raises(Busy, match="too many searches"):
        await index.search(SCOPE, Query(Level.STUDY))
    for task in stuck:
        task.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)
    assert not (await asyncio.wait_for(index.search(SCOPE, Query(Level.STUDY)), NET / 3)).rows


async def test_closing_waits_for_no_search(tmp_path: Path) -> None:
    index = await SqliteIndex.open(tmp_path / "index.sqlite", search_seconds=600)
    await index.migrate()
    stuck = asyncio.create_task(index._search(endless))
    await asyncio.sleep(SOON)
    await asyncio.wait_for(index.close(), NET)
    with pytest.raises(Overdue):
        await stuck
    assert not [t for t in threading.enumerate() if t.name.startswith("index-search")]


async def test_the_server_is_told_when_nobody_waits(postgres: str) -> None:
    index = await PostgresIndex.open(postgres, search_seconds=600)
    stuck = asyncio.create_task(index._search(endless))
    watching = await asyncpg.connect(postgres)
    running = (
        "SELECT COUNT(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep(600)%'"
    )
    try:
        await _until(watching, running, 1)
        stuck.cancel()
        await asyncio.gather(stuck, return_exceptions=True)
        await _until(watching, running, 0)
    finally:
        await watching.close()
        await index.close()


async def _until(db: asyncpg.Connection, sql: str, wanted: int) -> None:
    for _ in range(NET * 100):
        if await db.fetchval(sql) == wanted:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(sql)


# -- work, counted ----------------------------------------------------------------------------------------

NAMES = ("Doe^Jane", "a" * 60, "a^b^c^d^e", "aaaa^aaaa" * 6, "Müller^Jürgen=山田^太郎")
# Steps of SQLite's machine that a search over ROWS studies may take, for each comparison it may ask for.
ROWS, STEPS = 50, 400


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("work") / "index.sqlite"

    async def fill() -> None:
        index = await SqliteIndex.open(path)
        await index.migrate()
        maker = Maker()
        await index.admit(
            [
                maker.version(
                    f"1.{n}",
                    f"1.{n}.1",
                    t00100010=attribute("PN", {"Alphabetic": NAMES[n % len(NAMES)]}),
                    t00100020=attribute("LO", "a" * n),
                )
                for n in range(1, ROWS)
            ]
        )
        await index.close()

    asyncio.run(fill())
    return path


def steps_of(path: Path, match: Match) -> int:
    """Hundreds of steps of SQLite's machine."""
    from gateway.index.connection import run_now

    db = sqlite_connection.connect(path)
    steps = 0

    def tick() -> bool:
        nonlocal steps
        steps += 1
        return False

    db.set_progress_handler(tick, 100)
    try:
        run_now(
            searching.search(
                sqlite_connection.SqliteConnection(db, Deadline(NET)),
                SCOPE,
                Query(Level.STUDY, matches=(match,)),
            )
        )
    finally:
        db.close()
    return steps


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text("a*?^=b", min_size=1, max_size=6), st.integers(1, 10_000), st.sampled_from(["PN", "LO", "fuzzy"])
)
def test_no_value_makes_the_index_work_without_end(filled: Path, piece: str, times: int, kind: str) -> None:
    """Whatever gets past the door (see tests/http/parameters/test_searchbounds.py): here not even that is taken for granted."""
    value = piece * times
    match: Match
    if kind == "fuzzy":
        match = Fuzzy((0x00100010,), tuple(value[n : n + 64] for n in range(0, min(len(value), 96 * 64), 64)))
    else:
        match = Wildcard((0x00100010,) if kind == "PN" else (0x00100020,), kind, value)
    words = len(match.words) if isinstance(match, Fuzzy) else 1
    assert steps_of(filled, match) < ROWS * STEPS * (1 + words) / 100
