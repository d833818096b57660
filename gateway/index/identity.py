"""The id of the archive that this index belongs to."""

from __future__ import annotations

from gateway.index.connection import Connection


async def read(db: Connection) -> str:
    """Return the id of the archive, empty where none was set."""
    row = await db.first("SELECT id FROM archive")
    return "" if row is None else str(row["id"])


async def write(db: Connection, id: str) -> None:
    """Write the id of the archive, in place of any other."""
    await db.execute("DELETE FROM archive")
    await db.execute("INSERT INTO archive (one, id) VALUES (1, ?)", id)
