"""Check that index and journal hold the same changes of one archive: only then may objects be given up."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.index.base import Change, Index
from gateway.services.journal.journal import Journal


class Disagree(Exception):
    """Raised with the reason where index and journal do not agree."""


class Agreement:
    """The check that is made before objects are moved or deleted."""

    def __init__(self, index: Index, journal: Journal) -> None:
        self._index = index
        self._journal = journal

    async def check(self) -> int:
        """Return the last revision up to which the journal holds all changes.

        Raises Disagree, and what index and journal raise.
        """
        if await self._index.is_rebuilding():
            raise Disagree("the index is being rebuilt")
        last = await self._index.last_revision()
        waiting = await self._index.find_unjournaled(1)
        settled = waiting[0].revision - 1 if waiting else last
        journaled: Change | None = None
        # The journal is read before the index: changes committed meanwhile only put the index ahead, which
        # does no harm.
        async for changes in self._journal.changes(max(0, settled - 1)):
            journaled = changes[0] if changes[0].revision == settled else journaled
            await self._holds(changes)
        if settled and journaled is None:
            raise Disagree(f"the journal does not tell revision {settled}, which the index holds")
        return settled

    async def _holds(self, changes: Sequence[Change]) -> None:
        held = {c.revision: c for c in await self._index.changes(changes[0].revision - 1, len(changes))}
        for change in changes:
            ours = held.get(change.revision)
            if ours is None:
                raise Disagree(
                    f"the index does not hold revision {change.revision}, which the journal tells: "
                    "run 'dicomweb-gateway reindex'"
                )
            if not ours.is_same(change):
                raise Disagree(f"index and journal tell revision {change.revision} differently")
