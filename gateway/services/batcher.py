"""Many instances, one commit: what arrives while a batch commits makes up the next one.

The order of durable calls is index transaction, then journal object, then the answer to each waiter.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from gateway.errors import Busy
from gateway.index.base import Admitted, Index, NewVersion, ReceivedAgain, Verdict
from gateway.services.freshness import Freshness
from gateway.services.journal import Journal

MOST_AT_ONCE = 256


class Batcher:
    """Commits offered versions in batches; one task per process."""

    def __init__(self, index: Index, journal: Journal, freshness: Freshness) -> None:
        self._index = index
        self._journal = journal
        self._freshness = freshness
        self._waiting: list[tuple[NewVersion, asyncio.Future[Verdict]]] = []
        self._arrived = asyncio.Event()
        self._journaled: list[int] = []
        self._behind = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop taking; what is under way is finished first, what waits is answered Busy."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        for _, future in self._waiting:
            if not future.done():
                future.set_exception(Busy("the server is shutting down; send the instance again"))
        if self._journaled:
            await self._index.mark_journaled(self._journaled)

    async def admit(self, version: NewVersion) -> Verdict:
        """The verdict on `version`, once it is durable in index and journal."""
        if self._task is None:
            raise Busy("the server is shutting down; send the instance again")
        future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._waiting.append((version, future))
        self._arrived.set()
        return await future

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            if not self._waiting:
                self._arrived.clear()
            committing = asyncio.create_task(self._commit(batch))
            try:
                await asyncio.shield(committing)
            except asyncio.CancelledError:
                await committing
                raise

    async def _commit(self, batch: list[tuple[NewVersion, asyncio.Future[Verdict]]]) -> None:
        try:
            verdicts = await self._settle([version for version, _ in batch])
        except Exception as error:
            # Whatever went wrong, each waiter has to hear of it: a lost future would hang a client for ever.
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), verdict in zip(batch, verdicts, strict=True):
            if not future.done():
                future.set_result(verdict)

    async def _settle(self, versions: list[NewVersion]) -> list[Verdict]:
        if self._behind:
            await self._journal.catch_up(self._index)
            self._behind = False
        verdicts = await self._index.admit(versions, journaled=self._journaled)
        self._journaled = []
        changes = [v.change for v in verdicts if isinstance(v, Admitted | ReceivedAgain)]
        # Seen at once by this worker's readers; other workers learn of it from the change log.
        self._freshness.forget(changes)
        # Until its journal object is there a batch is not acknowledged; if that fails, it comes before the next.
        self._behind = True
        await self._journal.write(changes)
        self._behind = False
        self._journaled = [change.revision for change in changes]
        return verdicts
