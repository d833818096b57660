"""Checks whether store and index can be used now, and whether there is room for more."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gateway.errors import ObjectMissing, StoreFull
from gateway.index.base import Index, Scope
from gateway.store.base import ObjectStore

_NO_OBJECT = "readyz"
_WHOLE = Scope()
# The free room is measured at most so often.
LOOK_EVERY_SECONDS = 1.0


class Readiness:
    """Checks of store and index that cost little.

    `folders` are the folders of objects and index, none where they are elsewhere. `reserve` bytes must stay
    free in them, so that deletion and recovery can still write.
    """

    def __init__(
        self, store: ObjectStore, index: Index, folders: Sequence[Path] = (), reserve: int = 0
    ) -> None:
        self._store = store
        self._index = index
        self._folders = tuple(folders)
        self._reserve = reserve
        self._free = 0
        self._looked: float | None = None

    async def check(self, scope: Scope = _WHOLE) -> None:
        """Check that store and index can be used.

        Raises StoreUnavailable (no such bucket, credentials refused, no answer), IndexFailure.
        """
        with suppress(ObjectMissing):
            await self._store.stat(_NO_OBJECT)
        await self._index.ping(scope)

    async def check_room(self, wanted: int = 0) -> None:
        """Raise StoreFull where `wanted` bytes would not leave the reserve free; S3 always has room."""
        if not self._folders:
            return
        now = time.monotonic()
        if self._looked is None or now - self._looked > LOOK_EVERY_SECONDS:
            self._free = await asyncio.to_thread(self._measure)
            self._looked = now  # not before: requests that come meanwhile measure too
        if self._free - wanted < self._reserve:
            raise StoreFull(f"{self._free >> 20} MiB are free, of which {self._reserve >> 20} MiB are kept")

    def _measure(self) -> int:
        free = []
        for folder in self._folders:
            with suppress(OSError):
                found = os.statvfs(folder)
                free.append(found.f_bavail * found.f_frsize)
        return min(free, default=1 << 62)
