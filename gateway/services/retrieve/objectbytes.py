"""Read bytes of a located instance, by the offsets of its layout."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from itertools import islice

from gateway.dicom.encoding.frames import each_span, frame_spans, realign, swap, swap_width, windows
from gateway.dicom.encoding.layout import PixelLayout
from gateway.model import FrameNumber, Span
from gateway.services.bytestream import NOW_AT_MOST, read_span, read_whole
from gateway.services.inflight import InFlight
from gateway.services.retrieve.inflate import Inflated
from gateway.services.retrieve.layouts import StoredLayout
from gateway.store.base import ObjectStore


class ObjectBytes:
    """Reads the stored object, or the derived object of a deflated data set.

    Every method raises StoreError.
    """

    def __init__(self, store: ObjectStore, inflight: InFlight | None = None) -> None:
        self._store = store
        self._inflight = inflight or InFlight()
        self._inflated = Inflated(store)

    # -- spans ------------------------------------------------------------------------------------------

    def stream_span(self, located: StoredLayout, span: Span) -> AsyncGenerator[bytes, None]:
        """Stream the bytes of a span; it counts from the same start as the offsets of the layout."""
        if located.layout.inflated:
            return self._stream_inflated(located, span)
        locator = located.stored.locator
        return self.stream_object(locator.key, Span(locator.offset + span.start, locator.offset + span.stop))

    async def _stream_inflated(self, located: StoredLayout, span: Span) -> AsyncGenerator[bytes, None]:
        key, _ = await self._find_object(located)
        async with aclosing(self.stream_object(key, span)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def stream_object(self, key: str, span: Span) -> AsyncGenerator[bytes, None]:
        """Stream bytes of an object.

        They come at once where the store has them in memory and there is room, else in pieces.
        """
        now, size = None, len(span)
        held = self._inflight.attempt(size) if size <= NOW_AT_MOST else None
        try:
            if held is not None and (now := self._store.read_now(key, span)) is not None:
                yield now
        finally:
            if held is not None:
                held.release()
        if now is None:
            async with aclosing(read_span(self._store, key, span, now=False)) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def stream_fragments(
        self, located: StoredLayout, spans: Iterable[Span]
    ) -> AsyncGenerator[bytes, None]:
        """Stream these spans, one after another; short spans that lie close together are one read."""
        for window, inside in windows(spans):
            if len(inside) == 1:
                async with aclosing(self.stream_span(located, window)) as chunks:
                    async for chunk in chunks:
                        yield chunk
                continue
            data = await self.read_span(located, window)
            yield b"".join([data[s.start - window.start : s.stop - window.start] for s in inside])
            await asyncio.sleep(0)  # there may be millions

    async def read_span(self, located: StoredLayout, span: Span) -> bytes:
        """Return a span in memory: for frames and headers, never for whole objects."""
        key, base = await self._find_object(located)
        return await read_whole(self._store, key, Span(base + span.start, base + span.stop))

    async def find_dataset(self, located: StoredLayout) -> Span:
        """Return where the data set lies; of a deflated one, the whole derived object."""
        if located.layout.inflated:
            key, _ = await self._find_object(located)
            return Span(0, (await self._store.stat(key)).length)
        return Span(located.layout.dataset_offset, located.layout.length)

    async def _find_object(self, located: StoredLayout) -> tuple[str, int]:
        """Return the key of the object that the layout's offsets count in, and its first byte's offset."""
        locator = located.stored.locator
        if located.layout.inflated:
            return await self._inflated.key(located.stored, located.layout), 0
        return locator.key, locator.offset

    # -- stored frames ----------------------------------------------------------------------------------

    def stream_frame(
        self, located: StoredLayout, pixels: PixelLayout, number: FrameNumber
    ) -> AsyncGenerator[bytes, None]:
        """Stream a frame that is sent as it is stored, its fragments one after another."""
        spans = list(islice(each_span(pixels, number), 2))
        if len(spans) == 1:
            return self.stream_span(located, spans[0])
        return self.stream_fragments(located, each_span(pixels, number))

    async def read_codestream(self, located: StoredLayout, pixels: PixelLayout, number: FrameNumber) -> bytes:
        """Return an encapsulated frame, its fragments joined."""
        async with aclosing(self.stream_fragments(located, each_span(pixels, number))) as chunks:
            return b"".join([chunk async for chunk in chunks])

    async def read_frames(
        self, located: StoredLayout, pixels: PixelLayout, run: Sequence[FrameNumber]
    ) -> list[bytes]:
        """Return consecutive frames as they are sent, by one read. For few bytes only."""
        first, last = frame_spans(pixels, run[0])[0], frame_spans(pixels, run[-1])[-1]
        data = await self.read_span(located, Span(first.start, last.stop))
        stored = (
            b"".join([data[s.start - first.start : s.stop - first.start] for s in each_span(pixels, number)])
            for number in run
        )
        if is_upright(located, pixels):
            return list(stored)
        return [_turn(located, pixels, number, frame) for number, frame in zip(run, stored, strict=True)]


def is_upright(located: StoredLayout, pixels: PixelLayout) -> bool:
    """Return whether a frame is stored as it is sent: no single bits, and not in big endian order."""
    return pixels.encapsulated or not (pixels.bits_allocated == 1 or located.layout.big_endian)


def _turn(located: StoredLayout, pixels: PixelLayout, number: FrameNumber, data: bytes) -> bytes:
    """Return a frame as it is sent.

    Single bits are moved to start at a whole byte; other values are put in little endian order.
    """
    if pixels.bits_allocated == 1:
        return realign(data, pixels, number)
    return swap(data, swap_width(pixels.vr, pixels.bits_allocated))
