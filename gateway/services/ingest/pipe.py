"""Pass bytes from one task to another, bounded: reading from a client waits for the store."""

from __future__ import annotations

import asyncio
from collections import deque

ROOM = 4 << 20


class Pipe:
    """An async iterator of the chunks that are pushed; ends after `end`."""

    __slots__ = ("_chunks", "_ended", "_event", "_size", "_taken")

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._event = asyncio.Event()
        self._taken = asyncio.Event()

    def push(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._size += len(chunk)
        self._event.set()

    def end(self) -> None:
        self._ended = True
        self._event.set()

    async def room(self, reader: asyncio.Future[object]) -> None:
        """Wait until less than `ROOM` bytes lie in the pipe, or its reader is done."""
        while self._size >= ROOM and not reader.done():
            self._taken.clear()
            waiting = asyncio.ensure_future(self._taken.wait())
            try:
                await asyncio.wait((waiting, reader), return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()

    def __aiter__(self) -> Pipe:
        return self

    async def __anext__(self) -> bytes:
        while not self._chunks:
            if self._ended:
                raise StopAsyncIteration
            self._event.clear()
            await self._event.wait()
        chunk = self._chunks.popleft()
        self._size -= len(chunk)
        self._taken.set()
        return chunk
