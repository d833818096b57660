"""Compare journal, index and store, both ways, and name each difference."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from gateway.errors import ObjectChanged, ObjectMissing
from gateway.index.base import Change, Index, StoredInstance
from gateway.services.journal import Journal
from gateway.services.naming import version_of
from gateway.store.base import ObjectStore

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Difference:
    """`kind` is one of 'object missing', 'object changed' (it lies elsewhere), 'object length', 'object digest', 'orphan',
    'not in index', 'not in journal', 'journal differs'. An orphan is no damage: it was never acknowledged, or
    has been reclaimed."""

    kind: str
    what: str

    @property
    def is_damage(self) -> bool:
        return self.kind != "orphan"


class Verify:
    """Reads everything, changes nothing."""

    def __init__(self, store: ObjectStore, index: Index) -> None:
        self._store = store
        self._index = index

    async def differences(self, *, digests: bool = True) -> AsyncIterator[Difference]:
        """`digests` reads every object whole; without it only presence and length are compared."""
        known: set[str] = set()
        versions: set[str] = set()
        async for stored, state in self._index.all_versions():
            versions.add(stored.version)
            if state != "reclaimed":
                known.add(stored.locator.key)
                async for difference in self._object(stored, digests):
                    yield difference
        async for found in self._store.list(""):
            if version_of(found.key) and found.key not in known:
                yield Difference("orphan", found.key)
        async for difference in self._journal(versions):
            yield difference

    async def _object(self, stored: StoredInstance, digests: bool) -> AsyncIterator[Difference]:
        what = f"{stored.locator.key} ({stored.identity.instance})"
        try:
            found = await self._store.stat(stored.locator.key)
            if found.length < stored.locator.offset + stored.locator.length:
                yield Difference("object length", what)
            elif digests and await self._digest(stored) != stored.file_digest:
                yield Difference("object digest", what)
        except ObjectMissing:
            yield Difference("object missing", what)
        except ObjectChanged:
            yield Difference("object changed", what)

    async def _digest(self, stored: StoredInstance) -> bytes:
        digest = hashlib.sha256()
        async with self._store.read(stored.locator.key) as chunks:
            async for chunk in chunks:
                digest.update(chunk)
        return digest.digest()

    async def _journal(self, versions: set[str]) -> AsyncIterator[Difference]:
        written = {change.revision: change for change in await Journal(self._store).all_changes()}
        after = 0
        while changes := await self._index.changes(after, PAGE):
            after = changes[-1].revision
            for change in changes:
                journaled = written.pop(change.revision, None)
                if journaled is None:
                    yield Difference("not in journal", f"revision {change.revision}")
                elif not _same(journaled, change):
                    yield Difference("journal differs", f"revision {change.revision}")
        for revision, change in written.items():
            yield Difference(
                "not in index", f"revision {revision} ({change.kind} {change.identity.instance})"
            )
            if change.kind == "store" and change.version_after not in versions:
                yield Difference("not in index", f"version {change.version_after}")


def _same(left: Change, right: Change) -> bool:
    """The times and sources are told by both; what matters is who, what and which version."""
    return (left.kind, left.identity, left.version_before, left.version_after) == (
        right.kind,
        right.identity,
        right.version_before,
        right.version_after,
    )
