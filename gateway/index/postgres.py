"""The index in PostgreSQL, for any number of processes; unique keys and row locks decide their races."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg

from gateway.errors import Busy, IndexUnavailable
from gateway.index import changelog, migrating
from gateway.index.base import Aside, Change, Scope
from gateway.index.connection import Connection, Work
from gateway.index.deadline import Deadline
from gateway.index.postgres_aside import PostgresAside, PostgresSchema
from gateway.index.postgres_connection import (
    CHANNEL,
    GATE,
    LOST_RACES,
    REBUILDING,
    PostgresConnection,
    answering,
    disconnect,
    reading,
)

R = TypeVar("R")
CONNECTIONS = 8
# Of these, SEARCHERS are lent for searches at once, and MOST_WAITING searches wait for one.
SEARCHERS = 4
MOST_WAITING = 64
SEARCH_SECONDS = 10.0
POLL_SECONDS = 0.25
PAGE = 1000
ATTEMPTS = 10
CONNECT_SECONDS = 10
COMMAND_SECONDS = 300

# An advisory lock: migrations go one after another.
_MIGRATING = 0x67617465
_SETTINGS = {
    "application_name": "dicomweb-gateway",
    "synchronous_commit": "on",
    "jit": "off",
    # A process that vanished must not keep others waiting for its locks.
    "idle_in_transaction_session_timeout": "60s",
    "lock_timeout": "30s",
}


class PostgresIndex(PostgresSchema):
    """A pool of connections; reads of several statements see one snapshot."""

    def __init__(
        self,
        dsn: str,
        pool: Any,
        settings: Mapping[str, str] = _SETTINGS,
        search_seconds: float = SEARCH_SECONDS,
    ) -> None:
        self._gated = "search_path" not in settings
        self._dsn = dsn
        self._pool = pool
        self._settings = settings
        self._log = 0
        self._moves = 0
        self._search_seconds = search_seconds
        self._searchers = asyncio.Semaphore(SEARCHERS)
        self._waiting = 0

    @classmethod
    async def open(
        cls, dsn: str, *, schema: str | None = None, search_seconds: float = SEARCH_SECONDS
    ) -> PostgresIndex:
        """Open the index in the first schema of the role's search path, or in `schema`.

        Raises IndexUnavailable when the server does not answer.
        """
        settings = _SETTINGS if schema is None else {**_SETTINGS, "search_path": f'"{schema}"'}
        async with answering():
            pool = await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=CONNECTIONS,
                timeout=CONNECT_SECONDS,
                command_timeout=COMMAND_SECONDS,
                reset=_as_it_is,
                server_settings=settings,
            )
        return cls(dsn, pool, settings, search_seconds)

    async def close(self) -> None:
        await self._pool.close()

    async def connect(self, **settings: str) -> Any:
        """Open a connection outside the pool. Raises IndexUnavailable."""
        async with answering():
            return await asyncpg.connect(
                self._dsn, timeout=CONNECT_SECONDS, server_settings={**self._settings, **settings}
            )

    async def with_connection(self, work: Work[R]) -> R:
        """Run `work` on a connection, each statement in its own transaction."""
        return await self._glance(work)

    async def mark_unjournaled(self, revisions: Sequence[int]) -> None:
        """Mark changes as not journaled, so that they are journaled again."""
        await self._commit(lambda db: changelog.mark_unjournaled(db, revisions))

    # -- rebuilding -------------------------------------------------------------------------------------

    @property
    def generation(self) -> int:
        return self._moves

    async def aside(self) -> Aside:
        return await PostgresAside.open(self, self._dsn)

    async def is_rebuilding(self) -> bool:
        async def is_locked(db: Connection) -> bool:
            row = await db.first(
                "SELECT COUNT(*) AS held FROM pg_locks WHERE locktype = 'advisory' AND objid::bigint = ? "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
                REBUILDING,
            )
            return row is not None and bool(row["held"])

        return await self._glance(is_locked)

    # -- schema -----------------------------------------------------------------------------------------

    async def migrate(self) -> None:
        async with answering(), self._pool.acquire() as db:
            await db.execute("SELECT pg_advisory_lock($1)", _MIGRATING)
            try:
                await super().migrate()
            finally:
                await db.execute("SELECT pg_advisory_unlock($1)", _MIGRATING)

    async def check_schema(self) -> None:
        async def is_there(db: Connection) -> bool:
            row = await db.first("SELECT to_regclass('schema_version') IS NOT NULL AS found")
            return row is not None and bool(row["found"])

        if not await self._query(is_there):
            raise migrating.missing(0, len(migrating.steps("postgres")))
        await super().check_schema()

    # -- the change log ---------------------------------------------------------------------------------

    async def changes(self, after: int, limit: int = 1000) -> list[Change]:
        return await self._glance(lambda db: changelog.after(db, after, limit))

    async def tail(self) -> AsyncIterator[Sequence[Change]]:
        """Yield new changes, woken by NOTIFY and four times a second anyway.

        An empty sequence shows that the server answers.
        """
        listener = await self.connect()
        db, woken = PostgresConnection(listener), asyncio.Event()
        try:
            async with answering():
                await listener.add_listener(CHANNEL, lambda *_: woken.set())
                last = await changelog.last_revision(db)
            while True:
                woken.clear()
                async with answering():
                    self._follow(await listener.fetchval("SELECT to_regclass('change')::oid::bigint"))
                    changes = await changelog.after(db, last, PAGE)
                yield changes
                if changes:
                    last = changes[-1].revision
                else:
                    await _wait(woken)
        finally:
            await disconnect(listener)

    def _follow(self, log: int) -> None:
        """Count a new generation where the table `change` is another one than before.

        That happens once another index was put in the place of this one.
        """
        if self._log and log != self._log:
            self._moves += 1
        self._log = log

    # -- transactions -----------------------------------------------------------------------------------

    async def _query(self, work: Work[R]) -> R:
        async with (
            reading(),
            self._acquire() as db,
            db.transaction(isolation="repeatable_read", readonly=True),
        ):
            return await work(PostgresConnection(db))

    async def _search(self, work: Work[R]) -> R:
        if self._waiting >= SEARCHERS + MOST_WAITING:
            raise Busy("too many searches wait for the index; try again later")
        deadline = Deadline(self._search_seconds, is_search=True)
        self._waiting += 1
        try:
            async with asyncio.timeout(deadline.left), self._searchers:
                return await self._run_search(deadline, work)
        except TimeoutError as error:
            raise deadline.failure() from error
        except asyncio.CancelledError:
            deadline.cancel()  # the thread with the work reads the deadline and ends
            raise
        finally:
            self._waiting -= 1

    async def _run_search(self, deadline: Deadline, work: Work[R]) -> R:
        """The server gives up in time, too, whatever becomes of us."""
        async with reading(), self._acquire() as db:
            milliseconds = max(1, round(deadline.left * 1000))
            await db.execute(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
                f"SET LOCAL statement_timeout = {milliseconds}"
            )
            try:
                return await work(PostgresConnection(db, deadline))
            except asyncpg.QueryCanceledError as error:
                raise deadline.failure() from error
            finally:
                await db.execute("ROLLBACK")  # nothing was written

    async def ping(self, scope: Scope) -> None:
        async def look(db: Connection) -> None:
            await db.first("SELECT id FROM study WHERE partition = ? LIMIT 1", scope.partition)

        await self._glance(look)

    async def _glance(self, work: Work[R]) -> R:
        async with reading(), self._acquire() as db:
            return await work(PostgresConnection(db))

    async def _commit(self, work: Work[R]) -> R:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with (
                    answering(),
                    self._acquire() as db,
                    db.transaction(),
                ):
                    if self._gated:
                        await db.execute("SELECT pg_advisory_xact_lock_shared($1)", GATE)
                    return await work(PostgresConnection(db))
            except LOST_RACES as error:
                if attempt == ATTEMPTS:
                    raise IndexUnavailable("too many at once want the same rows; try again") from error
                await asyncio.sleep(random.random() * 0.01 * attempt)
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def _acquire(self) -> AsyncIterator[Any]:
        """Lend a connection of the pool; it is not used again once its protocol is out of step."""
        async with self._pool.acquire(timeout=CONNECT_SECONDS) as db:
            try:
                yield db
            except asyncpg.InternalClientError:
                db.terminate()
                raise


async def _as_it_is(db: Any) -> None:
    """Do nothing on release: our code leaves no state on a connection, and this saves a round trip."""


async def _wait(woken: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(POLL_SECONDS):
            await woken.wait()
    except TimeoutError:
        return
