"""The index in PostgreSQL: any number of processes; unique keys and row locks decide their races."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from itertools import count
from typing import Any, TypeVar

import asyncpg

from gateway.errors import IndexFailure, IndexUnavailable
from gateway.index import changelog, migrating
from gateway.index.base import Change
from gateway.index.connection import Connection, Dialect, Piece, Wild, Work
from gateway.index.driver import SqlIndex

R = TypeVar("R")
CONNECTIONS = 8
CHANNEL = "gateway_change"
POLL_SECONDS = 0.25
ATTEMPTS = 10
CONNECT_SECONDS = 10
COMMAND_SECONDS = 300

# Migrations of several processes at once go one after another.
_MIGRATING = 0x67617465
_SETTINGS = {"synchronous_commit": "on", "jit": "off", "application_name": "dicomweb-gateway"}
_LOST_RACES = (
    asyncpg.UniqueViolationError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
)
_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
)


def _like(pieces: Iterable[Piece]) -> str:
    wild = {Wild.MANY: "%", Wild.ONE: "_"}
    return "".join(
        wild[piece] if isinstance(piece, Wild) else re.sub(r"[\\%_]", r"\\\g<0>", _clean(piece))
        for piece in pieces
    )


def _clean(text: str) -> str:
    """PostgreSQL's text holds no NUL; stored keys have none either."""
    return text.replace("\0", "")


def _among(column: str) -> str:
    """The type of the array is that of the column."""
    return f"{column} = ANY (?)"


DIALECT = Dialect(
    name="postgres",
    lock=" FOR UPDATE",
    among=_among,
    listed=list,
    like=lambda column: f"{column} LIKE ?",
    shape=_like,
    has_grams=lambda alias: f"{alias}.grams @> ?",
    grams=lambda grams: sorted(gram for gram in grams if "\0" not in gram),
)


@lru_cache(maxsize=2048)
def _numbered(sql: str) -> str:
    """`?` as `$1`, `$2`, …; our SQL has no other question marks."""
    numbers = count(1)
    return re.sub(r"\?", lambda _: f"${next(numbers)}", sql)


class PostgresConnection:
    """A connection out of the pool."""

    dialect = DIALECT

    def __init__(self, db: Any) -> None:
        self._db = db

    async def fetch(self, sql: str, *values: object) -> Sequence[Any]:
        found: list[Any] = await self._db.fetch(_numbered(sql), *values)
        return found

    async def first(self, sql: str, *values: object) -> Any:
        return await self._db.fetchrow(_numbered(sql), *values)

    async def execute(self, sql: str, *values: object) -> None:
        await self._db.execute(_numbered(sql), *values)

    async def many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        if rows:
            await self._db.executemany(_numbered(sql), rows)

    async def revisions(self, count: int) -> Sequence[int]:
        """The transaction has its number before it has revisions: `horizon` in the schema relies on that."""
        found = await self._db.fetch(
            "WITH me AS MATERIALIZED (SELECT pg_current_xact_id() AS id) "
            "SELECT nextval('change_revision') AS revision FROM me, generate_series(1, $1::int) ORDER BY 1",
            count,
        )
        return [row["revision"] for row in found]

    async def announce(self) -> None:
        await self._db.execute(f"NOTIFY {CHANNEL}")

    async def set_grams(self, table: str, id: int, before: set[str], after: set[str]) -> None:
        if before != after:
            await self._db.execute(f"UPDATE {table} SET grams = $1 WHERE id = $2", sorted(after), id)

    async def empty(self, tables: Sequence[str]) -> None:
        await self._db.execute(f"TRUNCATE {', '.join(tables)}")

    async def revisions_given(self) -> None:
        await self._db.execute(
            "SELECT setval('change_revision', GREATEST((SELECT MAX(revision) FROM change), 1))"
        )


class PostgresIndex(SqlIndex):
    """A pool of connections; reads of several statements see one snapshot."""

    def __init__(self, dsn: str, pool: Any) -> None:
        self._dsn = dsn
        self._pool = pool

    @classmethod
    async def open(cls, dsn: str) -> PostgresIndex:
        """Raises IndexUnavailable when the server does not answer."""
        async with _answering():
            pool = await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=CONNECTIONS,
                timeout=CONNECT_SECONDS,
                command_timeout=COMMAND_SECONDS,
                server_settings=_SETTINGS,
            )
        return cls(dsn, pool)

    async def close(self) -> None:
        await self._pool.close()

    # -- schema -----------------------------------------------------------------------------------------

    async def migrate(self) -> None:
        async with _answering(), self._pool.acquire() as db:
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
        """A page ends below what is still under way: no revision in it or below it can come later."""

        async def page(db: Connection) -> list[Change]:
            found = await changelog.after(db, after, limit)
            safe = await _safe(db, after) if found else 0
            return [change for change in found if change.revision <= safe]

        return await self._query(page)

    async def tail(self) -> AsyncIterator[Sequence[Change]]:
        """Woken by NOTIFY, and four times a second anyway: an empty sequence says that the server answers.

        What is committed comes at once, also while older revisions are still under way; they come later.
        """
        async with _answering():
            listener = await asyncpg.connect(self._dsn, timeout=CONNECT_SECONDS, server_settings=_SETTINGS)
        woken = asyncio.Event()
        try:
            async with _answering():
                await listener.add_listener(CHANNEL, lambda *_: woken.set())
            follow = _Follower(PostgresConnection(listener))
            async with _answering():
                await follow.begin()
            while True:
                woken.clear()
                async with _answering():
                    changes = await follow.news()
                yield changes
                if not changes:
                    await _wait(woken)
        finally:
            await _closed(listener)

    # -- transactions -----------------------------------------------------------------------------------

    async def _query(self, work: Work[R]) -> R:
        async with (
            _answering(),
            self._pool.acquire(timeout=CONNECT_SECONDS) as db,
            db.transaction(isolation="repeatable_read", readonly=True),
        ):
            return await work(PostgresConnection(db))

    async def _commit(self, work: Work[R]) -> R:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with (
                    _answering(),
                    self._pool.acquire(timeout=CONNECT_SECONDS) as db,
                    db.transaction(),
                ):
                    return await work(PostgresConnection(db))
            except _LOST_RACES as error:
                if attempt == ATTEMPTS:
                    raise IndexUnavailable("too many at once want the same rows; try again") from error
                await asyncio.sleep(random.random() * 0.01 * attempt)
        raise AssertionError("unreachable")


async def _safe(db: Connection, after: int) -> int:
    """The last revision below which nothing is missing, now or later."""
    row = await db.first(
        "SELECT revision FROM change WHERE revision > ? "
        "AND horizon <= pg_snapshot_xmin(pg_current_snapshot()) ORDER BY revision DESC LIMIT 1",
        after,
    )
    return int(row["revision"]) if row is not None else 0


class _Follower:
    """Committed changes, each once, with those that come late."""

    def __init__(self, db: PostgresConnection) -> None:
        self._db = db
        self._safe = 0
        self._seen: set[int] = set()

    async def begin(self) -> None:
        """What is committed by now is no news."""
        self._safe = await _safe(self._db, 0)
        self._seen = {change.revision for change in await changelog.after(self._db, self._safe, 1 << 30)}

    async def news(self) -> list[Change]:
        # The bound first: what is committed in between is seen as news and asked for again at most.
        safe = max(self._safe, await _safe(self._db, self._safe))
        found = await changelog.after(self._db, self._safe, 1 << 30)
        news = [change for change in found if change.revision not in self._seen]
        self._safe = safe
        self._seen = {change.revision for change in found if change.revision > safe}
        return news


async def _wait(woken: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(POLL_SECONDS):
            await woken.wait()
    except TimeoutError:
        return


async def _closed(db: Any) -> None:
    try:
        await db.close(timeout=1)
    except (*_AWAY, asyncpg.PostgresError):
        db.terminate()


@asynccontextmanager
async def _answering() -> AsyncIterator[None]:
    """Failures of the driver as ours; lost races pass through."""
    try:
        yield
    except _LOST_RACES:
        raise
    except _AWAY as error:
        raise IndexUnavailable("the index does not answer") from error
    except asyncpg.PostgresError as error:
        raise IndexFailure("the index failed") from error
