"""What every encoder takes: the cells of one frame, how they are described, and what they become."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.dicom.encoding.pixels import ImagePixel
from gateway.render.codecs.nativebytes import Array


@dataclass(frozen=True, slots=True)
class EncodeJob:
    """Signed cells by pixel, as `image` describes them; `bits` is what the values need, `target` the syntax."""

    cells: Array
    image: ImagePixel
    bits: int
    target: str

    @property
    def unsigned(self) -> Array:
        """Two's complement in `bits`, for codecs without a sign."""
        if self.cells.dtype.kind == "u":
            return self.cells
        whole: Array = self.cells.view(f"u{self.cells.dtype.itemsize}")
        masked: Array = whole & whole.dtype.type((1 << self.bits) - 1)
        return masked
