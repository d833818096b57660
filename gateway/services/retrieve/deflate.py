"""Deflate a data set while it is streamed (PS3.5 A.5)."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import AsyncGenerator

from isal import isal_zlib

from gateway.errors import CodecError
from gateway.render.pool import CodecPool
from gateway.services.counters import Counters

# Ten times as fast as zlib at its usual level; the output is a twentieth longer.
LEVEL = isal_zlib.ISAL_BEST_COMPRESSION


class Deflater:
    """Push translator that deflates; with `verify` it also inflates its output at once and compares it."""

    def __init__(self, *, verify: bool) -> None:
        self._deflate = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, -isal_zlib.MAX_WBITS)
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS) if verify else None
        self._before = hashlib.blake2b()
        self._after = hashlib.blake2b()
        self._written = 0

    def feed(self, chunk: bytes) -> bytes:
        if self._inflate is not None:
            self._before.update(chunk)
        return self._note(self._deflate.compress(chunk))

    def finish(self) -> bytes:
        """Return the rest, padded to an even length (PS3.5 A.5).

        Raises CodecError where the output does not inflate to the input.
        """
        rest = self._note(self._deflate.flush())
        if self._before.digest() != self._after.digest():
            raise CodecError("the deflated data set does not inflate to what it was")
        return rest + b"\0" * (self._written % 2)

    def _note(self, made: bytes) -> bytes:
        self._written += len(made)
        if self._inflate is not None:
            self._after.update(self._inflate.decompress(made))
        return made


async def deflate(
    chunks: AsyncGenerator[bytes, None], skip: int, pool: CodecPool, counters: Counters, *, verify: bool
) -> AsyncGenerator[bytes, None]:
    """Stream the bytes after the first `skip`, deflated in the codec pool. Raises CodecError."""
    deflater = Deflater(verify=verify)
    try:
        async for chunk in chunks:
            data, skip = chunk[skip:], max(0, skip - len(chunk))
            if data and (made := await pool.run(deflater.feed, data)):
                yield made
        yield await pool.run(deflater.finish)
    finally:
        await chunks.aclose()
    counters.add("transcode_deflated_total")
