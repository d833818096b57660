"""Removal: a tombstone for each instance; the bytes stay for an undo, until they are reclaimed."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.index.base import Change, Deleted, Index, Removal, Scope
from gateway.model import ResourcePath, Source
from gateway.services.commits import Commits


class Remove:
    """Deletion of studies, series and instances, and their restoration."""

    def __init__(self, index: Index, commits: Commits) -> None:
        self._index = index
        self._commits = commits

    async def remove(self, scope: Scope, path: ResourcePath, source: Source, reason: str = "") -> Removal:
        """Delete the instances under `path`; durable in index and journal when this returns.

        Raises NotFound, Gone.

        Where the journal cannot be written the deletion is undone, and StoreError is raised.
        """

        async def work(name: str) -> Sequence[Change]:
            return (await self._index.remove(scope, path, source, reason, name)).changes

        return Removal(await self._commits.change(work, taken_back=True))

    async def restore(
        self, scope: Scope, path: ResourcePath, source: Source, reason: str = ""
    ) -> Sequence[Change]:
        """Restore the versions deleted last under `path`, durable when this returns.

        Raises NotFound, Gone, Conflict, and StoreError as `remove` does.
        """

        async def work(name: str) -> Sequence[Change]:
            return await self._index.restore(scope, path, source, reason, name)

        return await self._commits.change(work, taken_back=True)

    async def list_deleted(
        self, scope: Scope, study: str | None, after: tuple[str, str], limit: int
    ) -> list[Deleted]:
        """Return deleted instances that can be restored, by series."""
        return await self._index.list_deleted(scope, study, after, limit)
