"""Repair of the journal: changes that it lost and the index holds are journaled again.

Otherwise they would be lost with the index. Damaged log objects are moved to the trash, where they stay:
under their own keys they would block the repaired lines, and every start whose index is rebuilt without them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from gateway.errors import ObjectMissing
from gateway.index.base import Index
from gateway.services.journal.journal import Journal
from gateway.services.journal.listing import first_of
from gateway.services.journal.problems import Problem
from gateway.services.journal.tail import tail
from gateway.services.objectkeys import trash_key
from gateway.store.base import ObjectStore

log = logging.getLogger("gateway.journal")

PAGE = 1000
_SET_ASIDE = frozenset({"empty", "truncated", "altered", "foreign"})


async def mend(store: ObjectStore, index: Index, journal: Journal, problems: Sequence[Problem]) -> int:
    """Journal again the changes of `index` that these problems and the journal's end lost; return how many.

    Segments are left as they are: their undamaged lines are nowhere else. Raises StoreError, IndexFailure.
    """
    last = await index.last_revision()
    count = 0
    for problem in problems:
        first = first_of(problem.key) if problem.kind in _SET_ASIDE else 0
        if first:
            aside = trash_key(problem.key, datetime.now(UTC).strftime("%Y%m%d"))
            try:
                await store.move(problem.key, aside)
            except ObjectMissing:
                continue  # another process was faster
            log.warning("%s was moved to %s", problem.key, aside)
        if first or problem.kind == "missing":
            count += await _tell(index, journal, first or problem.first, problem.last or last)
    there = (await tail(store, last)).last
    return count + await _tell(index, journal, there + 1, last)


async def _tell(index: Index, journal: Journal, first: int, last: int) -> int:
    at, count = first - 1, 0
    while at < last and (found := await index.changes(at, min(PAGE, last - at))):
        at = found[-1].revision
        count += await journal.tell_again([change for change in found if change.revision <= last])
    return count
