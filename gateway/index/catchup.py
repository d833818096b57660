"""Copying of changes committed during a rebuild from the serving index to the new one."""

from __future__ import annotations

from gateway.errors import Conflict, MigrationNeeded
from gateway.index.base import Index
from gateway.index.driver import SqlIndex

PAGE = 200
PARTED = (
    "the index and the journal tell other changes of the same revision: the index is of another archive, or was "
    "restored from a backup and written to; nothing was changed"
)


async def nearly(live: Index, aside: Index) -> int:
    """Copy new changes until few are left, while commits go on; return how many. Raises Conflict."""
    if await has_parted(live, aside):
        raise Conflict(PARTED)
    count = 0
    while changes := await live.changes(await aside.last_revision(), PAGE):
        await aside.replay(changes, await live.find_known_versions(changes))
        count += len(changes)
        if len(changes) < PAGE:
            break
    return count


async def has_parted(live: Index, aside: Index) -> bool:
    """Return whether the two hold different changes at the last revision that both know."""
    last = min(await live.last_revision(), await aside.last_revision())
    ours, theirs = await live.changes(last - 1, 1), await aside.changes(last - 1, 1)
    if not last or not ours or not theirs or ours[0].revision != theirs[0].revision:
        return False
    return not ours[0].is_same(theirs[0])


async def mode(aside: SqlIndex) -> str:
    """Return how the build of this index was begun.

    Empty where it was not begun, or by a program with another schema.
    """
    try:
        await aside.check_schema()
        return await aside.read_build()
    except MigrationNeeded:
        return ""
