"""Render frames as pictures, animations and videos (PS3.18 8.7.4, 10.4.1.1.3).

Requests for the same picture at the same time share one job. Decoding, drawing and encoding run in the codec
pool. An animation or a video has one frame in memory at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from gateway.dicom import uids
from gateway.dicom.encoding.layout import PixelLayout
from gateway.errors import NotAcceptable
from gateway.extras import Extra, is_installed, require_for_request
from gateway.index.base import Scope
from gateway.model import FrameNumber
from gateway.render.attributes import Attributes
from gateway.render.codecs.decode import native_frame_length
from gateway.render.objects import blending, ordering
from gateway.render.objects.cine import frame_time, frame_times
from gateway.render.output.imageformats import EMBEDS_ICC, MEDIA, encode, encode_animation
from gateway.render.pipeline import render_frame
from gateway.render.pool import CodecPool, SingleFlight
from gateway.render.rendering import Array, Image, Presentation
from gateway.render.stages import icc
from gateway.services.freshness import Freshness, StudyCache
from gateway.services.render.dosescale import Doses
from gateway.services.render.fragmentfile import FragmentFile
from gateway.services.render.renderedvideo import VideoCache, pull
from gateway.services.render.renderparameters import RenderRequest
from gateway.services.render.rendertarget import Category, RenderTarget, RenderTargets
from gateway.services.render.underlay import Underlay, Underlays
from gateway.services.retrieve.frames import select_frames
from gateway.services.retrieve.retrieve import Retrieve
from gateway.services.timing import measure

__all__ = [
    "EMBEDS_ICC",
    "GIF",
    "MP4",
    "PICTURES",
    "REMUXED",
    "RENDERER",
    "Rendered",
    "RenderedFrame",
    "State",
    "find_stored_type",
    "goes_out_as_stored",
]

# Part of every entity tag of a rendered answer: raise it when the same request gives another picture.
RENDERER = "2"
PICTURES_AT_MOST = 64 << 20
# Most pixels of all frames of an animation or a video: some ten minutes of work.
FILM_AT_MOST = 1 << 32
PICTURES = MEDIA
GIF, MP4 = "image/gif", "video/mp4"
# Rendered media types of stored video by transfer syntax (PS3.18 8.7.4); any other is H.264.
VIDEO_TYPES = {
    uids.MPEG2MPML: "video/mpeg",
    uids.MPEG2MPHL: "video/mpeg",
    uids.HEVCMP51: "video/H265",
    uids.HEVCM10P51: "video/H265",
}
# Stored types that are put into an MP4 file without decoding.
REMUXED = frozenset({MP4, "video/H265"})
OVERLAYS = "60"
_LOSSLESS = frozenset({"image/png", GIF})


class State(Protocol):
    """A presentation state, as it applies to one frame; `key` identifies the state and its version."""

    @property
    def key(self) -> str: ...

    async def present(self, attributes: Attributes, number: int) -> Presentation: ...


@dataclass(frozen=True, slots=True)
class RenderedFrame:
    """One frame, the presentation state it is drawn through, and the image shown beneath it."""

    subject: RenderTarget
    number: FrameNumber
    state: State | None = None
    under: Underlay | None = None

    @property
    def key(self) -> Hashable:
        under = (self.under.subject.version, self.under.number) if self.under else ()
        return self.subject.version, self.number, self.state.key if self.state else "", *under


class Rendered:
    """Renders frames, without HTTP."""

    def __init__(
        self, retrieve: Retrieve, freshness: Freshness, pool: CodecPool, *, video_encoder: str = ""
    ) -> None:
        self._retrieve = retrieve
        self._pool = pool
        self._video_encoder = video_encoder
        self._encoder = ""
        self._films = VideoCache()
        self._flights: SingleFlight[bytes] = SingleFlight()
        self._pictures: StudyCache[bytes] = freshness.watch(StudyCache(PICTURES_AT_MOST))
        self._doses = Doses(retrieve, freshness, pool)
        self.subjects = RenderTargets(retrieve, freshness, pool)
        self._beneath = Underlays(retrieve, self.subjects)

    async def picture(self, scope: Scope, shot: RenderedFrame, asked: RenderRequest, media: str) -> bytes:
        """Return a frame in an image media type. Raises BadParameter, CodecError, NotFound, StoreError."""
        key = (scope.fingerprint, shot.key, media, asked.key(lossy=media not in _LOSSLESS))
        found = self._pictures.get(key)
        if found is None:
            found = await self._flights.run(key, lambda: self._picture(scope, shot, asked, media))
            self._pictures.put(key, found, study=shot.subject.path.study, weight=len(found))
        return found

    async def _picture(self, scope: Scope, shot: RenderedFrame, asked: RenderRequest, media: str) -> bytes:
        box = asked.how.viewport
        shown = 3 * box.vw * box.vh if box is not None else 0
        async with self._pool.budget.hold(weight(shot) + shown):
            image = await self.image(scope, shot, asked)
            with measure("encode"):
                return await self._pool.run(encode, image, media, asked.how.quality)

    async def image(self, scope: Scope, shot: RenderedFrame, asked: RenderRequest) -> Image:
        """Draw a frame and return the image."""
        attributes = await self.subjects.attributes(scope, shot.subject)
        how = asked.how
        if asked.anonymous or not asked.overlays:
            attributes = attributes.without(OVERLAYS)
        if shot.state is not None:
            how = replace(how, presentation=await shot.state.present(attributes, shot.number))
        elif how.window is None and not shot.subject.stream:
            attributes = await self._doses.scale(scope, shot.subject, attributes)
            how = replace(how, beneath=await self._under(scope, shot))
        with measure("render"):
            native, attributes, profile = await self._frame(shot, attributes, asked)
            return await self._pool.run(render_frame, native, attributes, shot.number, how, profile)

    async def _under(self, scope: Scope, shot: RenderedFrame) -> Callable[[int, int], Array] | None:
        if shot.under is None:
            return None
        below = RenderedFrame(shot.under.subject, shot.under.number)
        image = await self.image(scope, below, RenderRequest(overlays=False))
        return partial(blending.move_onto, image=image.pixels, way=shot.under.way)

    async def _frame(
        self, shot: RenderedFrame, attributes: Attributes, asked: RenderRequest
    ) -> tuple[bytes, Attributes, bytes | None]:
        """Return the native bytes of a frame, their attributes, and the ICC profile of the codestream.

        The profile is read only where `asked.profile` is set.
        """
        subject, pixels = shot.subject, shot.subject.pixels
        if subject.stream:
            require_for_request(Extra.VIDEO, "a picture of a video")
            from gateway.render.output import videostream

            file = self._stream(subject, pixels)
            native, rows, columns = await self._films.run(partial(videostream.frame, file, shot.number))
            return native, videostream.describe(attributes, rows, columns), None
        native = await self._retrieve.read_native_frame(subject.located, pixels, shot.number)
        profile = None
        if asked.profile and pixels.encapsulated:
            body = await self._retrieve.open_frame(select_frames(subject.located, [shot.number]))
            profile = icc.in_codestream(b"".join([chunk async for chunk in body.chunks]))
        return native, attributes, profile

    def _stream(self, subject: RenderTarget, pixels: PixelLayout) -> FragmentFile:
        return FragmentFile(self._retrieve, subject.located, pixels, asyncio.get_running_loop())

    async def order(self, scope: Scope, shots: Sequence[RenderedFrame]) -> list[RenderedFrame]:
        """Return frames in the order of PS3.18 8.3.5.1.6."""
        if len(shots) < 2:
            return list(shots)
        found = [(await self.subjects.attributes(scope, shot.subject), int(shot.number)) for shot in shots]
        indexes = await self._pool.run(ordering.order_frames, found)
        return [shots[index] for index in indexes]

    async def shots(
        self, scope: Scope, subject: RenderTarget, numbers: Sequence[FrameNumber] | None = None
    ) -> list[RenderedFrame]:
        """Return the frames of these numbers, or all in stored order.

        Segments and doses come with the image beneath.
        """
        if numbers is None:
            numbers = [FrameNumber(number) for number in range(1, subject.frames + 1)]
        beneath = await self._beneath.find(scope, subject, numbers)
        return [
            RenderedFrame(subject, number, under=under)
            for number, under in zip(numbers, beneath, strict=True)
        ]

    # -- animations and videos --------------------------------------------------------------------------

    def filmable(self, subject: RenderTarget, count: int) -> bool:
        """Return whether `count` of its frames can go into one animation or video."""
        pixels = subject.located.layout.pixels
        return pixels is not None and pixels.rows * pixels.columns * count <= FILM_AT_MOST

    async def film(
        self,
        scope: Scope,
        subject: RenderTarget,
        shots: Sequence[RenderedFrame],
        asked: RenderRequest,
        media: str,
    ) -> tuple[int, AsyncGenerator[bytes, None]]:
        """Return size and bytes of frames as an animated GIF or an MP4.

        Without `shots` all frames of a video stream are taken. Raises CodecError, BadParameter.
        """
        if media == MP4:
            require_for_request(Extra.VIDEO, MP4)
        encoder = await self.find_encoder() if media == MP4 else ""
        attributes = await self.subjects.attributes(scope, subject)
        loop = asyncio.get_running_loop()

        def write(path: Path) -> None:
            if shots:
                images = pull(self._images(scope, shots, asked), loop)
            else:
                file = FragmentFile(self._retrieve, subject.located, subject.pixels, loop)
                images = _draw(file, attributes, asked)
            if media == GIF:
                times = frame_times(attributes, subject.frames)
                encode_animation(images, [times[shot.number - 1] for shot in shots] or times, path)
            else:
                from gateway.render.output.video import encode_video

                rate = 1000 / frame_time(attributes)
                encode_video(images, rate, path, asked.how.quality, encoder=encoder)

        which = tuple(shot.key for shot in shots)
        key = (scope.fingerprint, subject.version, which, media, asked.key(lossy=media != GIF))
        return await self._films.open(key, write)

    async def _images(
        self, scope: Scope, shots: Sequence[RenderedFrame], asked: RenderRequest
    ) -> AsyncGenerator[Image, None]:
        for shot in shots:
            yield await self.image(scope, shot, asked)

    async def find_encoder(self) -> str:
        """Return FFmpeg's name of the encoder of an MP4; it is part of an entity tag, as its bytes depend on it.

        Loads FFmpeg at the first call, in the codec pool. Empty where the part is not installed.
        """
        if not self._encoder and is_installed(Extra.VIDEO):
            self._encoder = await self._pool.run(_choose_encoder, self._video_encoder)
        return self._encoder

    async def open_stored_video(
        self, scope: Scope, subject: RenderTarget, media: str
    ) -> tuple[int | None, AsyncGenerator[bytes, None]]:
        """Return size and bytes of a stored video, without decoding.

        For MP4, a stream that is not an MP4 file yet is put into one.
        """
        pixels = subject.pixels
        if media == MP4:
            file = self._stream(subject, pixels)
            head = await self._films.run(lambda: file.read(16))
            if head[4:8] not in {b"ftyp", b"styp"}:  # not yet a file in the ISO base media format
                require_for_request(Extra.VIDEO, "a stream that is put into an MP4 file")
                from gateway.render.output import videostream

                key = (scope.fingerprint, subject.version, "remuxed")
                file.seek(0)
                return await self._films.open(key, partial(videostream.remux, file))
        body = await self._retrieve.value(scope, subject.located, f"{pixels.tag:08X}")
        return body.length, body.chunks

    def close(self) -> None:
        self._films.close()


def weight(shot: RenderedFrame) -> int:
    """Return the native bytes that are in memory while a frame is drawn."""
    subjects = [shot.subject] + ([shot.under.subject] if shot.under else [])
    return sum(native_frame_length(found) for one in subjects if (found := one.located.layout.pixels))


def _choose_encoder(name: str) -> str:
    from gateway.render.output.video import choose_encoder

    return choose_encoder(name)


def find_stored_type(subject: RenderTarget) -> str:
    """Return the media type of a stored video."""
    return VIDEO_TYPES.get(subject.located.layout.transfer_syntax.removesuffix(".1"), MP4)


def goes_out_as_stored(subject: RenderTarget, media: str, asked: RenderRequest) -> bool:
    """Return whether a stored video is sent in this type without decoding."""
    if subject.category is not Category.VIDEO or asked.changes_picture:
        return False
    stored = find_stored_type(subject)
    return media == stored or (media == MP4 and stored in REMUXED)


def _draw(file: FragmentFile, attributes: Attributes, asked: RenderRequest) -> Iterator[Image]:
    """Yield all frames of a stream in order: to seek each of them would take quadratic time."""
    from gateway.render.output import videostream

    for number, (native, rows, columns) in enumerate(videostream.frames(file), 1):
        yield render_frame(native, videostream.describe(attributes, rows, columns), number, asked.how)


def check_has_picture(subject: RenderTarget) -> RenderTarget:
    """Return the instance if it has a picture. Raises NotAcceptable saying why it has none."""
    if subject.obstacle or not subject.frames:
        uid = subject.path.instance
        raise NotAcceptable(
            f"instance {uid}, of category '{subject.category}', has no picture: {subject.obstacle or 'no frames'}",
            uid=uid,
        )
    return subject
