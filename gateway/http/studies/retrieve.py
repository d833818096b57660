"""WADO-RS: instances, metadata, frames, bulk data (PS3.18 10.4)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from gateway.dicom import uids
from gateway.dicom.model.multipart import PartHead, boundary_of, content_length
from gateway.errors import CodecError, GatewayError, NotAcceptable
from gateway.http.message.caching import caching, not_modified
from gateway.http.message.conditional import entity_tag
from gateway.http.message.contentcoding import choose_coding
from gateway.http.message.multipart import multipart
from gateway.http.message.request import Request
from gateway.http.message.responses import MultipartResponse, Part, Response
from gateway.http.negotiation.accept import Offer, json_offers, not_acceptable
from gateway.http.negotiation.offers import REWRITTEN, frame_offers, is_octets, rank_frames, value_offers
from gateway.http.parameters.paths import bulk_path, frame_list, resource_path
from gateway.http.ports import RetrievePort, ZipFilesPort
from gateway.http.studies.documents import documents
from gateway.http.studies.instancechoice import Choice
from gateway.http.studies.pagedmetadata import send_pages
from gateway.http.studies.singlepart import single
from gateway.http.studies.zip import is_wanted, send_zip
from gateway.model import FrameNumber, Level, ResourcePath
from gateway.services.retrieve.frames import FrameSelection, select_all_frames, select_frames
from gateway.services.retrieve.obtainable import find_obstacle, find_targets
from gateway.services.retrieve.transcode import ENCODER

if TYPE_CHECKING:
    from gateway.index.base import StoredInstance
    from gateway.services.bytestream import Body
    from gateway.services.retrieve.framebodies import FrameBodies
    from gateway.services.retrieve.layouts import StoredLayout


class StudiesRetrieve:
    """Handlers of GET on studies, series, instances, and the resources below them."""

    def __init__(self, retrieve: RetrievePort, zip_files: ZipFilesPort) -> None:
        self._retrieve = retrieve
        self._zip_files = zip_files

    # -- metadata ---------------------------------------------------------------------------------------

    async def metadata(self, request: Request) -> Response:
        """Return the metadata of all instances: an array of JSON, or a part of XML for each (10.4.3.3.2)."""
        path = resource_path(request.path_params)
        offer = request.accept.choose(json_offers(single_xml=path.level is Level.INSTANCE))
        charset = request.charset(offer)
        versions = await self._retrieve.version_set(request.scope, path)
        coding = choose_coding(request.headers.get("accept-encoding"), 1 << 20)
        about = ("metadata", path.url(), str(offer), charset, coding, request.bulk_base)
        headers = caching(request, _tag(request, versions, *about), versions)
        if unchanged := not_modified(request, headers):
            return unchanged
        described = await self._retrieve.describe(request.scope, path, versions)
        if described.version_set != versions:
            # A commit came in between: the tag is that of the versions that are sent.
            versions = described.version_set
            headers = caching(request, _tag(request, versions, *about), versions)
        headers["content-location"] = f"{request.base}{path.url()}/metadata"
        tag = headers["etag"]
        if described.lost:
            _incomplete(request, headers, f"{described.lost} instances are damaged in the archive")
        if described.rows is None:
            pages = self._retrieve.pages(request.scope, described.versions)
            answer = await send_pages(request, offer, pages, tag, headers, charset, coding)
        else:
            base = request.bulk_base
            answer = await documents(request, offer, described.rows, tag, headers, charset, base)
        answer.status = 206 if described.lost else answer.status
        return answer

    # -- instances --------------------------------------------------------------------------------------

    async def instances(self, request: Request) -> Response:
        """Return PS3.10 files, each in a transfer syntax that it can be sent in (10.4.3.3.1)."""
        path = resource_path(request.path_params)
        # Errors in the Accept field are reported before anything is looked up.
        if is_wanted(request, path.level):
            return await send_zip(self._retrieve, self._zip_files, request, path)
        stored, damaged = await self._retrieve.sound(request.scope, path)
        chosen = await self._choose_offers(request, stored, single=path.level is Level.INSTANCE)
        tag = _tag(request, path.url(), ENCODER, *(f"{s.version} {o}" for s, o in chosen))
        headers = caching(request, tag, stored[0].version if path.level is Level.INSTANCE else None)
        if unchanged := not_modified(request, headers):
            return unchanged
        if not chosen[0][1].multipart:
            return await self._single_instance(request, *chosen[0], headers)
        parts = await self._instance_parts(request, chosen)
        if missing := len(stored) - len(parts):
            headers["warning"] = (
                f"299 {request.base}: {missing} instances cannot be sent in an acceptable transfer syntax"
            )
        if damaged:
            _incomplete(request, headers, f"{damaged} instances are damaged in the archive")
        return MultipartResponse(
            206 if missing or damaged else 200,
            headers,
            parts=parts,
            boundary=boundary_of(tag),
            part_type="application/dicom",
        )

    async def _choose_offers(
        self, request: Request, stored: Sequence[StoredInstance], *, single: bool
    ) -> list[tuple[StoredInstance, Offer]]:
        """Return the best offer for each instance that has one (C-ACC-15).

        Raises NotAcceptable where none has.
        """
        choice = Choice(self._retrieve, request, single=single)
        chosen = [(s, offer) for s in stored if (offer := await choice.choose(s)) is not None]
        if not chosen:
            raise not_acceptable(await choice.available(stored))
        return chosen

    async def _single_instance(
        self, request: Request, stored: StoredInstance, offer: Offer, headers: dict[str, str]
    ) -> Response:
        body = await self._open(request, stored, offer)
        headers["content-location"] = request.base + stored.identity.path.url()
        return single(request, body, offer.content_type, headers)

    async def _instance_parts(
        self, request: Request, chosen: Sequence[tuple[StoredInstance, Offer]]
    ) -> list[Part]:
        """Return the parts. The first is opened now, while a failure can still be a status.

        All parts of a short answer are opened now, others when they are sent. Raises CodecError,
        NotAcceptable where none can be opened (10.4.3.1).
        """
        parts: list[Part] = []
        made = [stored for stored, offer in chosen if not _is_untouched(stored, offer)]
        all_now = await self._retrieve.is_short(request.scope, made)
        failure: GatewayError | None = None
        for stored, offer in chosen:
            location = request.base + stored.identity.path.url()
            untouched = _is_untouched(stored, offer)
            if parts and (untouched or not all_now):
                size = stored.locator.length if untouched else None
                parts.append(Part(offer.content_type, self._later(request, stored, offer), size, location))
                continue
            try:
                body = await self._open(request, stored, offer)
                parts.append(Part(offer.content_type, body.chunks, body.length, location))
            except (CodecError, NotAcceptable) as error:
                failure = failure or error
        if failure is not None and not parts:
            raise failure
        return parts

    async def _open(self, request: Request, stored: StoredInstance, offer: Offer) -> Body:
        target = None if offer.stored else offer.transfer_syntax
        return await self._retrieve.instance_bytes(request.scope, stored, target)

    async def _later(
        self, request: Request, stored: StoredInstance, offer: Offer
    ) -> AsyncGenerator[bytes, None]:
        body = await self._open(request, stored, offer)
        async with aclosing(body.chunks):
            async for chunk in body.chunks:
                yield chunk

    # -- frames -----------------------------------------------------------------------------------------

    async def frames(self, request: Request) -> Response:
        """Return one part for each frame, in the requested order (10.4.3.3.6), or a body without parts."""
        path = resource_path(request.path_params)
        numbers = frame_list(request.path_params["frames"])
        accept = request.accept
        located = await self._retrieve.locate(request.scope, path)
        selection = select_frames(located, numbers)
        syntax = located.layout.transfer_syntax if selection.pixels.encapsulated else None
        targets = find_targets(located)
        single = len(numbers) == 1
        failure: GatewayError | None = None
        for offer in rank_frames(accept, syntax, single=single, targets=targets):
            try:
                return await self._frames_as(request, selection, offer)
            except (NotAcceptable, CodecError) as error:  # the next best offer may work
                failure = failure or error
        raise failure or not_acceptable(frame_offers(syntax, single=single, targets=targets))

    async def _frames_as(self, request: Request, selection: FrameSelection, offer: Offer) -> Response:
        stored, numbers = selection.located.stored, selection.numbers
        path = stored.identity.path
        tag = _tag(request, stored.version, "frames", path.url(), numbers, offer, ENCODER)
        headers = caching(request, tag, stored.version)
        if unchanged := not_modified(request, headers):
            return unchanged
        send = self._send_frame if len(numbers) == 1 else self._send_frames
        return await send(request, selection, offer, headers)

    async def _send_frame(
        self, request: Request, selection: FrameSelection, offer: Offer, headers: dict[str, str]
    ) -> Response:
        target = None if offer.stored else offer.transfer_syntax
        body = await self._retrieve.open_frame(selection, target=target)
        location = f"{_frames_url(request, selection)}{selection.numbers[0]}"
        if not offer.multipart:
            headers["content-location"] = location
            return single(request, body, offer.content_type, headers)
        part = Part(offer.content_type, body.chunks, body.length, location)
        boundary = boundary_of(headers["etag"])
        return MultipartResponse(200, headers, parts=[part], boundary=boundary, part_type=offer.media)

    async def _send_frames(
        self, request: Request, selection: FrameSelection, offer: Offer, headers: dict[str, str]
    ) -> Response:
        """Send a part for each frame, with the total length where the lengths of all are known."""
        target = None if offer.stored else offer.transfer_syntax
        frames = await self._retrieve.open_frames(selection, target=target)
        base, boundary = _frames_url(request, selection), boundary_of(headers["etag"])
        size = None
        if frames.sizes is not None:
            heads = (
                PartHead(offer.content_type, s, f"{base}{n}")
                for s, n in zip(frames.sizes, selection.numbers, strict=True)
            )
            size = content_length(boundary, zip(heads, frames.sizes, strict=True))
        parts = _frame_parts(frames, selection.numbers, offer, base)
        return await multipart(200, headers, parts, boundary, offer.media, size)

    # -- bulk data --------------------------------------------------------------------------------------

    async def bulk(self, request: Request) -> Response:
        """Return the value that a BulkDataURI names (10.4.3.3.5).

        Pixel Data is decoded, or compressed in one part for each frame (8.7.3.3): frames that cannot be
        decoded can still be sent as stored.
        """
        path = resource_path(request.path_params)
        where = bulk_path(request.path_params["path"])
        accept = request.accept
        located = await self._retrieve.locate(request.scope, path)
        offers = await self._bulk_offers(located, where)
        failure: GatewayError | None = None
        ranked = accept.rank(offers)
        for offer in ranked:
            try:
                return await self._bulk_as(request, located, where, offer)
            except (NotAcceptable, CodecError) as error:  # the next best offer may work
                failure = failure or error
        if failure is None:
            raise not_acceptable(offers)
        others = [str(offer) for offer in offers if offer not in ranked]
        raise NotAcceptable(
            failure.detail, available=others, uid=located.stored.identity.instance
        ) from failure

    async def _bulk_offers(self, located: StoredLayout, where: str) -> list[Offer]:
        retrieve = self._retrieve
        kind, pixels = await retrieve.kind(located, where), located.layout.pixels
        if pixels is None or where != f"{pixels.tag:08X}" or not pixels.frames:
            return value_offers(kind, None)
        syntax = located.layout.transfer_syntax if pixels.encapsulated else None
        targets = find_targets(located)
        frames = frame_offers(syntax, single=pixels.frames == 1, targets=targets)
        decodable = not find_obstacle(located, uids.EXPLICIT_VR_LITTLE_ENDIAN)
        return value_offers(kind, frames, decodable=decodable)

    async def _bulk_as(self, request: Request, located: StoredLayout, where: str, offer: Offer) -> Response:
        pixels = located.layout.pixels
        if pixels is not None and where == f"{pixels.tag:08X}" and pixels.frames and not is_octets(offer):
            return await self._frames_as(request, select_all_frames(located), offer)
        path: ResourcePath = located.stored.identity.path
        tag = _tag(request, located.stored.version, "bulk", path.url(), where, offer)
        headers = caching(request, tag, located.stored.version)
        if unchanged := not_modified(request, headers):
            return unchanged
        body = await self._retrieve.value(request.scope, located, where)
        version = request.version
        location = f"{request.base}{path.url()}/bulkdata/{where}" + (f"?v={version}" if version else "")
        if not offer.multipart:
            headers["content-location"] = location
            return single(request, body, offer.content_type, headers)
        part = Part(offer.content_type, body.chunks, body.length, location)
        return MultipartResponse(200, headers, parts=[part], boundary=boundary_of(tag), part_type=offer.media)


def _frames_url(request: Request, selection: FrameSelection) -> str:
    """Return the URL of a frame up to its number."""
    return f"{request.base}{selection.located.stored.identity.path.url()}/frames/"


async def _frame_parts(
    frames: FrameBodies, numbers: Sequence[FrameNumber], offer: Offer, base: str
) -> AsyncGenerator[Part, None]:
    async with aclosing(frames.bodies):
        turn = iter(numbers)
        async for body in frames.bodies:
            yield Part(offer.content_type, body.chunks, body.length, f"{base}{next(turn)}")


def _incomplete(request: Request, headers: dict[str, str], why: str) -> None:
    """Add a warning about missing instances (Table 10.4.3-1, 206), and forbid caching.

    Once the archive is repaired, the answer is a different one.
    """
    said = [headers["warning"]] if "warning" in headers else []
    headers["warning"] = ", ".join([*said, f"299 {request.base}: {why}"])
    headers.pop("etag", None)
    headers["cache-control"] = "no-store"


def _is_untouched(stored: StoredInstance, offer: Offer) -> bool:
    """Return whether the stored bytes are sent as they are."""
    return offer.stored and stored.transfer_syntax not in REWRITTEN and not stored.odd_meta


def _tag(request: Request, *parts: object) -> str:
    return entity_tag(request.scope.fingerprint, request.base, *parts)
