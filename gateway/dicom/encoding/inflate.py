"""Inflate deflated data sets (PS3.5 A.5) in bounded pieces."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from gateway.dicom.limits import ReadLimits
from gateway.errors import DicomError, LimitExceeded, Truncated

_PIECE = 1 << 20


class Inflater:
    """An inflater of raw deflate without zlib header; it gives at most one piece at a time."""

    def __init__(self, limits: ReadLimits) -> None:
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._limits = limits
        self._in = 0
        self._out = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes, and yield inflated pieces.

        Raises DicomError for a damaged stream, LimitExceeded for one that grows too large.
        """
        self._in += len(data)
        while data and not self._inflate.eof:
            try:
                piece = self._inflate.decompress(data, _PIECE)
            except zlib.error as error:
                raise DicomError(f"the deflated data set is damaged at inflated byte {self._out}") from error
            data = self._inflate.unconsumed_tail
            self._count(len(piece))
            if piece:
                yield piece

    def close(self) -> None:
        """End the input. Raises Truncated where the stream has not ended."""
        if not self._inflate.eof:
            raise Truncated(f"the deflated data set ends early, at inflated byte {self._out}")

    def _count(self, size: int) -> None:
        self._out += size
        limits = self._limits
        if self._out > max(limits.inflation_floor, limits.inflation_ratio * self._in):
            raise LimitExceeded(f"a deflated data set grows more than {limits.inflation_ratio}-fold")
        if self._out > limits.inflated:
            raise LimitExceeded(f"a deflated data set grows beyond {limits.inflated} bytes")
