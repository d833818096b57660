"""Entity tags, If-None-Match, Range, content codings."""

from __future__ import annotations

import gzip
from collections.abc import AsyncGenerator

import pytest
import zstandard
from gateway.http.message.conditional import RangeNotSatisfiable, byte_range, cut, entity_tag, is_match
from gateway.http.message.contentcoding import choose_coding, encode_body
from gateway.model import Span

TAG = '"abc"'


def test_tags_are_strong_and_depend_on_every_part() -> None:
    assert entity_tag("a", "b") == entity_tag("a", "b")
    assert entity_tag("a", "b") != entity_tag("ab", "")
    assert entity_tag("a").startswith('"')


@pytest.mark.parametrize(
    ("header", "hit"),
    [
        (None, False),
        (TAG, True),
        ("*", True),
        ('W/"abc"', True),
        ('"x", "abc"', True),
        ('"x,abc"', False),
        ('"x"', False),
        ("abc", False),
        ("", False),
    ],
)
def test_if_none_match(header: str | None, hit: bool) -> None:
    assert is_match(header, TAG) is hit


@pytest.mark.parametrize(
    ("header", "span"),
    [
        (None, None),
        ("bytes=0-9", Span(0, 10)),
        ("bytes=10-", Span(10, 100)),
        ("bytes=-10", Span(90, 100)),
        ("bytes=-1000", Span(0, 100)),
        ("bytes=90-1000", Span(90, 100)),
        ("bytes=99-99", Span(99, 100)),
        ("Bytes = 0 - 0", Span(0, 1)),
        # ignored: several ranges, other units, malformed, end before start
        ("bytes=0-1,5-6", None),
        ("items=0-1", None),
        ("bytes=-", None),
        ("BYTES=-", None),
        ("bytes=\t-", None),
        ("Bytes=0-9", Span(0, 10)),
        ("bytes=a-b", None),
        ("bytes=9-1", None),
    ],
)
def test_range(header: str | None, span: Span | None) -> None:
    assert byte_range(header, None, TAG, 100) == span


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_outside_cannot_be_had(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as raised:
        byte_range(header, None, TAG, 100)
    assert raised.value.length == 100


@pytest.mark.parametrize(
    ("if_range", "span"),
    [(TAG, Span(0, 2)), ('"other"', None), ('W/"abc"', None), ("Tue, 15 Nov 1994 12:45:26 GMT", None)],
)
def test_if_range_wants_the_same_strong_tag(if_range: str, span: Span | None) -> None:
    assert byte_range("bytes=0-1", if_range, TAG, 100) == span


@pytest.mark.parametrize(("start", "stop"), [(0, 10), (0, 3), (2, 5), (3, 7), (9, 10), (4, 4)])
async def test_cut(start: int, stop: int) -> None:
    data = b"0123456789"

    async def chunks() -> AsyncGenerator[bytes, None]:
        for i in range(0, 10, 3):
            yield data[i : i + 3]

    got = b"".join([chunk async for chunk in cut(chunks(), Span(start, stop))])
    assert got == data[start:stop]


BIG = 100_000


@pytest.mark.parametrize(
    ("header", "size", "coding"),
    [
        (None, BIG, None),
        ("", BIG, None),
        ("gzip", BIG, "gzip"),
        ("zstd", BIG, "zstd"),
        ("gzip, deflate, br, zstd", BIG, "zstd"),
        ("gzip, deflate", BIG, "gzip"),
        ("gzip;q=1.0, zstd;q=0.5", BIG, "gzip"),
        ("zstd;q=0, gzip", BIG, "gzip"),
        ("*", BIG, "gzip"),
        ("*;q=0", BIG, None),
        ("identity", BIG, None),
        ("identity, gzip;q=0.5", BIG, None),
        ("x-gzip", BIG, "gzip"),
        ("br", BIG, None),
        ("gzip;q=nonsense", BIG, None),
        ("gzip", 100, None),
    ],
)
def test_codings(header: str | None, size: int, coding: str | None) -> None:
    assert choose_coding(header, size) == coding


async def test_encoded_bodies_decode_and_do_not_change() -> None:
    body = b'{"00100010":{"vr":"PN"}}' * 1000
    assert gzip.decompress(await encode_body(body, "gzip")) == body
    assert zstandard.ZstdDecompressor().decompress(await encode_body(body, "zstd")) == body
    assert await encode_body(body, None) == body
    assert await encode_body(body, "gzip") == await encode_body(body, "gzip")


async def test_large_bodies_are_encoded_off_the_loop_alike() -> None:
    body = b"0123456789abcdef" * (600 << 10)
    assert gzip.decompress(await encode_body(body, "gzip")) == body
