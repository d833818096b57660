"""Open frames: as they are stored, native, or in another transfer syntax (PS3.18 10.4.1.1.6).

A request selects its frames once; the frames that a `FrameSelection` names do exist. Then it opens one or
several. Short frames that follow one another are processed in runs, so that reads, jobs and tasks are bounded
by bytes. `InFlight` counts the bytes in memory for a client until they are written out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import cast

from gateway.dicom import uids
from gateway.dicom.encoding.frames import WINDOW, count_stored_bytes, runs
from gateway.dicom.encoding.layout import PixelLayout
from gateway.errors import NotFound
from gateway.model import FrameNumber
from gateway.render.codecs.decode import native_frame_length
from gateway.services.bytestream import MADE_FIRST_AT_MOST, Body, all_made, only, prime
from gateway.services.inflight import InFlight
from gateway.services.retrieve.encodedframes import EncodedFrames
from gateway.services.retrieve.framebodies import FrameBodies, begin_bodies
from gateway.services.retrieve.layouts import StoredLayout
from gateway.services.retrieve.nativeframes import NativeFrames
from gateway.services.retrieve.objectbytes import ObjectBytes, is_upright
from gateway.services.retrieve.obtainable import check_obtainable, frame_syntax

OCTETS = "application/octet-stream"
# Answers of more frames do not list the lengths of their parts, and are never decoded as a whole first.
COUNTED_AT_MOST = 1000


@dataclass(frozen=True, slots=True)
class FrameSelection:
    """Frames of one instance, in the order in which they are wanted; all of them exist."""

    located: StoredLayout
    pixels: PixelLayout
    numbers: Sequence[FrameNumber]


def select_frames(located: StoredLayout, numbers: Sequence[FrameNumber]) -> FrameSelection:
    """Return a selection of these frames. Raises NotFound naming a missing one (PS3.18 10.4.3.1)."""
    pixels = _find_framed(located)
    if numbers and (last := max(numbers)) > pixels.frames:
        raise NotFound(
            f"frame {last}: the instance has {pixels.frames}",
            parameter="frames",
            uid=located.stored.identity.instance,
        )
    return FrameSelection(located, pixels, numbers)


def select_all_frames(located: StoredLayout) -> FrameSelection:
    """Return a selection of all frames; there may be millions. Raises NotFound where there are none."""
    pixels = _find_framed(located)
    return FrameSelection(located, pixels, cast(Sequence[FrameNumber], range(1, pixels.frames + 1)))


def _find_framed(located: StoredLayout) -> PixelLayout:
    pixels = located.layout.pixels
    instance = located.stored.identity.instance
    if pixels is None:
        raise NotFound(f"instance {instance} has no pixel data, so no frames", uid=instance)
    if pixels.problem:
        raise NotFound(f"instance {instance} has no single frames to offer: {pixels.problem}", uid=instance)
    return pixels


class Frames:
    """Opens frames for an answer: each as a `Body` whose first chunk is already read."""

    def __init__(
        self, objects: ObjectBytes, native: NativeFrames, encoded: EncodedFrames, inflight: InFlight
    ) -> None:
        self._objects = objects
        self._native = native
        self._encoded = encoded
        self._inflight = inflight

    async def open_one(self, selection: FrameSelection, *, target: str | None = None) -> Body:
        """Open the only frame of a selection. Raises as `open` does."""
        located, pixels = selection.located, selection.pixels
        syntax = frame_syntax(located, pixels)
        if target in (None, syntax):
            return await self._open_stored(located, pixels, selection.numbers[0], syntax)
        return await (await self._open_made(selection, target)).take_only()

    async def open(self, selection: FrameSelection, *, target: str | None = None) -> FrameBodies:
        """Open frames as they are stored, or in the transfer syntax `target`; the first is read already.

        A short answer is decoded or encoded as a whole before this returns: it fails as a whole, or not
        at all.

        Raises NotAcceptable where the frames cannot be sent in `target`, CodecError, StoreError, Busy.
        """
        syntax = frame_syntax(selection.located, selection.pixels)
        if target not in (None, syntax):
            return await self._open_made(selection, target)
        bodies = await begin_bodies(self._stream_stored(selection, syntax))
        few = len(selection.numbers) <= COUNTED_AT_MOST
        sizes = [count_stored_bytes(selection.pixels, n) for n in selection.numbers] if few else None
        return FrameBodies(syntax, sizes, bodies)

    # -- as they are stored -----------------------------------------------------------------------------

    async def _open_stored(
        self, located: StoredLayout, pixels: PixelLayout, number: FrameNumber, syntax: str
    ) -> Body:
        upright = is_upright(located, pixels)
        stream = self._objects.stream_frame if upright else self._stream_turned
        chunks = await prime(stream(located, pixels, number))
        return Body(OCTETS, syntax, count_stored_bytes(pixels, number), chunks)

    async def _stream_turned(
        self, located: StoredLayout, pixels: PixelLayout, number: FrameNumber
    ) -> AsyncGenerator[bytes, None]:
        """Stream a native frame whose bits or bytes are reordered: the whole frame is in memory."""
        held = await self._inflight.take(native_frame_length(pixels), (located.stored.version, number))
        try:
            for data in await self._objects.read_frames(located, pixels, [number]):
                yield data
        finally:
            held.release()

    async def _stream_stored(self, selection: FrameSelection, syntax: str) -> AsyncGenerator[Body, None]:
        located, pixels = selection.located, selection.pixels
        for run in runs(pixels, selection.numbers, 0):
            if len(run) == 1:
                yield await self._open_stored(located, pixels, run[0], syntax)
                continue
            for data in await self._objects.read_frames(located, pixels, run):
                yield Body(OCTETS, syntax, len(data), only(data))
            await asyncio.sleep(0)  # others have their turn: there may be thousands of runs

    # -- decoded or encoded -----------------------------------------------------------------------------

    async def _open_made(self, selection: FrameSelection, target: str) -> FrameBodies:
        """Open frames that are decoded or encoded: the first now, or all where that takes little time."""
        check_obtainable(selection.located, target)
        size = native_frame_length(selection.pixels)
        sizes = None
        if len(selection.numbers) <= COUNTED_AT_MOST:
            if size * len(set(selection.numbers)) <= MADE_FIRST_AT_MOST:
                return await self._make_now(selection, target)
            sizes = [size] * len(selection.numbers) if target == uids.EXPLICIT_VR_LITTLE_ENDIAN else None
        return FrameBodies(target, sizes, await begin_bodies(self._make_later(selection, target)))

    async def _make_now(self, selection: FrameSelection, target: str) -> FrameBodies:
        located, pixels, numbers = selection.located, selection.pixels, selection.numbers
        every = list(runs(pixels, sorted(set(numbers)), _count_work(pixels, target)))
        # Requests for the same single frame share the same bytes: `InFlight` counts them once.
        key = (located.stored.version, numbers[0]) if len(numbers) == 1 else None
        held = await self._inflight.take(native_frame_length(pixels) * sum(map(len, every)), key)
        jobs = [self.read(located, pixels, run, target) for run in every]
        made = {
            number: data
            for run, found in zip(every, await all_made(jobs), strict=True)
            for number, data in zip(run, found, strict=True)
        }

        async def bodies() -> AsyncGenerator[Body, None]:
            try:
                for number in numbers:
                    yield Body(OCTETS, target, len(made[number]), only(made[number]))
            finally:
                held.release()

        return FrameBodies(target, [len(made[number]) for number in numbers], await begin_bodies(bodies()))

    async def _make_later(self, selection: FrameSelection, target: str) -> AsyncGenerator[Body, None]:
        located, pixels = selection.located, selection.pixels
        size, within = native_frame_length(pixels), False
        for run in runs(pixels, selection.numbers, _count_work(pixels, target)):
            key = (located.stored.version, run[0], target) if len(run) == 1 else None
            held = await self._inflight.take(size * len(run), key, within=within)
            within = True
            try:
                for data in await self.read(located, pixels, run, target):
                    yield Body(OCTETS, target, len(data), only(data))
            finally:
                held.release()

    # -- in memory --------------------------------------------------------------------------------------

    async def read(
        self, located: StoredLayout, pixels: PixelLayout, run: Sequence[FrameNumber], target: str
    ) -> list[bytes]:
        """Return consecutive frames in `target`: short ones, or a single one.

        Raises CodecError, StoreError.
        """
        if target == uids.EXPLICIT_VR_LITTLE_ENDIAN:
            return await self._native.read(located, pixels, run)
        return await self._encoded.read(located, pixels, run, target)


def _count_work(pixels: PixelLayout, target: str) -> int:
    """Return the weight of a frame in a run, in bytes.

    Encoding takes long: a frame to encode weighs a whole run, so that such frames go one at a time.
    """
    return native_frame_length(pixels) if target == uids.EXPLICIT_VR_LITTLE_ENDIAN else WINDOW
