"""Content codings of request bodies (RFC 9110 8.4, PS3.18 8.6): gzip, undone as the body streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from isal import isal_zlib

from gateway.dicom.limits import LIMITS
from gateway.errors import BadRequest, TooLarge, UnsupportedMedia

PIECE = 1 << 20
# Pieces below this are inflated where they are: a hop to a thread would cost more.
AT_ONCE = 4096
_NO_GZIP: Any = isal_zlib.error
_GZIP = 31  # window bits of zlib, and 16 for gzip's header and check sum


def checked_coding(header: str) -> str:
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


async def gunzipped(body: AsyncIterator[bytes], most: int = 0) -> AsyncIterator[bytes]:
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
