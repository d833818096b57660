"""A second schema in PostgreSQL, built while the first one serves; its tables then replace the others.

PostgreSQL looks names up again whenever a table moves to another schema, also for prepared statements: so
every process uses the new tables with its next statement. Nobody commits while the last rows are copied, and
nobody reads while the tables change places, which takes milliseconds.
"""

from __future__ import annotations

import asyncio
import random
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Self, TypeVar

import asyncpg

from gateway.errors import Conflict, IndexFailure, IndexUnavailable
from gateway.index import catchup, changelog, salvage
from gateway.index.connection import Work
from gateway.index.driver import TABLES, SqlIndex
from gateway.index.postgres_connection import (
    CHANNEL,
    GATE,
    REBUILDING,
    PostgresConnection,
    answering,
    disconnect,
)

BUSY = "the index is being rebuilt by another process: wait for it, or stop it"
# Shorter than `deadlock_timeout`: so we give up on a lock before any reader or writer is cancelled.
PATIENCE = "300ms"
ATTEMPTS = 100
# Writers wait during these attempts, for half a minute at most.
READERS_ATTEMPTS = 20
_REST = {*TABLES} - {"extra_key", "study", "series", "instance", "version", "change"}
# The tables that move; the builder writes `archive`, and `partition` and `schema_version` stay. They are in
# the order in which readers use them, so that a reader that has begun can end.
MOVED = ("extra_key", "study", "series", "instance", "version", *sorted(_REST), "change", "archive")

R = TypeVar("R")


class PostgresSchema(SqlIndex):
    """The schema that serves, or the one that is being built; `PostgresIndex` is the driver of both."""

    @classmethod
    @abstractmethod
    async def open(cls, dsn: str, *, schema: str | None = None) -> Self:
        """Open the first schema of the role's search path, or `schema`. Raises IndexUnavailable."""

    @abstractmethod
    async def connect(self, **settings: str) -> Any:
        """Open a connection outside of the pool. Raises IndexUnavailable."""

    @abstractmethod
    async def with_connection(self, work: Work[R]) -> R:
        """Run `work` on a connection without a transaction around its statements."""

    @abstractmethod
    async def mark_unjournaled(self, revisions: Sequence[int]) -> None:
        """Mark these revisions as not journaled, so that they are journaled again."""


class PostgresAside:
    """`gateway.index.base.Aside` of a `PostgresIndex`."""

    def __init__(self, live: PostgresSchema, dsn: str, schema: str, index: PostgresSchema, held: Any) -> None:
        self._live = live
        self._dsn = dsn
        self._schema = schema
        self._index = index
        self._held = held

    @classmethod
    async def open(cls, live: PostgresSchema, dsn: str) -> PostgresAside:
        """Open the second schema; one that another process left unfinished is continued.

        Raises Conflict, IndexFailure.
        """
        held = await live.connect()
        try:
            async with answering():
                if not await held.fetchval("SELECT pg_try_advisory_lock($1)", REBUILDING):
                    raise Conflict(BUSY)
                schema = await held.fetchval(
                    "SELECT relnamespace::regnamespace FROM pg_class WHERE oid = 'change'::regclass"
                )
                await _make(held, _aside(schema))
            index = await type(live).open(dsn, schema=_aside(schema))
        except BaseException:
            await disconnect(held)
            raise
        return cls(live, dsn, schema, index, held)

    @property
    def index(self) -> PostgresSchema:
        return self._index

    async def mode(self) -> str:
        return await catchup.mode(self._index)

    async def clear(self, mode: str) -> None:
        await self._index.close()
        async with answering():
            await self._held.execute(f'DROP SCHEMA IF EXISTS "{_aside(self._schema)}" CASCADE')
            await _make(self._held, _aside(self._schema))
        self._index = await type(self._live).open(self._dsn, schema=_aside(self._schema))
        await self._index.migrate()
        await self._index.begin(mode)

    async def has_parted(self) -> bool:
        return await catchup.has_parted(self._live, self._index)

    async def settle(self, *, parted: bool = False) -> int:
        count = 0 if parted else await catchup.nearly(self._live, self._index)
        db = await self._live.connect(lock_timeout=PATIENCE)
        try:
            for _ in range(ATTEMPTS):
                try:
                    async with db.transaction():
                        return count + await self._swap(db, parted)
                except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
                    await asyncio.sleep(random.uniform(0.05, 0.3))
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise IndexUnavailable("the index does not answer") from error
        finally:
            await disconnect(db)
        raise IndexUnavailable("the index is never free of long transactions: run reindex again to go on")

    async def close(self) -> None:
        await self._index.close()
        await disconnect(self._held)

    # -- changing places --------------------------------------------------------------------------------

    async def _swap(self, db: Any, parted: bool) -> int:
        # A commit that has begun holds the lock, and ends first.
        await db.execute("SELECT pg_advisory_xact_lock($1)", GATE)
        count = 0 if parted else await self._catch_up(PostgresConnection(db))
        await _await_old_snapshots(db)
        await self._lock_out_readers(db)
        await self._change_places(db)
        return count

    async def _catch_up(self, source: PostgresConnection) -> int:
        if not await self._index.with_connection(lambda target: salvage.has_same_past(source, target)):
            raise Conflict(catchup.PARTED)
        count = 0
        while changes := await changelog.after(source, await self._index.last_revision(), catchup.PAGE):
            await self._index.replay(changes, await salvage.versions(source, changes))
            count += len(changes)
        waiting = await changelog.find_unjournaled(source, 1 << 30)
        await self._index.mark_unjournaled([change.revision for change in waiting])
        # A process that lost the answer of a change looks it up afterwards, and must find it.
        await source.execute(
            f'INSERT INTO "{_aside(self._schema)}".operation (id, first, last, noted) '
            f'SELECT id, first, last, noted FROM "{self._schema}".operation'
        )
        return count

    async def _lock_out_readers(self, db: Any) -> None:
        """Lock all tables against readers; between attempts, a reader of several tables gets its next one."""
        for left in range(READERS_ATTEMPTS, 0, -1):
            try:
                async with db.transaction():
                    await db.execute(f"LOCK TABLE {', '.join(MOVED)} IN ACCESS EXCLUSIVE MODE")
                    return
            except asyncpg.LockNotAvailableError:
                if left == 1:
                    raise
                await asyncio.sleep(random.uniform(0.01, 0.05))

    async def _change_places(self, db: Any) -> None:
        aside, old = _aside(self._schema), f"{self._schema}_replaced"
        await db.execute(f'DROP SCHEMA IF EXISTS "{old}" CASCADE')
        await db.execute(f'CREATE SCHEMA "{old}"')
        for table in MOVED:
            await db.execute(f'ALTER TABLE "{self._schema}".{table} SET SCHEMA "{old}"')
            await db.execute(f'ALTER TABLE "{aside}".{table} SET SCHEMA "{self._schema}"')
        for schema in (old, aside):
            await db.execute(f'DROP SCHEMA "{schema}" CASCADE')
        await db.execute(f"NOTIFY {CHANNEL}")


def _aside(schema: str) -> str:
    return f"{schema}_aside"


async def _make(db: Any, schema: str) -> None:
    try:
        await db.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
    except asyncpg.InsufficientPrivilegeError as error:
        raise IndexFailure(
            "the role may not make the schema that the index is rebuilt in: GRANT CREATE ON DATABASE to it"
        ) from error


async def _await_old_snapshots(db: Any) -> None:
    """Wait for readers whose snapshot is older than the last rows: in the new tables they would miss these.

    A reader that has used a table already holds a lock that keeps us from moving it; this is about readers
    that have not yet used one. After two seconds we go on, so that an endless transaction of another program
    does not block us.
    """
    limit = await db.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())::xid::text")
    for _ in range(100):
        older = await db.fetchval(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE pid != pg_backend_pid() "
            "AND datname = current_database() AND age(backend_xmin) > age($1::text::xid) "
            "AND wait_event_type IS DISTINCT FROM 'Lock'",  # it waits for a lock, such as ours
            limit,
        )
        if not older:
            return
        await asyncio.sleep(0.02)
