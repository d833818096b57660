"""Objects outside our store that are only read: a folder or a bucket that was indexed in place.

Their keys name the place, a mark of the object's state, and the path there:
`@file:///archive!2f8-17c…!a/b.dcm`. No key of the gateway's own store begins so; such objects are never
written or deleted.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from gateway.errors import BadParameter, ObjectChanged, StoreError
from gateway.model import Span
from gateway.store.base import Found, ObjectStore, Place, Stored
from gateway.store.filereads import Files

SIGN = "@"


def key_of(url: str, mark: str, path: str) -> str:
    """Return the key of an object in the place that `url` names."""
    return f"{SIGN}{quote(url, safe=':/')}!{mark}!{quote(path, safe='/')}"


def parts_of(key: str) -> tuple[str, str, str]:
    """Return the three parts of a key: URL of the place, mark, path. Raises StoreError."""
    pieces = key.removeprefix(SIGN).split("!")
    if not key.startswith(SIGN) or len(pieces) != 3:
        raise StoreError(f"'{key}' is no key of an object elsewhere")
    return unquote(pieces[0]), pieces[1], unquote(pieces[2])


class Folder(Files):
    """A folder; the mark of an object is its size and its time of change, to the nanosecond."""

    def __init__(self, url: str, threads: int = 8) -> None:
        super().__init__(threads)
        self._url = url
        self._root = Path(unquote(urlsplit(url).path)).resolve()

    def _path(self, key: str) -> Path:
        _, _, path = parts_of(key)
        found = (self._root / path).resolve()
        if not found.is_relative_to(self._root):
            raise StoreError(f"'{path}' leads out of its folder")
        return found

    def _check(self, key: str, found: os.stat_result) -> None:
        _, mark, path = parts_of(key)
        if _mark(found) != mark:
            raise ObjectChanged(f"'{path}' has changed since it was indexed")

    async def find(self) -> AsyncIterator[Found]:
        for path in await self._run(lambda: sorted(p for p in self._root.rglob("*") if p.is_file())):
            if found := await self._run(partial(self._describe, path)):
                yield found

    def _describe(self, path: Path) -> Found | None:
        """Return a file of the folder; None where it leads out of it."""
        if not path.resolve().is_relative_to(self._root):
            return None
        name, found = path.relative_to(self._root).as_posix(), path.stat()
        return Found(key_of(self._url, _mark(found), name), name, found.st_size)


def _mark(found: os.stat_result) -> str:
    return f"{found.st_size:x}-{found.st_mtime_ns:x}"


class WithPlaces:
    """An object store that also reads keys of places. It writes, deletes and lists in its own store only."""

    def __init__(self, store: ObjectStore, opener: Callable[[str], Place]) -> None:
        self.id = store.id
        self._store = store
        self._opener = opener
        self._places: dict[str, Place] = {}

    def place(self, url: str) -> Place:
        """Return the place with this URL, opened at the first call. Raises BadParameter."""
        if url not in self._places:
            self._places[url] = self._opener(url)
        return self._places[url]

    def _find_place(self, key: str) -> ObjectStore | Place:
        """Raises StoreError where the place of an object cannot be opened: who reads it did not name it."""
        if not key.startswith(SIGN):
            return self._store
        try:
            return self.place(parts_of(key)[0])
        except BadParameter as error:
            raise StoreError(error.detail) from error

    def read(self, key: str, span: Span | None = None) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._find_place(key).read(key, span)

    def read_now(self, key: str, span: Span) -> bytes | None:
        return self._find_place(key).read_now(key, span)

    async def put(self, key: str, body: AsyncIterator[bytes]) -> Stored:
        return await self._store.put(key, body)

    async def stat(self, key: str) -> Stored:
        return await self._find_place(key).stat(key)

    async def delete(self, key: str) -> None:
        """Delete an object of our store; objects of other places are left alone."""
        if not key.startswith(SIGN):
            await self._store.delete(key)

    async def move(self, key: str, to: str) -> None:
        """Move an object of our store; objects of other places stay where they are."""
        if not key.startswith(SIGN):
            await self._store.move(key, to)

    async def tidy(self, before: float) -> int:
        return await self._store.tidy(before)

    def list(self, prefix: str, after: str = "") -> AsyncIterator[Stored]:
        return self._store.list(prefix, after)

    async def close(self) -> None:
        for place in self._places.values():
            await place.close()
        await self._store.close()
