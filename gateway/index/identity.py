"""Of which archive this is the index."""

from __future__ import annotations

from gateway.index.connection import Connection


async def read(db: Connection) -> str:
    """The id of the archive, empty where none was told."""
    row = await db.first("SELECT id FROM archive")
    return "" if row is None else str(row["id"])


async def write(db: Connection, id: str) -> None:
    """There is one row at most."""
    await db.execute("DELETE FROM archive")
    await db.execute("INSERT INTO archive (one, id) VALUES (1, ?)", id)
