"""A connection to the file of the embedded index, and the SQL dialect of SQLite."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from gateway.errors import MigrationNeeded
from gateway.index import changelog, generations
from gateway.index.connection import Dialect, Piece, Wild
from gateway.index.deadline import NEVER, Deadline

R = TypeVar("R")
BUSY_SECONDS = 30
_GRAMS = {"st": ("st.id", "study_gram"), "se": ("se.id", "series_gram")}


def _glob(pieces: Iterable[Piece]) -> str:
    """Return a GLOB pattern; special characters are put in brackets.

    GLOB compares bytewise and has the same two wildcards.
    """
    return "".join(
        piece.value if isinstance(piece, Wild) else "".join(f"[{c}]" if c in "*?[" else c for c in piece)
        for piece in pieces
    )


def _token(gram: str) -> str:
    return gram.encode("utf-8", "surrogatepass").hex()


def _having(alias: str, choices: Sequence[Sequence[str]]) -> tuple[str, Sequence[object]]:
    """Return a condition for any of the choices, as one full-text query."""
    id, table = _GRAMS[alias]
    asked = " OR ".join("(" + " AND ".join(f'"{_token(gram)}"' for gram in grams) + ")" for grams in choices)
    return f"{id} IN (SELECT rowid FROM {table} WHERE {table} MATCH ?)", (asked,)


DIALECT = Dialect(
    name="sqlite",
    lock="",  # BEGIN IMMEDIATE has locked everything
    among=lambda column: f"{column} IN (SELECT value FROM json_each(?))",
    listed=lambda values: json.dumps(list(values)),
    like=lambda column: f"{column} GLOB ?",
    shape=_glob,
    having=_having,
    clock="CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000",
    aside=lambda column: f"+{column}",
)


class SqliteConnection:
    """A connection whose coroutines never wait: they run in a thread of their own."""

    dialect = DIALECT

    def __init__(self, db: sqlite3.Connection, deadline: Deadline = NEVER) -> None:
        self._db = db
        self.deadline = deadline

    async def apart(self, work: Callable[[], R]) -> R:
        """Run `work` here: this is a thread of its own already."""
        return work()

    async def fetch(self, sql: str, *values: object) -> Sequence[sqlite3.Row]:
        return self._db.execute(sql, values).fetchall()

    async def first(self, sql: str, *values: object) -> sqlite3.Row | None:
        cursor = self._db.execute(sql, values)
        row: sqlite3.Row | None = cursor.fetchone()
        cursor.close()
        return row

    async def execute(self, sql: str, *values: object) -> None:
        self._db.execute(sql, values)

    async def many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        if rows:
            self._db.executemany(sql, rows)

    async def revisions(self, count: int) -> Sequence[int]:
        """Return the next revisions.

        There is one writer at a time: revisions are committed in order and leave no gap.
        """
        last = await changelog.last_revision(self)
        return range(last + 1, last + 1 + count)

    async def exclude(self, table: str) -> None:
        """Do nothing: BEGIN IMMEDIATE has locked out writers, and readers see the state before."""

    async def announce(self) -> None:
        """Do nothing: other connections see the change by `PRAGMA data_version`."""

    async def replace_grams(
        self, table: str, id: int, before: set[str], after: set[str]
    ) -> Mapping[str, object]:
        """Replace the grams of a row in the full-text table.

        The table does not keep the text: the old grams have to be given to remove them.
        """
        if before == after:
            return {}
        if before:
            self._db.execute(
                f"INSERT INTO {table}_gram ({table}_gram, rowid, grams) VALUES ('delete', ?, ?)",
                (id, _document(before)),
            )
        if after:
            sql = f"INSERT INTO {table}_gram (rowid, grams) VALUES (?, ?)"
            self._db.execute(sql, (id, _document(after)))
        return {}

    async def empty(self, tables: Sequence[str]) -> None:
        for table in tables:
            self._db.execute(f"DELETE FROM {table}")
        for table in ("study_gram", "series_gram"):
            self._db.execute(f"INSERT INTO {table} ({table}) VALUES ('delete-all')")

    async def order(self) -> None:
        """Do nothing: after BEGIN IMMEDIATE nobody else commits."""


def _document(grams: set[str]) -> str:
    return " ".join(sorted(map(_token, grams)))


class Moved(Exception):
    """Another generation took the place of the file that was read."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def check_mark(db: sqlite3.Connection) -> None:
    """Raise Moved where a mark in the file says that another generation replaced it.

    The mark is part of the snapshot: within a transaction it does not change.
    """
    if number := generations.mark_of(db):
        raise Moved(number)


def _write_ahead(db: sqlite3.Connection) -> None:
    """Switch the file to WAL; try again while it is locked.

    Two processes that switch a new file at the same time get the error 'locked' at once, without a wait.
    """
    for left in range(BUSY_SECONDS * 100, -1, -1):
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if not left or "locked" not in str(error):
                raise
            time.sleep(0.01)


def connect(path: Path) -> sqlite3.Connection:
    """Connect to the file that `path` names at the end, even if its link changes meanwhile."""
    while True:
        before = _identity(path)
        db = _open(path)
        if before in (None, _identity(path)):
            return db
        db.close()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _open(path: Path) -> sqlite3.Connection:
    # Behind a link the file exists, or is lost: it is never created.
    mode = "rw" if path.is_symlink() else "rwc"
    db = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        _prepare(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    """Set up a new connection. Raises MigrationNeeded."""
    db.row_factory = sqlite3.Row
    _write_ahead(db)
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute("PRAGMA cache_size = -65536")
    db.execute("PRAGMA mmap_size = 1073741824")
    db.execute("PRAGMA temp_store = MEMORY")
    if db.execute("PRAGMA user_version").fetchone()[0]:
        raise MigrationNeeded(
            f"{path} was made by a version before the first release: delete it and run 'dicomweb-gateway reindex'"
        )
