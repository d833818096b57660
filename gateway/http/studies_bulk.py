"""All bulk data, and all pixel data, of a study, series or instance (PS3.18 10.4.1.1.5, 10.4.1.1.6)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gateway.dicom.multipart import boundary_of
from gateway.errors import CodecError, GatewayError, NotAcceptable, NotFound
from gateway.http.accept import Offer, not_acceptable
from gateway.http.caching import caching, not_modified
from gateway.http.conditional import entity_tag
from gateway.http.offers import bulk_offers, frame_offers
from gateway.http.paths import resource_path
from gateway.http.request import Request
from gateway.http.responses import MultipartResponse, Part, Response
from gateway.model import FrameNumber
from gateway.services.transcode import ENCODER

if TYPE_CHECKING:
    from gateway.http.routes import Services
    from gateway.services.body import Body
    from gateway.services.layouts import Located

OCTETS = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Value:
    """One value by reference of one instance; `frames` where it is Pixel Data that has any."""

    located: Located
    where: str
    content_type: str
    frames: int = 0

    @property
    def location(self) -> str:
        """The BulkDataURI of the metadata, without the base (C-MP-6)."""
        stored = self.located.stored
        return f"{stored.identity.path.url()}/bulkdata/{self.where}?v={stored.version}"


class StudiesBulk:
    """Handlers of GET on `/bulkdata` and `/pixeldata` below studies, series and instances."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def all_bulk(self, request: Request) -> Response:
        """A part for each value that the metadata gives by reference (R-B-3)."""
        return await self._answer(request, "bulkdata")

    async def pixel_data(self, request: Request) -> Response:
        """Pixel Data, Float and Double Float Pixel Data of the top level, nothing else (R-P-1)."""
        return await self._answer(request, "pixeldata")

    async def _answer(self, request: Request, what: str) -> Response:
        path = resource_path(request.path_params)
        _ = request.accept
        stored, damaged = await self._services.retrieve.sound(request.scope, path)
        values: list[Value] = []
        for one in stored:
            located = await self._services.retrieve.locate(request.scope, one.identity.path)
            values += _values(located, pixels_only=what == "pixeldata")
        if not values:
            raise NotFound(
                f"there is no {'pixel' if what == 'pixeldata' else 'bulk'} data below this resource"
            )
        chosen = [(value, offer) for value in values if (offer := self._choose(request, value)) is not None]
        if not chosen:
            raise not_acceptable([offer for value in values[:20] for offer in self._offers(value)])
        seen = [(value.located.stored.version, value.where, str(offer)) for value, offer in chosen]
        tag = entity_tag(request.scope.fingerprint, request.base, what, ENCODER, seen)
        headers = caching(request, tag)
        if unchanged := not_modified(request, headers):
            return unchanged
        parts, failed = await _first_opened([p for v, o in chosen for p in self._parts(request, v, o)])
        missing = len(values) - len(chosen) + failed + damaged
        if missing:
            headers["warning"] = f"299 {request.base}: {missing} values cannot be sent as was asked"
        return MultipartResponse(
            *(206 if missing else 200, headers),
            parts=parts,
            boundary=boundary_of(tag),
            part_type=chosen[0][1].media,
        )

    def _choose(self, request: Request, value: Value) -> Offer | None:
        ranked = request.accept.rank(self._offers(value))
        return ranked[0] if ranked else None

    def _offers(self, value: Value) -> list[Offer]:
        """Always parts: there may be several values (R-MT-1)."""
        if not value.frames:
            offers = bulk_offers(value.content_type, None)
        else:
            layout = value.located.layout
            pixels = layout.pixels
            assert pixels is not None
            syntax = layout.transfer_syntax if pixels.encapsulated else None
            targets = self._services.retrieve.targets(value.located)
            offers = frame_offers(syntax, single=False, targets=targets)
        return [offer for offer in offers if offer.multipart]

    def _parts(self, request: Request, value: Value, offer: Offer) -> Iterator[Part]:
        """One part; compressed Pixel Data is one for each frame (8.7.3.3)."""
        location = request.base + value.location
        if not value.frames or offer.media == OCTETS:
            yield Part(offer.content_type, self._value(request, value), None, location)
            return
        target = None if offer.stored else offer.transfer_syntax
        for number in range(1, value.frames + 1):
            chunks = self._frame(value, FrameNumber(number), target)
            yield Part(offer.content_type, chunks, None, location)

    async def _value(self, request: Request, value: Value) -> AsyncGenerator[bytes, None]:
        path = value.located.stored.identity.path
        body = await self._services.retrieve.bulk(request.scope, path, value.where)
        async for chunk in _chunks(body):
            yield chunk

    async def _frame(
        self, value: Value, number: FrameNumber, target: str | None
    ) -> AsyncGenerator[bytes, None]:
        (body,) = await self._services.retrieve.frames(value.located, [number], target=target)
        async for chunk in _chunks(body):
            yield chunk


def _values(located: Located, *, pixels_only: bool) -> Iterator[Value]:
    layout = located.layout
    pixels = layout.pixels
    own = f"{pixels.tag:08X}" if pixels is not None else ""
    if not pixels_only:
        for where, value in layout.bulk.items():
            if where != own:
                yield Value(located, where, value.content_type or OCTETS)
    if pixels is not None:
        frames = pixels.frames if not pixels.problem else 0
        yield Value(located, own, OCTETS, frames if pixels.encapsulated or frames else 0)


async def _chunks(body: Body) -> AsyncGenerator[bytes, None]:
    async with aclosing(body.chunks):
        async for chunk in body.chunks:
            yield chunk


async def _first_opened(parts: Sequence[Part]) -> tuple[list[Part], int]:
    """From the first part that can be begun on, and how many before it could not: a failure is still a status."""
    failure: GatewayError | None = None
    for index, part in enumerate(parts):
        try:
            first = await anext(part.chunks, b"")
        except (CodecError, NotAcceptable) as error:
            failure = failure or error
            continue
        return [replace(part, chunks=_with(first, part.chunks)), *parts[index + 1 :]], index
    raise failure or NotFound("there is nothing to send")


async def _with(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        if first:
            yield first
        async for chunk in rest:
            yield chunk
