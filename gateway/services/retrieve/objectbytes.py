"""Bytes of a located instance, by the offsets that its layout counts in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing

from gateway.dicom.encoding.filemeta import file_meta
from gateway.dicom.encoding.frames import each_span, frame_spans, windows
from gateway.dicom.encoding.layout import PixelLayout
from gateway.dicom.encoding.rewrite import Rewriter
from gateway.model import EXPLICIT_VR_LE, FrameNumber, Span
from gateway.services.bytestream import NOW_AT_MOST, map_chunks, read_span, read_whole
from gateway.services.inflight import InFlight
from gateway.services.retrieve.inflate import Inflated
from gateway.services.retrieve.layouts import StoredLayout
from gateway.store.base import ObjectStore


class ObjectBytes:
    """Reads the stored object, or what a deflated data set was inflated to."""

    def __init__(self, store: ObjectStore, inflight: InFlight | None = None) -> None:
        self._store = store
        self._inflight = inflight or InFlight()
        self._inflated = Inflated(store)

    def span(self, located: StoredLayout, span: Span) -> AsyncGenerator[bytes, None]:
        """Bytes by the offsets of the layout."""
        if located.layout.inflated:
            return self._read_inflated(located, span)
        locator = located.stored.locator
        return self.read(locator.key, Span(locator.offset + span.start, locator.offset + span.stop))

    async def _read_inflated(self, located: StoredLayout, span: Span) -> AsyncGenerator[bytes, None]:
        key, _ = await self._key(located)
        async with aclosing(self.read(key, span)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def read(self, key: str, span: Span) -> AsyncGenerator[bytes, None]:
        """Bytes of an object: at once where it has them at hand and there is room for them, else in its pieces."""
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

    async def fragments(self, located: StoredLayout, spans: Iterable[Span]) -> AsyncGenerator[bytes, None]:
        """The bytes of these spans, one after another: short ones that lie close together are one read."""
        for window, inside in windows(spans):
            if len(inside) == 1:
                async with aclosing(self.span(located, window)) as chunks:
                    async for chunk in chunks:
                        yield chunk
                continue
            data = await self.whole(located, window)
            yield b"".join([data[s.start - window.start : s.stop - window.start] for s in inside])
            await asyncio.sleep(0)  # there may be millions

    async def whole(self, located: StoredLayout, span: Span) -> bytes:
        """In memory: for frames and headers, never for whole objects."""
        key, base = await self._key(located)
        return await read_whole(self._store, key, Span(base + span.start, base + span.stop))

    async def dataset(self, located: StoredLayout) -> Span:
        """Where the data set lies; of a deflated one, the whole of what it was inflated to."""
        if located.layout.inflated:
            key, _ = await self._key(located)
            return Span(0, (await self._store.stat(key)).length)
        return Span(located.layout.dataset_offset, located.layout.length)

    async def codestream(self, located: StoredLayout, pixels: PixelLayout, number: FrameNumber) -> bytes:
        """An encapsulated frame, its fragments joined."""
        async with aclosing(self.fragments(located, each_span(pixels, number))) as chunks:
            return b"".join([chunk async for chunk in chunks])

    async def run(
        self, located: StoredLayout, pixels: PixelLayout, numbers: Sequence[FrameNumber]
    ) -> list[bytes]:
        """Frames that follow one another, as they are stored, by one read. For few bytes only."""
        first, last = frame_spans(pixels, numbers[0])[0], frame_spans(pixels, numbers[-1])[-1]
        data = await self.whole(located, Span(first.start, last.stop))
        return [
            b"".join([data[s.start - first.start : s.stop - first.start] for s in each_span(pixels, number)])
            for number in numbers
        ]

    async def before_pixels(self, located: StoredLayout, pixels: PixelLayout) -> bytes:
        """The elements before Pixel Data in Explicit VR Little Endian, without group 0002. Raises DicomError."""
        layout = located.layout
        # Tag and length; explicit: tag, VR, two reserved bytes, length.
        header = 8 if layout.implicit else 12
        start = (await self.dataset(located)).start
        head = await self.whole(located, Span(start, pixels.offset - header))
        if not (layout.implicit or layout.big_endian):
            return head
        rewriter = Rewriter(located.stored.identity, layout)
        return (rewriter.feed(head) + rewriter.finish())[_meta_length(located) :]

    async def after_pixels(self, located: StoredLayout, pixels: PixelLayout) -> AsyncGenerator[bytes, None]:
        """The elements after Pixel Data in Explicit VR Little Endian. Raises DicomError."""
        tail = Span(pixels.offset + pixels.length, (await self.dataset(located)).stop)
        chunks = self.span(located, tail)
        if not (located.layout.implicit or located.layout.big_endian):
            async for chunk in chunks:
                yield chunk
            return
        skip = _meta_length(located)
        async for chunk in map_chunks(chunks, Rewriter(located.stored.identity, located.layout)):
            yield chunk[skip:]
            skip = max(0, skip - len(chunk))

    async def length_after(self, located: StoredLayout, pixels: PixelLayout) -> int:
        """How many bytes `after_pixels` has where they are not rewritten, as they never are after fragments."""
        return (await self.dataset(located)).stop - pixels.offset - pixels.length

    async def _key(self, located: StoredLayout) -> tuple[str, int]:
        """The object that the layout's offsets count in, and where it begins there."""
        locator = located.stored.locator
        if located.layout.inflated:
            return await self._inflated.key(located.stored, located.layout), 0
        return locator.key, locator.offset


def _meta_length(located: StoredLayout) -> int:
    """What a `Rewriter` writes before the data set."""
    return len(file_meta(located.stored.identity, EXPLICIT_VR_LE))
