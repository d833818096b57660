"""Transcode a whole instance (PS3.18 8.7.3, 10.4.1.1.1; PS3.5 A.4; PS3.3 C.7.6.1.1.5).

An instance encoded with loss is a new image: it has its own SOP Instance UID (`headeredit.derive`), though
the resource that it represents is the stored one. Frames go one after another, so that memory does not grow
with their number.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import cast

from gateway.dicom import uids
from gateway.dicom.deidentify.codestreams import clean_codestream
from gateway.dicom.encoding.elementwriter import CLOSE_SEQUENCE, write_header
from gateway.dicom.encoding.frames import WINDOW, runs
from gateway.dicom.encoding.layout import PixelLayout
from gateway.dicom.encoding.structure import UNDEFINED
from gateway.model import FrameNumber
from gateway.render.codecs import encode
from gateway.render.codecs import transcodetargets as targets
from gateway.render.codecs.decode import native_frame_length, native_length
from gateway.render.pool import CodecPool
from gateway.services.bytestream import MADE_FIRST_AT_MOST, Body, all_made, join, only
from gateway.services.inflight import InFlight
from gateway.services.retrieve import pixelstream
from gateway.services.retrieve.aroundpixels import AroundPixels, Instead
from gateway.services.retrieve.frames import Frames
from gateway.services.retrieve.layouts import StoredLayout
from gateway.services.retrieve.objectbytes import ObjectBytes
from gateway.services.retrieve.obtainable import check_obtainable, frame_syntax
from gateway.services.retrieve.pixelstream import Make

PART10 = "application/dicom"
# The version of the encoders. It goes into entity tags, so that they change when the encoders do.
ENCODER = encode.VERSION
# Most frames that are encoded before anything is sent, however short they are.
FIRST_AT_MOST = 1000


class Transcode:
    """Writes PS3.10 files with frames in another encoding than the stored one."""

    def __init__(self, objects: ObjectBytes, frames: Frames, pool: CodecPool, inflight: InFlight) -> None:
        self._objects = objects
        self._frames = frames
        self._pool = pool
        self._inflight = inflight
        self._around = AroundPixels(objects, pool)

    async def write_instance(
        self, located: StoredLayout, pixels: PixelLayout, target: str, instead: Instead | None = None
    ) -> Body:
        """Return a PS3.10 file with its frames in `target`.

        All frames of a short file are made before this returns. Raises NotAcceptable, CodecError, DicomError,
        StoreError, Busy.
        """
        check_obtainable(located, target)
        make = self._choose_make(located, pixels, target, cleaned=instead is not None)
        size = native_frame_length(pixels)
        # Encoding takes long: one frame at a time.
        each = size if target == uids.EXPLICIT_VR_LITTLE_ENDIAN else WINDOW
        every = runs(pixels, cast(Sequence[FrameNumber], range(1, pixels.frames + 1)), each)
        now = pixels.frames if native_length(pixels) <= MADE_FIRST_AT_MOST else 1
        held = await self._inflight.take(size * min(now, pixels.frames))
        begin = pixelstream.take_frames(every, min(now, FIRST_AT_MOST))
        first = [frame for run in await all_made([make(run) for run in begin]) for frame in run]
        head = await self._around.write_head(located, pixels, target, first[0] if first else b"", instead)
        frames = pixelstream.stream_in_turn(make, first, held, every, size, self._inflight)
        tail = only(b"") if instead else self._around.stream_tail(located, pixels)
        if target == uids.EXPLICIT_VR_LITTLE_ENDIAN:
            after = 0 if instead else await self._around.count_tail(located, pixels)
            return _join_native(head, pixels, frames, tail, after)
        head += write_header(pixels.tag, "OB", UNDEFINED) + pixelstream.write_offset_table(pixels)
        fragments = pixelstream.stream_fragments(frames)
        return Body(PART10, target, None, join([only(head), fragments, only(CLOSE_SEQUENCE), tail]))

    def _choose_make(self, located: StoredLayout, pixels: PixelLayout, target: str, *, cleaned: bool) -> Make:
        """Return a function that gives frames in `target`.

        With `cleaned`, comments are removed from stored codestreams that are sent as they are.
        """
        source = frame_syntax(located, pixels)
        stays = source == target or (source, target) in targets.SAME_CODESTREAM
        if cleaned and stays and target != uids.EXPLICIT_VR_LITTLE_ENDIAN:
            return partial(self._read_cleaned, located, pixels)
        return partial(self._frames.read, located, pixels, target=target)

    async def _read_cleaned(
        self, located: StoredLayout, pixels: PixelLayout, numbers: Sequence[FrameNumber]
    ) -> list[bytes]:
        """Return frames as they are stored, without comments. Raises CodecError."""
        codestreams = [await self._objects.read_codestream(located, pixels, number) for number in numbers]
        syntax = located.layout.transfer_syntax
        return await self._pool.run(lambda: [clean_codestream(one, syntax) for one in codestreams])


def _join_native(
    head: bytes,
    pixels: PixelLayout,
    frames: AsyncGenerator[bytes, None],
    tail: AsyncGenerator[bytes, None],
    after: int,
) -> Body:
    """Return a file of native frames; `after` is the length of `tail` in bytes."""
    size = native_length(pixels)
    pad = b"\0" * (size % 2)
    head += write_header(pixels.tag, _find_native_vr(pixels), size + len(pad))
    parts = [only(head), pixelstream.stream_native(frames, pixels), only(pad), tail]
    return Body(PART10, uids.EXPLICIT_VR_LITTLE_ENDIAN, len(head) + size + len(pad) + after, join(parts))


def _find_native_vr(pixels: PixelLayout) -> str:
    """Return the VR of native Pixel Data (PS3.5 A.2).

    Float pixels keep OF or OD. Else it is OW for more than 8 bits allocated, OB for 8 or fewer.
    """
    if pixels.vr in ("OF", "OD"):
        return pixels.vr
    return "OW" if pixels.bits_allocated > 8 else "OB"
