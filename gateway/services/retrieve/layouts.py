"""Find and cache the layouts of instances: where the values of an instance lie.

The layouts of a series that a viewer walks through are read ahead.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass

from gateway.dicom.encoding.layout import InstanceLayout
from gateway.errors import GatewayError, Gone, ObjectDamaged
from gateway.index.base import Index, Scope, StoredInstance
from gateway.model import ResourcePath
from gateway.services.freshness import Freshness, StudyCache
from gateway.services.timing import measure

# Bytes; a layout of a million fragments has 24 MB.
LAYOUTS_AT_MOST = 48 << 20
# Approximate bytes of a layout in memory without its tables, and of each of its bulk values.
LAYOUT_WEIGHT, BULK_WEIGHT = 2048, 256
# Instances that are read ahead: a page of them costs as much as ten single look-ups.
AHEAD = 128
SERIES_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class StoredLayout:
    """A version of an instance and where its values lie."""

    stored: StoredInstance
    layout: InstanceLayout

    @property
    def native(self) -> bool:
        """Return whether the pixel data, if any, is not encapsulated."""
        return self.layout.pixels is None or not self.layout.pixels.encapsulated


def weight_of(layout: InstanceLayout) -> int:
    """Return the approximate bytes that a layout takes in memory."""
    pixels = layout.pixels
    tables = (pixels.starts, pixels.lengths, pixels.first) if pixels is not None else ()
    return LAYOUT_WEIGHT + BULK_WEIGHT * len(layout.bulk) + sum(len(t) * t.itemsize for t in tables)


def make_damaged(stored: StoredInstance) -> ObjectDamaged:
    """Return the error for a damaged instance; it names the instance and the damage.

    It is not a 404: the instance was stored, and the fault is the archive's.
    """
    uid = stored.identity.instance
    return ObjectDamaged(f"instance {uid} is damaged in the archive: {stored.damage}", uid=uid)


class Layouts:
    """Finds layouts by path or version.

    A second miss in a series says that a viewer walks through it: the layouts that follow are read in one
    query, in the background.
    """

    def __init__(self, index: Index, freshness: Freshness) -> None:
        self._index = index
        self._freshness = freshness
        self._cache: StudyCache[StoredLayout] = freshness.watch(StudyCache(LAYOUTS_AT_MOST))
        self._missed: OrderedDict[tuple[str, str | None, str | None], None] = OrderedDict()
        self._ahead: dict[tuple[str, str | None, str | None], asyncio.Task[None]] = {}

    async def locate(self, scope: Scope, path: ResourcePath) -> StoredLayout:
        """Return the current version of one instance. Raises NotFound, Gone, ObjectDamaged."""
        found = self._cache.get((scope.fingerprint, path)) if self._freshness.is_fresh else None
        if found is None:
            generation = self._freshness.generation
            with measure("index"):
                found = StoredLayout(*await self._index.layout(scope, path))
            self._keep(scope, found, generation)
            self._read_ahead(scope, path)
        if found.stored.damage:
            raise make_damaged(found.stored)
        return found

    async def find(self, scope: Scope, stored: StoredInstance) -> StoredLayout:
        """Return the layout of an instance that was listed before, even if it was deleted since.

        Raises Gone once its bytes were reclaimed, ObjectDamaged.
        """
        if stored.damage:
            raise make_damaged(stored)
        path = stored.identity.path
        found = self._cache.get((scope.fingerprint, path))
        # A version never changes: even an old cache entry is right.
        if found is None or found.stored.version != stored.version:
            found = self._cache.get(stored.version)
        if found is not None:
            return found
        with measure("index"):
            layout = (await self._index.layouts_of(scope, [stored.version])).get(stored.version)
        if layout is None:
            uid = stored.identity.instance
            raise Gone(f"instance {uid} was deleted, and its bytes given up", uid=uid)
        found = StoredLayout(stored, layout)
        self._cache.put(stored.version, found, study=path.study, weight=weight_of(layout))
        self._read_ahead(scope, path)
        return found

    async def close(self) -> None:
        """Wait for the layouts that are being read ahead."""
        if self._ahead:
            await asyncio.wait(self._ahead.values())

    def _keep(self, scope: Scope, found: StoredLayout, generation: int) -> None:
        if generation == self._freshness.generation:
            path = found.stored.identity.path
            weight = weight_of(found.layout)
            self._cache.put((scope.fingerprint, path), found, study=path.study, weight=weight)

    def _read_ahead(self, scope: Scope, path: ResourcePath) -> None:
        series = (scope.fingerprint, path.study, path.series)
        if series not in self._missed:
            self._missed[series] = None
            if len(self._missed) > SERIES_REMEMBERED:
                self._missed.popitem(last=False)
        elif series not in self._ahead:
            task = asyncio.create_task(self._follow(scope, path))
            self._ahead[series] = task
            task.add_done_callback(lambda _: self._ahead.pop(series, None))

    async def _follow(self, scope: Scope, path: ResourcePath) -> None:
        # Nobody requested this: an error will be raised again when one of these instances is requested.
        with suppress(GatewayError):
            generation = self._freshness.generation
            for stored, layout in await self._index.layouts_after(scope, path, AHEAD):
                self._keep(scope, StoredLayout(stored, layout), generation)
