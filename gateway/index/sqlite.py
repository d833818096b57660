"""The embedded index: one SQLite file in WAL mode, shared by any number of processes on one machine."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from gateway.errors import Busy, IndexFailure, IndexUnavailable
from gateway.index import changelog, generations, migrating
from gateway.index.base import Aside, Change, Scope
from gateway.index.connection import Connection, Work, run_now
from gateway.index.deadline import Deadline
from gateway.index.sqlite_aside import SqliteAside, SqliteFile
from gateway.index.sqlite_connection import Moved, SqliteConnection, check_mark, connect

log = logging.getLogger("gateway.index")

R = TypeVar("R")
READERS = 3
SEARCHERS = 3
# Searches that wait for one of SEARCHERS.
MOST_WAITING = 64
# SQLite calls the progress handler after so many steps of its virtual machine: about a millisecond.
STEPS = 20_000
SEARCH_SECONDS = 10.0
READ_SECONDS = 60.0
POLL_SECONDS = 0.1


class SqliteIndex(SqliteFile):
    """One writing thread, a few reading ones; nothing blocks the event loop.

    Searches have readers of their own, and so have health checks: retrieval does not wait for long searches.
    """

    def __init__(self, path: Path, search_seconds: float = SEARCH_SECONDS) -> None:
        self._path = path
        self._generation = generations.number_of(path)
        self._moves = 0
        self._moving = threading.Lock()
        self._search_seconds = search_seconds
        self._waiting = 0
        self._deadlines: set[Deadline] = set()
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="index-write")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="index-read")
        self._searchers = ThreadPoolExecutor(SEARCHERS, thread_name_prefix="index-search")
        self._health = ThreadPoolExecutor(1, thread_name_prefix="index-health")
        self._watcher = ThreadPoolExecutor(1, thread_name_prefix="index-watch")

    @classmethod
    async def open(cls, path: Path, *, search_seconds: float = SEARCH_SECONDS) -> SqliteIndex:
        """Open the index; the file is made where it is missing, and `migrate` gives it tables."""
        try:
            await asyncio.to_thread(generations.tidy, path)
        except OSError as error:
            raise IndexUnavailable("the index's folder cannot be used") from error
        if path.is_file() and not path.stat().st_size:
            log.warning("the index file %s is empty: what the journal tells is brought into it again", path)
        return cls(path, search_seconds)

    @property
    def path(self) -> Path:
        """The path with which it was opened."""
        return self._path

    @property
    def generation(self) -> int:
        return self._moves

    async def aside(self) -> Aside:
        return await SqliteAside.open(self)

    async def is_rebuilding(self) -> bool:
        return await asyncio.to_thread(generations.is_building, self._path)

    async def close(self) -> None:
        for deadline in list(self._deadlines):
            deadline.cancel()  # no client waits for reads any more; writes come to their end
        for pool in (self._writer, self._readers, self._searchers, self._health, self._watcher):
            await asyncio.to_thread(pool.shutdown)
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    async def check_schema(self) -> None:
        try:
            await super().check_schema()
        except IndexUnavailable as error:
            if "no such table" in str(error.__cause__):
                raise migrating.missing(0, len(migrating.steps("sqlite"))) from error
            raise

    async def changes(self, after: int, limit: int = 1000) -> list[Change]:
        return await self._query(lambda db: changelog.after(db, after, limit))

    async def tail(self) -> AsyncIterator[Sequence[Change]]:
        """Yield new changes; an empty sequence every 100 ms shows that nothing happened."""
        last = await self._query(changelog.last_revision)
        seen = (-1, -1)
        while True:
            version = await self._run(self._watcher, _data_version)
            changes: list[Change] = []
            if (self._moves, version) != seen:
                seen = (self._moves, version)
                changes = await self.changes(last)
            yield changes
            while changes:  # there may be more than one page
                last = changes[-1].revision
                changes = await self.changes(last)
                if changes:
                    yield changes
            await asyncio.sleep(POLL_SECONDS)

    # -- threads ----------------------------------------------------------------------------------------

    async def _query(self, work: Work[R]) -> R:
        return await self._within(Deadline(READ_SECONDS), self._readers, work)

    async def _search(self, work: Work[R]) -> R:
        if self._waiting >= SEARCHERS + MOST_WAITING:
            raise Busy("too many searches wait for the index; try again later")
        self._waiting += 1
        try:
            return await self._within(Deadline(self._search_seconds, is_search=True), self._searchers, work)
        finally:
            self._waiting -= 1

    async def ping(self, scope: Scope) -> None:
        async def look(db: Connection) -> None:
            await db.first("SELECT id FROM study WHERE partition = ? LIMIT 1", scope.partition)

        await self._within(Deadline(READ_SECONDS), self._health, look)

    async def _within(self, deadline: Deadline, pool: ThreadPoolExecutor, work: Work[R]) -> R:
        """Run `work` on one snapshot, until it is done, the time is over, or the caller is cancelled."""

        def snapshot(db: sqlite3.Connection) -> R:
            deadline.check()
            db.set_progress_handler(deadline.is_over, STEPS)
            db.execute("BEGIN")
            try:
                check_mark(db)
                return run_now(work(SqliteConnection(db, deadline)))
            except sqlite3.OperationalError as error:
                if deadline.is_over():
                    raise deadline.failure() from error
                raise
            finally:
                db.set_progress_handler(None, 0)
                db.execute("COMMIT")

        self._deadlines.add(deadline)
        try:
            return await self._run(pool, snapshot)
        except asyncio.CancelledError:
            deadline.cancel()
            raise
        finally:
            self._deadlines.discard(deadline)

    async def _commit(self, work: Work[R]) -> R:
        def transaction(db: sqlite3.Connection) -> R:
            db.execute("BEGIN IMMEDIATE")
            try:
                check_mark(db)
                result = run_now(work(SqliteConnection(db)))
                db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has ended the transaction already
                    db.execute("ROLLBACK")
                raise
            return result

        return await self._run(self._writer, transaction)

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[sqlite3.Connection], R]) -> R:
        def job() -> R:
            try:
                while True:
                    try:
                        return work(self._connection())
                    except Moved as moved:
                        self._follow(moved.number)
            except sqlite3.OperationalError as error:
                raise IndexUnavailable("the index does not answer") from error
            except sqlite3.Error as error:
                code = getattr(error, "sqlite_errorcode", None)
                if code == sqlite3.SQLITE_NOTADB:
                    raise IndexFailure(
                        "the index is no SQLite file: put it aside, and the next start rebuilds the index"
                    ) from error
                if code is not None and code & 0xFF == sqlite3.SQLITE_CORRUPT:  # the rest says where
                    raise IndexFailure("the index file is damaged: run 'dicomweb-gateway reindex'") from error
                raise IndexFailure("the index failed") from error

        return await asyncio.get_running_loop().run_in_executor(pool, job)

    def _follow(self, number: int) -> None:
        """Close this thread's connection to the replaced file; the next one opens the new generation."""
        generations.settle(self._path, number)
        connection: sqlite3.Connection = self._local.connection
        self._local.connection = None
        self._connections.remove(connection)
        connection.close()
        with self._moving:
            if self._generation < number:
                self._generation = number
                self._moves += 1

    async def in_writer(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """Run `work` in the writing thread, without a transaction."""
        return await self._run(self._writer, work)

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = connect(self._path)
            self._local.connection = connection
            self._connections.append(connection)
        return connection


def _data_version(db: sqlite3.Connection) -> int:
    check_mark(db)
    return int(db.execute("PRAGMA data_version").fetchone()[0])
