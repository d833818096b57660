"""Search in the index, in a scope (PS3.18 10.6)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace

from gateway.dicom.query.query import Path, Query
from gateway.index.base import Index, Page, Scope
from gateway.model import Level
from gateway.services.availablesyntaxes import Available, Obstacle
from gateway.services.timing import measure


class Search:
    """QIDO-RS without its HTTP."""

    def __init__(self, index: Index, obstacle: Obstacle | None = None) -> None:
        self._index = index
        self._available = None if obstacle is None else Available(obstacle)

    async def search(self, scope: Scope, query: Query) -> Page:
        """Return the first rows of a page.

        Raises BadParameter where a key is not indexed and too many candidates would have to be read.
        """
        with measure("index"):
            return self._complete(await self._index.search(scope, query))

    def _complete(self, page: Page) -> Page:
        if self._available is None:
            return page
        return replace(page, rows=self._available.complete(page.rows, page.kinds))

    async def pages(self, scope: Scope, query: Query, page: Page) -> AsyncGenerator[Sequence[bytes], None]:
        """Yield the rows of a page; long rows are read piece by piece: at most two pieces are in memory."""
        while True:
            if page.rows:
                yield page.rows
            if not page.rest:
                return
            with measure("index"):
                page = self._complete(await self._index.read_on(scope, query, page.rest))

    async def counts(self) -> Mapping[Level, int]:
        """Return how many studies, series and instances the index holds, all partitions together."""
        return await self._index.counts()

    async def vrs(self) -> Mapping[Path, str]:
        """Return the VRs of declared query keys."""
        return {key.path: key.vr for key in await self._index.keys()}
