"""Leases for work that one process does for all of them, timed by the clock of the database."""

from __future__ import annotations

from gateway.index.connection import Connection


async def take(db: Connection, name: str, holder: str, seconds: float, every: float) -> bool:
    """Take or renew a lease; return whether it is ours.

    It is refused where another has it, or the work was done within `every` seconds.
    """
    now = await _now(db)
    row = await db.first(f"SELECT holder, expires, done FROM lease WHERE name = ?{db.dialect.lock}", name)
    expires = now + round(seconds * 1e6)
    if row is None:
        await db.execute("INSERT INTO lease (name, holder, expires) VALUES (?, ?, ?)", name, holder, expires)
        return True
    if row["holder"] != holder and (row["expires"] > now or row["done"] > now - round(every * 1e6)):
        return False
    await db.execute("UPDATE lease SET holder = ?, expires = ? WHERE name = ?", holder, expires, name)
    return True


async def give_back(db: Connection, name: str, holder: str, is_done: bool) -> None:
    """Release the lease where `holder` still has it, and record the time where the work is done."""
    now = await _now(db)
    sets, values = (
        ("holder = '', expires = ?", [now])
        if not is_done
        else ("holder = '', expires = ?, done = ?", [now, now])
    )
    await db.execute(f"UPDATE lease SET {sets} WHERE name = ? AND holder = ?", *values, name, holder)


async def _now(db: Connection) -> int:
    row = await db.first(f"SELECT {db.dialect.clock} AS now")
    assert row is not None
    return int(row["now"])
