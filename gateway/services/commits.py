"""The one path of every change: index transaction, then journal object, then the answer to each waiter.

One task per process. Stores that arrive while a batch commits make up the next one; other changes come
one at a time between them. After any failure with an unknown outcome, the index is asked what it holds
before the next change.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway.errors import Busy, GatewayError, IndexUnavailable, StoreError, StoreUnavailable
from gateway.index.base import Admitted, Change, Index, NewVersion, ReceivedAgain, Verdict
from gateway.services.freshness import Freshness
from gateway.services.journal.journal import Journal
from gateway.services.lostanswers import Lookup, Work

log = logging.getLogger("gateway.commits")

MOST_AT_ONCE = 256
LOOK_SECONDS = 2.0
NOT_JOURNALED = "taken back: the journal could not be written"


@dataclass(frozen=True, slots=True)
class _Store:
    version: NewVersion
    future: asyncio.Future[Verdict]


@dataclass(frozen=True, slots=True)
class _Other:
    work: Work
    taken_back: bool
    future: asyncio.Future[Sequence[Change]]


_Asked: TypeAlias = _Store | _Other


class Commits:
    """Commits and journals changes; one for the whole process.

    `look_seconds` is how often it looks for changes that another process committed and did not journal.
    """

    def __init__(
        self, index: Index, journal: Journal, freshness: Freshness, *, look_seconds: float = LOOK_SECONDS
    ) -> None:
        self._index = index
        self._journal = journal
        self._freshness = freshness
        self._look_seconds = look_seconds
        self._lookup = Lookup(index)
        self._waiting: deque[_Asked] = deque()
        self._arrived = asyncio.Event()
        self._journaled: list[int] = []
        """Revisions whose journal object is durable; the next batch marks them in the index."""
        self._behind = False
        """Whether the index may hold changes that the journal lacks: these are journaled first."""
        self._owed: list[Sequence[Change]] = []
        """Changes that were answered with a failure and are still to be taken back."""
        self._seen: set[int] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop taking changes; those under way are finished first, those waiting are answered Busy."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        for asked in self._waiting:
            if not asked.future.done():
                asked.future.set_exception(_closing())
        self._waiting.clear()
        with suppress(GatewayError):  # the next process that starts does it
            await self._ready()
            await self._mark()

    # -- calls ------------------------------------------------------------------------------------------

    async def admit(self, version: NewVersion) -> Verdict:
        """Return the verdict on `version`, once it is durable in index and journal.

        Raises IndexUnavailable where nobody can tell whether it was stored, StoreError where it could not be
        journaled: it may be stored, and can be sent again.
        """
        future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._take(_Store(version, future))
        return await future

    async def change(self, work: Work, *, taken_back: bool = False) -> Sequence[Change]:
        """Return the changes that `work` committed, once they are journaled.

        `work` gets the name of its transaction. `taken_back` undoes a deletion or restoration that cannot be
        journaled, so that the failure is true. Raises what `work` does, IndexUnavailable where nobody can
        tell whether it was done, StoreError.
        """
        future: asyncio.Future[Sequence[Change]] = asyncio.get_running_loop().create_future()
        self._take(_Other(work, taken_back, future))
        return await future

    def _take(self, asked: _Asked) -> None:
        if self._task is None:
            raise _closing()
        self._waiting.append(asked)
        self._arrived.set()

    # -- the task ---------------------------------------------------------------------------------------

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._look_seconds
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._arrived.wait()
            if self._waiting:
                await _run_to_end(self._next())
            if not self._waiting:
                self._arrived.clear()
            if loop.time() >= due:
                await _run_to_end(self.look_after())
                due = loop.time() + self._look_seconds

    def _next(self) -> Coroutine[Any, Any, None]:
        first = self._waiting.popleft()
        if isinstance(first, _Other):
            return self._other(first)
        batch = [first]
        while self._waiting and len(batch) < MOST_AT_ONCE and isinstance(self._waiting[0], _Store):
            batch.append(self._waiting.popleft())  # type: ignore[arg-type]  # the line above looked
        return self._stores(batch)

    async def _stores(self, batch: Sequence[_Store]) -> None:
        answers: Sequence[Verdict | BaseException]
        try:
            answers = await self._settle([asked.version for asked in batch])
        except BaseException as error:
            # Whatever went wrong, each waiter has to hear of it: a lost future would hang a client for ever.
            answers = [error] * len(batch)
        for asked, answer in zip(batch, answers, strict=True):
            if asked.future.done():
                continue
            if isinstance(answer, BaseException):
                asked.future.set_exception(answer)
            else:
                asked.future.set_result(answer)

    async def _other(self, asked: _Other) -> None:
        try:
            changes = await self._perform(asked)
        except BaseException as error:
            if not asked.future.done():
                asked.future.set_exception(error)
            return
        if not asked.future.done():
            asked.future.set_result(changes)

    # -- commits, one after another ---------------------------------------------------------------------

    async def _settle(self, versions: list[NewVersion]) -> Sequence[Verdict | Exception]:
        await self._ready()
        answers, is_plain = await self._admit(versions)
        changes = [v.change for v in answers if isinstance(v, Admitted | ReceivedAgain)]
        # Readers of this worker see it at once; other workers learn of it from the change log.
        self._freshness.forget(changes)
        # Until its journal object is there a batch is not acknowledged; if that fails, it
        # comes before the next.
        if is_plain and all(v.is_journaled for v in answers if isinstance(v, ReceivedAgain)):
            await self._write(changes)
        else:
            await self._catch_up()
        self._behind = False
        return answers

    async def _admit(self, versions: list[NewVersion]) -> tuple[Sequence[Verdict | Exception], bool]:
        """Return the answers, and whether they all come from one transaction."""
        self._behind = True
        try:
            verdicts = await self._index.admit(versions, journaled=self._journaled)
        except IndexUnavailable as error:
            log.warning(
                "%d stores: %s; looked up", len(versions), error.detail, extra={"reason": error.detail}
            )
            return await self._lookup.stores(versions, error), False
        except GatewayError:
            self._behind = False  # the index has answered: nothing was committed
            raise
        self._journaled = []
        return verdicts, True

    async def _perform(self, asked: _Other) -> Sequence[Change]:
        await self._ready()
        self._behind = True
        try:
            changes = await self._lookup.perform(asked.work)
        except IndexUnavailable:
            raise
        except GatewayError:
            self._behind = False
            raise
        self._freshness.forget(changes)
        try:
            await self._write(changes)
        except StoreError:
            if asked.taken_back:
                self._owed.append(changes)
                await self._take_back()
                with suppress(GatewayError):  # both changes are journaled together, if at all
                    await self._ready()
            raise
        self._behind = False
        return changes

    async def _take_back(self) -> None:
        """Undo changes that could not be journaled.

        Raises IndexUnavailable: then it is done before the next change.
        """
        while self._owed:
            changes = self._owed[0]
            back = await self._lookup.perform(
                lambda name, c=changes: self._index.take_back(c, NOT_JOURNALED, name)  # type: ignore[misc]
            )
            self._owed.pop(0)
            self._freshness.forget(back)
            log.warning("%d changes were taken back: the journal could not be written", len(back))

    # -- keeping the journal complete -------------------------------------------------------------------

    async def _ready(self) -> None:
        """Journal all changes that the index holds, before the next one. Raises IndexFailure, StoreError."""
        if self._behind:
            await self._take_back()
            await self._catch_up()
            self._behind = False

    async def _write(self, changes: Sequence[Change]) -> None:
        try:
            await self._journal.write(changes)
        except StoreUnavailable:
            await self._journal.write(changes)  # it may be there: writing the same lines twice does no harm
        self._journaled += [change.revision for change in changes]

    async def _catch_up(self) -> None:
        await self._mark()
        await self._journal.catch_up(self._index)

    async def _mark(self) -> None:
        if self._journaled:
            await self._index.mark_journaled(self._journaled)
            self._journaled = []

    async def look_after(self) -> None:
        """Journal changes that another process committed and did not journal.

        They were there at the last look already: their process has died. Where it is only slow, no harm is
        done: the journal takes the same lines twice.
        """
        try:
            await self._ready()
            await self._mark()
            found = {change.revision for change in await self._index.find_unjournaled()}
            if found & self._seen:
                written = await self._journal.catch_up(self._index)
                log.warning("%d changes journaled that another process had not", written)
                found = set()
            self._seen = found
        except GatewayError as error:
            log.warning("the journal waits: %s", error.detail, extra={"reason": error.detail})
        except Exception as error:
            # Were this the end of the task, clients that store would wait for ever.
            log.error("the journal waits", exc_info=error)


async def _run_to_end(work: Coroutine[Any, Any, None]) -> None:
    """Run the work to its end, also when cancelled meanwhile: nothing is left half done."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


def _closing() -> Busy:
    return Busy("the server is shutting down; send the instance again")
