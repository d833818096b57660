"""Removal: a tombstone for each instance; the bytes stay until they are reclaimed."""

from __future__ import annotations

from gateway.index.base import Index, Removal, Scope
from gateway.model import ResourcePath, Source
from gateway.services.freshness import Freshness
from gateway.services.journal import Journal


class Remove:
    """Deletes studies, series and instances."""

    def __init__(self, index: Index, journal: Journal, freshness: Freshness) -> None:
        self._index = index
        self._journal = journal
        self._freshness = freshness

    async def remove(self, scope: Scope, path: ResourcePath, source: Source, reason: str = "") -> Removal:
        """Durable in index and journal when this returns. Raises NotFound, Gone."""
        removal = await self._index.remove(scope, path, source, reason)
        self._freshness.forget(removal.changes)
        await self._journal.write(removal.changes)
        await self._index.mark_journaled([change.revision for change in removal.changes])
        return removal
