"""Native frames as arrays: the cells of Bits Allocated as they are, colour by pixel (PS3.5 8.1, PS3.3 C.7.6.3)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from gateway.dicom.encoding.layout import PixelLayout
from gateway.errors import CodecError
from gateway.render.codecs.nativebytes import Array

_HALVED = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})


@dataclass(frozen=True, slots=True)
class CellPlane:
    """What an encoder is fed: rows, columns and samples by pixel; `bits` that the values need."""

    array: Array
    pixels: PixelLayout
    bits: int
    target: str

    @property
    def as_unsigned(self) -> Array:
        """Two's complement in `bits`, for codecs without a sign."""
        if self.array.dtype.kind == "u":
            return self.array
        whole: Array = self.array.view(f"u{self.array.dtype.itemsize}")
        masked: Array = whole & whole.dtype.type((1 << self.bits) - 1)
        return masked


def pixel_hash(data: bytes, pixels: PixelLayout) -> bytes:
    """Of the values of a native frame, colour-by-pixel: the same however the frame is laid out."""
    array = cells(data, pixels)
    return hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16).digest()


def cells(data: bytes, pixels: PixelLayout) -> Array:
    """Rows, columns and, where there are several, samples by pixel; single bits one to a byte.

    Halved chrominance is doubled: each sample stands for two pixels (PS3.3 C.7.6.3.1.2). Raises CodecError
    where the bytes are not one frame.
    """
    rows, columns, samples = pixels.rows, pixels.columns, pixels.samples
    if pixels.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(data, "u1"), bitorder="little")
        return _shape(
            bits[: rows * columns * samples], (rows, columns) if samples == 1 else (rows, columns, samples)
        )
    kind = "i" if pixels.pixel_representation == 1 else "u"
    flat = np.frombuffer(data, f"<{kind}{pixels.bits_allocated // 8}")
    if samples == 1:
        return _shape(flat, (rows, columns))
    if pixels.photometric in _HALVED and not pixels.encapsulated and samples == 3:
        return _double(_shape(flat, (rows, columns // 2, 4)))
    if pixels.planar == 1:
        return _shape(flat, (samples, rows, columns)).transpose(1, 2, 0)
    return _shape(flat, (rows, columns, samples))


def _shape(flat: Array, shape: tuple[int, ...]) -> Array:
    if flat.size != int(np.prod(shape)):
        raise CodecError(f"the frame has {flat.size} values, wanted {'x'.join(map(str, shape))}")
    return flat.reshape(shape)


def _double(pairs: Array) -> Array:
    """Two luminances, a blue and a red difference → two pixels of three samples."""
    rows, columns = pairs.shape[0], 2 * pairs.shape[1]
    out = np.empty((rows, columns, 3), pairs.dtype)
    out[:, 0::2, 0], out[:, 1::2, 0] = pairs[..., 0], pairs[..., 1]
    out[..., 1] = np.repeat(pairs[..., 2], 2, axis=1)
    out[..., 2] = np.repeat(pairs[..., 3], 2, axis=1)
    return out


def count_needed_bits(array: Array, pixels: PixelLayout) -> int:
    """Those up to the High Bit where nothing else is in the cells, else all."""
    if pixels.bits_allocated == 1:
        return 1
    due = pixels.high_bit + 1
    if not 1 < due < pixels.bits_allocated or not array.size:
        return pixels.bits_allocated
    low, high = int(array.min()), int(array.max())
    floor, top = (-(1 << due - 1), 1 << due - 1) if array.dtype.kind == "i" else (0, 1 << due)
    return due if floor <= low and high < top else pixels.bits_allocated
