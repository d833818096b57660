"""Comparison of journal and index in order of revision, without holding either of them whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from gateway.index.base import Change, Index
from gateway.model import VersionId
from gateway.services.journal.journal import Journal
from gateway.services.journal.reading import serialize_told

PAGE = 1000
# How many versions that only the journal names are remembered; above that, any object may be a named one.
MOST_LOST = 100_000


@dataclass(slots=True)
class _Run:
    """Neighbouring revisions with the same kind of difference."""

    kind: str
    first: Change
    last: Change
    count: int = 1

    def takes(self, kind: str, change: Change) -> bool:
        """Add `change` if it continues the run; return whether it does."""
        if kind != self.kind or change.revision != self.last.revision + 1:
            return False
        self.last = change
        self.count += 1
        return True

    @property
    def what(self) -> str:
        """The run in words."""
        first, last = self.first.revision, self.last.revision
        who = f"{self.first.kind} {self.first.identity.instance}"
        if self.count == 1:
            return f"revision {first} ({who})"
        return f"revisions {first} to {last} ({who} and {self.count - 1} more)"


class Compared:
    """The differences between the changes of index and journal."""

    def __init__(self, index: Index, journal: Journal) -> None:
        self._index = index
        self._journal = journal
        self._lost: set[VersionId] = set()
        self._more = False

    def is_lost(self, version: VersionId) -> bool:
        """Return whether only the journal names this version, as far as `run` has seen."""
        return version in self._lost or self._more

    async def run(self) -> AsyncIterator[tuple[str, str]]:
        """Yield kind and words of each difference; neighbouring revisions are put together."""
        # Changes committed after this may not be journaled yet.
        last = await self._index.last_revision()
        waiting = {change.revision for change in await self._index.find_unjournaled()}
        run: _Run | None = None
        async with aclosing(self._merge(last)) as differing:
            async for kind, change in differing:
                kind = "unjournaled" if kind == "not in journal" and change.revision in waiting else kind
                if run is not None and not run.takes(kind, change):
                    if await self._stands(run):
                        yield run.kind, run.what
                    run = None
                run = run or _Run(kind, change, change)
        if run is not None and await self._stands(run):
            yield run.kind, run.what
        async with aclosing(self._read_index(last)) as pages:
            async for page in pages:
                for change in await self._without_version(page):
                    yield "not in index", f"version {change.version_after} ({change.identity.instance})"

    async def _without_version(self, page: Sequence[Change]) -> list[Change]:
        """Return 'store' changes of the index whose versions it does not hold."""
        stored = {c.version_after: c for c in page if c.kind == "store" and c.version_after is not None}
        named = await self._index.find_named_versions(list(stored))
        lost = [change for version, change in stored.items() if version not in named]
        for change in lost:
            self._remember(change)
        return lost

    async def _stands(self, run: _Run) -> bool:
        """Return whether the difference is still there: changes may have been journaled by now."""
        if run.kind not in ("not in journal", "unjournaled"):
            return True
        async with aclosing(
            _flatten_pages(self._journal.changes(run.first.revision - 1, accept_gaps=True))
        ) as pages:
            async for page in pages:
                return page[0].revision > run.last.revision
        return True

    async def _merge(self, last: int) -> AsyncGenerator[tuple[str, Change], None]:
        async with (
            aclosing(_flatten_pages(self._journal.changes(0, accept_gaps=True))) as journal,
            aclosing(self._read_index(last)) as index,
        ):
            theirs, ours = _Rows(journal), _Rows(index)
            while True:
                there, here = await theirs.first(), await ours.first()
                if there is None and here is None:
                    return
                if here is None or (there is not None and there.revision < here.revision):
                    assert there is not None
                    theirs.drop()
                    if there.revision <= last or not await self._holds(there):
                        self._remember(there)
                        yield "not in index", there
                elif there is None or here.revision < there.revision:
                    ours.drop()
                    yield "not in journal", here
                else:
                    theirs.drop()
                    ours.drop()
                    if serialize_told(there) != serialize_told(here):
                        yield "journal differs", here

    async def _holds(self, change: Change) -> bool:
        """Return whether the index holds by now a change of the journal."""
        found = await self._index.changes(change.revision - 1, 1)
        return bool(found) and serialize_told(found[0]) == serialize_told(change)

    def _remember(self, change: Change) -> None:
        if change.kind != "store" or change.version_after is None:
            return
        if len(self._lost) < MOST_LOST:
            self._lost.add(change.version_after)
        else:
            self._more = True

    async def _read_index(self, last: int) -> AsyncGenerator[Sequence[Change], None]:
        after = 0
        while after < last and (page := await self._index.changes(after, PAGE)):
            after = page[-1].revision
            yield [change for change in page if change.revision <= last]


class _Rows:
    """Pages, one row at a time."""

    def __init__(self, pages: AsyncGenerator[Sequence[Change], None]) -> None:
        self._pages = pages
        self._page: Sequence[Change] = ()
        self._at = 0

    async def first(self) -> Change | None:
        """Return the next row; None where there are no more."""
        while self._at >= len(self._page):
            page = await anext(self._pages, None)
            if page is None:
                return None
            self._page, self._at = page, 0
        return self._page[self._at]

    def drop(self) -> None:
        """Go on to the next row."""
        self._at += 1


async def _flatten_pages(pages: AsyncIterator[Sequence[Change]]) -> AsyncGenerator[Sequence[Change], None]:
    async for page in pages:
        yield page
