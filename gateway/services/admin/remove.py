"""Removal: a tombstone for each instance; the bytes stay, so that it can be undone, until they are reclaimed."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.index.base import Change, Deleted, Index, Removal, Scope
from gateway.model import ResourcePath, Source
from gateway.services.commits import Commits


class Remove:
    """Deletes studies, series and instances, and brings them back."""

    def __init__(self, index: Index, commits: Commits) -> None:
        self._index = index
        self._commits = commits

    async def remove(self, scope: Scope, path: ResourcePath, source: Source, reason: str = "") -> Removal:
        """Durable in index and journal when this returns. Raises NotFound, Gone.

        Where the journal cannot be written it is taken back, and StoreError is raised.
        """

        async def work(name: str) -> Sequence[Change]:
            return (await self._index.remove(scope, path, source, reason, name)).changes

        return Removal(await self._commits.change(work, taken_back=True))

    async def restore(
        self, scope: Scope, path: ResourcePath, source: Source, reason: str = ""
    ) -> Sequence[Change]:
        """What was deleted last under `path` is there again, as durably. Raises NotFound, Gone, Conflict."""

        async def work(name: str) -> Sequence[Change]:
            return await self._index.restore(scope, path, source, reason, name)

        return await self._commits.change(work, taken_back=True)

    async def list_deleted(
        self, scope: Scope, study: str | None, after: tuple[str, str], limit: int
    ) -> list[Deleted]:
        """What can be restored, by series."""
        return await self._index.list_deleted(scope, study, after, limit)
