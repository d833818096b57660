"""Instances set aside by a rule: listed, released into their partition, or discarded.

They are stored, journaled and indexed as any other, in a partition that no search or retrieval reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from gateway.dicom.query.query import Query
from gateway.errors import NotFound
from gateway.index.base import Index, Page, Scope, StoredInstance
from gateway.model import Level, ResourcePath, Source, quarantine_of
from gateway.services.admin.remove import Remove
from gateway.services.ingest.ingest import Ingest
from gateway.services.ingest.outcomes import Outcome
from gateway.services.ingest.policy import Rule
from gateway.store.base import ObjectStore

AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Released:
    """The result of a release: how many instances are in their partition now, and the outcomes of others."""

    count: int
    failed: Sequence[Outcome]


class Quarantine:
    """The quarantine of each partition; `rule` is applied to instances when they are released."""

    def __init__(self, store: ObjectStore, index: Index, ingest: Ingest, remove: Remove, rule: Rule) -> None:
        self._store = store
        self._index = index
        self._ingest = ingest
        self._remove = remove
        self._rule = rule

    async def list_series(self, scope: Scope, limit: int, offset: int) -> Page:
        """Return quarantined series as DICOM JSON, in default order."""
        if not scope.is_whole:
            return Page(())
        return await self._index.search(_aside(scope), Query(Level.SERIES, limit=limit, offset=offset))

    async def release(self, scope: Scope, path: ResourcePath, source: Source) -> Released:
        """Store the instances under `path` in their partition; those that fail stay in quarantine.

        Raises NotFound, Gone where none is in quarantine.
        """
        count, failed = 0, list[Outcome]()
        found = await self._index.instances(self._scope(scope, path), path)
        for start in range(0, len(found), AT_ONCE):
            batch = found[start : start + AT_ONCE]
            outcomes = await asyncio.gather(*(self._one(stored, source) for stored in batch))
            for stored, outcome in zip(batch, outcomes, strict=True):
                if outcome.failure is not None:
                    failed.append(outcome)
                    continue
                await self._remove.remove(_aside(scope), stored.identity.path, source, "released")
                count += 1
        return Released(count, failed)

    async def discard(self, scope: Scope, path: ResourcePath, source: Source) -> None:
        """Delete the quarantined instances under `path`. Raises NotFound, Gone."""
        await self._remove.remove(self._scope(scope, path), path, source, "discarded")

    def _scope(self, scope: Scope, path: ResourcePath) -> Scope:
        if not scope.is_whole:
            uid = path.instance or path.series or path.study
            raise NotFound(f"{path.level.value} {uid} is not known here", uid=uid)
        return _aside(scope)

    async def _one(self, stored: StoredInstance, source: Source) -> Outcome:
        session = self._ingest.session(source, rule=self._rule)
        await session.take(self._bytes(stored))
        return (await session.finish())[0]

    async def _bytes(self, stored: StoredInstance) -> AsyncIterator[bytes]:
        async with self._store.read(stored.locator.key) as chunks:
            async for chunk in chunks:
                yield chunk


def _aside(scope: Scope) -> Scope:
    return Scope(quarantine_of(scope.partition))
