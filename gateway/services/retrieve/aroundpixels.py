"""Read and rewrite the elements before and after Pixel Data, for pixels in another encoding.

PS3.5 8.2, A.4.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import partial

from gateway.dicom import tags, uids
from gateway.dicom.encoding.filemeta import file_meta
from gateway.dicom.encoding.headeredit import Loss, derive, lossy_once, replacing, write_edited_head
from gateway.dicom.encoding.layout import PixelLayout
from gateway.dicom.encoding.nestedpixels import Native, native_within
from gateway.dicom.encoding.rewrite import Rewriter
from gateway.errors import CodecError
from gateway.model import Identity, Span
from gateway.render.codecs import transcodetargets as targets
from gateway.render.codecs.decode import decode_frame, native_frame_length
from gateway.render.pool import CodecPool
from gateway.services.bytestream import map_chunks
from gateway.services.retrieve.layouts import StoredLayout
from gateway.services.retrieve.objectbytes import ObjectBytes
from gateway.services.retrieve.obtainable import frame_syntax

_NESTED = f"/{tags.PIXEL_DATA}"


@dataclass(frozen=True, slots=True)
class Instead:
    """Identity and elements that replace the stored ones around the pixels.

    `head` holds all elements except Pixel Data, encoded; Pixel Data follows them.
    """

    identity: Identity
    head: bytes


class AroundPixels:
    """Reads and rewrites the elements around the pixels of an instance.

    Every method raises DicomError, StoreError.
    """

    def __init__(self, objects: ObjectBytes, pool: CodecPool) -> None:
        self._objects = objects
        self._pool = pool

    async def write_head(
        self, located: StoredLayout, pixels: PixelLayout, target: str, first: bytes, instead: Instead | None
    ) -> bytes:
        """Return group 0002 and all elements before Pixel Data, describing frames in `target`.

        `first` is the first encoded frame: its length gives the ratio of a lossy compression (PS3.3
        C.7.6.1.1.5.2). A lossy image is a new image with an identity of its own.
        """
        source = frame_syntax(located, pixels)
        identity = instead.identity if instead else located.stored.identity
        head = instead.head if instead else await self._read_before(located, pixels)
        if source != target and any(path.endswith(_NESTED) for path in located.layout.bulk):
            # All fragments are in the transfer syntax of the file: icons in another one have to be decoded
            # (PS3.5 A.4).
            head = await self._pool.run(native_within, head, source, partial(_decode_icon, source))
        if source == target:
            return write_edited_head(head, identity, target, {})
        edits = replacing(targets.header_changes(pixels, source, target))
        if source in targets.LOST:
            edits |= lossy_once()
        if targets.is_lossy(target) and (source, target) != (
            uids.JPEG_XL_JPEG_RECOMPRESSION,
            uids.JPEG_BASELINE_8_BIT,
        ):
            loss = Loss(targets.METHODS[target], native_frame_length(pixels) / max(len(first), 1))
            identity, steps = derive(identity, located.stored.version, target, loss)
            edits |= steps
        return write_edited_head(head, identity, target, edits)

    async def _read_before(self, located: StoredLayout, pixels: PixelLayout) -> bytes:
        """Return the elements before Pixel Data in Explicit VR Little Endian, without group 0002."""
        layout = located.layout
        # Bytes of the header of Pixel Data. Implicit: tag, length. Explicit: tag, VR, two reserved
        # bytes, length.
        header = 8 if layout.implicit else 12
        start = (await self._objects.find_dataset(located)).start
        head = await self._objects.read_span(located, Span(start, pixels.offset - header))
        if not (layout.implicit or layout.big_endian):
            return head
        rewriter = Rewriter(located.stored.identity, layout)
        return (rewriter.feed(head) + rewriter.finish())[_count_meta(located) :]

    async def stream_tail(self, located: StoredLayout, pixels: PixelLayout) -> AsyncGenerator[bytes, None]:
        """Stream the elements after Pixel Data in Explicit VR Little Endian."""
        tail = Span(pixels.offset + pixels.length, (await self._objects.find_dataset(located)).stop)
        chunks = self._objects.stream_span(located, tail)
        if not (located.layout.implicit or located.layout.big_endian):
            async for chunk in chunks:
                yield chunk
            return
        skip = _count_meta(located)
        async for chunk in map_chunks(chunks, Rewriter(located.stored.identity, located.layout)):
            yield chunk[skip:]
            skip = max(0, skip - len(chunk))

    async def count_tail(self, located: StoredLayout, pixels: PixelLayout) -> int:
        """Return the length of `stream_tail` in bytes, for elements that are sent as they are stored.

        Elements after encapsulated pixel data are never rewritten.
        """
        return (await self._objects.find_dataset(located)).stop - pixels.offset - pixels.length


def _count_meta(located: StoredLayout) -> int:
    """Return the length in bytes of the file meta that a `Rewriter` writes before the data set."""
    return len(file_meta(located.stored.identity, uids.EXPLICIT_VR_LITTLE_ENDIAN))


def _decode_icon(source: str, pixels: PixelLayout, codestreams: list[bytes]) -> Native:
    """Return the decoded frames of an image within a sequence (an icon). Raises CodecError."""
    frames = [decode_frame(one, pixels, source).data for one in codestreams]
    if any(len(frame) != native_frame_length(pixels) for frame in frames):
        raise CodecError("an icon decodes to other bytes than its attributes say")
    return Native(b"".join(frames), targets.header_changes(pixels, source, uids.EXPLICIT_VR_LITTLE_ENDIAN))
