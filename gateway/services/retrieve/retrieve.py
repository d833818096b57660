"""How an instance gets out: index row (cached) → spans → ranged read → bytes (PS3.18 10.4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from itertools import chain

import orjson

from gateway.dicom.encoding.filemeta import file_meta
from gateway.dicom.encoding.fragments import Unwrapped
from gateway.dicom.encoding.frames import (
    WINDOW,
    count_stored_bytes,
    each_span,
    is_video,
    runs,
    swap,
    swap_width,
)
from gateway.dicom.encoding.layout import BulkValue, PixelLayout
from gateway.dicom.encoding.nestedpixels import PIXELS
from gateway.dicom.encoding.recode import TEXT, ToUtf8, charset_at
from gateway.dicom.encoding.rewrite import Rewriter
from gateway.errors import NotFound
from gateway.index.base import Described, Index, Scope, StoredInstance, fingerprint_of
from gateway.model import (
    DEFLATED_EXPLICIT_VR_LE,
    EXPLICIT_VR_BE,
    EXPLICIT_VR_LE,
    IMPLICIT_VR_LE,
    FrameNumber,
    ResourcePath,
    Span,
    VersionId,
)
from gateway.render.codecs.decode import decodable, native_frame_length, native_length
from gateway.render.pool import CodecPool, SingleFlight
from gateway.services.bytestream import (
    MADE_FIRST_AT_MOST,
    Body,
    all_made,
    coalesce,
    join,
    map_chunks,
    only,
    prime,
)
from gateway.services.counters import Counters
from gateway.services.freshness import Freshness, StudyCache
from gateway.services.inflight import InFlight
from gateway.services.retrieve.deflate import deflate
from gateway.services.retrieve.framing import (
    Frames,
    begin_bodies,
    decode_frames,
    is_upright,
    just,
    number_frames,
    one_by_one,
    upright,
)
from gateway.services.retrieve.layouts import Layouts, StoredLayout, make_damaged
from gateway.services.retrieve.metadata import Metadata
from gateway.services.retrieve.objectbytes import ObjectBytes
from gateway.services.retrieve.transcode import NEVER_SENT, Instead, Transcode, unpad
from gateway.services.timing import measure
from gateway.store.base import ObjectStore

OCTETS = "application/octet-stream"
# Which of them, the transfer syntax tells.
VIDEO_TYPE, CODED_TYPE = "video/*", "image/*"
PART10 = "application/dicom"
UNCOMPRESSED = frozenset({EXPLICIT_VR_LE, IMPLICIT_VR_LE, EXPLICIT_VR_BE, DEFLATED_EXPLICIT_VR_LE})
DECODED_AT_MOST = 64 << 20
# Instances of a short answer.
LOOKED_AT = 16
# Longer text is streamed, its length not known before the end.
RECODED_AT_ONCE = 4 << 20
# Frames whose lengths are told before the first is sent, and that may be made before that.
COUNTED_AT_MOST = 1000


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
        inflight: InFlight | None = None,
    ) -> None:
        self.inflight = inflight or InFlight()
        self._index = index
        self._freshness = freshness
        self._pool = pool
        self._counters = counters or Counters()
        self._verify = verify
        self._objects = ObjectBytes(store, self.inflight)
        self._transcode = Transcode(
            *(self._objects, self.native_run, freshness, pool, self._counters, self.inflight), verify=verify
        )
        self._flights: SingleFlight[bytes] = SingleFlight()
        self._layouts = Layouts(index, freshness)
        self._decoded: StudyCache[bytes] = freshness.watch(StudyCache(DECODED_AT_MOST))
        self._metadata = Metadata(index, freshness, self.inflight)

    async def version_set(self, scope: Scope, path: ResourcePath) -> str:
        """Changes whenever what is under `path` does. Raises NotFound, Gone."""
        with measure("index"):
            return await self._index.version_set(scope, path)

    async def instances(self, scope: Scope, path: ResourcePath) -> list[StoredInstance]:
        """Those that can be had, in default order. Raises NotFound, Gone, ObjectDamaged."""
        return (await self.sound(scope, path))[0]

    async def sound(self, scope: Scope, path: ResourcePath) -> tuple[list[StoredInstance], int]:
        """Those that can be had, in default order, and how many are damaged.

        Raises NotFound, Gone, ObjectDamaged where none can be had.
        """
        stored = await self._list(scope, path)
        whole = _pick_whole(stored)
        return whole, len(stored) - len(whole)

    async def list_versions(self, scope: Scope, path: ResourcePath) -> tuple[list[StoredInstance], str]:
        """Those that can be had, in default order, and the version set of just this listing.

        Raises NotFound, Gone, ObjectDamaged where none can be had.
        """
        stored = await self._list(scope, path)
        return _pick_whole(stored), fingerprint_of(one.version for one in stored)

    async def _list(self, scope: Scope, path: ResourcePath) -> list[StoredInstance]:
        with measure("index"):
            return await self._index.instances(scope, path)

    async def row(self, scope: Scope, stored: StoredInstance) -> bytes:
        """The DICOM JSON object of an instance that was listed, a NUL byte where the base URL goes.

        Whatever became of it since: a version never changes. Raises NotFound once it was reclaimed.
        """
        with measure("index"):
            (row,) = await self._index.bodies(scope, [stored.version], 0)
        return row

    async def describe(self, scope: Scope, path: ResourcePath, version_set: str | None = None) -> Described:
        """See `Metadata.describe`. Raises NotFound, Gone."""
        return await self._metadata.describe(scope, path, version_set)

    def pages(self, scope: Scope, versions: Sequence[VersionId]) -> AsyncGenerator[list[bytes], None]:
        """See `Metadata.pages`."""
        return self._metadata.pages(scope, versions)

    async def metadata(self, scope: Scope, path: ResourcePath) -> list[bytes]:
        """DICOM JSON objects in default order, a NUL byte where the base URL goes: of one instance, or a few.

        Raises NotFound, Gone.
        """
        return await self._metadata.rows(scope, await self.describe(scope, path))

    async def find_layout(self, scope: Scope, stored: StoredInstance) -> StoredLayout:
        """Of an instance that was listed, whatever became of it since. Raises Gone once it was reclaimed."""
        return await self._layouts.find(scope, stored)

    async def locate(self, scope: Scope, path: ResourcePath) -> StoredLayout:
        """Of one instance. Raises NotFound, Gone."""
        return await self._layouts.locate(scope, path)

    async def close(self) -> None:
        """Wait for what was begun in the background."""
        await self._layouts.close()

    # -- frames -----------------------------------------------------------------------------------------

    def check_frames(self, located: StoredLayout, numbers: Sequence[FrameNumber]) -> PixelLayout:
        """The pixel layout, once all of `numbers` are there. Raises NotFound naming what is not (PS3.18 10.4.3.1)."""
        pixels = located.layout.pixels
        instance = located.stored.identity.instance
        if pixels is None:
            raise NotFound(f"instance {instance} has no pixel data, so no frames", uid=instance)
        if pixels.problem:
            raise NotFound(
                f"instance {instance} has no single frames to offer: {pixels.problem}", uid=instance
            )
        if numbers and (last := max(numbers)) > pixels.frames:
            raise NotFound(
                f"frame {last}: the instance has {pixels.frames}", parameter="frames", uid=instance
            )
        return pixels

    async def frames(
        self, located: StoredLayout, numbers: Sequence[FrameNumber], *, target: str | None = None
    ) -> Frames:
        """Frames as they are stored, or in the transfer syntax `target`. The first is at hand; of what has to be
        decoded or encoded, all of a short answer: it fails as a whole, or not at all.

        Raises NotFound, NotAcceptable where that cannot be done, CodecError, StoreError, Busy.
        """
        pixels = self.check_frames(located, numbers)
        syntax = located.layout.transfer_syntax if pixels.encapsulated else EXPLICIT_VR_LE
        if target not in (None, syntax):
            self._transcode.check(located, target)
            return await self._make_frames(located, pixels, numbers, target)
        if len(numbers) == 1:
            body = await self._send_stored_frame(located, pixels, numbers[0], syntax)
            return Frames(syntax, [count_stored_bytes(pixels, numbers[0])], just(body))
        bodies = await begin_bodies(self._read_stored(located, pixels, numbers, syntax))
        few = len(numbers) <= COUNTED_AT_MOST
        return Frames(syntax, [count_stored_bytes(pixels, n) for n in numbers] if few else None, bodies)

    async def frame(self, located: StoredLayout, number: FrameNumber, *, target: str | None = None) -> Body:
        """One of them. Raises as `frames` does."""
        return await (await self.frames(located, [number], target=target)).one()

    async def _read_stored(
        self, located: StoredLayout, pixels: PixelLayout, numbers: Sequence[FrameNumber], syntax: str
    ) -> AsyncGenerator[Body, None]:
        for run in runs(pixels, numbers, 0):
            if len(run) == 1:
                yield await self._send_stored_frame(located, pixels, run[0], syntax)
                continue
            for number, data in zip(run, await self._objects.run(located, pixels, run), strict=True):
                data = upright(located, pixels, number, data)
                yield Body(OCTETS, syntax, len(data), only(data))
            await asyncio.sleep(0)  # what is at hand does not wait, and there may be thousands of runs

    async def _send_stored_frame(
        self, located: StoredLayout, pixels: PixelLayout, number: FrameNumber, syntax: str
    ) -> Body:
        length = count_stored_bytes(pixels, number)
        if not is_upright(located, pixels):
            return Body(OCTETS, syntax, length, await prime(self._native_frame(located, pixels, number)))
        spans = each_span(pixels, number)
        first = next(spans)
        # Nearly always there is one.
        alone = len(first) == length
        chunks = (
            self._objects.span(located, first)
            if alone
            else self._objects.fragments(located, chain((first,), spans))
        )
        return Body(OCTETS, syntax, length, await prime(chunks))

    async def _native_frame(
        self, located: StoredLayout, pixels: PixelLayout, number: FrameNumber
    ) -> AsyncGenerator[bytes, None]:
        held = await self.inflight.take(native_frame_length(pixels), (located.stored.version, number))
        try:
            yield upright(located, pixels, number, *await self._objects.run(located, pixels, [number]))
        finally:
            held.release()

    async def _make_frames(
        self, located: StoredLayout, pixels: PixelLayout, numbers: Sequence[FrameNumber], target: str
    ) -> Frames:
        """Frames that are decoded, or encoded: the first now, and all where that is done quickly."""
        size = native_frame_length(pixels)
        sizes = None
        if len(numbers) <= COUNTED_AT_MOST:
            every = sorted(set(numbers))
            if size * len(every) <= MADE_FIRST_AT_MOST:
                return await self._make_now(located, pixels, numbers, target)
            sizes = [size] * len(numbers) if target == EXPLICIT_VR_LE else None
        return Frames(target, sizes, await begin_bodies(self._make_later(located, pixels, numbers, target)))

    async def _make_now(
        self, located: StoredLayout, pixels: PixelLayout, numbers: Sequence[FrameNumber], target: str
    ) -> Frames:
        size = native_frame_length(pixels)
        every = list(runs(pixels, sorted(set(numbers)), size if target == EXPLICIT_VR_LE else WINDOW))
        # Of one frame, everybody who asks for it has the same bytes.
        key = (located.stored.version, numbers[0]) if len(numbers) == 1 else None
        held = await self.inflight.take(size * sum(map(len, every)), key)
        jobs = [self._make_run(located, pixels, run, target) for run in every]
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

        return Frames(target, [len(made[number]) for number in numbers], await begin_bodies(bodies()))

    async def _make_later(
        self, located: StoredLayout, pixels: PixelLayout, numbers: Sequence[FrameNumber], target: str
    ) -> AsyncGenerator[Body, None]:
        size, within = native_frame_length(pixels), False
        for run in runs(pixels, numbers, size if target == EXPLICIT_VR_LE else WINDOW):
            key = (located.stored.version, run[0], target) if len(run) == 1 else None
            held = await self.inflight.take(size * len(run), key, within=within)
            within = True
            try:
                for data in await self._make_run(located, pixels, run, target):
                    yield Body(OCTETS, target, len(data), only(data))
            finally:
                held.release()

    async def _make_run(
        self, located: StoredLayout, pixels: PixelLayout, run: Sequence[FrameNumber], target: str
    ) -> list[bytes]:
        if target == EXPLICIT_VR_LE:
            return await self.native_run(located, pixels, run)
        return await self._transcode.run(located, pixels, run, target)

    def targets(self, located: StoredLayout) -> tuple[str, ...]:
        """The transfer syntaxes that frames can be encoded to, told from attributes alone."""
        return self._transcode.targets(located)

    def obstacle(self, located: StoredLayout, target: str) -> str:
        """Why the instance cannot be had in a transfer syntax; empty where nothing is known against it."""
        return self._transcode.obstacle(located, target)

    def check(self, located: StoredLayout, target: str) -> None:
        """Raises NotAcceptable naming the obstacle and what could be had."""
        self._transcode.check(located, target)

    def too_long(self, located: StoredLayout) -> bool:
        """Whether Explicit VR Little Endian cannot hold the pixel data, decoded (PS3.18 8.7.3.4)."""
        return self._transcode.too_long(located)

    async def value_bytes(self, located: StoredLayout, span: Span) -> bytes:
        """Bytes by the offsets of the layout, in memory: for pieces of long values that are read by position."""
        return await self._objects.whole(located, span)

    async def native_frame(self, located: StoredLayout, pixels: PixelLayout, number: FrameNumber) -> bytes:
        """A frame as Explicit VR Little Endian holds it, single bits from the first of a byte on."""
        (data,) = await self.native_run(located, pixels, [number])
        return data

    async def native_run(
        self, located: StoredLayout, pixels: PixelLayout, run: Sequence[FrameNumber]
    ) -> list[bytes]:
        """Likewise of frames that follow one another: short ones, or a single one. Raises CodecError, StoreError."""
        if not pixels.encapsulated:
            found = await self._objects.run(located, pixels, run)
            return [upright(located, pixels, n, data) for n, data in zip(run, found, strict=True)]
        if len(run) == 1:
            return [await self.decode_frame(located, pixels, run[0])]
        with measure("decode"):
            codestreams = await self._objects.run(located, pixels, run)
            return await self._pool.run(
                decode_frames, codestreams, pixels, located.layout.transfer_syntax, run[0]
            )

    async def decode_frame(self, located: StoredLayout, pixels: PixelLayout, number: FrameNumber) -> bytes:
        """Native bytes of an encapsulated frame; who asks for the same at once shares one job."""
        key = (located.stored.version, number)
        cached = self._decoded.get(key)
        if cached is None:
            with measure("decode"):
                cached = await self._flights.run(key, lambda: self._decode(located, pixels, number))
            self._decoded.put(key, cached, study=located.stored.identity.study, weight=len(cached))
        return cached

    async def _decode(self, located: StoredLayout, pixels: PixelLayout, number: FrameNumber) -> bytes:
        codestream = await self._objects.codestream(located, pixels, number)
        syntax = located.layout.transfer_syntax
        (frame,) = await self._pool.run(decode_frames, [codestream], pixels, syntax, number)
        return frame

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
        return await self._instance(await self.find_layout(scope, stored), target)

    async def _instance(self, located: StoredLayout, target: str | None) -> Body:
        layout = located.layout
        rewritten = layout.implicit or layout.big_endian or layout.transfer_syntax in NEVER_SENT
        if target is None or (target == layout.transfer_syntax and not rewritten):
            return await (self._rewritten(located) if rewritten else self._send_untouched(located))
        self._transcode.check(located, target)
        if target == DEFLATED_EXPLICIT_VR_LE:
            return await self._deflate(located)
        pixels = layout.pixels
        if pixels is not None and (pixels.encapsulated or target != EXPLICIT_VR_LE):
            return await self._transcode.instance(located, pixels, target)
        return await self._rewritten(located)

    async def rewrite(self, located: StoredLayout, target: str, instead: Instead) -> Body:
        """A PS3.10 file of the frames as they are and other attributes, wholly written anew.

        Raises NotAcceptable where the pixel data cannot be had so, CodecError, StoreError.
        """
        self._transcode.check(located, target)
        if target == DEFLATED_EXPLICIT_VR_LE:
            inner = await self.rewrite(located, EXPLICIT_VR_LE, instead)
            meta, skip = file_meta(instead.identity, target), len(file_meta(instead.identity, EXPLICIT_VR_LE))
            made = deflate(await prime(inner.chunks), skip, self._pool, self._counters, verify=self._verify)
            return Body(PART10, target, None, join([only(meta), made]))
        if located.layout.pixels is not None:
            return await self._transcode.instance(located, located.layout.pixels, target, instead)
        data = file_meta(instead.identity, target) + instead.head
        return Body(PART10, target, len(data), only(data))

    async def _deflate(self, located: StoredLayout) -> Body:
        """The data set deflated behind the same group 0002."""
        meta = file_meta(located.stored.identity, DEFLATED_EXPLICIT_VR_LE)
        plain = located.layout.transfer_syntax == EXPLICIT_VR_LE and located.native
        if plain and not (located.layout.implicit or located.layout.big_endian):
            chunks, skip = self._objects.span(located, await self._objects.dataset(located)), 0
        else:
            inner = await self._instance(located, EXPLICIT_VR_LE)
            chunks, skip = inner.chunks, len(file_meta(located.stored.identity, EXPLICIT_VR_LE))
        made = deflate(await prime(chunks), skip, self._pool, self._counters, verify=self._verify)
        return Body(PART10, DEFLATED_EXPLICIT_VR_LE, None, join([only(meta), made]))

    async def _send_untouched(self, located: StoredLayout) -> Body:
        if located.layout.odd_meta:
            return await self._with_new_meta(located)
        locator = located.stored.locator
        span = Span(locator.offset, locator.offset + locator.length)
        chunks = await prime(self._objects.read(locator.key, span))
        return Body(PART10, located.layout.transfer_syntax, locator.length, chunks)

    async def _with_new_meta(self, located: StoredLayout) -> Body:
        """The data set as it is stored behind a file meta that is true (PS3.18 10.4.3.3.1, R-I-3)."""
        locator, syntax = located.stored.locator, located.layout.transfer_syntax
        meta = file_meta(located.stored.identity, syntax)
        begin = locator.offset + located.layout.dataset_offset
        span = Span(begin, locator.offset + locator.length)
        chunks = await prime(self._objects.read(locator.key, span))
        return Body(PART10, syntax, len(meta) + len(span), join([only(meta), chunks]))

    async def _rewritten(self, located: StoredLayout) -> Body:
        layout = located.layout
        if layout.pixels is not None and layout.pixels.encapsulated:
            return await self._send_untouched(located)
        chunks = self._objects.span(located, await self._objects.dataset(located))
        rewriter = Rewriter(located.stored.identity, layout)
        return Body(PART10, EXPLICIT_VR_LE, None, await prime(map_chunks(chunks, rewriter)))

    async def is_short(self, scope: Scope, made: Sequence[StoredInstance]) -> bool:
        """Whether all of their frames are decoded quickly, so that an answer may wait for it. Raises NotFound."""
        if len(made) > LOOKED_AT:
            return False
        found = [(await self.find_layout(scope, stored)).layout.pixels for stored in made]
        return sum(native_length(pixels) for pixels in found if pixels is not None) <= MADE_FIRST_AT_MOST

    # -- bulk data --------------------------------------------------------------------------------------

    async def bulk(self, scope: Scope, path: ResourcePath, bulk_path: str) -> Body:
        """The value that a BulkDataURI stands for, little endian (PS3.18 10.4.1.1.5). Raises NotFound, Gone.

        Encapsulated pixel data comes decoded, all frames one after another (R-B-5).
        """
        return await self.value(scope, await self.locate(scope, path), bulk_path)

    async def kind(self, located: StoredLayout, bulk_path: str) -> tuple[str, str | None]:
        """The media type and transfer syntax that `value` gives, told before it is read. Raises NotFound."""
        pixels = located.layout.pixels
        if pixels is not None and bulk_path == f"{pixels.tag:08X}":
            if not pixels.encapsulated or not pixels.problem:
                return OCTETS, EXPLICIT_VR_LE
            syntax = located.layout.transfer_syntax
            return VIDEO_TYPE if is_video(syntax) else OCTETS, syntax
        value = located.layout.bulk.get(bulk_path)
        if value is None:
            raise NotFound(
                f"bulk data '{bulk_path}': the instance has none by this path", parameter="bulkdata"
            )
        if await self._is_fragments(located, bulk_path, value):
            return CODED_TYPE, located.layout.transfer_syntax
        return (OCTETS if value.vr in TEXT else value.content_type or OCTETS), None

    async def _is_fragments(self, located: StoredLayout, bulk_path: str, value: BulkValue) -> bool:
        """Whether it is encapsulated pixel data within a sequence, as icons are: its header says no length."""
        if "/" not in bulk_path or not bulk_path.endswith(f"/{PIXELS:08X}"):
            return False
        if located.layout.transfer_syntax in UNCOMPRESSED:
            return False
        return await self._objects.whole(located, Span(value.offset - 4, value.offset)) == b"\xff" * 4

    def pixel_length(self, pixels: PixelLayout) -> int:
        """Bytes of the pixel data where all of it is made native; of what has no frames, as it is stored."""
        return native_length(pixels) if pixels.frames else pixels.length

    async def value(self, scope: Scope, located: StoredLayout, bulk_path: str) -> Body:
        """`bulk` of an instance that was looked up before. Raises NotFound, CodecError, StoreError."""
        pixels = located.layout.pixels
        if pixels is not None and bulk_path == f"{pixels.tag:08X}":
            return await self._pixel_value(located, pixels)
        media, syntax = await self.kind(located, bulk_path)
        value = located.layout.bulk[bulk_path]
        if media == CODED_TYPE:
            span = Span(value.offset, value.offset + value.length)
            chunks = coalesce(map_chunks(self._objects.span(located, span), Unwrapped()))
            return Body(media, syntax, None, await prime(chunks))
        if value.vr in TEXT:
            return await self._text_value(scope, located, bulk_path, value)
        return await self._bulk_value(located, value)

    async def _text_value(
        self, scope: Scope, located: StoredLayout, bulk_path: str, value: BulkValue
    ) -> Body:
        """Text as UTF-8, whatever the object holds it in: so JSON and XML speak of it (R-B-11)."""
        row = await self.row(scope, located.stored)
        charset = charset_at(orjson.loads(row.replace(b"\0", b"")), bulk_path)
        span = Span(value.offset, value.offset + value.length)
        if value.length > RECODED_AT_ONCE:
            return Body(
                OCTETS,
                None,
                None,
                await prime(map_chunks(self._objects.span(located, span), ToUtf8(charset))),
            )
        text = ToUtf8(charset)
        data = text.feed(await self._objects.whole(located, span)) + text.finish()
        return Body(OCTETS, None, len(data), only(data))

    async def _bulk_value(self, located: StoredLayout, value: BulkValue) -> Body:
        chunks = self._objects.span(located, Span(value.offset, value.offset + value.length))
        width = swap_width(value.vr, 16) if located.layout.big_endian else 1
        if width > 1:
            chunks = _swap(chunks, width)
        return Body(value.content_type or OCTETS, None, value.length, await prime(chunks))

    async def _pixel_value(self, located: StoredLayout, pixels: PixelLayout) -> Body:
        if not pixels.encapsulated:
            chunks = self._objects.span(located, Span(pixels.offset, pixels.offset + pixels.length))
            width = swap_width(pixels.vr, pixels.bits_allocated) if located.layout.big_endian else 1
            if width > 1:
                chunks = _swap(chunks, width)
            return Body(OCTETS, EXPLICIT_VR_LE, pixels.length, await prime(chunks))
        if pixels.problem:
            syntax = located.layout.transfer_syntax
            spans = (Span(s, s + n) for s, n in zip(pixels.starts, pixels.lengths, strict=True))
            media = VIDEO_TYPE if is_video(syntax) else OCTETS
            chunks = coalesce(self._objects.fragments(located, spans))
            return Body(media, syntax, sum(pixels.lengths), await prime(chunks))
        frames = await self.frames(located, number_frames(pixels), target=EXPLICIT_VR_LE)
        chunks = coalesce(unpad(one_by_one(frames.bodies), pixels))
        return Body(OCTETS, EXPLICIT_VR_LE, native_length(pixels), await prime(chunks))


def _pick_whole(stored: list[StoredInstance]) -> list[StoredInstance]:
    whole = [one for one in stored if not one.damage]
    if not whole:
        raise make_damaged(stored[0])
    return whole


async def _swap(chunks: AsyncGenerator[bytes, None], width: int) -> AsyncGenerator[bytes, None]:
    """Bytes of each value in the other order; a value may lie across two chunks."""
    rest = b""
    async for chunk in chunks:
        data = rest + chunk
        whole = len(data) - len(data) % width
        yield swap(data[:whole], width)
        rest = data[whole:]
    if rest:
        yield rest
