"""Keep the parts of a message until it is complete: in memory while they are small, then in a file."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, BinaryIO

from gateway.errors import StoreFull, StoreUnavailable

IN_MEMORY = 4 << 20
PIECE = 1 << 20


class Spool:
    """One temporary file for a whole request, so that neither memory nor descriptors grow with its parts.

    The file has no name: it is gone when it is closed, also by a crash. It lies in the folder of TMPDIR.
    """

    def __init__(self) -> None:
        self._file: BinaryIO | None = None
        self._written = 0
        self._pending = bytearray()

    @property
    def length(self) -> int:
        return self._written + len(self._pending)

    async def append(self, data: bytes) -> None:
        """Append `data`.

        Raises StoreFull where there is no room for temporary files, StoreUnavailable where writing
        fails otherwise.
        """
        if len(data) >= IN_MEMORY:  # written without a copy
            pending, self._pending = bytes(self._pending), bytearray()
            await asyncio.to_thread(self._write, pending)
            await asyncio.to_thread(self._write, data)
            return
        self._pending += data
        if len(self._pending) >= IN_MEMORY:
            pending, self._pending = bytes(self._pending), bytearray()
            await asyncio.to_thread(self._write, pending)

    def _write(self, data: bytes) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
            view = memoryview(data)
            while view:
                done = os.pwrite(self._file.fileno(), view, self._written)
                self._written += done
                view = view[done:]
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StoreFull("no room for temporary files") from error
            raise StoreUnavailable("temporary files cannot be written") from error

    async def read(self, start: int, length: int) -> bytes:
        """Return at most `length` bytes from `start`.

        Fewer are returned where the file ends and the bytes in memory begin.
        """
        if start < self._written:
            return await asyncio.to_thread(self.read_now, start, length)
        return self.read_now(start, length)

    def read_now(self, start: int, length: int) -> bytes:
        """Return what `read` does, blocking."""
        if start < self._written:
            assert self._file is not None
            return os.pread(self._file.fileno(), min(length, self._written - start), start)
        start -= self._written
        return bytes(self._pending[start : start + length])

    def close(self) -> None:
        """Close the file and drop the bytes in memory."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._pending = bytearray()


class Spooled:
    """The octets of one part: `length` of them from `start` of the spool."""

    def __init__(
        self,
        spool: Spool,
        media: str = "application/octet-stream",
        transfer_syntax: str | None = None,
        location: str = "",
    ) -> None:
        self.media = media
        self.transfer_syntax = transfer_syntax
        self.location = location
        self.length = 0
        self._spool = spool
        self._start = spool.length

    async def fill(self, body: AsyncIterator[bytes]) -> None:
        """Take all of `body`; nothing else may be appended to the spool meanwhile.

        Raises what `append` does.
        """
        async for chunk in body:
            await self.add(chunk)

    async def add(self, data: bytes) -> None:
        """Append `data` to this part."""
        await self._spool.append(data)
        self.length += len(data)

    def part(self, start: int, length: int) -> Spooled:
        """Return `length` of these octets from `start`."""
        found = Spooled(self._spool, self.media, self.transfer_syntax, self.location)
        found._start = self._start + start
        found.length = length
        return found

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Stream the octets from the beginning; may be called several times."""
        at, end = self._start, self._start + self.length
        while at < end:
            chunk = await self._spool.read(at, min(PIECE, end - at))
            at += len(chunk)
            yield chunk

    def open(self) -> BinaryIO:
        """Return a file to read by position in a thread; nothing may be added to the spool meanwhile."""
        return io.BufferedReader(_Octets(self._spool, self._start, self.length), PIECE)

    async def whole(self) -> bytes:
        """Return all octets in memory, for a codec that needs them at once."""
        return b"".join([chunk async for chunk in self.chunks()])


class _Octets(io.RawIOBase):
    def __init__(self, spool: Spool, start: int, length: int) -> None:
        self._spool = spool
        self._start = start
        self._length = length
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), max(0, self._length - self._at))
        data = self._spool.read_now(self._start + self._at, count) if count else b""
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
