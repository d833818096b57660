"""Content codings of JSON and XML answers (RFC 9110 8.4, 12.5.3): zstd, gzip. Frames are never compressed
again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import zstandard
from isal import igzip, isal_zlib

# Below this a coding costs more than it saves; above the second one it leaves the event loop.
WORTH_IT = 1400
OFF_THE_LOOP = 8 << 20

CODINGS = ("zstd", "gzip")


def choose_coding(accept_encoding: str | None, size: int) -> str | None:
    """zstd, gzip or None for identity; the highest q wins, ties go to zstd."""
    if accept_encoding is None or size < WORTH_IT:
        return None
    qualities = _qualities(accept_encoding)
    wild = qualities.get("*", 0.0)
    # Who takes anything may not know zstd: it has to be named.
    ranked = [(qualities.get(c, wild if c == "gzip" else 0.0), -index) for index, c in enumerate(CODINGS)]
    quality, index = max(ranked)
    if quality <= 0 or quality < qualities.get("identity", 0.0):
        return None
    return CODINGS[-index]


def _qualities(header: str) -> dict[str, float]:
    qualities: dict[str, float] = {}
    for piece in header.split(","):
        name, _, weight = piece.strip().lower().partition(";")
        name = name.strip().replace("x-gzip", "gzip")
        weight = weight.strip().removeprefix("q=").strip()
        try:
            qualities[name] = float(weight) if weight else 1.0
        except ValueError:
            continue
    return qualities


async def encoded(body: bytes, coding: str | None) -> bytes:
    """`body` in this coding: one gzip member, as browsers stop after the first, or one zstd frame."""
    if coding is None:
        return body
    work = _gzip if coding == "gzip" else _zstd
    if len(body) > OFF_THE_LOOP:
        return await asyncio.to_thread(work, body)
    return work(body)


def _gzip(body: bytes) -> bytes:
    data: bytes = igzip.compress(body, compresslevel=1)
    # The member's header carries the time of compression: the same answer must have the same bytes.
    return data[:4] + b"\0\0\0\0" + data[8:]


def _zstd(body: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(body)


async def streamed(chunks: AsyncGenerator[bytes, None], coding: str) -> AsyncGenerator[bytes, None]:
    """A body whose length is not known, coded as it streams by, off the event loop."""
    coder = _Gzip() if coding == "gzip" else zstandard.ZstdCompressor(level=1).compressobj()
    async with aclosing(chunks):
        async for chunk in chunks:
            if made := await asyncio.to_thread(coder.compress, chunk):
                yield made
    yield await asyncio.to_thread(coder.flush)


class _Gzip:
    """One member, whose header says nothing of the time."""

    def __init__(self) -> None:
        self._coder = isal_zlib.compressobj(1, isal_zlib.DEFLATED, 16 + isal_zlib.MAX_WBITS)

    def compress(self, data: bytes) -> bytes:
        made: bytes = self._coder.compress(data)
        return made

    def flush(self) -> bytes:
        made: bytes = self._coder.flush()
        return made
