"""Caches that may be trusted: the change log removes entries, and none is used while its tail is old.

In the worker that made a change the entries go at once, in others within a second (design, Index).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from gateway.errors import IndexFailure
from gateway.index.base import Change, Index
from gateway.services.background import Background

log = logging.getLogger("gateway.freshness")

V = TypeVar("V")
MAX_AGE = 1.0
AGAIN_SECONDS = 0.5


class StudyCache(Generic[V]):
    """Least recently used values below a total weight, each belonging to a study."""

    def __init__(self, max_weight: int) -> None:
        self._max = max_weight
        self._weight = 0
        self._entries: OrderedDict[Hashable, tuple[V, str, int]] = OrderedDict()
        self._by_study: dict[str, set[Hashable]] = {}

    def get(self, key: Hashable) -> V | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: Hashable, value: V, *, study: str, weight: int = 1) -> None:
        if weight > self._max:
            return
        self._drop(key)
        self._entries[key] = (value, study, weight)
        self._by_study.setdefault(study, set()).add(key)
        self._weight += weight
        while self._weight > self._max:
            self._drop(next(iter(self._entries)))

    def forget_study(self, study: str) -> None:
        for key in tuple(self._by_study.get(study, ())):
            self._drop(key)

    def clear(self) -> None:
        self._entries.clear()
        self._by_study.clear()
        self._weight = 0

    def _drop(self, key: Hashable) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        _, study, weight = entry
        self._weight -= weight
        keys = self._by_study[study]
        keys.discard(key)
        if not keys:
            del self._by_study[study]


class Freshness:
    """Follower of the change log that removes stale entries from the caches it was given."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._caches: list[StudyCache[object]] = []
        self._generation = 0
        self._index_generation = index.generation
        self._heard = 0.0
        self._background = Background(log, "the change log is not followed")

    def watch(self, cache: StudyCache[V]) -> StudyCache[V]:
        self._caches.append(cache)  # type: ignore[arg-type]  # only emptied here, never filled
        return cache

    @property
    def generation(self) -> int:
        """A number that rises with every change seen.

        A value that was read under an older generation must not be cached.
        """
        return self._generation

    @property
    def is_fresh(self) -> bool:
        """Whether the tail of the log delivered something within the last second."""
        return time.monotonic() - self._heard < MAX_AGE

    def start(self) -> None:
        self._background.start(self._follow, lambda: asyncio.sleep(AGAIN_SECONDS))

    async def close(self) -> None:
        await self._background.close()

    def forget(self, changes: Iterable[Change]) -> None:
        """Drop the cache entries that these changes made stale."""
        for study in {change.identity.study for change in changes}:
            self._generation += 1
            for cache in self._caches:
                cache.forget_study(study)

    def _forget_all(self) -> None:
        self._generation += 1
        for cache in self._caches:
            cache.clear()

    async def _follow(self) -> None:
        try:
            async for changes in self._index.tail():
                if self._index.generation != self._index_generation:
                    # A damaged instance may be whole in a rebuilt index, and the other way round.
                    self._index_generation = self._index.generation
                    self._forget_all()
                self.forget(changes)
                self._heard = time.monotonic()
        except IndexFailure:
            pass  # the database is away: `is_fresh` turns false by itself, and we try again
        finally:
            self._forget_all()
