"""Any transfer syntax to any other, with proof (PS3.18 8.7.3, 10.4.1.1.1; PS3.5 A.4; PS3.3 C.7.6.1.1.5).

A lossless codestream is decoded again and compared with the pixels it was made of before it is kept or sent, unless
the setting `verify_transcoding` is off. Nothing is lost but where a lossy transfer syntax is asked for by name.
A whole instance so encoded is a new image: it has its own SOP Instance UID (`headeredit.derive`), though the resource it
represents is the stored one. Frames go one after another: memory does not grow with their number, and the Basic
Offset Table of several is empty, since it would come before what it points at.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, cast

from gateway.dicom.deidentify.codestreams import clean_codestream
from gateway.dicom.encoding.elementwriter import CLOSE_SEQUENCE, write_header, write_item_header
from gateway.dicom.encoding.frames import WINDOW, BitJoin, runs
from gateway.dicom.encoding.headeredit import Loss, derive, lossy_once, replacing, write_edited_head
from gateway.dicom.encoding.layout import PixelLayout
from gateway.dicom.encoding.nestedpixels import PIXELS, Native, native_within
from gateway.dicom.encoding.structure import UNDEFINED
from gateway.errors import CodecError, NotAcceptable
from gateway.model import (
    DEFLATED_EXPLICIT_VR_LE,
    EXPLICIT_VR_BE,
    EXPLICIT_VR_LE,
    IMPLICIT_VR_LE,
    FrameNumber,
    Identity,
)
from gateway.render.codecs import encode
from gateway.render.codecs import transcodetargets as targets
from gateway.render.codecs.decode import decodable, decode_frame, native_frame_length, native_length
from gateway.render.pool import CodecPool, SingleFlight
from gateway.services.bytestream import MADE_FIRST_AT_MOST, Body, all_made, join, map_chunks, only
from gateway.services.counters import Counters
from gateway.services.freshness import Freshness, StudyCache
from gateway.services.inflight import Held, InFlight
from gateway.services.retrieve.layouts import StoredLayout
from gateway.services.retrieve.objectbytes import ObjectBytes
from gateway.services.timing import measure

PART10 = "application/dicom"
# What encodes: an entity tag of what it made must not outlive it.
ENCODER = encode.VERSION
NEVER_SENT = frozenset({IMPLICIT_VR_LE, EXPLICIT_VR_BE})
NATIVE = NEVER_SENT | {EXPLICIT_VR_LE, DEFLATED_EXPLICIT_VR_LE}
ENCODED_AT_MOST = 64 << 20
MOST_NATIVE = 0xFFFFFFFE
# Frames of an instance that are worked on while one is sent.
AHEAD = 2
# Frames that are made before anything is sent, however short they are.
FIRST_AT_MOST = 1000

_NESTED = f"/{PIXELS:08X}"

# Makes frames that follow one another: short ones, or a single one.
Run = Callable[[StoredLayout, PixelLayout, Sequence[FrameNumber]], Coroutine[Any, Any, list[bytes]]]


@dataclass(frozen=True, slots=True)
class Instead:
    """What is sent in the place of what is stored around the pixels: all elements but Pixel Data, before it."""

    identity: Identity
    head: bytes


@dataclass(frozen=True, slots=True)
class _Work:
    """One frame to be encoded: its bytes, as they are described, and into what."""

    data: bytes
    pixels: PixelLayout
    target: str


class Transcode:
    """Encodes frames and instances; `native` gives the native bytes of frames."""

    def __init__(
        self,
        objects: ObjectBytes,
        native: Run,
        freshness: Freshness,
        pool: CodecPool,
        counters: Counters,
        inflight: InFlight,
        *,
        verify: bool,
    ) -> None:
        self._objects = objects
        self._native = native
        self._pool = pool
        self._counters = counters
        self._inflight = inflight
        self._verify = verify
        self._flights: SingleFlight[bytes] = SingleFlight()
        self._encoded: StudyCache[bytes] = freshness.watch(StudyCache(ENCODED_AT_MOST))

    # -- what can be had ----------------------------------------------------------------------------------

    def possible(self, transfer_syntax: str) -> tuple[str, ...]:
        """Targets for instances stored in a transfer syntax, as far as that alone tells, best first."""
        return _possible(transfer_syntax)

    def targets(self, located: StoredLayout) -> tuple[str, ...]:
        """The transfer syntaxes that the frames can be encoded to; nothing is decoded to know."""
        pixels = located.layout.pixels
        if pixels is None or pixels.frames < pixels.declared_frames:
            return ()
        return targets.reachable(pixels, _source(located, pixels))

    def obstacle(self, located: StoredLayout, target: str) -> str:
        """Why an instance cannot be had in a transfer syntax; empty where it can, as far as attributes tell."""
        layout, pixels = located.layout, located.layout.pixels
        if target in NEVER_SENT:
            return "it is never sent over the web (PS3.18 8.7.3)"
        if target == layout.transfer_syntax:
            return ""
        if pixels is None:
            fits = target in {EXPLICIT_VR_LE, DEFLATED_EXPLICIT_VR_LE}
            return "" if fits else "the instance has no pixel data to be encoded"
        if target in {EXPLICIT_VR_LE, DEFLATED_EXPLICIT_VR_LE}:
            if not pixels.encapsulated:
                return ""
            return targets.unreachable(pixels, layout.transfer_syntax, EXPLICIT_VR_LE) or _too_long(pixels)
        if pixels.frames < pixels.declared_frames:
            return f"{pixels.declared_frames} frames are declared and there are {pixels.frames}"
        return targets.unreachable(pixels, _source(located, pixels), target)

    def too_long(self, located: StoredLayout) -> bool:
        """Whether the pixel data, decoded, is more than Explicit VR Little Endian can hold (PS3.18 8.7.3.4)."""
        pixels = located.layout.pixels
        return pixels is not None and pixels.encapsulated and bool(_too_long(pixels))

    def check(self, located: StoredLayout, target: str) -> None:
        """Raises NotAcceptable naming the obstacle and what could be had."""
        if reason := self.obstacle(located, target):
            have = [located.layout.transfer_syntax, EXPLICIT_VR_LE, *self.targets(located)]
            available = [f"transfer-syntax={t}" for t in dict.fromkeys(have) if not self.obstacle(located, t)]
            raise NotAcceptable(
                f"transfer syntax {target}: {reason}; ask for transfer-syntax=*",
                available=available,
                uid=located.stored.identity.instance,
            )

    # -- frames -------------------------------------------------------------------------------------------

    async def frame(
        self, located: StoredLayout, pixels: PixelLayout, number: FrameNumber, target: str
    ) -> bytes:
        """The codestream of a frame; who asks for the same at once shares one job. Raises CodecError, StoreError."""
        key = (located.stored.version, number, target)
        cached = self._encoded.get(key)
        if cached is not None:
            self._counters.add("transcode_cached_total")
            return cached
        with measure("encode"):
            made = await self._flights.run(key, lambda: self._make(located, pixels, number, target))
        self._encoded.put(key, made, study=located.stored.identity.study, weight=len(made))
        return made

    async def run(
        self, located: StoredLayout, pixels: PixelLayout, numbers: Sequence[FrameNumber], target: str
    ) -> list[bytes]:
        """The codestreams of frames, one made after another. Raises CodecError, StoreError."""
        return [await self.frame(located, pixels, number, target) for number in numbers]

    async def _make(
        self, located: StoredLayout, pixels: PixelLayout, number: FrameNumber, target: str
    ) -> bytes:
        source = _source(located, pixels)
        self._counters.add("transcode_frames_total")
        if (source, target) in targets.SAME_CODESTREAM:
            return await self._objects.codestream(located, pixels, number)
        if target == targets.JXL_JPEG or (source, target) == (targets.JXL_JPEG, targets.BASELINE):
            codestream = await self._objects.codestream(located, pixels, number)
            work = self._recompress if target == targets.JXL_JPEG else encode.reconstruct
            return await self._pool.run(work, codestream)
        # Codecs hold samples in 32 bits, whatever they were.
        async with self._pool.budget.hold(2 * native_frame_length(pixels)):
            (data,) = await self._native(located, pixels, [number])
            before = replace(targets.native(pixels, source), encapsulated=False)
            return await self._pool.run(self._encode, _Work(data, before, target))

    def _encode(self, work: _Work) -> bytes:
        made = encode.encode_frame(work.data, work.pixels, work.target)
        if self._verify and not targets.is_lossy(work.target):
            self._count_proof(encode.proves(made, work.data, work.pixels, work.target), work.target)
        return made

    def _recompress(self, codestream: bytes) -> bytes:
        made = encode.recompress(codestream)
        if self._verify:
            self._count_proof(encode.reconstruct(made) == codestream, targets.JXL_JPEG)
        return made

    def _count_proof(self, same: bool, target: str) -> None:
        self._counters.add("transcode_proved_total" if same else "transcode_refuted_total")
        if not same:
            raise CodecError(
                f"encoded to {target}, the frame does not decode to the same pixels; it is not sent"
            )

    # -- instances ----------------------------------------------------------------------------------------

    async def instance(
        self, located: StoredLayout, pixels: PixelLayout, target: str, instead: Instead | None = None
    ) -> Body:
        """A PS3.10 file with its frames in `target`; all frames of a short one are made now.

        Raises NotAcceptable, CodecError, DicomError, StoreError.
        """
        self.check(located, target)
        make = partial(self._making(pixels, target, located, instead), located, pixels)
        size = native_frame_length(pixels)
        # Encoding takes long: one at a time.
        each = size if target == EXPLICIT_VR_LE else WINDOW
        every = runs(pixels, cast(Sequence[FrameNumber], range(1, pixels.frames + 1)), each)
        now = pixels.frames if native_length(pixels) <= MADE_FIRST_AT_MOST else 1
        held = await self._inflight.take(size * min(now, pixels.frames))
        begin = _as_many(every, min(now, FIRST_AT_MOST))
        first = [frame for run in await all_made([make(run) for run in begin]) for frame in run]
        head = await self._head(located, pixels, target, first[0] if first else b"", instead)
        frames = self._in_turn(make, first, held, every, size)
        tail = only(b"") if instead else self._objects.after_pixels(located, pixels)
        if target == EXPLICIT_VR_LE:
            after = 0 if instead else await self._objects.length_after(located, pixels)
            return _native_body(head, pixels, frames, tail, after)
        head += write_header(pixels.tag, "OB", UNDEFINED) + _offset_table(pixels)
        parts = [only(head), _fragments(frames), only(CLOSE_SEQUENCE), tail]
        return Body(PART10, target, None, join(parts))

    def _making(
        self, pixels: PixelLayout, target: str, located: StoredLayout, instead: Instead | None
    ) -> Run:
        if target == EXPLICIT_VR_LE:
            return self._native
        source = _source(located, pixels)
        if instead and (source == target or (source, target) in targets.SAME_CODESTREAM):
            return self._read_stored
        return partial(self.run, target=target)

    async def _read_stored(
        self, located: StoredLayout, pixels: PixelLayout, numbers: Sequence[FrameNumber]
    ) -> list[bytes]:
        """Frames as they are stored, without comments. Raises CodecError."""
        codestreams = [await self._objects.codestream(located, pixels, number) for number in numbers]
        syntax = located.layout.transfer_syntax
        return await self._pool.run(lambda: [clean_codestream(one, syntax) for one in codestreams])

    async def _in_turn(
        self,
        make: Callable[[Sequence[FrameNumber]], Coroutine[Any, Any, list[bytes]]],
        first: Sequence[bytes],
        held: Held,
        rest: Iterator[Sequence[FrameNumber]],
        size: int,
    ) -> AsyncGenerator[bytes, None]:
        """The frames that are made, which `held` counts, then those after them, a few of which are worked on ahead
        of time where there is room for them; `size` is that of one. Nothing is held while the next is waited for.
        """
        waiting: deque[tuple[asyncio.Future[list[bytes]], Held]] = deque()
        upcoming = next(rest, None)
        try:
            for frame in first:
                yield frame
            del first
            held.release()
            while upcoming or waiting:
                while upcoming and len(waiting) <= AHEAD:
                    weight = size * len(upcoming)
                    room = self._inflight.attempt(weight)
                    if room is None and waiting:
                        break
                    room = room or await self._inflight.take(weight, within=True)
                    waiting.append((asyncio.ensure_future(make(upcoming)), room))
                    upcoming = next(rest, None)
                job, held = waiting[0]
                frames = await job
                waiting.popleft()
                for frame in frames:
                    yield frame
                del frames
                held.release()
        finally:
            held.release()
            for job, room in waiting:
                job.cancel()
                room.release()
            await asyncio.gather(*(job for job, _ in waiting), return_exceptions=True)

    async def _head(
        self, located: StoredLayout, pixels: PixelLayout, target: str, first: bytes, instead: Instead | None
    ) -> bytes:
        source = _source(located, pixels)
        identity = instead.identity if instead else located.stored.identity
        head = instead.head if instead else await self._objects.before_pixels(located, pixels)
        if source != target and any(path.endswith(_NESTED) for path in located.layout.bulk):
            # Fragments are of the transfer syntax of the whole: nothing else may be within (PS3.5 A.4).
            head = await self._pool.run(native_within, head, source, partial(_icon, source))
        if source == target:
            return write_edited_head(head, identity, target, {})
        edits = replacing(targets.header_changes(pixels, source, target))
        if source in targets.LOST:
            edits |= lossy_once()
        if targets.is_lossy(target) and (source, target) != (targets.JXL_JPEG, targets.BASELINE):
            loss = Loss(targets.METHODS[target], native_frame_length(pixels) / max(len(first), 1))
            identity, steps = derive(identity, located.stored.version, target, loss)
            edits |= steps
        return write_edited_head(head, identity, target, edits)


def _icon(source: str, pixels: PixelLayout, codestreams: list[bytes]) -> Native:
    """An image within a sequence, decoded. Raises CodecError."""
    frames = [decode_frame(one, pixels, source).data for one in codestreams]
    if any(len(frame) != native_frame_length(pixels) for frame in frames):
        raise CodecError("an icon decodes to other bytes than its attributes say")
    data = b"".join(frames)
    return Native(data, targets.header_changes(pixels, source, EXPLICIT_VR_LE))


@lru_cache(maxsize=100)
def _possible(transfer_syntax: str) -> tuple[str, ...]:
    if not (transfer_syntax in NATIVE or decodable(transfer_syntax)):
        return ()
    return tuple(t for t in (DEFLATED_EXPLICIT_VR_LE, *targets.TARGETS) if t != transfer_syntax)


def _source(located: StoredLayout, pixels: PixelLayout) -> str:
    """What the frames are encoded in, whatever is around them."""
    return located.layout.transfer_syntax if pixels.encapsulated else EXPLICIT_VR_LE


def _native_body(
    head: bytes,
    pixels: PixelLayout,
    frames: AsyncGenerator[bytes, None],
    tail: AsyncGenerator[bytes, None],
    after: int,
) -> Body:
    """A file of native frames; `after` is the length of `tail`."""
    size = native_length(pixels)
    pad = b"\0" * (size % 2)
    head += write_header(pixels.tag, _native_vr(pixels), size + len(pad))
    parts = [only(head), unpad(frames, pixels), only(pad), tail]
    return Body(PART10, EXPLICIT_VR_LE, len(head) + size + len(pad) + after, join(parts))


def _native_vr(pixels: PixelLayout) -> str:
    """PS3.5 A.2: OB where a byte holds a sample or several; float pixels keep theirs."""
    if pixels.vr in ("OF", "OD"):
        return pixels.vr
    return "OW" if pixels.bits_allocated > 8 else "OB"


def _too_long(pixels: PixelLayout) -> str:
    size = native_frame_length(pixels) * pixels.frames
    return (
        "" if size <= MOST_NATIVE else f"decoded, {size} bytes of pixel data are more than a length can say"
    )


def _offset_table(pixels: PixelLayout) -> bytes:
    """The Basic Offset Table item: of one frame its offset, of several nothing (PS3.5 A.4)."""
    return write_item_header(4) + bytes(4) if pixels.frames == 1 else write_item_header(0)


def unpad(frames: AsyncGenerator[bytes, None], pixels: PixelLayout) -> AsyncGenerator[bytes, None]:
    """Native frames, each whole, as Pixel Data has them: single bits without padding between frames."""
    bits = pixels.rows * pixels.columns * pixels.samples
    return map_chunks(frames, BitJoin(bits)) if pixels.bits_allocated == 1 and bits % 8 else frames


async def _fragments(frames: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Each frame as one fragment of even length."""
    try:
        async for frame in frames:
            pad = len(frame) % 2
            yield write_item_header(len(frame) + pad)
            yield frame + b"\0" if pad else frame
    finally:
        await frames.aclose()


def _as_many(every: Iterator[Sequence[FrameNumber]], count: int) -> list[Sequence[FrameNumber]]:
    """Runs from the front, until they have so many frames."""
    taken: list[Sequence[FrameNumber]] = []
    while count > 0 and (run := next(every, None)) is not None:
        taken.append(run)
        count -= len(run)
    return taken
