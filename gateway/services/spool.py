"""Parts of a message kept until the message is complete: small ones in memory, others in temporary files."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from typing import BinaryIO

IN_MEMORY = 1 << 20
PIECE = 1 << 20


class Spooled:
    """The octets of one part. `close` must be called; a temporary file has no name and goes with it."""

    def __init__(self, media: str, transfer_syntax: str | None, location: str) -> None:
        self.media = media
        self.transfer_syntax = transfer_syntax
        self.location = location
        self.length = 0
        self._held: list[bytes] = []
        self._file: BinaryIO | None = None

    async def fill(self, body: AsyncIterator[bytes]) -> None:
        """Take all of `body`."""
        size = 0
        async for chunk in body:
            self._held.append(chunk)
            size += len(chunk)
            self.length += len(chunk)
            if size >= IN_MEMORY:
                await self._flush()
                size = 0
        if self._file is not None:
            await self._flush()

    async def _flush(self) -> None:
        if self._file is None:
            self._file = await asyncio.to_thread(tempfile.TemporaryFile)
        held, self._held = self._held, []
        await asyncio.to_thread(self._file.write, b"".join(held))

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """From the beginning, as often as is wanted, one reader at a time."""
        if self._file is None:
            for chunk in self._held:
                yield chunk
            return
        await asyncio.to_thread(self._file.seek, 0)
        while chunk := await asyncio.to_thread(self._file.read, PIECE):
            yield chunk

    async def whole(self) -> bytes:
        """All of it in memory: for what a codec has to see at once."""
        return b"".join([chunk async for chunk in self.chunks()])

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._held = []


class Rewritten(Spooled):
    """Octets that were made of a part, in its place."""

    def __init__(self, data: bytes) -> None:
        super().__init__("application/octet-stream", None, "")
        self.length = len(data)
        self._held = [data]
