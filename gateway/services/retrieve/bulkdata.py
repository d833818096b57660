"""Open the values that BulkDataURIs name, in little endian (PS3.18 10.4.1.1.5)."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import orjson

from gateway.dicom import tags, uids
from gateway.dicom.encoding.fragments import Unwrapped
from gateway.dicom.encoding.frames import is_video, swap, swap_width
from gateway.dicom.encoding.layout import BulkValue, PixelLayout
from gateway.dicom.encoding.recode import TEXT, ToUtf8, charset_at
from gateway.errors import NotFound
from gateway.index.base import Scope
from gateway.model import Span
from gateway.render.codecs.decode import native_length
from gateway.services.bytestream import Body, coalesce, map_chunks, only, prime
from gateway.services.retrieve.framebodies import stream_bodies
from gateway.services.retrieve.frames import OCTETS, Frames, select_all_frames
from gateway.services.retrieve.layouts import StoredLayout
from gateway.services.retrieve.listing import Listing
from gateway.services.retrieve.objectbytes import ObjectBytes
from gateway.services.retrieve.obtainable import UNCOMPRESSED
from gateway.services.retrieve.pixelstream import stream_native

# Wildcards: the transfer syntax says which type of video or image it is.
VIDEO_TYPE, CODED_TYPE = "video/*", "image/*"
# Bytes. Longer text is streamed: its length in UTF-8 is not known before its end.
RECODED_AT_ONCE = 4 << 20


class BulkData:
    """Opens values of an instance by their path, such as `00283000/1/00283006`."""

    def __init__(self, objects: ObjectBytes, listing: Listing, frames: Frames) -> None:
        self._objects = objects
        self._listing = listing
        self._frames = frames

    async def find_kind(self, located: StoredLayout, bulk_path: str) -> tuple[str, str | None]:
        """Return the media type and transfer syntax that `open` will give, without reading the value.

        Raises NotFound.
        """
        pixels = located.layout.pixels
        if pixels is not None and bulk_path == f"{pixels.tag:08X}":
            if not pixels.encapsulated or not pixels.problem:
                return OCTETS, uids.EXPLICIT_VR_LITTLE_ENDIAN
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
        """Return whether the value is encapsulated pixel data within a sequence, such as an icon.

        Its header then has an undefined length.
        """
        if "/" not in bulk_path or not bulk_path.endswith(f"/{tags.PIXEL_DATA}"):
            return False
        if located.layout.transfer_syntax in UNCOMPRESSED:
            return False
        return await self._objects.read_span(located, Span(value.offset - 4, value.offset)) == b"\xff" * 4

    async def open(self, scope: Scope, located: StoredLayout, bulk_path: str) -> Body:
        """Open the value at a path. Encapsulated pixel data is decoded, all frames in order (R-B-5).

        Raises NotFound, CodecError, StoreError, Busy.
        """
        pixels = located.layout.pixels
        if pixels is not None and bulk_path == f"{pixels.tag:08X}":
            return await self._open_pixels(located, pixels)
        media, syntax = await self.find_kind(located, bulk_path)
        value = located.layout.bulk[bulk_path]
        if media == CODED_TYPE:
            span = Span(value.offset, value.offset + value.length)
            chunks = coalesce(map_chunks(self._objects.stream_span(located, span), Unwrapped()))
            return Body(media, syntax, None, await prime(chunks))
        if value.vr in TEXT:
            return await self._open_text(scope, located, bulk_path, value)
        chunks = self._stream_little(located, value.offset, value.length, swap_width(value.vr, 16))
        return Body(value.content_type or OCTETS, None, value.length, await prime(chunks))

    async def _open_text(self, scope: Scope, located: StoredLayout, bulk_path: str, value: BulkValue) -> Body:
        """Open text as UTF-8, whatever its character set in the object, as in JSON and XML (R-B-11)."""
        row = await self._listing.read_row(scope, located.stored)
        text = ToUtf8(charset_at(orjson.loads(row.replace(b"\0", b"")), bulk_path))
        span = Span(value.offset, value.offset + value.length)
        if value.length > RECODED_AT_ONCE:
            chunks = await prime(map_chunks(self._objects.stream_span(located, span), text))
            return Body(OCTETS, None, None, chunks)
        data = text.feed(await self._objects.read_span(located, span)) + text.finish()
        return Body(OCTETS, None, len(data), only(data))

    async def _open_pixels(self, located: StoredLayout, pixels: PixelLayout) -> Body:
        if not pixels.encapsulated:
            width = swap_width(pixels.vr, pixels.bits_allocated)
            chunks = self._stream_little(located, pixels.offset, pixels.length, width)
            return Body(OCTETS, uids.EXPLICIT_VR_LITTLE_ENDIAN, pixels.length, await prime(chunks))
        if pixels.problem:
            syntax = located.layout.transfer_syntax
            spans = (Span(s, s + n) for s, n in zip(pixels.starts, pixels.lengths, strict=True))
            media = VIDEO_TYPE if is_video(syntax) else OCTETS
            chunks = coalesce(self._objects.stream_fragments(located, spans))
            return Body(media, syntax, sum(pixels.lengths), await prime(chunks))
        frames = await self._frames.open(select_all_frames(located), target=uids.EXPLICIT_VR_LITTLE_ENDIAN)
        chunks = coalesce(stream_native(stream_bodies(frames.bodies), pixels))
        return Body(OCTETS, uids.EXPLICIT_VR_LITTLE_ENDIAN, native_length(pixels), await prime(chunks))

    def _stream_little(
        self, located: StoredLayout, offset: int, length: int, width: int
    ) -> AsyncGenerator[bytes, None]:
        """Stream values of `width` bytes each in little endian order."""
        chunks = self._objects.stream_span(located, Span(offset, offset + length))
        return _swap(chunks, width) if located.layout.big_endian and width > 1 else chunks


def count_pixel_bytes(pixels: PixelLayout) -> int:
    """Return the bytes of the whole pixel data once decoded; without frames, its stored length."""
    return native_length(pixels) if pixels.frames else pixels.length


async def _swap(chunks: AsyncGenerator[bytes, None], width: int) -> AsyncGenerator[bytes, None]:
    """Stream the values with the bytes of each in reverse order; a value may lie across two chunks."""
    rest = b""
    async for chunk in chunks:
        data = rest + chunk
        whole = len(data) - len(data) % width
        yield swap(data[:whole], width)
        rest = data[whole:]
    if rest:
        yield rest
