"""Rebuild the index from the journal and the objects; every answer comes back byte for byte."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from gateway.dicom.part10 import Part10Reader
from gateway.errors import ObjectMissing, StoreError
from gateway.index.base import Change, Index, NewVersion
from gateway.model import VersionId
from gateway.services.journal import Journal
from gateway.store.base import ObjectStore

BATCH = 200


class Reindex:
    """Empties the index, then replays the journal."""

    def __init__(self, store: ObjectStore, index: Index) -> None:
        self._store = store
        self._index = index

    async def run(self, progress: Callable[[int, int], None] = lambda done, total: None) -> int:
        """How many changes were replayed. Raises StoreError when an object the journal names is not whole."""
        changes = await Journal(self._store).all_changes()
        await self._index.reset()
        gone = _reclaimed(changes)
        for start in range(0, len(changes), BATCH):
            batch = changes[start : start + BATCH]
            await self._index.replay(batch, await self._versions(batch, gone))
            progress(start + len(batch), len(changes))
        while await self._index.work_on_keys():
            pass
        return len(changes)

    async def _versions(self, batch: Sequence[Change], gone: set[VersionId]) -> dict[VersionId, NewVersion]:
        versions: dict[VersionId, NewVersion] = {}
        for change in batch:
            if (
                change.kind == "store"
                and change.version_after is not None
                and change.version_after not in gone
            ):
                versions[change.version_after] = await self._read(change, change.version_after)
        return versions

    async def _read(self, change: Change, version: VersionId) -> NewVersion:
        assert change.locator is not None
        reader = Part10Reader(version=version)
        digest = hashlib.sha256()
        try:
            async with self._store.read(change.locator.key) as chunks:
                async for chunk in chunks:
                    digest.update(chunk)
                    reader.feed(chunk)
        except ObjectMissing as error:
            raise StoreError(
                f"object {change.locator.key} is named by the journal and not in the store"
            ) from error
        if digest.digest() != change.file_digest:
            raise StoreError(f"object {change.locator.key} is not what was stored: its digest differs")
        read = reader.finish()
        metadata, outline = read.placed()
        return NewVersion(
            version=version,
            identity=read.identity,
            transfer_syntax=read.transfer_syntax,
            locator=change.locator,
            file_digest=change.file_digest,
            content_digest=change.content_digest,
            received=change.time,
            metadata=metadata,
            outline=outline,
            layout=read.layout,
            source=change.source,
        )


def _reclaimed(changes: Sequence[Change]) -> set[VersionId]:
    return {c.version_before for c in changes if c.kind == "reclaim" and c.version_before is not None}
