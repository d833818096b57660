"""Decode gzip request bodies; encode JSON and XML answers with zstd or gzip.

RFC 9110 8.4, 12.5.3; PS3.18 8.6. Frames are never compressed again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import zstandard
from isal import igzip, isal_zlib

from gateway.dicom.limits import LIMITS
from gateway.errors import BadRequest, TooLarge, UnsupportedMedia

PIECE = 1 << 20
# Bytes. Shorter chunks are inflated on the event loop: to pass them to a thread would cost more.
AT_ONCE = 4096
_NO_GZIP: Any = isal_zlib.error
_GZIP = 31  # the window bits of zlib, plus 16 for the header and checksum of gzip


def check_coding(header: str) -> str:
    """Return `gzip` or `identity`.

    Raises UnsupportedMedia naming both for any other coding, and for several codings together.
    """
    codings = [name for piece in header.split(",") if (name := piece.strip().lower()) not in ("", "identity")]
    if not codings:
        return "identity"
    if len(codings) > 1 or codings[0] not in ("gzip", "x-gzip"):
        raise UnsupportedMedia(
            f"a body with content coding '{header[:60]}' is not taken; want gzip or none",
            available=["gzip", "identity"],
        )
    return "gzip"


async def gunzip(body: AsyncIterator[bytes], most: int = 0) -> AsyncIterator[bytes]:
    """Stream the decompressed body; several gzip members are one body (RFC 1952 2.2).

    Raises BadRequest where it is not gzip or ends early, TooLarge beyond `most` bytes (0: no limit), or where
    it grows so much that it must be a bomb.
    """
    inflate: Any = isal_zlib.decompressobj(_GZIP)
    taken = given = 0
    async for chunk in body:
        taken += len(chunk)
        while chunk:
            if inflate.eof:
                inflate = isal_zlib.decompressobj(_GZIP)
            piece = await _piece(inflate, chunk)
            chunk = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
            given += len(piece)
            _check(taken, given, most)
            if piece:
                yield piece
    while taken and not inflate.eof:  # data that was read, but did not fit into the last piece
        piece = await _piece(inflate, b"")
        if not piece:
            raise BadRequest("the gzip body ends early")
        given += len(piece)
        _check(taken, given, most)
        yield piece


async def _piece(inflate: Any, chunk: bytes) -> bytes:
    try:
        if len(chunk) <= AT_ONCE:
            return bytes(inflate.decompress(chunk, PIECE))
        return bytes(await asyncio.to_thread(inflate.decompress, chunk, PIECE))
    except _NO_GZIP as error:
        raise BadRequest("the body is no gzip, whatever Content-Encoding says") from error


def _check(taken: int, given: int, most: int) -> None:
    if most and given > most:
        raise TooLarge(
            f"the body is larger than the {most} bytes that are taken; send fewer instances at once"
        )
    if given > max(LIMITS.inflation_floor, LIMITS.inflation_ratio * taken):
        raise TooLarge(f"the gzip body grows more than {LIMITS.inflation_ratio}-fold; send it without coding")


# Bytes. Shorter bodies are not encoded; longer ones than the second figure are encoded in a thread.
WORTH_IT = 1400
OFF_THE_LOOP = 8 << 20

CODINGS = ("zstd", "gzip")


def choose_coding(accept_encoding: str | None, size: int) -> str | None:
    """Return zstd, gzip, or None for identity; the highest q wins, and zstd among equals."""
    if accept_encoding is None or size < WORTH_IT:
        return None
    qualities = _qualities(accept_encoding)
    wild = qualities.get("*", 0.0)
    # A client that accepts `*` may not know zstd: zstd has to be named.
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


async def encode_body(body: bytes, coding: str | None) -> bytes:
    """Return `body` in this coding, as one gzip member or one zstd frame.

    Browsers stop after the first gzip member.
    """
    if coding is None:
        return body
    work = _gzip if coding == "gzip" else _zstd
    if len(body) > OFF_THE_LOOP:
        return await asyncio.to_thread(work, body)
    return work(body)


def _gzip(body: bytes) -> bytes:
    data: bytes = igzip.compress(body, compresslevel=1)
    # The header of the member has the time of compression: it is cleared, so that the same answer has the
    # same bytes.
    return data[:4] + b"\0\0\0\0" + data[8:]


def _zstd(body: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(body)


async def encode_stream(chunks: AsyncGenerator[bytes, None], coding: str) -> AsyncGenerator[bytes, None]:
    """Stream a body of unknown length in this coding, encoded off the event loop."""
    coder = _Gzip() if coding == "gzip" else zstandard.ZstdCompressor(level=1).compressobj()
    async with aclosing(chunks):
        async for chunk in chunks:
            if made := await asyncio.to_thread(coder.compress, chunk):
                yield made
    yield await asyncio.to_thread(coder.flush)


class _Gzip:
    """Encodes one gzip member, whose header has no time."""

    def __init__(self) -> None:
        self._coder = isal_zlib.compressobj(1, isal_zlib.DEFLATED, 16 + isal_zlib.MAX_WBITS)

    def compress(self, data: bytes) -> bytes:
        made: bytes = self._coder.compress(data)
        return made

    def flush(self) -> bytes:
        made: bytes = self._coder.flush()
        return made
