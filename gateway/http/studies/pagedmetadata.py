"""Write metadata that is too long for memory: a few data sets at a time, while they are read.

PS3.18 Annex F, PS3.19 A.1.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from gateway.dicom.model.multipart import boundary_of
from gateway.http.message.contentcoding import encode_stream
from gateway.http.message.multipart import multipart
from gateway.http.message.request import Request
from gateway.http.message.responses import Part, Response, StreamResponse
from gateway.http.negotiation.accept import Offer
from gateway.http.negotiation.charset import recode_xml
from gateway.http.negotiation.media import JSON
from gateway.http.studies.documents import text_type, xml_row
from gateway.services.bytestream import prime

Pages = AsyncGenerator[Sequence[bytes], None]


async def send_pages(
    request: Request,
    offer: Offer,
    pages: Pages,
    tag: str,
    headers: dict[str, str],
    charset: str,
    coding: str | None,
) -> Response:
    """Return an answer as `documents` does, with rows that come in pages; the first page is read now.

    Raises what the first page raises. In a later page a character that `charset` lacks breaks off the answer.
    """
    base = request.bulk_base.encode()
    if offer.media == JSON:
        headers["content-type"] = JSON
        return await _send_coded(json_array(pages, base), headers, coding)
    media = text_type(offer, charset)
    if offer.multipart:
        parts = _parts(pages, base, charset, media)
        return await multipart(200, headers, parts, boundary_of(tag), offer.media)
    headers["content-type"] = media
    return await _send_coded(_one_document(pages, base, charset), headers, coding)


async def _send_coded(
    chunks: AsyncGenerator[bytes, None], headers: dict[str, str], coding: str | None
) -> Response:
    if coding is not None:
        headers["content-encoding"] = coding
        chunks = encode_stream(chunks, coding)
    return StreamResponse(200, headers, chunks=await prime(chunks))


async def json_array(pages: Pages, base: bytes) -> AsyncGenerator[bytes, None]:
    """Stream a JSON array of all rows, about half a megabyte at a time, joined off the event loop."""
    before = b"["
    async with aclosing(pages):
        async for rows in pages:
            for group in _groups(rows):
                yield await asyncio.to_thread(_join, before, group, base)
                before = b","
    yield b"]" if before == b"," else b"[]"


def _groups(rows: Sequence[bytes]) -> list[list[bytes]]:
    """Return the rows in groups of at most half a megabyte; a longer row is a group of its own."""
    groups: list[list[bytes]] = [[]]
    size = 0
    for row in rows:
        if groups[-1] and size + len(row) > 512 << 10:
            groups.append([])
            size = 0
        groups[-1].append(row)
        size += len(row)
    return groups if groups[0] else []


def _join(before: bytes, rows: list[bytes], base: bytes) -> bytes:
    return before + b",".join(rows).replace(b"\0", base)


async def _parts(pages: Pages, base: bytes, charset: str, media: str) -> AsyncGenerator[Part, None]:
    async with aclosing(xml_documents(pages, base, charset)) as documents:
        async for document in documents:
            yield Part(media, _once(document), len(document))


async def xml_documents(pages: Pages, base: bytes, charset: str) -> AsyncGenerator[bytes, None]:
    """Yield the Native DICOM Model document of each row, written off the event loop."""
    async with aclosing(pages):
        async for rows in pages:
            for row in rows:
                yield await asyncio.to_thread(_xml, row, base, charset)


async def _one_document(pages: Pages, base: bytes, charset: str) -> AsyncGenerator[bytes, None]:
    async with aclosing(xml_documents(pages, base, charset)) as documents:
        yield await anext(documents)


def _xml(row: bytes, base: bytes, charset: str) -> bytes:
    return recode_xml(xml_row(row.replace(b"\0", base)), charset)


async def _once(document: bytes) -> AsyncGenerator[bytes, None]:
    yield document
