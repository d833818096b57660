"""The embedded index: one SQLite file in WAL mode, shared by any number of processes on one machine."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from gateway.dicom.layout import InstanceLayout
from gateway.dicom.query import Query
from gateway.errors import IndexUnavailable, MigrationNeeded
from gateway.index import reading, searching
from gateway.index.base import (
    Change,
    Conflicting,
    NewVersion,
    Page,
    Removal,
    Scope,
    StoredInstance,
    Verdict,
)
from gateway.index.ledger import Ledger, append, change_of
from gateway.model import Level, ResourcePath, Source, VersionId

R = TypeVar("R")
READERS = 3
POLL_SECONDS = 0.1
BUSY_SECONDS = 30
TABLES: tuple[str, ...] = (
    "conflict",
    "request_item",
    "instance_metadata",
    "instance_layout",
    "change",
    "version",
    "instance",
    "series",
    "study",
)


class SqliteIndex:
    """One writing thread, a few reading ones; nothing blocks the event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="index-write")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="index-read")
        self._watcher = ThreadPoolExecutor(1, thread_name_prefix="index-watch")

    @classmethod
    async def open(cls, path: Path) -> SqliteIndex:
        """The file is made if it is not there; `migrate` gives it tables."""
        return cls(path)

    async def close(self) -> None:
        for pool in (self._writer, self._readers, self._watcher):
            await asyncio.to_thread(pool.shutdown)
        for connection in self._connections:
            connection.close()

    # -- schema -----------------------------------------------------------------------------------------

    async def migrate(self) -> None:
        await self._write(_migrate)

    async def check_schema(self) -> None:
        version = await self._read(_version)
        if version != len(_steps()):
            raise MigrationNeeded(f"the index has schema {version}, this program wants {len(_steps())}")

    # -- changing ---------------------------------------------------------------------------------------

    async def admit(self, batch: Sequence[NewVersion], *, journaled: Sequence[int] = ()) -> list[Verdict]:
        def work(db: sqlite3.Connection) -> list[Verdict]:
            _mark(db, journaled)
            ledger = Ledger(db)
            now = time.time_ns() // 1000
            verdicts = [ledger.admit(new, now) for new in batch]
            ledger.flush()
            return verdicts

        return await self._write(work)

    async def remove(self, scope: Scope, path: ResourcePath, source: Source, reason: str) -> Removal:
        def work(db: sqlite3.Connection) -> Removal:
            found = reading.instances(db, scope, path)
            now = time.time_ns() // 1000
            changes = [
                append(
                    db,
                    Change(0, now, "delete", scope.partition, s.identity, s.version, None, source, reason),
                )
                for s in found
            ]
            ledger = Ledger(db)
            ledger.delete([stored.version for stored in found])
            ledger.flush()
            return Removal(changes)

        return await self._write(work)

    async def unjournaled(self, limit: int = 1000) -> list[Change]:
        return await self._read(lambda db: _changes(db, "journaled = 0 ORDER BY revision LIMIT ?", limit))

    async def mark_journaled(self, revisions: Sequence[int]) -> None:
        await self._write(lambda db: _mark(db, revisions))

    async def replay(self, changes: Sequence[Change], versions: dict[VersionId, NewVersion]) -> None:
        def work(db: sqlite3.Connection) -> None:
            ledger = Ledger(db)
            for change in changes:
                append(db, change)
                _replayed(ledger, change, versions)
            ledger.flush()
            _mark(db, [change.revision for change in changes])

        await self._write(work)

    async def reset(self) -> None:
        def work(db: sqlite3.Connection) -> None:
            for table in TABLES:
                db.execute(f"DELETE FROM {table}")  # a fixed list

        await self._write(work)

    # -- reading ----------------------------------------------------------------------------------------

    async def search(self, scope: Scope, query: Query) -> Page:
        return await self._read(lambda db: searching.search(db, scope, query))

    async def instances(self, scope: Scope, path: ResourcePath) -> list[StoredInstance]:
        return await self._read(lambda db: reading.instances(db, scope, path))

    async def layout(self, scope: Scope, path: ResourcePath) -> tuple[StoredInstance, InstanceLayout]:
        return await self._read(lambda db: reading.layout(db, scope, path))

    async def version_set(self, scope: Scope, path: ResourcePath) -> str:
        return await self._read(lambda db: reading.version_set(db, scope, path))

    async def metadata(self, scope: Scope, path: ResourcePath) -> list[bytes]:
        return await self._read(lambda db: reading.metadata(db, scope, path))

    async def series_of(self, scope: Scope, study: ResourcePath) -> list[ResourcePath]:
        found = await self.instances(scope, study)
        return list(dict.fromkeys(ResourcePath(s.identity.study, s.identity.series) for s in found))

    async def conflicts(self, scope: Scope, study: str | None = None) -> list[Conflicting]:
        return await self._read(lambda db: reading.conflicts(db, scope, study))

    async def changes(self, after: int, limit: int = 1000) -> list[Change]:
        # One writer at a time: revisions are committed in order and never leave a gap that may be filled.
        return await self._read(
            lambda db: _changes(db, "revision > ? ORDER BY revision LIMIT ?", after, limit)
        )

    async def all_versions(self) -> AsyncIterator[tuple[StoredInstance, str]]:
        after = ""
        while True:
            page = await self._read(lambda db, last=after: reading.versions(db, last))  # type: ignore[misc]
            for stored, state in page:
                yield stored, state
            if not page:
                return
            after = page[-1][0].version

    async def tail(self) -> AsyncIterator[Sequence[Change]]:
        """An empty sequence every 100 ms says that nothing happened."""
        last = await self._read(_last_revision)
        seen = -1
        while True:
            version = await self._run(
                self._watcher, lambda db: int(db.execute("PRAGMA data_version").fetchone()[0])
            )
            if version != seen:
                seen = version
                changes = await self.changes(last)
                last = changes[-1].revision if changes else last
                yield changes
            else:
                yield ()
            await asyncio.sleep(POLL_SECONDS)

    async def counts(self) -> dict[Level, int]:
        return await self._read(reading.counts)

    # -- threads ----------------------------------------------------------------------------------------

    async def _read(self, work: Callable[[sqlite3.Connection], R]) -> R:
        return await self._run(self._readers, work)

    async def _write(self, work: Callable[[sqlite3.Connection], R]) -> R:
        def transaction(db: sqlite3.Connection) -> R:
            db.execute("BEGIN IMMEDIATE")
            try:
                result = work(db)
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")
            return result

        return await self._run(self._writer, transaction)

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[sqlite3.Connection], R]) -> R:
        def job() -> R:
            try:
                return work(self._connection())
            except sqlite3.OperationalError as error:
                raise IndexUnavailable("the index does not answer") from error

        return await asyncio.get_running_loop().run_in_executor(pool, job)

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = _connect(self._path)
            self._local.connection = connection
            self._connections.append(connection)
        return connection


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute("PRAGMA cache_size = -65536")
    db.execute("PRAGMA mmap_size = 1073741824")
    db.execute("PRAGMA temp_store = MEMORY")
    return db


def _steps() -> list[str]:
    folder = files("gateway.index") / "migrations" / "sqlite"
    return [
        step.read_text()
        for step in sorted(folder.iterdir(), key=lambda f: f.name)
        if step.name.endswith(".sql")
    ]


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _migrate(db: sqlite3.Connection) -> None:
    """Each step is one transaction with its number, so that an interrupted migration goes on where it was."""
    steps = _steps()
    done = _version(db)
    if done > len(steps):
        raise MigrationNeeded(f"the index has schema {done}, newer than this program's {len(steps)}")
    for number, step in enumerate(steps[done:], done + 1):
        for statement in _statements(step):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {number}")


def _statements(script: str) -> list[str]:
    """`executescript` would commit the transaction that we are in."""
    lines = [line for line in script.splitlines() if not line.lstrip().startswith("--")]
    return [statement for statement in "\n".join(lines).split(";") if statement.strip()]


def _mark(db: sqlite3.Connection, revisions: Sequence[int]) -> None:
    db.executemany("UPDATE change SET journaled = 1 WHERE revision = ?", [(r,) for r in revisions])


def _changes(db: sqlite3.Connection, condition: str, *values: int) -> list[Change]:
    return [change_of(row) for row in db.execute(f"SELECT * FROM change WHERE {condition}", values)]


def _last_revision(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT COALESCE(MAX(revision), 0) FROM change").fetchone()[0])


def _replayed(ledger: Ledger, change: Change, versions: dict[VersionId, NewVersion]) -> None:
    if change.kind == "store" and change.version_after in versions:
        ledger.store(versions[change.version_after], change.revision, change.version_before)
    elif change.kind == "delete" and change.version_before is not None:
        ledger.delete([change.version_before])
    elif change.kind == "reclaim" and change.version_before is not None:
        ledger.reclaim(change.version_before)
