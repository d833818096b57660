"""Content codings (RFC 9110 8.4, 12.5.3; PS3.18 8.6): gzip of request bodies is undone, JSON and XML answers are
compressed with zstd or gzip. Frames are never compressed again.
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
# Pieces below this are inflated where they are: a hop to a thread would cost more.
AT_ONCE = 4096
_NO_GZIP: Any = isal_zlib.error
_GZIP = 31  # window bits of zlib, and 16 for gzip's header and check sum


def check_coding(header: str) -> str:
    """`gzip` or `identity`. Raises UnsupportedMedia naming both for any other, and for several in a row."""
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
    """What was compressed, in pieces; several members are one body (RFC 1952 2.2).

    Raises BadRequest where it is no gzip or ends early, TooLarge beyond `most` bytes (0: no limit) or where it grows
    as only a bomb does.
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
    while taken and not inflate.eof:  # what was read and had no room in the last piece
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


async def encode_body(body: bytes, coding: str | None) -> bytes:
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


async def encode_stream(chunks: AsyncGenerator[bytes, None], coding: str) -> AsyncGenerator[bytes, None]:
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
