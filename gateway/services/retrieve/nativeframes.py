"""Read frames as Explicit VR Little Endian holds them; compressed ones are decoded (PS3.5 8.1, 8.2)."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.dicom.encoding.layout import PixelLayout
from gateway.errors import CodecError
from gateway.model import FrameNumber
from gateway.render.codecs.decode import decode_frame, native_frame_length
from gateway.render.pool import CodecPool, SingleFlight
from gateway.services.freshness import Freshness, StudyCache
from gateway.services.retrieve.layouts import StoredLayout
from gateway.services.retrieve.objectbytes import ObjectBytes
from gateway.services.timing import measure

# Bytes of decoded frames that are cached.
DECODED_AT_MOST = 64 << 20


class NativeFrames:
    """Reads native frames and decodes the others; frames that are decoded singly are cached."""

    def __init__(self, objects: ObjectBytes, freshness: Freshness, pool: CodecPool) -> None:
        self._objects = objects
        self._pool = pool
        self._flights: SingleFlight[bytes] = SingleFlight()
        self._decoded: StudyCache[bytes] = freshness.watch(StudyCache(DECODED_AT_MOST))

    async def read(
        self, located: StoredLayout, pixels: PixelLayout, run: Sequence[FrameNumber]
    ) -> list[bytes]:
        """Return the native bytes of consecutive frames: short ones, or a single one.

        Raises CodecError, StoreError.
        """
        if not pixels.encapsulated:
            return await self._objects.read_frames(located, pixels, run)
        if len(run) == 1:
            return [await self._decode(located, pixels, run[0])]
        with measure("decode"):
            codestreams = await self._objects.read_frames(located, pixels, run)
            return await self._pool.run(
                decode_frames, codestreams, pixels, located.layout.transfer_syntax, run[0]
            )

    async def read_one(self, located: StoredLayout, pixels: PixelLayout, number: FrameNumber) -> bytes:
        """Return the native bytes of one frame; frames of single bits begin at the first bit of a byte.

        Raises as `read` does.
        """
        (data,) = await self.read(located, pixels, [number])
        return data

    async def _decode(self, located: StoredLayout, pixels: PixelLayout, number: FrameNumber) -> bytes:
        """Return one decoded frame, from the cache or decoded now.

        Requests for the same frame at the same time share one job.
        """
        key = (located.stored.version, number)
        data = self._decoded.get(key)
        if data is None:
            with measure("decode"):
                data = await self._flights.run(key, lambda: self._make(located, pixels, number))
            self._decoded.put(key, data, study=located.stored.identity.study, weight=len(data))
        return data

    async def _make(self, located: StoredLayout, pixels: PixelLayout, number: FrameNumber) -> bytes:
        codestream = await self._objects.read_codestream(located, pixels, number)
        syntax = located.layout.transfer_syntax
        (frame,) = await self._pool.run(decode_frames, [codestream], pixels, syntax, number)
        return frame


def decode_frames(
    codestreams: Sequence[bytes], pixels: PixelLayout, transfer_syntax: str, first: FrameNumber
) -> list[bytes]:
    """Return the native bytes of consecutive frames, `first` onwards. Raises CodecError naming the frame."""
    found: list[bytes] = []
    for number, codestream in enumerate(codestreams, first):
        frame = decode_frame(codestream, pixels, transfer_syntax)
        if len(frame.data) != native_frame_length(pixels):
            raise CodecError(
                f"frame {number} decodes to {len(frame.data)} bytes, not what its attributes say"
            )
        found.append(frame.data)
    return found
