"""Inflate a deflated data set (PS3.5 A.5) once, into a derived object with addressable bytes."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import suppress

from gateway.dicom.encoding.layout import InstanceLayout
from gateway.errors import ObjectExists, ObjectMissing
from gateway.index.base import StoredInstance
from gateway.model import Span
from gateway.services.objectkeys import make_inflated_key
from gateway.store.base import ObjectStore

PIECE = 1 << 20


class Inflated:
    """Writes derived objects, and remembers which exist."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._there: set[str] = set()
        self._making = asyncio.Lock()

    async def key(self, stored: StoredInstance, layout: InstanceLayout) -> str:
        """Return the key of the inflated data set; write it first if it does not exist. Raises StoreError."""
        key = make_inflated_key(stored.version)
        if key in self._there:
            return key
        async with self._making:
            try:
                await self._store.stat(key)
            except ObjectMissing:
                with suppress(ObjectExists):
                    await self._store.put(key, self._inflate(stored, layout))
            self._there.add(key)
        return key

    async def _inflate(self, stored: StoredInstance, layout: InstanceLayout) -> AsyncIterator[bytes]:
        locator = stored.locator
        span = Span(locator.offset + layout.dataset_offset, locator.offset + locator.length)
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        async with self._store.read(locator.key, span) as chunks:
            async for chunk in chunks:
                left = chunk
                while left and not inflater.eof:
                    yield await asyncio.to_thread(inflater.decompress, left, PIECE)
                    left = inflater.unconsumed_tail
        yield inflater.flush()
