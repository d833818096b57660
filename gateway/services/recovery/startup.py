"""Checks before an archive is used: objects, journal and index belong together, and hold the same changes.

The journal is listed first and the index read after it: every change in the journal was committed
before. An index that lacks changes is replayed where that is allowed, one that has more is journaled;
all else is refused.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from gateway.errors import ForeignArchive, IndexBehind
from gateway.index.base import Change, Index
from gateway.services.journal.journal import Journal
from gateway.services.journal.reading import serialize_told
from gateway.services.journal.tail import Tail, tail
from gateway.services.recovery import identity
from gateway.services.recovery.replay import replay
from gateway.store.base import ObjectStore

log = logging.getLogger("gateway.startup")

PAGE = 1000
Progress = Callable[[int, int], None]


def _quiet(done: int, total: int) -> None:
    del done, total


@dataclass(frozen=True, slots=True)
class _Seen:
    """The ids and last revisions that store, journal and index hold."""

    store_id: str
    index_id: str
    journal: Tail
    last: int

    @property
    def id(self) -> str:
        """The id of the archive, empty where none of them has one."""
        return self.store_id or self.journal.archive or (self.index_id if self.last else "")


class Startup:
    """Comparison of store, journal and index, which then brings the last two to the same revision."""

    def __init__(self, store: ObjectStore, index: Index, journal: Journal) -> None:
        self._store = store
        self._index = index
        self._journal = journal

    async def run(self, *, may_replay: bool, progress: Progress = _quiet) -> None:
        """Compare, then replay or journal the missing changes.

        Raises ForeignArchive, IndexBehind unless `may_replay`, JournalDamaged where the journal
        has to be replayed.
        """
        seen = await self.check()
        if seen.journal.last > seen.last and not may_replay:
            raise IndexBehind(
                f"the index holds {seen.last} of the {seen.journal.last} changes that the journal tells of: "
                "run 'dicomweb-gateway reindex', or 'serve --rebuild'; "
                "or give the index that belongs to this store"
            )
        await self._settle(seen)
        if seen.journal.last > seen.last:
            await self._replay(seen, progress)
        else:
            await self._journal.catch_up(self._index)
            await self._journal_rest(seen.journal.last)
        self._journal.note_comparison()

    async def check(self) -> _Seen:
        """Refuse store, journal and index that do not belong together; nothing is changed.

        Raises ForeignArchive.
        """
        store_id = await identity.read(self._store)
        at = await self._index.last_revision()
        journal = await tail(self._store, at)
        seen = _Seen(store_id, await self._index.archive_id(), journal, await self._index.last_revision())
        compare_ids(seen.store_id, seen.journal.archive, seen.index_id if seen.last else "")
        await self._compare_change(seen)
        self._journal.archive = seen.id
        return seen

    async def _compare_change(self, seen: _Seen) -> None:
        """Raise ForeignArchive where index and journal differ at the last revision that both know."""
        there = seen.journal.change
        if there is None:
            if at := min(seen.last, seen.journal.last):
                log.error(
                    "what the journal tells of revision %d cannot be read: run 'dicomweb-gateway verify'", at
                )
            if not seen.journal.last and seen.last and not await self._is_all_unjournaled():
                raise ForeignArchive(
                    f"the index holds {seen.last} changes and the store has no journal of them: "
                    "the store is not the one that belongs to this index, or its journal was lost: give the store "
                    "of this index, or run 'dicomweb-gateway reindex', which writes the journal again"
                )
            return
        for mine in await self._index.changes(there.revision - 1, 1):
            if mine.revision == there.revision and serialize_told(mine) != serialize_told(there):
                raise ForeignArchive(
                    f"index and journal tell different changes of revision {there.revision}: the index is of "
                    "another archive, or went another way since a backup; give the index that belongs to this "
                    "store, or run 'dicomweb-gateway reindex'"
                )

    async def _is_all_unjournaled(self) -> bool:
        first = await self._index.find_unjournaled(1)
        return bool(first) and first == await self._index.changes(0, 1)

    async def _settle(self, seen: _Seen) -> None:
        """Write the archive's id into store and index."""
        id = seen.id
        if not seen.store_id:
            id = await identity.name(self._store, id)
            log.info("archive %s: its archive.json was made", id)
        if seen.index_id != id:
            await self._index.adopt(id)
        self._journal.archive = id

    async def _replay(self, seen: _Seen, progress: Progress) -> None:
        missing = seen.journal.last - seen.last
        log.warning("the index lacks %d of %d changes: they are replayed", missing, seen.journal.last)
        changes = self._journal.changes(seen.last)
        async for tally in replay(self._store, self._index, changes):
            progress(tally.changes, max(missing, tally.changes))
            for damage in tally.damages:
                where = damage.change.locator
                about = {"object": where.key} if where else {}
                log.error("revision %d: %s", damage.change.revision, damage.detail, extra=about)
        while await self._index.work_on_keys():
            pass

    async def _journal_rest(self, last: int) -> None:
        """Journal changes that are marked as journaled and are not: the journal's end was lost."""
        async with aclosing(_pages(self._index, last)) as pages:
            async for changes in pages:
                log.warning(
                    "the journal lacked revisions %d to %d: written again",
                    *(changes[0].revision, changes[-1].revision),
                )
                await self._journal.write(changes)


async def _pages(index: Index, after: int) -> AsyncGenerator[Sequence[Change], None]:
    while changes := await index.changes(after, PAGE):
        after = changes[-1].revision
        yield changes


def compare_ids(store: str, journal: str, index: str) -> None:
    """Raise ForeignArchive where the ids differ. `index` is empty where it holds no change."""
    if store and journal and store != journal:
        raise ForeignArchive(
            f"the store's archive.json names archive {store}, its journal archive {journal}: "
            "one of them was copied here from another archive"
        )
    theirs = store or journal
    if index and theirs and index != theirs:
        raise ForeignArchive(
            f"the index belongs to archive {index}, the store to archive {theirs}: give the index of this store"
        )
    if index and not theirs:
        raise ForeignArchive(
            f"the index belongs to archive {index}, and the store has neither an archive.json nor a journal "
            "that names it: the store is another one, or was emptied"
        )
