"""A second SQLite file, built while the first one serves, that becomes the next generation."""

from __future__ import annotations

import asyncio
import sqlite3
from abc import abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from gateway.errors import Conflict
from gateway.index import admission, catchup, changelog, generations, salvage
from gateway.index.connection import run_now
from gateway.index.driver import TABLES, SqlIndex
from gateway.index.sqlite_connection import SqliteConnection, check_mark, connect

BUSY = "the index is being rebuilt by another process: wait for it, or stop it"
R = TypeVar("R")


class SqliteFile(SqlIndex):
    """The file that serves, or the one that is being built; `SqliteIndex` is the driver of both."""

    @classmethod
    @abstractmethod
    async def open(cls, path: Path) -> Self:
        """Open the file; create it if it does not exist."""

    @property
    @abstractmethod
    def path(self) -> Path:
        """Return the path that it was opened by."""

    @abstractmethod
    async def in_writer(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """Run `work` in the thread that writes, without a transaction."""


class SqliteAside:
    """`gateway.index.base.Aside` of a `SqliteIndex`."""

    def __init__(self, live: SqliteFile, number: int, index: SqliteFile, held: ExitStack) -> None:
        self._live = live
        self._number = number
        self._index = index
        self._held = held

    @classmethod
    async def open(cls, live: SqliteFile) -> SqliteAside:
        """Open the second file; one that another process left unfinished is continued. Raises Conflict."""
        await live.last_revision()  # first follow a generation that replaced this one
        held = ExitStack()
        if not await asyncio.to_thread(held.enter_context, generations.alone(live.path)):
            held.close()
            raise Conflict(BUSY)
        number = generations.number_of(live.path) + 1
        index = await type(live).open(generations.file_of(live.path, number))
        return cls(live, number, index, held)

    @property
    def index(self) -> SqliteFile:
        return self._index

    @property
    def _file(self) -> Path:
        return generations.file_of(self._live.path, self._number)

    async def mode(self) -> str:
        return await catchup.mode(self._index)

    async def clear(self, mode: str) -> None:
        await self._index.close()
        await asyncio.to_thread(generations.remove, self._file)
        self._index = await type(self._live).open(self._file)
        await self._index.migrate()
        await self._index.begin(mode)

    async def has_parted(self) -> bool:
        return await catchup.has_parted(self._live, self._index)

    async def settle(self, *, parted: bool = False) -> int:
        count = 0 if parted else await catchup.nearly(self._live, self._index)
        await self._index.close()
        return count + await self._live.in_writer(partial(self._swap, parted=parted))

    async def close(self) -> None:
        await self._index.close()
        self._held.close()

    # -- in the thread that writes the serving index ------------------------------------------------------

    def _swap(self, live: sqlite3.Connection, *, parted: bool) -> int:
        aside = connect(self._file)
        try:
            live.execute("BEGIN IMMEDIATE")
            try:
                count = self._move(live, aside, parted)
                live.execute("COMMIT")
            except BaseException:
                if live.in_transaction:
                    live.execute("ROLLBACK")
                raise
        finally:
            aside.close()
        # From now on every transaction finds the mark, and sets the link if this process ends before it does.
        generations.settle(self._live.path, self._number)
        return count

    def _move(self, live: sqlite3.Connection, aside: sqlite3.Connection, parted: bool) -> int:
        check_mark(live)  # this thread may not have read the mark of an earlier swap
        if generations.number_of(self._live.path) != self._number - 1:
            raise Conflict("another index took the place of this one meanwhile: run reindex again")
        source, target = SqliteConnection(live), SqliteConnection(aside)
        count = 0 if parted else _catch_up(source, target, aside)
        aside.execute("BEGIN IMMEDIATE")
        _take_state(live, aside, parted)
        if not parted:
            waiting = run_now(changelog.find_unjournaled(source, 1 << 30))
            run_now(changelog.mark_unjournaled(target, [change.revision for change in waiting]))
        aside.execute("COMMIT")
        # The file itself has all data, on disk, before anybody is sent to it.
        aside.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        live.execute(f"PRAGMA application_id = {self._number}")
        return count


def _catch_up(source: SqliteConnection, target: SqliteConnection, aside: sqlite3.Connection) -> int:
    if not run_now(salvage.has_same_past(source, target)):
        raise Conflict(catchup.PARTED)
    count = 0
    while changes := run_now(changelog.after(source, run_now(changelog.last_revision(target)), catchup.PAGE)):
        versions = run_now(salvage.versions(source, changes))
        aside.execute("BEGIN IMMEDIATE")
        run_now(admission.replay(target, changes, versions))
        aside.execute("COMMIT")
        count += len(changes)
    return count


def _take_state(live: sqlite3.Connection, aside: sqlite3.Connection, parted: bool) -> None:
    """Copy the tables that are not in the journal, except `archive`, which the builder of the index sets.

    Names of operations are copied too, where both indexes hold the same changes.
    """
    found = live.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    told = {*TABLES, "archive", "schema_version"}
    if not parted:
        told.remove("operation")  # a process that lost the answer of a change looks it up afterwards
    names = [str(row["name"]) for row in found]
    for table in names:
        if table in told or table.startswith("sqlite_") or "_gram" in table:
            continue
        rows = [tuple(row) for row in live.execute(f"SELECT * FROM {table}")]
        aside.execute(f"DELETE FROM {table}")
        if rows:
            aside.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[0]))})", rows)
