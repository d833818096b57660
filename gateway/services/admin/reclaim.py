"""Deletion of the bytes of deleted versions once the undo window has passed.

Index transaction, then journal object, then the objects: objects that a crash leaves are orphans, swept
later, and a reindex gives the same result. Objects outside our store are removed from the index only.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import StoreError
from gateway.index.base import Change, Index
from gateway.model import Source
from gateway.services.background import Background
from gateway.services.commits import Commits
from gateway.services.ingest.inplace import ELSEWHERE
from gateway.services.objectkeys import make_inflated_key
from gateway.store.base import ObjectStore

log = logging.getLogger("gateway.reclaim")

EVERY_SECONDS = 3600.0
STEP = 200
AT_ONCE = 8
SOURCE = Source("reclaim")


@dataclass(slots=True)
class Reclaimed:
    """The result: how much was given up; `left` objects could not be deleted, and are orphans now."""

    versions: int = 0
    length: int = 0
    left: int = 0


class Reclaim:
    """Reclaiming of deleted versions.

    Any number of processes may reclaim at once: the index gives each version to one of them.
    """

    def __init__(self, store: ObjectStore, index: Index, commits: Commits) -> None:
        self._store = store
        self._index = index
        self._commits = commits
        self._background = Background(log, "reclaiming waits")

    async def run(self, window: float) -> Reclaimed:
        """Reclaim all versions deleted `window` seconds ago or earlier.

        Raises IndexFailure, StoreError of the journal.
        """
        before = time.time_ns() // 1000 - round(window * 1e6)
        tally = Reclaimed()

        async def work(name: str) -> Sequence[Change]:
            return await self._index.reclaim(before, SOURCE, STEP, name)

        while changes := await self._commits.change(work):
            await self._give_up(changes, tally)
        return tally

    async def _give_up(self, changes: Sequence[Change], tally: Reclaimed) -> None:
        tally.versions += len(changes)
        for start in range(0, len(changes), AT_ONCE):
            deleted = await asyncio.gather(*(self._delete(c) for c in changes[start : start + AT_ONCE]))
            tally.left += deleted.count(None)
            tally.length += sum(length or 0 for length in deleted)

    async def _delete(self, change: Change) -> int | None:
        """Delete the objects of one change; return the freed bytes, None where the store failed."""
        if change.locator is None or change.version_before is None:
            return 0
        try:
            # The store leaves objects of other places alone.
            await self._store.delete(change.locator.key)
            await self._store.delete(make_inflated_key(change.version_before))
        except StoreError as error:
            log.warning(
                *("%s stays for now: %s", change.locator.key, error.detail),
                extra={"object": change.locator.key, "reason": error.detail},
            )
            return None
        return 0 if change.locator.store == ELSEWHERE else change.locator.length

    # -- in the background ------------------------------------------------------------------------------

    def start(self, window: float | None) -> None:
        """Begin to reclaim once an hour, or once a window where that is shorter.

        Never where `window` is None.
        """
        if window is not None:
            pause = min(EVERY_SECONDS, max(window, 1.0))
            self._background.start(lambda: self._work(window), lambda: asyncio.sleep(pause))

    async def close(self) -> None:
        """Stop in the middle of the work: the next process does the rest."""
        await self._background.close()

    async def _work(self, window: float) -> None:
        tally = await self.run(window)
        if tally.versions:
            log.info("%d deleted versions reclaimed, %d bytes", tally.versions, tally.length)
