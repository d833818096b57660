"""Answer with all bulk data or all pixel data of a study, series or instance.

PS3.18 10.4.1.1.5, 10.4.1.1.6.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.dicom import uids
from gateway.dicom.model.multipart import boundary_of
from gateway.errors import CodecError, GatewayError, NotAcceptable, NotFound
from gateway.http.message.caching import caching, not_modified
from gateway.http.message.conditional import entity_tag
from gateway.http.message.multipart import multipart
from gateway.http.message.request import Request
from gateway.http.message.responses import Part, Response
from gateway.http.negotiation.accept import Accept, Offer, not_acceptable
from gateway.http.negotiation.offers import frame_offers, is_octets, value_offers
from gateway.http.parameters.paths import resource_path
from gateway.http.ports import RetrievePort
from gateway.services.bytestream import MADE_FIRST_AT_MOST, join
from gateway.services.retrieve.bulkdata import count_pixel_bytes
from gateway.services.retrieve.frames import select_all_frames
from gateway.services.retrieve.obtainable import find_obstacle, find_targets
from gateway.services.retrieve.transcode import ENCODER

if TYPE_CHECKING:
    from gateway.dicom.encoding.layout import PixelLayout
    from gateway.index.base import StoredInstance
    from gateway.services.retrieve.framebodies import FrameBodies
    from gateway.services.retrieve.layouts import StoredLayout

# Most values of an answer whose values are all opened before its status line.
OPENED_AT_MOST = 16


@dataclass(frozen=True, slots=True)
class OfferedValue:
    """One value of an instance that the metadata gives by reference.

    `ranked` are its acceptable representations, best first; `size` is in bytes.
    """

    stored: StoredInstance
    where: str
    offers: tuple[Offer, ...]
    ranked: tuple[Offer, ...]
    size: int

    @property
    def location(self) -> str:
        """Return the BulkDataURI in the metadata, without the base (C-MP-6)."""
        return f"{self.stored.identity.path.url()}/bulkdata/{self.where}?v={self.stored.version}"


class StudiesBulk:
    """Handlers of GET on `/bulkdata` and `/pixeldata` below studies, series and instances."""

    def __init__(self, retrieve: RetrievePort) -> None:
        self._retrieve = retrieve

    async def all_bulk(self, request: Request) -> Response:
        """Return a part for each value that the metadata gives by reference (R-B-3)."""
        return await self._answer(request, "bulkdata")

    async def pixel_data(self, request: Request) -> Response:
        """Return Pixel Data, Float and Double Float Pixel Data of the top level, nothing else (R-P-1)."""
        return await self._answer(request, "pixeldata")

    async def _answer(self, request: Request, what: str) -> Response:
        path = resource_path(request.path_params)
        accept = request.accept
        stored, damaged = await self._retrieve.sound(request.scope, path)
        values: list[OfferedValue] = []
        for one in stored:
            located = await self._retrieve.find_layout(request.scope, one)
            values += await self._values(located, accept, pixels_only=what == "pixeldata")
        if not values:
            raise NotFound(
                f"there is no {'pixel' if what == 'pixeldata' else 'bulk'} data below this resource"
            )
        chosen = [value for value in values if value.ranked]
        if not chosen:
            raise not_acceptable([offer for value in values[:20] for offer in value.offers])
        seen = [(value.stored.version, value.where, str(value.ranked[0])) for value in chosen]
        tag = entity_tag(request.scope.fingerprint, request.base, what, ENCODER, seen)
        headers = caching(request, tag)
        if unchanged := not_modified(request, headers):
            return unchanged
        parts, failed = await self._open(request, chosen)
        missing = len(values) - len(chosen) + failed + damaged
        if missing:
            headers["warning"] = f"299 {request.base}: {missing} values cannot be sent as was asked"
        media = chosen[0].ranked[0].media
        return await multipart(206 if missing else 200, headers, parts, boundary_of(tag), media)

    async def _values(
        self, located: StoredLayout, accept: Accept, *, pixels_only: bool
    ) -> list[OfferedValue]:
        values: list[OfferedValue] = []
        layout = located.layout
        pixels = layout.pixels
        own = f"{pixels.tag:08X}" if pixels is not None else ""
        if not pixels_only:
            for where, value in layout.bulk.items():
                if where != own:
                    offers = value_offers(await self._retrieve.kind(located, where), None)
                    values.append(_value(located, where, offers, accept, value.length))
        if pixels is not None:
            size = count_pixel_bytes(pixels)
            values.append(_value(located, own, await self._pixel_offers(located, pixels, own), accept, size))
        return values

    async def _pixel_offers(self, located: StoredLayout, pixels: PixelLayout, own: str) -> list[Offer]:
        retrieve = self._retrieve
        if not pixels.frames:
            return value_offers(await retrieve.kind(located, own), None)
        syntax = located.layout.transfer_syntax if pixels.encapsulated else None
        frames = frame_offers(syntax, single=False, targets=find_targets(located))
        decodable = not find_obstacle(located, uids.EXPLICIT_VR_LITTLE_ENDIAN)
        return [offer for offer in frames if decodable or not is_octets(offer)]

    async def _open(
        self, request: Request, chosen: Sequence[OfferedValue]
    ) -> tuple[AsyncGenerator[Part, None], int]:
        """Return the parts, from the first value that can be opened, and the number of failures before it.

        A failure before the first part can still be a status. All values of a short answer are opened now.
        Raises CodecError, NotAcceptable where no value can be opened.
        """
        short = len(chosen) <= OPENED_AT_MOST and sum(value.size for value in chosen) <= MADE_FIRST_AT_MOST
        failure: GatewayError | None = None
        opened: list[AsyncGenerator[Part, None]] = []
        failed = 0
        for index, value in enumerate(chosen):
            try:
                opened.append(await self._begin(request, value))
            except (CodecError, NotAcceptable) as error:
                failure, failed = failure or error, failed + 1
                continue
            if not short:
                return self._parts(request, opened, chosen[index + 1 :]), failed
        if not opened:
            raise failure or NotFound("there is nothing to send")
        return self._parts(request, opened, ()), failed

    async def _parts(
        self, request: Request, opened: list[AsyncGenerator[Part, None]], rest: Sequence[OfferedValue]
    ) -> AsyncGenerator[Part, None]:
        """Yield the parts of the opened values, then of the rest.

        Where a value of `rest` cannot be opened in any way, the answer breaks off: its status said that it
        is there.
        """
        async with aclosing(join(opened)) as begun:
            async for part in begun:
                yield part
        for value in rest:
            async with aclosing(await self._begin(request, value)) as parts:
                async for part in parts:
                    yield part

    async def _begin(self, request: Request, value: OfferedValue) -> AsyncGenerator[Part, None]:
        """Open a value in the best representation that works.

        Raises CodecError, NotAcceptable where none does.
        """
        failure: GatewayError | None = None
        for offer in value.ranked:
            try:
                return await self._as(request, value, offer)
            except (CodecError, NotAcceptable) as error:
                failure = failure or error
        assert failure is not None
        raise failure

    async def _as(self, request: Request, value: OfferedValue, offer: Offer) -> AsyncGenerator[Part, None]:
        """Open a value as one part; compressed Pixel Data as one part for each frame (8.7.3.3)."""
        retrieve = self._retrieve
        located = await retrieve.find_layout(request.scope, value.stored)
        pixels = located.layout.pixels
        location = request.base + value.location
        own = pixels is not None and value.where == f"{pixels.tag:08X}"
        if pixels is None or not own or not pixels.frames or is_octets(offer):
            body = await retrieve.value(request.scope, located, value.where)
            return _only(Part(offer.content_type, body.chunks, body.length, location))
        target = None if offer.stored else offer.transfer_syntax
        frames = await retrieve.open_frames(select_all_frames(located), target=target)
        return _each(frames, offer, location)


def _value(located: StoredLayout, where: str, offers: list[Offer], accept: Accept, size: int) -> OfferedValue:
    """Return a value with its acceptable offers, always multipart: there may be several values (R-MT-1)."""
    parts = tuple(offer for offer in offers if offer.multipart)
    return OfferedValue(located.stored, where, parts, tuple(accept.rank(parts)), size)


async def _only(part: Part) -> AsyncGenerator[Part, None]:
    async with aclosing(part.chunks):
        yield part


async def _each(frames: FrameBodies, offer: Offer, location: str) -> AsyncGenerator[Part, None]:
    async with aclosing(frames.bodies):
        async for body in frames.bodies:
            yield Part(offer.content_type, body.chunks, body.length, location)
