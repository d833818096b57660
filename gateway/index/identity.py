"""Of which archive this is the index."""

from __future__ import annotations

from gateway.index.connection import Connection


async def read(db: Connection) -> str:
    """The id of the archive, empty where none was told."""
    row = await db.first("SELECT id FROM archive")
    return "" if row is None else str(row["id"])


async def read_since(db: Connection) -> int:
    """Return since when this is its index, in microseconds; 0 where that is not known."""
    row = await db.first("SELECT since FROM archive")
    return 0 if row is None else int(row["since"])


async def write(db: Connection, id: str, now: int) -> None:
    """Note the archive, and `now` (microseconds) unless it was noted already. There is one row at most."""
    if await read(db) == id:
        return
    await db.execute("DELETE FROM archive")
    await db.execute("INSERT INTO archive (one, id, since) VALUES (1, ?, ?)", id, now)
