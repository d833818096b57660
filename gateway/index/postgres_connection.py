"""A connection to PostgreSQL, its SQL dialect, and its errors as ours."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from itertools import count
from typing import Any, TypeVar

import asyncpg

from gateway.errors import IndexFailure, IndexUnavailable
from gateway.index import changelog
from gateway.index.connection import Dialect, Piece, Wild
from gateway.index.deadline import NEVER, Deadline

R = TypeVar("R")
CHANNEL = "gateway_change"

# Advisory locks: commits with revisions go one after another, and only one process rebuilds.
_NUMBERING = 0x67617466
REBUILDING = 0x67617467
# Every commit holds this lock shared until it ends; a process that replaces the index holds it alone.
GATE = 0x67617468
LOST_RACES = (
    asyncpg.UniqueViolationError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
)
_AWAY = (
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
    # asyncpg raises this where a connection was cut in the middle of an exchange.
    asyncpg.InternalClientError,
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
    """Return the text without NUL: PostgreSQL's text cannot hold one, and stored keys have none either."""
    return text.replace("\0", "")


def _among(column: str) -> str:
    """Return a condition for any of an array, which has the type of the column."""
    return f"{column} = ANY (?)"


def _having(alias: str, choices: Sequence[Sequence[str]]) -> tuple[str, Sequence[object]]:
    condition = " OR ".join([f"{alias}.grams @> ?"] * len(choices))
    return f"({condition})", [[gram for gram in grams if "\0" not in gram] for grams in choices]


DIALECT = Dialect(
    name="postgres",
    lock=" FOR UPDATE",
    among=_among,
    listed=list,
    like=lambda column: f"{column} LIKE ?",
    shape=_like,
    having=_having,
    clock="(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint",
    aside=lambda column: column,  # the planner decides by its statistics
)


@lru_cache(maxsize=2048)
def _number_marks(sql: str) -> str:
    """Return the SQL with `$1`, `$2`, … for each `?`; our SQL has no other question marks."""
    numbers = count(1)
    return re.sub(r"\?", lambda _: f"${next(numbers)}", sql)


class PostgresConnection:
    """A connection from the pool."""

    dialect = DIALECT

    def __init__(self, db: Any, deadline: Deadline = NEVER) -> None:
        self._db = db
        self.deadline = deadline

    async def apart(self, work: Callable[[], R]) -> R:
        """Run `work` in a thread: on the event loop all others would wait."""
        return await asyncio.to_thread(work)

    async def fetch(self, sql: str, *values: object) -> Sequence[Any]:
        found: list[Any] = await self._db.fetch(_number_marks(sql), *values)
        return found

    async def first(self, sql: str, *values: object) -> Any:
        return await self._db.fetchrow(_number_marks(sql), *values)

    async def execute(self, sql: str, *values: object) -> None:
        await self._db.execute(_number_marks(sql), *values)

    async def many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        if rows:
            await self._db.executemany(_number_marks(sql), rows)

    async def revisions(self, count: int) -> Sequence[int]:
        """Return the next revisions, with a lock until the commit.

        Nobody else gets revisions meanwhile: the log is in the order of commits, and has no gaps.
        """
        await self.order()
        last = await changelog.last_revision(self)
        return range(last + 1, last + 1 + count)

    async def order(self) -> None:
        await self._db.execute("SELECT pg_advisory_xact_lock($1)", _NUMBERING)

    async def exclude(self, table: str) -> None:
        await self._db.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")

    async def announce(self) -> None:
        await self._db.execute(f"NOTIFY {CHANNEL}")

    async def replace_grams(
        self, table: str, id: int, before: set[str], after: set[str]
    ) -> Mapping[str, object]:
        return {"grams": sorted(after)} if before != after else {}

    async def empty(self, tables: Sequence[str]) -> None:
        await self._db.execute(f"TRUNCATE {', '.join(tables)}")


async def disconnect(db: Any) -> None:
    try:
        await db.close(timeout=1)
    except (*_AWAY, asyncpg.PostgresError):
        db.terminate()


@asynccontextmanager
async def answering() -> AsyncIterator[None]:
    """Raise errors of the driver as ours; lost races pass through."""
    try:
        yield
    except LOST_RACES:
        raise
    except _AWAY as error:
        raise IndexUnavailable("the index does not answer") from error
    except asyncpg.PostgresError as error:
        raise IndexFailure("the index failed") from error


@asynccontextmanager
async def reading() -> AsyncIterator[None]:
    """Raise errors of the driver as ours, lost races too: nobody tries a read again.

    A reader may lose a lock to a process that moves tables.
    """
    try:
        async with answering():
            yield
    except LOST_RACES as error:
        raise IndexUnavailable("others were in the way; try again") from error
