"""Swept objects that were not deleted yet: `trash/{day}/{key}`."""

from __future__ import annotations

from gateway.errors import ObjectMissing
from gateway.services.objectkeys import TRASH_PREFIX, parse_trash_key, trash_key
from gateway.store.base import KEY, ObjectStore


class Trash:
    """Lookup of objects in the trash; its days are listed once."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._days: tuple[str, ...] | None = None

    async def find(self, key: str) -> str | None:
        """Return the key of an object in the trash, the last day first; None where it is not there."""
        if not KEY.match(key):
            return None  # objects of other places are never swept
        for day in await self._all_days():
            where = trash_key(key, day)
            try:
                await self._store.stat(where)
            except ObjectMissing:
                continue
            return where
        return None

    async def _all_days(self) -> tuple[str, ...]:
        if self._days is None:
            days: dict[str, None] = {}
            async for found in self._store.list(TRASH_PREFIX):
                if parse_trash_key(found.key) is not None:
                    days[found.key.split("/", 2)[1]] = None
            self._days = tuple(sorted(days, reverse=True))
        return self._days
