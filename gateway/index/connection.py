"""The database connection that the index needs, and the differences between the two SQL dialects.

All shared code is written once, as coroutines over `Connection`. asyncpg waits in them; SQLite runs in a
thread of its own and never waits, so that `run_now` can drive the same code there without an event loop.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

from gateway.index.deadline import Deadline

R = TypeVar("R")


class Wild(enum.Enum):
    """A wild card in a pattern: any characters, or exactly one."""

    MANY = "*"
    ONE = "?"


Piece: TypeAlias = str | Wild


class Row(Protocol):
    """A row of a result, by column name."""

    def __getitem__(self, column: str, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """The expressions that SQLite and PostgreSQL write differently. Parameter marks are `?` in both."""

    name: str
    lock: str
    """The end of a SELECT that locks its rows until we commit."""

    among: Callable[[str], str]
    """Return the condition that the column has one of several values, given by one mark."""

    listed: Callable[[Iterable[str | int]], object]
    """Return the value for the mark of `among`."""

    like: Callable[[str], str]
    """Return the condition that the column matches a pattern, given by one mark."""

    shape: Callable[[Iterable[Piece]], str]
    """Return the value for the mark of `like`: literal texts with wild cards between them."""

    having: Callable[[str, Sequence[Sequence[str]]], tuple[str, Sequence[object]]]
    """Return condition and values: a row of this alias (st, se) has all n-grams of one of the choices."""

    clock: str
    """An expression for the database's time, in microseconds since the epoch."""

    aside: Callable[[str], str]
    """Return the column, wrapped so that no B-tree index is used for it: n-grams select fewer rows."""


class Connection(Protocol):
    """One connection, inside a transaction wherever rows are changed."""

    @property
    def dialect(self) -> Dialect: ...

    @property
    def deadline(self) -> Deadline:
        """The deadline of the work for which this connection is lent."""

    async def apart(self, work: Callable[[], R]) -> R:
        """Return the result of a computation that may take a while, without blocking other work."""

    async def fetch(self, sql: str, *values: object) -> Sequence[Row]: ...

    async def first(self, sql: str, *values: object) -> Row | None: ...

    async def execute(self, sql: str, *values: object) -> None: ...

    async def many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Execute the same statement for each row of values."""

    async def revisions(self, count: int) -> Sequence[int]:
        """Return revisions for new rows of `change`, ascending; others wait for theirs until we commit.

        Called as late as possible, with all touched rows locked: so revisions are in the order in which
        batches that touch the same rows take effect.
        """

    async def exclude(self, table: str) -> None:
        """Wait until all transactions that have read the table have committed, and keep others from it."""

    async def announce(self) -> None:
        """Wake the followers of the change log, once this transaction is committed."""

    async def replace_grams(
        self, table: str, id: int, before: set[str], after: set[str]
    ) -> Mapping[str, object]:
        """Replace the n-grams of a row of study or series; return columns to be set in the row itself."""

    async def empty(self, tables: Sequence[str]) -> None:
        """Delete every row of these tables and all n-grams."""

    async def order(self) -> None:
        """Take the lock that orders commits: nobody else gets revisions until this transaction ends."""


Work: TypeAlias = Callable[[Connection], Coroutine[Any, Any, R]]


def run_now(work: Coroutine[Any, Any, R]) -> R:
    """Run a coroutine that never waits, and return its result. Raises RuntimeError where it does wait."""
    try:
        work.send(None)
    except StopIteration as done:
        result: R = done.value
        return result
    work.close()
    raise RuntimeError("waited on a connection that never waits")
