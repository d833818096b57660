"""WADO-RS: instances, metadata, frames, bulk data (PS3.18 10.4)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from gateway.dicom.multipart import boundary_of
from gateway.errors import CodecError, GatewayError, NotAcceptable
from gateway.http.accept import Offer, json_offers, not_acceptable
from gateway.http.caching import caching, not_modified
from gateway.http.choice import Choice
from gateway.http.conditional import entity_tag
from gateway.http.documents import documents
from gateway.http.encoding import choose_coding
from gateway.http.offers import REWRITTEN, bulk_offers, frame_offers, ranked_frames
from gateway.http.paths import bulk_path, frame_list, resource_path
from gateway.http.request import Request
from gateway.http.responses import MultipartResponse, Part, Response, StreamResponse
from gateway.http.single import single
from gateway.http.zipped import is_wanted, zipped
from gateway.model import FrameNumber, Level, ResourcePath
from gateway.services.transcode import ENCODER

if TYPE_CHECKING:
    from gateway.http.routes import Services
    from gateway.index.base import StoredInstance
    from gateway.services.body import Body
    from gateway.services.layouts import Located


class StudiesRetrieve:
    """Handlers of GET on studies, series, instances, and what is below them."""

    def __init__(self, services: Services) -> None:
        self._services = services

    # -- metadata ---------------------------------------------------------------------------------------

    async def metadata(self, request: Request) -> Response:
        """An array of all data sets below, or a part of XML for each (10.4.3.3.2)."""
        path = resource_path(request.path_params)
        offer = request.accept.choose(json_offers(single_xml=path.level is Level.INSTANCE))
        charset = request.charset(offer)
        versions = await self._services.retrieve.version_set(request.scope, path)
        coding = choose_coding(request.headers.get("accept-encoding"), 1 << 20)
        tag = _tag(request, versions, "metadata", path.url(), str(offer), charset, coding, request.bulk_base)
        headers = caching(request, tag, versions)
        if unchanged := not_modified(request, headers):
            return unchanged
        found = await self._services.retrieve.metadata(request.scope, path)
        rows = [row for row in found if row]
        headers["content-location"] = f"{request.base}{path.url()}/metadata"
        if damaged := len(found) - len(rows):
            _incomplete(request, headers, f"{damaged} instances are damaged in the archive")
        answer = await documents(request, offer, rows, tag, headers, charset, request.bulk_base)
        answer.status = 206 if damaged else answer.status
        return answer

    # -- instances --------------------------------------------------------------------------------------

    async def instances(self, request: Request) -> Response:
        """PS3.10 files, in the transfer syntax that each of them can be had in (10.4.3.3.1)."""
        path = resource_path(request.path_params)
        # What is wrong with the Accept field is said before anything is looked up.
        if is_wanted(request, path.level):
            return await zipped(self._services, request, path)
        stored, damaged = await self._services.retrieve.sound(request.scope, path)
        chosen = await self._chosen(request, stored, single=path.level is Level.INSTANCE)
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

    async def _chosen(
        self, request: Request, stored: Sequence[StoredInstance], *, single: bool
    ) -> list[tuple[StoredInstance, Offer]]:
        """The best offer for each instance that has one (C-ACC-15). Raises NotAcceptable where none has."""
        choice = Choice(self._services.retrieve, request, single=single)
        chosen = [(s, offer) for s in stored if (offer := await choice.of(s)) is not None]
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
        """The first that can be opened is opened now, while a failure can still be a status, and all of a short
        answer; others when it is their turn. Raises CodecError, NotAcceptable where none can be (10.4.3.1).
        """
        parts: list[Part] = []
        made = [stored for stored, offer in chosen if not _is_untouched(stored, offer)]
        all_now = await self._services.retrieve.is_short(request.scope, made)
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
        return await self._services.retrieve.instance_bytes(request.scope, stored, target)

    async def _later(
        self, request: Request, stored: StoredInstance, offer: Offer
    ) -> AsyncGenerator[bytes, None]:
        body = await self._open(request, stored, offer)
        async with aclosing(body.chunks):
            async for chunk in body.chunks:
                yield chunk

    # -- frames -----------------------------------------------------------------------------------------

    async def frames(self, request: Request) -> Response:
        """One part for each frame, in the order asked (10.4.3.3.6); a bare body where one is asked so."""
        path = resource_path(request.path_params)
        numbers = frame_list(request.path_params["frames"])
        accept = request.accept
        located = await self._services.retrieve.locate(request.scope, path)
        pixels = self._services.retrieve.checked_frames(located, numbers)
        syntax = located.layout.transfer_syntax if pixels.encapsulated else None
        targets = self._services.retrieve.targets(located)
        single = len(numbers) == 1
        failure: GatewayError | None = None
        for offer in ranked_frames(accept, syntax, single=single, targets=targets):
            try:
                return await self._frames_as(request, located, numbers, offer)
            except (NotAcceptable, CodecError) as error:  # the next best may do
                failure = failure or error
        raise failure or not_acceptable(frame_offers(syntax, single=single, targets=targets))

    async def _frames_as(
        self, request: Request, located: Located, numbers: Sequence[FrameNumber], offer: Offer
    ) -> Response:
        path = located.stored.identity.path
        tag = _tag(request, located.stored.version, "frames", path.url(), numbers, offer, ENCODER)
        headers = caching(request, tag, located.stored.version)
        if unchanged := not_modified(request, headers):
            return unchanged
        target = None if offer.stored else offer.transfer_syntax
        bodies = await self._services.retrieve.frames(located, numbers, target=target)
        base = f"{request.base}{path.url()}/frames/"
        if not offer.multipart:
            headers["content-location"] = f"{base}{numbers[0]}"
            return single(request, bodies[0], offer.content_type, headers)
        parts = [
            Part(offer.content_type, body.chunks, body.length, f"{base}{number}")
            for body, number in zip(bodies, numbers, strict=True)
        ]
        return MultipartResponse(200, headers, parts=parts, boundary=boundary_of(tag), part_type=offer.media)

    # -- bulk data --------------------------------------------------------------------------------------

    async def bulk(self, request: Request) -> Response:
        """The value that a BulkDataURI stands for (10.4.3.3.5)."""
        path = resource_path(request.path_params)
        where = bulk_path(request.path_params["path"])
        accept = request.accept
        located = await self._services.retrieve.locate(request.scope, path)
        body = await self._services.retrieve.bulk(request.scope, path, where)
        offers = bulk_offers(body.content_type, body.transfer_syntax)
        try:
            if ranked := accept.rank(offers):
                return _bulk_response(request, located, where, body, ranked[0])
        except BaseException:
            await body.chunks.aclose()
            raise
        await body.chunks.aclose()
        return await self._compressed(request, located, where, offers)

    async def _compressed(
        self, request: Request, located: Located, where: str, offers: list[Offer]
    ) -> Response:
        """Pixel Data as compressed bulk data, a part for each frame (8.7.3.3). Raises NotAcceptable."""
        pixels = located.layout.pixels
        if pixels is None or where != f"{pixels.tag:08X}" or pixels.problem:
            raise not_acceptable(offers)
        syntax = located.layout.transfer_syntax if pixels.encapsulated else None
        targets = self._services.retrieve.targets(located)
        offers = frame_offers(syntax, single=pixels.frames == 1, targets=targets)
        numbers = [FrameNumber(n + 1) for n in range(pixels.frames)]
        return await self._frames_as(request, located, numbers, request.accept.choose(offers))


def _incomplete(request: Request, headers: dict[str, str], why: str) -> None:
    """Say what is not there (Table 10.4.3-1, 206). Nothing is kept: once mended, the answer is another."""
    said = [headers["warning"]] if "warning" in headers else []
    headers["warning"] = ", ".join([*said, f"299 {request.base}: {why}"])
    headers.pop("etag", None)
    headers["cache-control"] = "no-store"


def _is_untouched(stored: StoredInstance, offer: Offer) -> bool:
    """Whether its bytes go out as they are."""
    return offer.stored and stored.transfer_syntax not in REWRITTEN and not stored.odd_meta


def _bulk_response(request: Request, located: Located, where: str, body: Body, offer: Offer) -> Response:
    path: ResourcePath = located.stored.identity.path
    tag = _tag(request, located.stored.version, "bulk", path.url(), where, offer)
    headers = caching(request, tag, located.stored.version)
    if not_modified(request, headers) is not None:
        return StreamResponse(304, headers, chunks=body.chunks)  # closes what was opened
    version = request.version
    location = f"{request.base}{path.url()}/bulkdata/{where}" + (f"?v={version}" if version else "")
    if not offer.multipart:
        headers["content-location"] = location
        return single(request, body, offer.content_type, headers)
    part = Part(offer.content_type, body.chunks, body.length, location)
    return MultipartResponse(200, headers, parts=[part], boundary=boundary_of(tag), part_type=offer.media)


def _tag(request: Request, *parts: object) -> str:
    return entity_tag(request.scope.fingerprint, request.base, *parts)
