"""Request bodies with a content coding (PS3.18 8.6, RFC 9110 8.4)."""

from __future__ import annotations

import gzip
import os
from collections.abc import AsyncIterator

import pytest
from gateway.errors import BadRequest, TooLarge, UnsupportedMedia
from gateway.http.message.contentcoding import check_coding, gunzip

DATA = os.urandom(30_000) + bytes(5_000_000) + os.urandom(10)


async def pieces(data: bytes, step: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), step):
        yield data[at : at + step]


async def undone(data: bytes, step: int = 1 << 16, most: int = 0) -> bytes:
    found = [piece async for piece in gunzip(pieces(data, step), most)]
    assert max(map(len, found), default=0) <= 1 << 20
    return b"".join(found)


@pytest.mark.parametrize("step", [1, 77, 5000, 1 << 20])
async def test_pieces_of_any_size_and_several_members(step: int) -> None:
    members = gzip.compress(DATA) + gzip.compress(b"") + gzip.compress(b"end")
    assert await undone(members, step) == DATA + b"end"


async def test_no_body_is_no_body() -> None:
    assert await undone(b"") == b""


@pytest.mark.parametrize(
    "data",
    [b"plain text", gzip.compress(DATA)[:-1], gzip.compress(DATA)[:20], gzip.compress(b"x") + b"rubbish"],
    ids=["plain", "without its end", "cut in its head", "with more behind"],
)
async def test_what_is_no_whole_gzip_is_refused(data: bytes) -> None:
    with pytest.raises(BadRequest, match="gzip"):
        await undone(data)


async def test_bombs_and_limits() -> None:
    with pytest.raises(TooLarge, match="200-fold"):
        await undone(gzip.compress(bytes(40 << 20)))
    with pytest.raises(TooLarge, match="1000 bytes"):
        await undone(gzip.compress(bytes(1001)), most=1000)
    assert await undone(gzip.compress(bytes(1000)), most=1000) == bytes(1000)


@pytest.mark.row("C-CA-6")
@pytest.mark.parametrize(
    ("header", "coding"), [("", "identity"), ("identity", "identity"), ("GZIP", "gzip"), ("x-gzip", "gzip")]
)
def test_codings_that_are_taken(header: str, coding: str) -> None:
    assert check_coding(header) == coding


@pytest.mark.row("C-CA-6")
@pytest.mark.parametrize("header", ["br", "zstd", "deflate", "gzip, gzip", "nonsense"])
def test_codings_that_are_not(header: str) -> None:
    with pytest.raises(UnsupportedMedia, match="gzip"):
        check_coding(header)
