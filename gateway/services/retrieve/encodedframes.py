"""Encode frames in another transfer syntax and verify the result (PS3.18 8.7.3).

A lossless codestream is decoded again and compared with its source pixels before it is cached or sent, unless
the setting `verify_transcoding` is off. Frames are encoded with loss only where the request names a lossy
transfer syntax.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.dicom import uids
from gateway.dicom.encoding.layout import PixelLayout
from gateway.errors import CodecError
from gateway.model import FrameNumber
from gateway.render.codecs import encode
from gateway.render.codecs import transcodetargets as targets
from gateway.render.codecs.decode import native_frame_length
from gateway.render.pool import CodecPool, SingleFlight
from gateway.services.counters import Counters
from gateway.services.freshness import Freshness, StudyCache
from gateway.services.retrieve.layouts import StoredLayout
from gateway.services.retrieve.nativeframes import NativeFrames
from gateway.services.retrieve.objectbytes import ObjectBytes
from gateway.services.retrieve.obtainable import frame_syntax
from gateway.services.timing import measure

# Bytes of codestreams that are cached.
ENCODED_AT_MOST = 64 << 20


@dataclass(frozen=True, slots=True)
class _Work:
    """One frame to encode: its native bytes, their description, and the target transfer syntax."""

    data: bytes
    pixels: PixelLayout
    target: str


class EncodedFrames:
    """Encodes frames and caches the codestreams."""

    def __init__(
        self,
        objects: ObjectBytes,
        native: NativeFrames,
        freshness: Freshness,
        pool: CodecPool,
        counters: Counters,
        *,
        verify: bool,
    ) -> None:
        self._objects = objects
        self._native = native
        self._pool = pool
        self._proofs = _Proofs(counters) if verify else None
        self._counters = counters
        self._flights: SingleFlight[bytes] = SingleFlight()
        self._encoded: StudyCache[bytes] = freshness.watch(StudyCache(ENCODED_AT_MOST))

    async def read(
        self, located: StoredLayout, pixels: PixelLayout, run: Sequence[FrameNumber], target: str
    ) -> list[bytes]:
        """Return the codestreams of frames, encoded one after another. Raises CodecError, StoreError."""
        return [await self._encode(located, pixels, number, target) for number in run]

    async def _encode(
        self, located: StoredLayout, pixels: PixelLayout, number: FrameNumber, target: str
    ) -> bytes:
        """Return the codestream of one frame, from the cache or encoded now.

        Requests for the same frame at the same time share one job.
        """
        key = (located.stored.version, number, target)
        data = self._encoded.get(key)
        if data is not None:
            self._counters.add("transcode_cached_total")
            return data
        with measure("encode"):
            data = await self._flights.run(key, lambda: self._make(located, pixels, number, target))
        self._encoded.put(key, data, study=located.stored.identity.study, weight=len(data))
        return data

    async def _make(
        self, located: StoredLayout, pixels: PixelLayout, number: FrameNumber, target: str
    ) -> bytes:
        source = frame_syntax(located, pixels)
        self._counters.add("transcode_frames_total")
        if (source, target) in targets.SAME_CODESTREAM:
            return await self._objects.read_codestream(located, pixels, number)
        if target == uids.JPEG_XL_JPEG_RECOMPRESSION:
            codestream = await self._objects.read_codestream(located, pixels, number)
            return await self._pool.run(_recompress, codestream, self._proofs)
        if (source, target) == (uids.JPEG_XL_JPEG_RECOMPRESSION, uids.JPEG_BASELINE_8_BIT):
            codestream = await self._objects.read_codestream(located, pixels, number)
            return await self._pool.run(encode.reconstruct, codestream)
        # Codecs hold samples in 32 bits, whatever they were.
        async with self._pool.budget.hold(2 * native_frame_length(pixels)):
            data = await self._native.read_one(located, pixels, number)
            before = replace(targets.native(pixels, source), encapsulated=False)
            return await self._pool.run(_encode, _Work(data, before, target), self._proofs)


class _Proofs:
    """Compares and counts verified codestreams. Its method runs in the threads of the codec pool."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def check(self, same: bool, target: str) -> None:
        """Count one comparison. Raises CodecError unless `same`: the codestream decodes to other pixels."""
        self._counters.add("transcode_proved_total" if same else "transcode_refuted_total")
        if not same:
            raise CodecError(
                f"encoded to {target}, the frame does not decode to the same pixels; it is not sent"
            )


def _encode(work: _Work, proofs: _Proofs | None) -> bytes:
    made = encode.encode_frame(work.data, work.pixels, work.target)
    if proofs is not None and not targets.is_lossy(work.target):
        proofs.check(encode.proves(made, work.data, work.pixels, work.target), work.target)
    return made


def _recompress(codestream: bytes, proofs: _Proofs | None) -> bytes:
    """Return a JPEG file as JPEG XL, from which exactly the same JPEG file can be reconstructed."""
    made = encode.recompress(codestream)
    if proofs is not None:
        proofs.check(encode.reconstruct(made) == codestream, uids.JPEG_XL_JPEG_RECOMPRESSION)
    return made
