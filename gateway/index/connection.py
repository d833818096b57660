"""What the shared code of the index wants of a database connection, and how the two dialects of SQL differ.

All shared code is written once, as coroutines over `Connection`. asyncpg waits in them; SQLite, in a thread of
its own, never does, so that `run_now` can drive the same code there without an event loop.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

R = TypeVar("R")


class Wild(enum.Enum):
    """A place in a shape: any characters, or exactly one."""

    MANY = "*"
    ONE = "?"


Piece: TypeAlias = str | Wild


class Row(Protocol):
    """A row of a result, by column name."""

    def __getitem__(self, column: str, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where SQLite and PostgreSQL say the same thing in other words. Marks are `?` in both."""

    name: str
    lock: str
    """Ends a SELECT whose rows nobody else may change before we commit."""

    among: Callable[[str], str]
    """The column has one of the values that one mark stands for."""

    listed: Callable[[Iterable[str | int]], object]
    """The value for that mark."""

    like: Callable[[str], str]
    """The column has the shape that one mark stands for."""

    shape: Callable[[Iterable[Piece]], str]
    """The value for that mark: literal texts, and wild places between them."""

    having: Callable[[str, Sequence[Sequence[str]]], tuple[str, Sequence[object]]]
    """A row of this alias (st, se) has all n-grams of one of the choices: condition and values."""

    clock: str
    """An expression for the database's time, in microseconds since the epoch."""

    aside: Callable[[str], str]
    """The column, for a condition that is better not looked up in an index: n-grams narrow it down further."""


class Connection(Protocol):
    """One connection, within a transaction wherever something is changed."""

    @property
    def dialect(self) -> Dialect: ...

    async def fetch(self, sql: str, *values: object) -> Sequence[Row]: ...

    async def first(self, sql: str, *values: object) -> Row | None: ...

    async def execute(self, sql: str, *values: object) -> None: ...

    async def many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """The same statement for each row of values."""

    async def revisions(self, count: int) -> Sequence[int]:
        """Revisions for new rows of `change`, ascending; others have to wait for theirs until we commit.

        Taken as late as can be, with all that is touched locked: so they are in the order in which batches that
        meet take effect.
        """

    async def exclude(self, table: str) -> None:
        """Wait until all who have read the table in a transaction have committed, and keep others from it."""

    async def announce(self) -> None:
        """Wake those who follow the change log, once this transaction is committed."""

    async def replace_grams(
        self, table: str, id: int, before: set[str], after: set[str]
    ) -> Mapping[str, object]:
        """Other n-grams for a row of study or series; what is still to be set in the row itself."""

    async def empty(self, tables: Sequence[str]) -> None:
        """Delete every row of these tables and all n-grams."""

    async def order(self) -> None:
        """Take the lock that orders commits: nobody else gets revisions until this transaction ends."""


Work: TypeAlias = Callable[[Connection], Coroutine[Any, Any, R]]


def run_now(work: Coroutine[Any, Any, R]) -> R:
    """The result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        result: R = done.value
        return result
    work.close()
    raise RuntimeError("waited on a connection that never waits")
