"""Write answers of a search that are too long for memory: a few megabytes at a time, while they are read."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from gateway.dicom.model.multipart import PartHead, boundary_of, closing, encode_head, message_type
from gateway.http.message.request import Request
from gateway.http.message.responses import Response, StreamResponse
from gateway.http.negotiation.accept import Offer
from gateway.http.negotiation.media import JSON
from gateway.http.studies.documents import text_type
from gateway.http.studies.pagedmetadata import Pages, json_array, xml_documents


def long_documents(
    request: Request, offer: Offer, pieces: Pages, tag: str, headers: dict[str, str], charset: str
) -> Response:
    """Return an answer as `documents` does, with rows that come in pages.

    A character that `charset` lacks breaks off the answer.
    """
    base = request.base.encode()
    if offer.media == JSON:
        return StreamResponse(200, {**headers, "content-type": JSON}, chunks=json_array(pieces, base))
    boundary = boundary_of(tag)
    media = message_type(boundary, offer.media)
    chunks = _parts(pieces, base, boundary, text_type(offer, charset), charset)
    return StreamResponse(200, {**headers, "content-type": media}, chunks=chunks)


async def _parts(
    pieces: Pages, base: bytes, boundary: str, media: str, charset: str
) -> AsyncGenerator[bytes, None]:
    first = True
    async with aclosing(xml_documents(pieces, base, charset)) as documents:
        async for document in documents:
            yield encode_head(boundary, PartHead(media, len(document)), first=first) + document
            first = False
    yield closing(boundary)
