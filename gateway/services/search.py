"""Search: the index answers, in this scope (PS3.18 10.6)."""

from __future__ import annotations

from gateway.dicom.query import Query
from gateway.index.base import Index, Page, Scope
from gateway.services.timing import measured


class Search:
    """QIDO-RS without its HTTP."""

    def __init__(self, index: Index) -> None:
        self._index = index

    async def search(self, scope: Scope, query: Query) -> Page:
        """Raises BadParameter where a key is not indexed and too many candidates would have to be looked into."""
        with measured("index"):
            return await self._index.search(scope, query)
