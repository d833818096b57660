"""A bucket that was indexed in place; apart, since the clients of S3 take a moment to import."""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

from gateway.errors import ObjectChanged
from gateway.store.base import Found, Stored
from gateway.store.inplace import key_of, parts_of
from gateway.store.s3 import S3Store

RECHECK_SECONDS = 1.0


class Bucket(S3Store):
    """A bucket, or a prefix in it; the mark of an object is its length and the time of its change.

    Whether an object has changed is checked at most once a second for each.
    """

    def __init__(self, bucket: str, prefix: str, *, url: str, **options: Any) -> None:
        super().__init__(bucket, prefix, **options)
        self._url = url
        self._checked: dict[str, float] = {}

    def _path(self, key: str) -> str:
        return self._prefix + parts_of(key)[2]

    async def stat(self, key: str) -> Stored:
        stored = await super().stat(key)
        _, mark, path = parts_of(key)
        if _make_mark(stored) != mark:
            raise ObjectChanged(f"'{path}' has changed since it was indexed")
        return stored

    async def _range(self, key: str, start: int, stop: int) -> bytes:
        if monotonic() - self._checked.get(key, -RECHECK_SECONDS) >= RECHECK_SECONDS:
            if len(self._checked) > 10_000:
                self._checked.clear()
            await self.stat(key)
            self._checked[key] = monotonic()
        return await super()._range(key, start, stop)

    async def find(self) -> AsyncIterator[Found]:
        async for stored in self.list(""):
            mark = _make_mark(stored)
            yield Found(key_of(self._url, mark, stored.key), stored.key, stored.length)


def _make_mark(stored: Stored) -> str:
    return f"{stored.length:x}-{int(stored.modified):x}"
