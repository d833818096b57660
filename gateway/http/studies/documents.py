"""Answers of DICOM JSON and XML documents (PS3.18 Annex F, PS3.19 A.1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import orjson

from gateway.dicom.dataset import DataSet
from gateway.dicom.model.multipart import boundary_of
from gateway.http.message.contentcoding import choose_coding, encode_body
from gateway.http.message.request import Request
from gateway.http.message.responses import MultipartResponse, Part, Response
from gateway.http.negotiation.accept import Offer
from gateway.http.negotiation.charset import UTF8, recode_xml
from gateway.http.negotiation.media import JSON


async def documents(
    request: Request,
    offer: Offer,
    rows: Sequence[bytes],
    tag: str,
    headers: dict[str, str],
    charset: str = UTF8,
    root: str | None = None,
) -> Response:
    """Return the answer with these documents. `tag` seeds the boundary.

    `rows` are DICOM JSON objects with a NUL byte in place of `root`, or of the service URL where `root` is
    None. `charset` is the one of XML (8.8); DICOM JSON is UTF-8. Raises NotAcceptable where the text has a
    character that `charset` lacks.
    """
    base = (request.base if root is None else root).encode()
    if offer.media == JSON:
        body = b"".join((b"[", b",".join(rows).replace(b"\0", base), b"]"))
        return await make_encoded_response(request, 200, {**headers, "content-type": JSON}, body)
    written = await asyncio.to_thread(
        lambda: [recode_xml(xml_row(row.replace(b"\0", base)), charset) for row in rows]
    )
    media = text_type(offer, charset)
    if not offer.multipart:
        return await make_encoded_response(request, 200, {**headers, "content-type": media}, written[0])
    parts = [Part(media, _once(document), len(document)) for document in written]
    return MultipartResponse(200, headers, parts=parts, boundary=boundary_of(tag), part_type=offer.media)


def text_type(offer: Offer, charset: str) -> str:
    """Return the Content-Type of text; UTF-8, the default of DICOM media types, is not named (8.7.3.5.3)."""
    return offer.media if charset == UTF8 else f"{offer.media}; charset={charset}"


async def make_encoded_response(
    request: Request, status: int, headers: dict[str, str], body: bytes
) -> Response:
    """Return an answer with `body` in the content coding that the client prefers."""
    coding = choose_coding(request.headers.get("accept-encoding"), len(body))
    if coding is not None:
        headers = {**headers, "content-encoding": coding}
        body = await encode_body(body, coding)
    return Response(status, headers, [body])


def xml_row(row: bytes) -> bytes:
    """Return one DICOM JSON object as a Native DICOM Model document."""
    from gateway.dicom.model.nativexml import to_xml

    return to_xml(orjson.loads(row))


def xml_of(dataset: DataSet) -> bytes:
    """Return one data set as a Native DICOM Model document."""
    return xml_row(orjson.dumps(dataset))


async def _once(document: bytes) -> AsyncGenerator[bytes, None]:
    yield document
