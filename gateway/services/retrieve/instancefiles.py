"""Open PS3.10 files of stored instances: untouched, rewritten, deflated, or transcoded.

PS3.18 10.4.1.1.1, 8.7.3.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.dicom import uids
from gateway.dicom.encoding.filemeta import file_meta
from gateway.dicom.encoding.rewrite import Rewriter
from gateway.index.base import Scope, StoredInstance
from gateway.model import Span
from gateway.render.codecs.decode import native_length
from gateway.render.pool import CodecPool
from gateway.services.bytestream import MADE_FIRST_AT_MOST, Body, join, map_chunks, only, prime
from gateway.services.counters import Counters
from gateway.services.retrieve.aroundpixels import Instead
from gateway.services.retrieve.deflate import deflate
from gateway.services.retrieve.layouts import Layouts, StoredLayout
from gateway.services.retrieve.objectbytes import ObjectBytes
from gateway.services.retrieve.obtainable import NEVER_SENT, check_obtainable
from gateway.services.retrieve.transcode import PART10, Transcode

# Most instances of an answer that may count as short.
LOOKED_AT = 16


class InstanceFiles:
    """Opens instances, each as a PS3.10 file. Every method raises StoreError."""

    def __init__(
        self,
        objects: ObjectBytes,
        layouts: Layouts,
        transcode: Transcode,
        pool: CodecPool,
        counters: Counters,
        *,
        verify: bool,
    ) -> None:
        self._objects = objects
        self._layouts = layouts
        self._transcode = transcode
        self._pool = pool
        self._counters = counters
        self._verify = verify

    async def open(self, scope: Scope, stored: StoredInstance, target: str | None) -> Body:
        """Open a PS3.10 file in `target`, or as it is stored where `target` is None.

        Implicit and big endian instances are never sent as they are (PS3.18 8.7.3). In a lossy `target` the
        file is a new image with a UID of its own. Raises NotAcceptable where the pixel data cannot be sent in
        `target`, CodecError, Gone.
        """
        return await self._open(await self._layouts.find(scope, stored), target)

    async def _open(self, located: StoredLayout, target: str | None) -> Body:
        layout = located.layout
        rewritten = layout.implicit or layout.big_endian or layout.transfer_syntax in NEVER_SENT
        if target is None or (target == layout.transfer_syntax and not rewritten):
            return await (self._rewrite_explicit(located) if rewritten else self._open_untouched(located))
        check_obtainable(located, target)
        if target == uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
            return await self._deflate(located)
        pixels = layout.pixels
        if pixels is not None and (pixels.encapsulated or target != uids.EXPLICIT_VR_LITTLE_ENDIAN):
            return await self._transcode.write_instance(located, pixels, target)
        return await self._rewrite_explicit(located)

    async def open_instead(self, located: StoredLayout, target: str, instead: Instead) -> Body:
        """Open a PS3.10 file of the stored frames with the identity and attributes of `instead`.

        The whole file is written again. Raises NotAcceptable where the pixel data cannot be sent in
        `target`, CodecError.
        """
        check_obtainable(located, target)
        if target == uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
            inner = await self.open_instead(located, uids.EXPLICIT_VR_LITTLE_ENDIAN, instead)
            skip = len(file_meta(instead.identity, uids.EXPLICIT_VR_LITTLE_ENDIAN))
            return await self._join_deflated(file_meta(instead.identity, target), inner, skip)
        if located.layout.pixels is not None:
            return await self._transcode.write_instance(located, located.layout.pixels, target, instead)
        data = file_meta(instead.identity, target) + instead.head
        return Body(PART10, target, len(data), only(data))

    async def is_short(self, scope: Scope, made: Sequence[StoredInstance]) -> bool:
        """Return whether all frames of these instances are decoded quickly.

        An answer may then wait for it. Raises Gone.
        """
        if len(made) > LOOKED_AT:
            return False
        found = [(await self._layouts.find(scope, stored)).layout.pixels for stored in made]
        return sum(native_length(pixels) for pixels in found if pixels is not None) <= MADE_FIRST_AT_MOST

    # -- as they are stored -----------------------------------------------------------------------------

    async def _open_untouched(self, located: StoredLayout) -> Body:
        if located.layout.odd_meta:
            return await self._replace_meta(located)
        locator = located.stored.locator
        span = Span(locator.offset, locator.offset + locator.length)
        chunks = await prime(self._objects.stream_object(locator.key, span))
        return Body(PART10, located.layout.transfer_syntax, locator.length, chunks)

    async def _replace_meta(self, located: StoredLayout) -> Body:
        """Open the stored data set behind a corrected file meta (PS3.18 10.4.3.3.1, R-I-3)."""
        locator, syntax = located.stored.locator, located.layout.transfer_syntax
        meta = file_meta(located.stored.identity, syntax)
        begin = locator.offset + located.layout.dataset_offset
        span = Span(begin, locator.offset + locator.length)
        chunks = await prime(self._objects.stream_object(locator.key, span))
        return Body(PART10, syntax, len(meta) + len(span), join([only(meta), chunks]))

    async def _rewrite_explicit(self, located: StoredLayout) -> Body:
        """Open the data set in Explicit VR Little Endian; encapsulated pixel data stays as it is."""
        layout = located.layout
        if layout.pixels is not None and layout.pixels.encapsulated:
            return await self._open_untouched(located)
        chunks = self._objects.stream_span(located, await self._objects.find_dataset(located))
        rewriter = Rewriter(located.stored.identity, layout)
        return Body(PART10, uids.EXPLICIT_VR_LITTLE_ENDIAN, None, await prime(map_chunks(chunks, rewriter)))

    # -- deflated ---------------------------------------------------------------------------------------

    async def _deflate(self, located: StoredLayout) -> Body:
        """Open the data set deflated, behind a group 0002 that says so (PS3.5 A.5)."""
        identity = located.stored.identity
        meta = file_meta(identity, uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
        plain = located.layout.transfer_syntax == uids.EXPLICIT_VR_LITTLE_ENDIAN and located.native
        if plain and not (located.layout.implicit or located.layout.big_endian):
            chunks = self._objects.stream_span(located, await self._objects.find_dataset(located))
            return await self._join_deflated(
                meta, Body(PART10, uids.EXPLICIT_VR_LITTLE_ENDIAN, None, chunks), 0
            )
        inner = await self._open(located, uids.EXPLICIT_VR_LITTLE_ENDIAN)
        return await self._join_deflated(
            meta, inner, len(file_meta(identity, uids.EXPLICIT_VR_LITTLE_ENDIAN))
        )

    async def _join_deflated(self, meta: bytes, inner: Body, skip: int) -> Body:
        """Return a file of `meta` and the bytes after the first `skip` of `inner`, deflated."""
        chunks = await prime(inner.chunks)
        made = deflate(chunks, skip, self._pool, self._counters, verify=self._verify)
        return Body(PART10, uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, None, join([only(meta), made]))
