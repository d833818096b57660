"""One S3 upload in parts, of which no part stays when it is given up."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from minio.datatypes import Part

from gateway.errors import ObjectMissing, StoreUnavailable
from gateway.store.s3_calls import Blocking

R = TypeVar("R")
PART = 8 << 20


class Requests(Protocol):
    """The methods of the store that an upload calls."""

    async def request(self, work: Callable[[], Awaitable[R]], key: str) -> R: ...
    async def is_marked(self, key: str, path: str, mark: str) -> bool: ...
    async def delete(self, key: str) -> None: ...


class Upload:
    """One upload in parts. Its requests are never abandoned: `revoke` waits for the one under way."""

    def __init__(self, blocking: Blocking, store: Requests, key: str, path: str) -> None:
        self.length = 0
        self._blocking, self._store, self._key, self._path = blocking, store, key, path
        self._mark = uuid.uuid4().hex
        self._id: str | None = None
        self._parts: list[Part] = []
        self._completed = False
        self._under_way: asyncio.Task[None] | None = None

    async def send(self, data: bytes) -> None:
        await self._step(self._send(data))

    async def complete(self) -> None:
        await self._step(self._complete())

    async def revoke(self) -> None:
        """Remove the upload, also the object of a completed one: its mark shows that it is ours."""
        if self._under_way is not None:
            await asyncio.gather(self._under_way, return_exceptions=True)
        upload = self._id
        if upload is None:
            return
        if not self._completed:
            with suppress(ObjectMissing):  # completed or aborted by a try whose answer was lost
                await self._request(lambda: self._blocking.abort(self._path, upload))
        if self._completed or await self._is_there():
            await self._store.delete(self._key)

    async def _step(self, work: Coroutine[Any, Any, None]) -> None:
        self._under_way = asyncio.create_task(work)
        await asyncio.shield(self._under_way)

    async def _send(self, data: bytes) -> None:
        if self._id is None:
            self._id = await self._request(lambda: self._blocking.begin(self._path, self._mark))
        upload, number = self._id, len(self._parts) + 1
        self._parts.append(await self._request(lambda: self._blocking.part(self._path, upload, number, data)))
        self.length += len(data)

    async def _complete(self) -> None:
        upload = self._id
        assert upload is not None
        try:
            await self._request(lambda: self._blocking.complete(self._path, upload, self._parts))
        except ObjectMissing as error:  # no such upload: an earlier try may have completed it
            if not await self._is_there():
                raise StoreUnavailable("the object store lost an upload") from error
        self._completed = True

    async def _request(self, work: Callable[[], Awaitable[R]]) -> R:
        return await self._store.request(work, self._key)

    async def _is_there(self) -> bool:
        return await self._store.is_marked(self._key, self._path, self._mark)


async def pieces(held: bytearray, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield parts of 8 MiB; the last one may be shorter."""
    while len(held) >= PART:
        yield bytes(held[:PART])
        del held[:PART]
    async for chunk in rest:
        held += chunk
        while len(held) >= PART:
            yield bytes(held[:PART])
            del held[:PART]
    if held:
        yield bytes(held)
