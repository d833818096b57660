"""The journal: each committed batch of change rows as one small immutable object in the store.

Objects first, then the index transaction, then the journal object, then the status line: a change that the
journal does not hold was never acknowledged. Objects of the journal can neither collide nor be overwritten:
each is put under its first revision, only where no object is.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import aclosing

from gateway.errors import JournalForked, ObjectExists
from gateway.index.base import Change, Index
from gateway.services.journal.format import MOST_ROWS, Block, blocks, pack_block
from gateway.services.journal.problems import Problem
from gateway.services.journal.reading import Walk, read_object, serialize_told
from gateway.services.objectkeys import log_key, new_version
from gateway.store.base import ObjectStore

LOOK_SECONDS = 600.0
"""A process that has not written for so long first reads the journal.

Log objects may have become segments (see services/journal/segments.py).
"""


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _runs(changes: Sequence[Change]) -> Iterator[list[Change]]:
    """Yield contiguous runs of bounded length."""
    run: list[Change] = []
    for change in changes:
        if run and (change.revision != run[-1].revision + 1 or len(run) == MOST_ROWS):
            yield run
            run = []
        run.append(change)
    if run:
        yield run


class Journal:
    """Writer and reader of journal objects. `archive` is the archive's id, once the start has compared."""

    def __init__(self, store: ObjectStore) -> None:
        self.archive = ""
        self._store = store
        self._writing = asyncio.Lock()
        self._looked = 0.0
        self._draw_writer()

    def _draw_writer(self) -> None:
        self._writer, self._sequence, self._before = new_version(), 1, ""

    # -- writing ----------------------------------------------------------------------------------------

    async def write(self, changes: Iterable[Change]) -> None:
        """Journal these changes, durable when this returns; those that are journaled already are left alone.

        Raises JournalForked where the journal holds another change of one of these revisions, JournalDamaged
        where an object with such a revision cannot be read, StoreError.
        """
        batch = sorted(changes, key=lambda change: change.revision)
        if not batch:
            return
        async with self._writing:
            if time.monotonic() - self._looked > LOOK_SECONDS:
                batch = await self._find_lacking(batch)
            for run in _runs(batch):
                await self._put(run)
            self._looked = time.monotonic()

    async def catch_up(self, index: Index) -> int:
        """Journal changes that were committed and not journaled (a crash came between); return how many."""
        written = 0
        while changes := await index.find_unjournaled():
            async with self._writing:
                for run in _runs(await self._find_lacking(changes)):
                    await self._put(run)
            await index.mark_journaled([change.revision for change in changes])
            written += len(changes)
        return written

    async def tell_again(self, changes: Sequence[Change]) -> int:
        """Journal those of these changes that the journal lacks; return how many. Raises as `write` does."""
        async with self._writing:
            lacking = await self._find_lacking(list(changes)) if changes else []
            for run in _runs(lacking):
                await self._put(run)
        return len(lacking)

    def note_comparison(self) -> None:
        """Note that the journal was compared with the index just now."""
        self._looked = time.monotonic()

    async def _find_lacking(self, changes: list[Change]) -> list[Change]:
        """Return the changes that the journal lacks. Raises JournalForked."""
        known: dict[int, Change] = {}
        last = changes[-1].revision
        walk = Walk(self._store, changes[0].revision - 1, self.archive, with_old=False)
        async with aclosing(walk.run()) as items:
            async for item in items:
                if not isinstance(item, Problem):
                    known.update((change.revision, change) for change in item if change.revision <= last)
                    if item[-1].revision >= last:
                        break
        return _rest(changes, known)

    async def _put(self, run: list[Change]) -> None:
        while run:
            key = log_key(run[0].revision)
            data = pack_block(self.archive, self._writer, self._sequence, self._before, run)
            try:
                await self._store.put(key, _once(data))
            except ObjectExists:
                run = _rest(run, await self._there(key))
            except BaseException:
                # It may be there all the same: the next block must not refer to it.
                self._draw_writer()
                raise
            else:
                self._sequence += 1
                self._before = hashlib.sha256(data).hexdigest()
                return

    async def _there(self, key: str) -> dict[int, Change]:
        (block, *_) = blocks(await read_object(self._store, key))
        if not isinstance(block, Block):
            raise Problem(block.flaw, key, 0, 0).error()
        return {change.revision: change for change in block.changes}

    # -- reading ----------------------------------------------------------------------------------------

    async def changes(self, after: int = 0, *, accept_gaps: bool = False) -> AsyncIterator[Sequence[Change]]:
        """Yield every change above revision `after`, once, in order of revision, in pieces of bounded size.

        Raises JournalDamaged at the first damage, naming it; with `accept_gaps` yields what can be read. Call
        `catch_up` before: committed changes that are not journaled yet look like a gap.
        """
        async for item in Walk(self._store, after, self.archive).run():
            if not isinstance(item, Problem):
                yield item
            elif item.is_loss and not accept_gaps:
                raise item.error()

    async def problems(self, after: int = 0) -> AsyncIterator[Problem]:
        """Yield every damage to revisions above `after`, in order of revision."""
        async for item in Walk(self._store, after, self.archive).run():
            if isinstance(item, Problem):
                yield item

    async def all_changes(self) -> list[Change]:
        """Return every change once, by revision, all in memory."""
        return [change async for changes in self.changes() for change in changes]


def _rest(changes: Sequence[Change], known: dict[int, Change]) -> list[Change]:
    """Return the changes that `known` lacks. Raises JournalForked."""
    for change in changes:
        other = known.get(change.revision)
        if other is not None and serialize_told(other) != serialize_told(change):
            raise JournalForked(
                f"the journal tells another change of revision {change.revision}: "
                "two indexes write to one archive; stop one of them, then run 'dicomweb-gateway verify'"
            )
    return [change for change in changes if change.revision not in known]
