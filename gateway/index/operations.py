"""Outcomes of changes whose answer was lost, looked up once every commit under way has ended."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.index import changelog
from gateway.index.base import Change
from gateway.index.connection import Connection
from gateway.model import VersionId

KEPT_MICROSECONDS = 24 * 3600 * 1_000_000


async def note(db: Connection, id: str, changes: Sequence[Change], now: int) -> None:
    """Record the name and the changes of an operation, in its transaction: both are there, or neither is."""
    if not id:
        return
    await db.execute("DELETE FROM operation WHERE noted < ?", now - KEPT_MICROSECONDS)
    first, last = (changes[0].revision, changes[-1].revision) if changes else (1, 0)
    await db.execute(
        "INSERT INTO operation (id, first, last, noted) VALUES (?, ?, ?, ?)", id, first, last, now
    )


async def find_committed(db: Connection, id: str) -> list[Change] | None:
    """Return the changes of an operation; None where it was not committed, and never will be."""
    # A commit whose connection was cut may still be under way: we get its lock only once it has ended.
    await db.order()
    row = await db.first("SELECT first, last FROM operation WHERE id = ?", id)
    return None if row is None else await changelog.between(db, row["first"], row["last"])


async def find_stored(db: Connection, versions: Sequence[VersionId]) -> dict[VersionId, Change]:
    """Return the changes that made these versions current; versions without one will never be stored."""
    await db.order()
    found = await db.fetch(
        f"SELECT revision FROM version WHERE {db.dialect.among('id')}", db.dialect.listed(versions)
    )
    changes = await changelog.load_changes(db, [row["revision"] for row in found])
    return {c.version_after: c for c in changes if c.version_after is not None}
