"""The input of every encoder: the cells of one frame, their description, and the target."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.dicom.encoding.pixels import ImagePixel
from gateway.render.codecs.nativebytes import Array


@dataclass(frozen=True, slots=True)
class EncodeJob:
    """One frame to encode: its signed cells by pixel, described by `image`, and the target syntax.

    `bits` is the number of bits that the values need.
    """

    cells: Array
    image: ImagePixel
    bits: int
    target: str

    @property
    def unsigned(self) -> Array:
        """The cells as two's complement in `bits`, for codecs without a sign."""
        if self.cells.dtype.kind == "u":
            return self.cells
        whole: Array = self.cells.view(f"u{self.cells.dtype.itemsize}")
        masked: Array = whole & whole.dtype.type((1 << self.bits) - 1)
        return masked
