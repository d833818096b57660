"""STOW-RS: store instances, one after another as they arrive (PS3.18 10.5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import orjson

from gateway.dicom.model.multipart import (
    PartHead,
    boundary_of,
    closing,
    encode_head,
    message_type,
)
from gateway.errors import BadRequest, DicomError, GatewayError, NotAcceptable, UnsupportedMedia
from gateway.http.message.contentcoding import check_coding
from gateway.http.message.request import ClientGone, Request
from gateway.http.message.responses import Response
from gateway.http.negotiation.accept import Offer
from gateway.http.negotiation.charset import UTF8, recode_xml
from gateway.http.negotiation.media import DICOM, JSON, MULTIPART, OCTETS, XML, MediaType, parse_media_type
from gateway.http.parameters.paths import uid
from gateway.http.ports import AssemblePort, IngestPort, ReadinessPort, SessionPort
from gateway.http.studies.documents import make_encoded_response, text_type, xml_of
from gateway.http.studies.metadataparts import MetadataParts
from gateway.http.studies.parts import Parts
from gateway.http.studies.storeresponse import make_location, store_response, store_status, store_warnings
from gateway.services.ingest.outcomes import CANNOT_UNDERSTAND, Outcome

TAKEN = (f'{MULTIPART}; type="{DICOM}"', DICOM, *(f'{MULTIPART}; type="{m}"' for m in (JSON, XML)), JSON, XML)
# More outcomes than this are rendered off the event loop.
MANY = 1000
OFFERS = (Offer(JSON), Offer(XML), Offer(XML, multipart=True))


class StudiesStore:
    """Handler of POST on `/studies` and `/studies/{study}`."""

    def __init__(
        self, ingest: IngestPort, assemble: AssemblePort, readiness: ReadinessPort, *, max_body: int = 0
    ) -> None:
        """Refuse bodies of more than `max_body` bytes; 0 is no limit."""
        self._ingest = ingest
        self._assemble = assemble
        self._readiness = readiness
        self._max_body = max_body

    async def store(self, request: Request) -> Response:
        """Store instances; each succeeds or fails alone, and those reported as stored are durable."""
        study = request.path_params.get("study")
        study = None if study is None else uid("study", study)
        offer = request.accept.choose(OFFERS)
        charset = request.charset(offer)
        media = _check_type(request)
        await self._readiness.check_room(request.announced)
        session = self._ingest.session(request.source, study=study)
        outcomes = await self._receive(request, media, session)
        return await _answer(request, offer, outcomes, charset)

    async def _receive(self, request: Request, media: MediaType, session: SessionPort) -> list[Outcome]:
        body = request.body(self._max_body)
        refused: list[Outcome] = []
        root = _root(media)
        try:
            if root.essence != DICOM:
                refused += await self._metadata(request, media, root, body, session)
            elif media.essence == MULTIPART:
                await _take_parts(Parts(body, media.get("boundary") or ""), media, session, refused)
            else:
                await session.take(await _not_empty(body), named_transfer_syntax=media.get("transfer-syntax"))
        except (DicomError, BadRequest) as error:
            outcomes = await session.finish() + refused
            if all(outcome.failure is not None for outcome in outcomes):
                raise BadRequest(error.detail) from error
            return [*outcomes, Outcome(None, CANNOT_UNDERSTAND, error.detail)]
        except (ClientGone, GatewayError):
            await session.finish()
            raise
        return await session.finish() + refused

    async def _metadata(
        self,
        request: Request,
        media: MediaType,
        root: MediaType,
        body: AsyncIterator[bytes],
        session: SessionPort,
    ) -> list[Outcome]:
        """Store instances that come as metadata, with or without bulk data.

        Returns the outcomes of instances and parts that failed before ingest.
        """
        found = MetadataParts(self._assemble, f"{request.base}{request.path}")
        try:
            async with aclosing(self._ingest.watch_body(body, request.peer)) as chunks:
                if media.essence == MULTIPART:
                    await found.read(Parts(chunks, media.get("boundary") or ""), root)
                else:
                    await found.metadata(root.essence, chunks)
            await found.store(session)
        finally:
            found.close()
        return found.refused


def _root(media: MediaType) -> MediaType:
    """Return the media type of the root part, or of the body where it is not multipart."""
    if media.essence != MULTIPART:
        return media
    return parse_media_type(media.get("type") or DICOM) or media


def _check_type(request: Request) -> MediaType:
    """Return the media type of the body.

    Raises UnsupportedMedia, and BadRequest where a boundary is missing (S-11).
    """
    check_coding(request.headers.get("content-encoding", ""))
    text = request.headers.get("content-type", "")
    media = parse_media_type(text) if text else None
    if media is None or media.essence not in (MULTIPART, DICOM, JSON, XML):
        seen = f"content type '{text[:100]}' is not taken" if text else "no content type is given"
        raise UnsupportedMedia(f"{seen}; want {TAKEN[0]}", available=TAKEN)
    if media.essence == MULTIPART and not media.get("boundary"):
        raise BadRequest("the multipart content type names no boundary")
    if _root(media).essence not in (DICOM, JSON, XML):
        root = media.get("type") or ""
        raise BadRequest(f"a message of type '{root[:60]}' has no metadata; want {', '.join(TAKEN)}")
    return media


async def _take_parts(parts: Parts, media: MediaType, session: SessionPort, refused: list[Outcome]) -> None:
    """Pass each part to ingest by its own type (S-28); a part without a type is application/dicom.

    A part whose type names no transfer syntax has the one of the message.
    """
    async for headers in parts:
        text = headers.get("content-type", "")
        part_type = parse_media_type(text) if text else MediaType(DICOM)
        if part_type is None or part_type.essence not in (DICOM, OCTETS):
            async for _ in parts.body():
                pass
            detail = f"part {parts.count}: content type '{text[:100]}' is not taken; want {DICOM}"
            refused.append(Outcome(None, CANNOT_UNDERSTAND, detail))
            continue
        syntax = part_type.get("transfer-syntax") or media.get("transfer-syntax")
        await session.take(parts.body(), named_transfer_syntax=syntax)
    if not parts.count:
        raise BadRequest("the multipart body has no parts")


async def _not_empty(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    first = await anext(body, b"")
    if not first:
        raise BadRequest("the body is empty; want an instance")

    async def all_of_it() -> AsyncIterator[bytes]:
        yield first
        async for chunk in body:
            yield chunk

    return all_of_it()


def _recode_document(document: bytes, charset: str) -> tuple[bytes, str]:
    """Return the document in this set, or in UTF-8 where the set lacks a character of it.

    The instances are stored already, so this cannot fail any more.
    """
    try:
        return recode_xml(document, charset), charset
    except NotAcceptable:
        return document, UTF8


async def _answer(request: Request, offer: Offer, outcomes: list[Outcome], charset: str) -> Response:
    what = (request, offer, outcomes, charset)
    many = len(outcomes) > MANY
    rendered = (
        await asyncio.to_thread(_render_store_response, *what) if many else _render_store_response(*what)
    )
    return await make_encoded_response(request, *rendered)


def _render_store_response(
    request: Request, offer: Offer, outcomes: list[Outcome], charset: str
) -> tuple[int, dict[str, str], bytes]:
    dataset = store_response(outcomes, request.base)
    headers = {"cache-control": "no-store", "content-type": offer.media}
    if location := make_location(outcomes, request.base):
        headers["location"] = location
    if lines := store_warnings(outcomes, request.base):
        headers["warning"] = "\n".join(line.replace("\n", " ") for line in lines)
    status = store_status(outcomes)
    if status == 503:
        headers["retry-after"] = "5"
    if offer.media == JSON:
        body = orjson.dumps(dataset)
    else:
        body, charset = _recode_document(xml_of(dataset), charset)
        headers["content-type"] = text_type(offer, charset)
    if offer.multipart:  # a client that accepts only multipart XML gets one part of it (S-95)
        boundary = boundary_of(location or request.path)
        head = encode_head(boundary, PartHead(headers["content-type"], len(body)), first=True)
        headers["content-type"] = message_type(boundary, XML)
        body = head + body + closing(boundary)
    return status, headers, body
