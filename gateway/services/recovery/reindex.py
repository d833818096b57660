"""Rebuild of the index from the journal and the objects, as a second index while the first one serves.

Nothing is taken from the serving index before the new one is whole. Changes that the journal lost and the
serving index still holds are taken from there; changes that neither holds are reported.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from gateway.errors import JournalDamaged
from gateway.index.base import Aside, Change, Index, StoredInstance
from gateway.model import VersionId
from gateway.services.journal.journal import Journal
from gateway.services.journal.mending import mend
from gateway.services.journal.problems import Problem
from gateway.services.journal.reading import serialize_told
from gateway.services.journal.tail import tail
from gateway.services.recovery import identity
from gateway.services.recovery.replay import replay
from gateway.services.recovery.reread import Reread
from gateway.services.recovery.startup import compare_ids
from gateway.store.base import ObjectStore

WHOLE, HEADERS = "whole", "headers"
PAGE = 200
# At most so many studies are named for each damage of the journal.
NAMED = 20


@dataclass(slots=True)
class Rebuilt:
    """The result of a rebuild.

    `begun` is the revision that an interrupted run had reached, `caught_up` how many changes were committed
    meanwhile, `filled` how many the serving index gave in place of the journal. `left_out` says whether the
    serving index held other changes than the journal, `journaled` is how many changes were journaled again.
    """

    begun: int = 0
    changes: int = 0
    caught_up: int = 0
    filled: int = 0
    objects: int = 0
    length: int = 0
    restored: int = 0
    seconds: float = 0.0
    left_out: bool = False
    journaled: int = 0
    problems: list[Problem] = field(default_factory=list)


class Reindex:
    """Rebuild of an index as a second one, which then takes its place. An interrupted run is continued."""

    def __init__(
        self, store: ObjectStore, index: Index, *, headers: bool = False, accept_gaps: bool = False
    ) -> None:
        """Take store and serving index.

        With `headers` objects are read up to the pixels only, and their digests are not checked.
        `accept_gaps` gives up changes that damage of the journal took.
        """
        self._store = store
        self._index = index
        self._journal = Journal(store)
        self._mode = HEADERS if headers else WHOLE
        self._accept_gaps = accept_gaps
        self._trusted = False
        self._losses: list[Problem] = []
        self._done = Rebuilt()

    async def run(self, progress: Callable[[int, int], None] = lambda done, total: None) -> Rebuilt:
        """Rebuild the index; `progress` gets the revisions done and their total.

        Raises JournalDamaged unless `accept_gaps`, Conflict where another process rebuilds, ForeignArchive,
        StoreUnavailable, IndexFailure; the serving index is unchanged then.
        """
        began = time.monotonic()
        id = await self._archive()
        aside = await self._index.aside()
        try:
            # Changes committed and not journaled yet would look like a gap, if the journal were read first.
            total = await self._index.last_revision()
            await self._check_journal()
            await self._begin(aside, id)
            await self._replay(aside.index, total, progress)
            while await aside.index.work_on_keys():
                pass
            if id:
                await aside.index.adopt(id)
            self._done.left_out = await aside.has_parted()
            self._done.caught_up = await aside.settle(parted=self._done.left_out)
            self._done.journaled = await mend(self._store, self._index, self._journal, self._losses)
        finally:
            await aside.close()
        self._done.seconds = time.monotonic() - began
        return self._done

    async def list_damaged(self) -> AsyncIterator[StoredInstance]:
        """Yield the versions that the index knows to be damaged, by version id."""
        after = ""
        while page := await self._index.list_damaged(after, PAGE):
            for stored in page:
                yield stored
            after = page[-1].version

    # -- checks before ----------------------------------------------------------------------------------

    async def _archive(self) -> str:
        """Return the archive's id, empty where none was given yet. Raises ForeignArchive."""
        store, index = await identity.read(self._store), await self._index.archive_id()
        last = await self._index.last_revision()
        compare_ids(store, (await tail(self._store, last)).archive, index if last else "")
        self._journal.archive = store
        return store or index

    async def _check_journal(self) -> None:
        """Raise JournalDamaged with all that is wrong, unless gaps are accepted."""
        self._trusted = await self._agrees()
        found = [problem async for problem in self._journal.problems() if problem.is_loss]
        self._losses = found
        self._done.problems = [problem for problem in found if not await self._is_known(problem)]
        if self._done.problems and not self._accept_gaps:
            lines = [f"{problem.sentence}{await self._studies(problem)}" for problem in self._done.problems]
            raise JournalDamaged(
                "\n".join([*lines, "nothing was changed; --accept-gaps rebuilds without what is lost"])
            )

    async def _agrees(self) -> bool:
        """Return whether index and journal hold the same change at the last revision that both know."""
        at = await self._index.last_revision()
        there = (await tail(self._store, at)).change
        mine = await self._index.changes(there.revision - 1, 1) if there is not None else []
        return there is not None and bool(mine) and serialize_told(mine[0]) == serialize_told(there)

    async def _is_known(self, problem: Problem) -> bool:
        """Return whether the serving index holds every change that the journal lost there."""
        if not self._trusted or not problem.first or not problem.last:
            return False
        async with aclosing(self._from_index(problem.first, problem.last)) as pages:
            return sum([len(page) async for page in pages]) == problem.last + 1 - problem.first

    async def _studies(self, problem: Problem) -> str:
        """Return the affected studies in words, as far as the serving index knows them."""
        if not problem.first:
            return ""
        changes = await self._index.changes(problem.first - 1, 1000)
        last = problem.last or problem.first + 1000
        studies = list(dict.fromkeys(c.identity.study for c in changes if c.revision <= last))
        more = f" and {len(studies) - NAMED} more" if len(studies) > NAMED else ""
        return f"; of the studies {', '.join(studies[:NAMED])}{more}" if studies else ""

    async def _begin(self, aside: Aside, id: str) -> None:
        """Continue an interrupted run, if the journal still has its last change; else begin a new one."""
        if await aside.mode() in (WHOLE, self._mode) and await aside.index.archive_id() == id:
            last = await aside.index.last_revision()
            mine = await aside.index.changes(last - 1, 1) if last else []
            if mine and await self._tells(mine[0]):
                self._done.begun = last
                return
        await aside.clear(self._mode)
        if id:
            await aside.index.adopt(id)

    async def _tells(self, change: Change) -> bool:
        async with aclosing(self._changes(change.revision - 1)) as pages:
            async for page in pages:
                return serialize_told(page[0]) == serialize_told(change)
        return False

    # -- replaying --------------------------------------------------------------------------------------

    async def _replay(self, index: Index, total: int, progress: Callable[[int, int], None]) -> None:
        headers = self._mode == HEADERS
        doubted = {stored.version async for stored in self.list_damaged()} if headers else set[VersionId]()
        reread = Reread(self._store, self._index.find_known_versions, headers=headers, doubted=doubted)
        async with aclosing(self._changes(self._done.begun)) as changes:
            async for tally in replay(self._store, index, changes, reread):
                progress(tally.last, max(tally.last, total))
                self._done.changes = tally.changes
        read = reread.tally
        self._done.objects, self._done.length, self._done.restored = read.objects, read.length, read.restored

    async def _changes(self, after: int) -> AsyncGenerator[Sequence[Change], None]:
        """Yield the changes of the journal, with those that it lost and the serving index holds."""
        last = after
        async for page in self._journal.changes(after, accept_gaps=True):
            for run in _runs(page):
                if run[0].revision > last + 1 and self._trusted:
                    async with aclosing(self._from_index(last + 1, run[0].revision - 1)) as pages:
                        async for filled in pages:
                            self._done.filled += len(filled)
                            yield filled
                yield run
                last = run[-1].revision

    async def _from_index(self, first: int, last: int) -> AsyncGenerator[Sequence[Change], None]:
        at = first - 1
        while at < last and (found := await self._index.changes(at, min(PAGE, last - at))):
            at = found[-1].revision
            if kept := [change for change in found if change.revision <= last]:
                yield kept


def _runs(page: Sequence[Change]) -> list[Sequence[Change]]:
    """Return contiguous pieces."""
    cuts = [n for n in range(1, len(page)) if page[n].revision != page[n - 1].revision + 1]
    return [
        page[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(page)], strict=True) if stop > start
    ]
