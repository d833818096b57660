"""Removal: a tombstone for each instance; the bytes stay, so that it can be undone, until they are reclaimed."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.index.base import Change, Deleted, Index, Removal, Scope
from gateway.model import ResourcePath, Source
from gateway.services.freshness import Freshness
from gateway.services.journal import Journal


class Remove:
    """Deletes studies, series and instances, and brings them back."""

    def __init__(self, index: Index, journal: Journal, freshness: Freshness) -> None:
        self._index = index
        self._journal = journal
        self._freshness = freshness

    async def remove(self, scope: Scope, path: ResourcePath, source: Source, reason: str = "") -> Removal:
        """Durable in index and journal when this returns. Raises NotFound, Gone."""
        removal = await self._index.remove(scope, path, source, reason)
        await self._settled(removal.changes)
        return removal

    async def restore(
        self, scope: Scope, path: ResourcePath, source: Source, reason: str = ""
    ) -> Sequence[Change]:
        """What was deleted last under `path` is there again, as durably. Raises NotFound, Gone, Conflict."""
        changes = await self._index.restore(scope, path, source, reason)
        await self._settled(changes)
        return changes

    async def deleted(
        self, scope: Scope, study: str | None, after: tuple[str, str], limit: int
    ) -> list[Deleted]:
        """What can be restored, by series."""
        return await self._index.deleted(scope, study, after, limit)

    async def _settled(self, changes: Sequence[Change]) -> None:
        self._freshness.forget(changes)
        await self._journal.write(changes)
        await self._index.mark_journaled([change.revision for change in changes])
