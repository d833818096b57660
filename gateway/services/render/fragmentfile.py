"""A value in fragments as a file that a thread reads by position, while the event loop runs."""

from __future__ import annotations

import asyncio
import io
from bisect import bisect_right
from itertools import accumulate

from gateway.dicom.encoding.layout import PixelLayout
from gateway.model import Span
from gateway.services.render.renderedvideo import wait_for
from gateway.services.retrieve.layouts import StoredLayout
from gateway.services.retrieve.retrieve import Retrieve

# Bytes of one read of the store: a demuxer reads a few KiB at a time.
WINDOW = 1 << 20


class FragmentFile:
    """A file with read, seek and tell over the fragments of encapsulated pixel data."""

    def __init__(
        self, retrieve: Retrieve, located: StoredLayout, pixels: PixelLayout, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._retrieve = retrieve
        self._located = located
        self._starts, self._lengths = pixels.starts, pixels.lengths
        # Offsets in the file at which the fragments begin.
        self._begins = [0, *accumulate(pixels.lengths)]
        self._loop = loop
        self._at = 0
        self._window = (0, b"")

    @property
    def size(self) -> int:
        return self._begins[-1]

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes.

        Fewer are returned at the end of a fragment, or of the bytes that were read ahead.
        """
        if self._at >= self.size or size == 0:
            return b""
        begin, data = self._window
        if not begin <= self._at < begin + len(data):
            begin, data = self._window = self._at, self._fetch()
        start = self._at - begin
        piece = data[start : start + size] if size > 0 else data[start:]
        self._at += len(piece)
        return piece

    def _fetch(self) -> bytes:
        index = bisect_right(self._begins, self._at) - 1
        inside = self._at - self._begins[index]
        start = self._starts[index] + inside
        span = Span(start, start + min(WINDOW, self._lengths[index] - inside))
        return wait_for(self._retrieve.value_bytes(self._located, span), self._loop)
