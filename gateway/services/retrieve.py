"""How an instance gets out: index row (cached) → spans → ranged read → bytes (PS3.18 10.4)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from functools import partial

import orjson

from gateway.dicom.filemeta import file_meta
from gateway.dicom.frames import frame_spans, is_video, realigned, swap, swap_width
from gateway.dicom.layout import BulkValue, PixelLayout
from gateway.dicom.recode import TEXT, ToUtf8, charset_at
from gateway.dicom.rewrite import Rewriter
from gateway.errors import CodecError, NotFound
from gateway.index.base import Index, Scope, StoredInstance
from gateway.model import (
    DEFLATED_EXPLICIT_VR_LE,
    EXPLICIT_VR_BE,
    EXPLICIT_VR_LE,
    IMPLICIT_VR_LE,
    FrameNumber,
    ResourcePath,
    Span,
)
from gateway.render.codecs import decodable, decode_frame, native_frame_length, native_length
from gateway.render.pool import CodecPool, SingleFlight
from gateway.services.body import MADE_FIRST_AT_MOST, Body, all_made, joined, mapped, only, primed, read_span
from gateway.services.counters import Counters
from gateway.services.deflate import deflated
from gateway.services.freshness import Freshness, StudyCache
from gateway.services.layouts import Layouts, Located, damaged
from gateway.services.objectbytes import ObjectBytes
from gateway.services.timing import measured
from gateway.services.transcode import NEVER_SENT, Instead, Transcode, unpadded
from gateway.store.base import ObjectStore

OCTETS = "application/octet-stream"
# Which of them, the transfer syntax tells.
VIDEO_TYPE = "video/*"
PART10 = "application/dicom"
UNCOMPRESSED = frozenset({EXPLICIT_VR_LE, IMPLICIT_VR_LE, EXPLICIT_VR_BE, DEFLATED_EXPLICIT_VR_LE})
DECODED_AT_MOST = 64 << 20
METADATA_AT_MOST = 64 << 20
# Instances of a short answer.
LOOKED_AT = 16
# Longer text is streamed, its length not known before the end.
RECODED_AT_ONCE = 4 << 20


class Retrieve:
    """WADO-RS without its HTTP."""

    def __init__(
        self,
        store: ObjectStore,
        index: Index,
        freshness: Freshness,
        pool: CodecPool,
        counters: Counters | None = None,
        *,
        verify: bool = True,
    ) -> None:
        self._store = store
        self._index = index
        self._freshness = freshness
        self._pool = pool
        self._counters = counters or Counters()
        self._verify = verify
        self._objects = ObjectBytes(store)
        self._transcode = Transcode(
            self._objects, self.native_frame, freshness, pool, self._counters, verify=verify
        )
        self._flights: SingleFlight[bytes] = SingleFlight()
        self._layouts = Layouts(index, freshness)
        self._decoded: StudyCache[bytes] = freshness.watch(StudyCache(DECODED_AT_MOST))
        self._metadata: StudyCache[list[bytes]] = freshness.watch(StudyCache(METADATA_AT_MOST))

    async def version_set(self, scope: Scope, path: ResourcePath) -> str:
        """Changes whenever what is under `path` does. Raises NotFound, Gone."""
        with measured("index"):
            return await self._index.version_set(scope, path)

    async def instances(self, scope: Scope, path: ResourcePath) -> list[StoredInstance]:
        """Those that can be had, in default order. Raises NotFound, Gone, ObjectDamaged."""
        return (await self.sound(scope, path))[0]

    async def sound(self, scope: Scope, path: ResourcePath) -> tuple[list[StoredInstance], int]:
        """Those that can be had, in default order, and how many are damaged.

        Raises NotFound, Gone, ObjectDamaged where none can be had.
        """
        with measured("index"):
            stored = await self._index.instances(scope, path)
        whole = [one for one in stored if not one.damage]
        if not whole:
            raise damaged(stored[0])
        return whole, len(stored) - len(whole)

    async def metadata(self, scope: Scope, path: ResourcePath) -> list[bytes]:
        """DICOM JSON objects in default order, a NUL byte where the base URL goes; empty ones of damaged
        instances whose header is lost. Raises NotFound, Gone, ObjectDamaged where all are.
        """
        with measured("index"):
            key = (scope.fingerprint, path, await self._index.version_set(scope, path))
            cached = self._metadata.get(key)
            if cached is None:
                generation = self._freshness.generation
                cached = await self._index.metadata(scope, path)
                if not any(cached):
                    raise damaged((await self._index.instances(scope, path))[0])
                if generation == self._freshness.generation:
                    self._metadata.put(key, cached, study=path.study, weight=sum(map(len, cached)))
        return cached

    async def locate(self, scope: Scope, path: ResourcePath) -> Located:
        """Of one instance. Raises NotFound, Gone."""
        return await self._layouts.locate(scope, path)

    async def close(self) -> None:
        """Wait for what was begun in the background."""
        await self._layouts.close()

    # -- frames -----------------------------------------------------------------------------------------

    def checked_frames(self, located: Located, numbers: Sequence[FrameNumber]) -> PixelLayout:
        """The pixel layout, once all of `numbers` are there. Raises NotFound naming what is not (PS3.18 10.4.3.1)."""
        pixels = located.layout.pixels
        instance = located.stored.identity.instance
        if pixels is None:
            raise NotFound(f"instance {instance} has no pixel data, so no frames", uid=instance)
        if pixels.problem:
            raise NotFound(
                f"instance {instance} has no single frames to offer: {pixels.problem}", uid=instance
            )
        for number in numbers:
            if number > pixels.frames:
                raise NotFound(
                    f"frame {number}: the instance has {pixels.frames}", parameter="frames", uid=instance
                )
        return pixels

    async def frames(
        self,
        located: Located,
        numbers: Sequence[FrameNumber],
        *,
        decoded: bool = False,
        target: str | None = None,
    ) -> list[Body]:
        """A body for each number, in order; the first is primed. `decoded` asks for native bytes, `target` for
        another transfer syntax; with neither, frames come as they are stored. A short answer is made now: it fails
        as a whole, or not at all.

        Raises NotFound, NotAcceptable where that cannot be done, CodecError, StoreError.
        """
        pixels = self.checked_frames(located, numbers)
        target = EXPLICIT_VR_LE if decoded else target
        syntax = located.layout.transfer_syntax if pixels.encapsulated else EXPLICIT_VR_LE
        if target == EXPLICIT_VR_LE and pixels.encapsulated:
            self._transcode.check(located, target)
            return await self._made(located, pixels, numbers, None)
        if target not in (None, syntax):
            self._transcode.check(located, target)
            return await self._made(located, pixels, numbers, target)
        bodies = [self._stored_frame(located, pixels, number, syntax) for number in numbers]
        if bodies:
            bodies[0] = replace(bodies[0], chunks=await primed(bodies[0].chunks))
        return bodies

    async def _made(
        self, located: Located, pixels: PixelLayout, numbers: Sequence[FrameNumber], target: str | None
    ) -> list[Body]:
        """Frames that are decoded, or encoded to `target`: the first now, and all where that is done quickly."""
        every = list(dict.fromkeys(numbers))
        count = len(every) if native_frame_length(pixels) * len(every) <= MADE_FIRST_AT_MOST else 1
        make = self.decoded_frame if target is None else partial(self._transcode.frame, target=target)
        later = self._decoded_frame if target is None else partial(self._encoded_frame, target=target)
        jobs = [make(located, pixels, number) for number in every[:count]]
        made = dict(zip(every, await all_made(jobs), strict=False))
        return [
            Body(OCTETS, target or EXPLICIT_VR_LE, len(made[number]), only(made[number]))
            if number in made
            else later(located, pixels, number)
            for number in numbers
        ]

    def targets(self, located: Located) -> tuple[str, ...]:
        """The transfer syntaxes that frames can be encoded to, told from attributes alone."""
        return self._transcode.targets(located)

    def obstacle(self, located: Located, target: str) -> str:
        """Why the instance cannot be had in a transfer syntax; empty where nothing is known against it."""
        return self._transcode.obstacle(located, target)

    def check(self, located: Located, target: str) -> None:
        """Raises NotAcceptable naming the obstacle and what could be had."""
        self._transcode.check(located, target)

    def too_long(self, located: Located) -> bool:
        """Whether Explicit VR Little Endian cannot hold the pixel data, decoded (PS3.18 8.7.3.4)."""
        return self._transcode.too_long(located)

    async def value_bytes(self, located: Located, span: Span) -> bytes:
        """Bytes by the offsets of the layout, in memory: for pieces of long values that are read by position."""
        return await self._objects.whole(located, span)

    def _stored_frame(self, located: Located, pixels: PixelLayout, number: FrameNumber, syntax: str) -> Body:
        spans = frame_spans(pixels, number)
        if not pixels.encapsulated and (pixels.bits_allocated == 1 or located.layout.big_endian):
            length = (pixels.frame_bits + 7) // 8
            return Body(OCTETS, syntax, length, self._native_frame(located, pixels, number))
        parts = [self._objects.span(located, span) for span in spans]
        chunks = parts[0] if len(parts) == 1 else joined(parts)
        return Body(OCTETS, syntax, sum(map(len, spans)), chunks)

    async def _native_frame(
        self, located: Located, pixels: PixelLayout, number: FrameNumber
    ) -> AsyncGenerator[bytes, None]:
        data = b"".join([await self._objects.whole(located, span) for span in frame_spans(pixels, number)])
        if pixels.bits_allocated == 1:
            data = realigned(data, pixels, number)
        elif located.layout.big_endian:
            data = swap(data, swap_width(pixels.vr, pixels.bits_allocated))
        yield data

    def _encoded_frame(self, located: Located, pixels: PixelLayout, number: FrameNumber, target: str) -> Body:
        async def chunks() -> AsyncGenerator[bytes, None]:
            yield await self._transcode.frame(located, pixels, number, target)

        return Body(OCTETS, target, None, chunks())

    async def native_frame(self, located: Located, pixels: PixelLayout, number: FrameNumber) -> bytes:
        """A frame as Explicit VR Little Endian holds it, single bits from the first of a byte on."""
        if pixels.encapsulated:
            return await self.decoded_frame(located, pixels, number)
        body = self._stored_frame(located, pixels, number, EXPLICIT_VR_LE)
        return b"".join([chunk async for chunk in body.chunks])

    def _decoded_frame(self, located: Located, pixels: PixelLayout, number: FrameNumber) -> Body:
        async def chunks() -> AsyncGenerator[bytes, None]:
            yield await self.decoded_frame(located, pixels, number)

        return Body(OCTETS, EXPLICIT_VR_LE, native_frame_length(pixels), chunks())

    async def decoded_frame(self, located: Located, pixels: PixelLayout, number: FrameNumber) -> bytes:
        """Native bytes of an encapsulated frame; who asks for the same at once shares one job."""
        key = (located.stored.version, number)
        cached = self._decoded.get(key)
        if cached is None:
            with measured("decode"):
                cached = await self._flights.run(key, lambda: self._decode(located, pixels, number))
            self._decoded.put(key, cached, study=located.stored.identity.study, weight=len(cached))
        return cached

    async def _decode(self, located: Located, pixels: PixelLayout, number: FrameNumber) -> bytes:
        codestream = await self._objects.codestream(located, pixels, number)
        frame = await self._pool.run(decode_frame, codestream, pixels, located.layout.transfer_syntax)
        if len(frame.data) != native_frame_length(pixels):
            raise CodecError(
                f"frame {number} decodes to {len(frame.data)} bytes, not what its attributes say"
            )
        return frame.data

    # -- instances --------------------------------------------------------------------------------------

    def convertible(self, transfer_syntax: str) -> bool:
        """Whether an instance stored so can be sent in Explicit VR Little Endian."""
        return transfer_syntax in UNCOMPRESSED or decodable(transfer_syntax)

    def possible(self, transfer_syntax: str) -> tuple[str, ...]:
        """What else an instance stored so can be sent in, as far as that alone tells; `obstacle` knows more."""
        return self._transcode.possible(transfer_syntax)

    async def instance_bytes(self, scope: Scope, stored: StoredInstance, target: str | None) -> Body:
        """A PS3.10 file: as stored where `target` is None, though never implicit or big endian (PS3.18 8.7.3).

        In a lossy `target` it is a new image with a UID of its own. Raises NotAcceptable where the pixel data
        cannot be had so, CodecError, StoreError.
        """
        located = await self.locate(scope, stored.identity.path)
        layout = located.layout
        rewritten = layout.implicit or layout.big_endian or layout.transfer_syntax in NEVER_SENT
        if target is None or (target == layout.transfer_syntax and not rewritten):
            return await (self._rewritten(located) if rewritten else self._untouched(located))
        self._transcode.check(located, target)
        if target == DEFLATED_EXPLICIT_VR_LE:
            return await self._deflated(scope, located)
        pixels = layout.pixels
        if pixels is not None and (pixels.encapsulated or target != EXPLICIT_VR_LE):
            return await self._transcode.instance(located, pixels, target)
        return await self._rewritten(located)

    async def changed(self, located: Located, target: str, instead: Instead) -> Body:
        """A PS3.10 file of the frames as they are and other attributes, wholly written anew.

        Raises NotAcceptable where the pixel data cannot be had so, CodecError, StoreError.
        """
        self._transcode.check(located, target)
        if target == DEFLATED_EXPLICIT_VR_LE:
            inner = await self.changed(located, EXPLICIT_VR_LE, instead)
            meta, skip = file_meta(instead.identity, target), len(file_meta(instead.identity, EXPLICIT_VR_LE))
            made = deflated(await primed(inner.chunks), skip, self._pool, self._counters, verify=self._verify)
            return Body(PART10, target, None, joined([only(meta), made]))
        if located.layout.pixels is not None:
            return await self._transcode.instance(located, located.layout.pixels, target, instead)
        data = file_meta(instead.identity, target) + instead.head
        return Body(PART10, target, len(data), only(data))

    async def _deflated(self, scope: Scope, located: Located) -> Body:
        """The data set deflated behind the same group 0002."""
        meta = file_meta(located.stored.identity, DEFLATED_EXPLICIT_VR_LE)
        plain = located.layout.transfer_syntax == EXPLICIT_VR_LE and located.native
        if plain and not (located.layout.implicit or located.layout.big_endian):
            chunks, skip = self._objects.span(located, await self._objects.dataset(located)), 0
        else:
            inner = await self.instance_bytes(scope, located.stored, EXPLICIT_VR_LE)
            chunks, skip = inner.chunks, len(file_meta(located.stored.identity, EXPLICIT_VR_LE))
        made = deflated(await primed(chunks), skip, self._pool, self._counters, verify=self._verify)
        return Body(PART10, DEFLATED_EXPLICIT_VR_LE, None, joined([only(meta), made]))

    async def _untouched(self, located: Located) -> Body:
        if located.layout.odd_meta:
            return await self._with_new_meta(located)
        locator = located.stored.locator
        span = Span(locator.offset, locator.offset + locator.length)
        chunks = await primed(read_span(self._store, locator.key, span))
        return Body(PART10, located.layout.transfer_syntax, locator.length, chunks)

    async def _with_new_meta(self, located: Located) -> Body:
        """The data set as it is stored behind a file meta that is true (PS3.18 10.4.3.3.1, R-I-3)."""
        locator, syntax = located.stored.locator, located.layout.transfer_syntax
        meta = file_meta(located.stored.identity, syntax)
        begin = locator.offset + located.layout.dataset_offset
        span = Span(begin, locator.offset + locator.length)
        chunks = await primed(read_span(self._store, locator.key, span))
        return Body(PART10, syntax, len(meta) + len(span), joined([only(meta), chunks]))

    async def _rewritten(self, located: Located) -> Body:
        layout = located.layout
        if layout.pixels is not None and layout.pixels.encapsulated:
            return await self._untouched(located)
        chunks = self._objects.span(located, await self._objects.dataset(located))
        rewriter = Rewriter(located.stored.identity, layout)
        return Body(PART10, EXPLICIT_VR_LE, None, await primed(mapped(chunks, rewriter)))

    async def is_short(self, scope: Scope, made: Sequence[StoredInstance]) -> bool:
        """Whether all of their frames are decoded quickly, so that an answer may wait for it. Raises NotFound."""
        if len(made) > LOOKED_AT:
            return False
        found = [(await self.locate(scope, stored.identity.path)).layout.pixels for stored in made]
        return sum(native_length(pixels) for pixels in found if pixels is not None) <= MADE_FIRST_AT_MOST

    # -- bulk data --------------------------------------------------------------------------------------

    async def bulk(self, scope: Scope, path: ResourcePath, bulk_path: str) -> Body:
        """The value that a BulkDataURI stands for, little endian (PS3.18 10.4.1.1.5). Raises NotFound, Gone.

        Encapsulated pixel data comes decoded, all frames one after another (R-B-5).
        """
        located = await self.locate(scope, path)
        pixels = located.layout.pixels
        if pixels is not None and bulk_path == f"{pixels.tag:08X}":
            return await self._pixel_value(located, pixels)
        value = located.layout.bulk.get(bulk_path)
        if value is None:
            raise NotFound(
                f"bulk data '{bulk_path}': the instance has none by this path", parameter="bulkdata"
            )
        if value.vr in TEXT:
            return await self._text_value(scope, located, bulk_path, value)
        return await self._bulk_value(located, value)

    async def _text_value(self, scope: Scope, located: Located, bulk_path: str, value: BulkValue) -> Body:
        """Text as UTF-8, whatever the object holds it in: so JSON and XML speak of it (R-B-11)."""
        (row,) = await self.metadata(scope, located.stored.identity.path)
        charset = charset_at(orjson.loads(row.replace(b"\0", b"")), bulk_path)
        span = Span(value.offset, value.offset + value.length)
        if value.length > RECODED_AT_ONCE:
            return Body(
                OCTETS, None, None, await primed(mapped(self._objects.span(located, span), ToUtf8(charset)))
            )
        text = ToUtf8(charset)
        data = text.feed(await self._objects.whole(located, span)) + text.finish()
        return Body(OCTETS, None, len(data), only(data))

    async def _bulk_value(self, located: Located, value: BulkValue) -> Body:
        chunks = self._objects.span(located, Span(value.offset, value.offset + value.length))
        width = swap_width(value.vr, 16) if located.layout.big_endian else 1
        if width > 1:
            chunks = _swapped(chunks, width)
        return Body(value.content_type or OCTETS, None, value.length, await primed(chunks))

    async def _pixel_value(self, located: Located, pixels: PixelLayout) -> Body:
        if not pixels.encapsulated:
            chunks = self._objects.span(located, Span(pixels.offset, pixels.offset + pixels.length))
            width = swap_width(pixels.vr, pixels.bits_allocated) if located.layout.big_endian else 1
            if width > 1:
                chunks = _swapped(chunks, width)
            return Body(OCTETS, EXPLICIT_VR_LE, pixels.length, await primed(chunks))
        if pixels.problem:
            syntax = located.layout.transfer_syntax
            spans = [Span(s, s + n) for s, n in zip(pixels.starts, pixels.lengths, strict=True)]
            parts = [self._objects.span(located, span) for span in spans]
            media = VIDEO_TYPE if is_video(syntax) else OCTETS
            return Body(media, syntax, sum(map(len, spans)), await primed(joined(parts)))
        numbers = [FrameNumber(n + 1) for n in range(pixels.frames)]
        bodies = await self.frames(located, numbers, decoded=True)
        chunks = unpadded(joined([body.chunks for body in bodies]), pixels)
        return Body(OCTETS, EXPLICIT_VR_LE, native_length(pixels), chunks)


async def _swapped(chunks: AsyncGenerator[bytes, None], width: int) -> AsyncGenerator[bytes, None]:
    """Bytes of each value in the other order; a value may lie across two chunks."""
    rest = b""
    async for chunk in chunks:
        data = rest + chunk
        whole = len(data) - len(data) % width
        yield swap(data[:whole], width)
        rest = data[whole:]
    if rest:
        yield rest
