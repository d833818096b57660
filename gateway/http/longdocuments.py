"""Answers of a search that are too long to be held: written as they are read, a few megabytes at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing

import orjson

from gateway.dicom.multipart import PartHead, boundary_of, closing, encode_head, message_type
from gateway.http.accept import Offer
from gateway.http.charset import recoded_xml
from gateway.http.documents import text_type, xml_of
from gateway.http.media import JSON
from gateway.http.request import Request
from gateway.http.responses import Response, StreamResponse

Pieces = AsyncGenerator[Sequence[bytes], None]
# Bytes that are written at once.
CHUNK = 1 << 20


def long_documents(
    request: Request, offer: Offer, pieces: Pieces, tag: str, headers: dict[str, str], charset: str
) -> Response:
    """`documents`, of rows that come in pieces. Text that `charset` cannot hold ends the answer."""
    base = request.base.encode()
    if offer.media == JSON:
        return StreamResponse(200, {**headers, "content-type": JSON}, chunks=_array(pieces, base))
    boundary = boundary_of(tag)
    media = message_type(boundary, offer.media)
    chunks = _documents(pieces, base, boundary, text_type(offer, charset), charset)
    return StreamResponse(200, {**headers, "content-type": media}, chunks=chunks)


async def _array(pieces: Pieces, base: bytes) -> AsyncGenerator[bytes, None]:
    before = b"["
    async with aclosing(pieces):
        async for rows in pieces:
            for group in _groups(rows):
                yield await asyncio.to_thread(_joined, before, group, base)
                before = b","
    yield b"]" if before == b"," else b"[]"


async def _documents(
    pieces: Pieces, base: bytes, boundary: str, media: str, charset: str
) -> AsyncGenerator[bytes, None]:
    first = True
    async with aclosing(pieces):
        async for rows in pieces:
            for row in rows:
                document = await asyncio.to_thread(_xml, row, base, charset)
                yield encode_head(boundary, PartHead(media, len(document)), first=first) + document
                first = False
    yield closing(boundary)


def _groups(rows: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    begin, size = 0, 0
    for number, row in enumerate(rows):
        size += len(row)
        if size >= CHUNK:
            yield rows[begin : number + 1]
            begin, size = number + 1, 0
    if begin < len(rows):
        yield rows[begin:]


def _joined(before: bytes, rows: Sequence[bytes], base: bytes) -> bytes:
    return before + b",".join(rows).replace(b"\0", base)


def _xml(row: bytes, base: bytes, charset: str) -> bytes:
    return recoded_xml(xml_of(orjson.loads(row.replace(b"\0", base))), charset)
