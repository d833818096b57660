"""Read metadata below a path from one snapshot: at once where it is short, else in pages."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from gateway.index.base import DescribedMetadata, Index, Scope
from gateway.model import ResourcePath, VersionId
from gateway.services.freshness import Freshness, StudyCache
from gateway.services.inflight import InFlight
from gateway.services.retrieve.layouts import make_damaged
from gateway.services.timing import measure

METADATA_AT_MOST = 64 << 20
# Bytes of metadata that are read and answered at once; more are read in pages while they are sent.
METADATA_AT_ONCE = 8 << 20
PAGE_BYTES, PAGE_ROWS = 4 << 20, 500
# A page is counted three times: its JSON, the answer made from it, and the compressed answer.
PAGE_WEIGHT = 3


class Metadata:
    """Reads metadata; short metadata is cached by the fingerprint of its versions."""

    def __init__(self, index: Index, freshness: Freshness, inflight: InFlight) -> None:
        self._index = index
        self._inflight = inflight
        self._kept: StudyCache[DescribedMetadata] = freshness.watch(StudyCache(METADATA_AT_MOST))

    async def describe(
        self, scope: Scope, path: ResourcePath, version_set: str | None = None
    ) -> DescribedMetadata:
        """Return the metadata below a path and the fingerprint of exactly these versions.

        `version_set` is a fingerprint that the caller read before; the returned one may differ. Long
        metadata comes without rows: `pages` reads them. Raises NotFound, Gone, ObjectDamaged where all
        instances are damaged.
        """
        with measure("index"):
            known = version_set or await self._index.version_set(scope, path)
            cached = self._kept.get((scope.fingerprint, path, known))
            if cached is None:
                cached = await self._index.describe(scope, path, METADATA_AT_ONCE)
                if not cached.versions:
                    raise make_damaged((await self._index.instances(scope, path))[0])
                if cached.rows is not None:
                    key = (scope.fingerprint, path, cached.version_set)
                    weight = sum(map(len, cached.rows)) + 256 * len(cached.rows)
                    self._kept.put(key, cached, study=path.study, weight=weight)
        return cached

    async def pages(self, scope: Scope, versions: Sequence[VersionId]) -> AsyncGenerator[list[bytes], None]:
        """Yield the metadata of these versions in pages; the next page is read when the caller asks for it.

        Raises Busy, NotFound.
        """
        at = 0
        while at < len(versions):
            held = await self._inflight.take(PAGE_WEIGHT * PAGE_BYTES, within=at > 0)
            try:
                with measure("index"):
                    rows = await self._index.bodies(scope, versions[at : at + PAGE_ROWS], PAGE_BYTES)
                at += len(rows)
                yield rows
            finally:
                held.release()

    async def read_all(self, scope: Scope, path: ResourcePath) -> list[bytes]:
        """Return all DICOM JSON objects in default order, with NUL bytes in place of the base URL.

        For one instance, or a few. Raises NotFound, Gone, ObjectDamaged, Busy.
        """
        described = await self.describe(scope, path)
        if described.rows is not None:
            return list(described.rows)
        return [row async for page in self.pages(scope, described.versions) for row in page]
