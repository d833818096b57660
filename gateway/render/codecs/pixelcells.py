"""Read native frames as arrays: cells of Bits Allocated, colour by pixel (PS3.5 8.1, PS3.3 C.7.6.3)."""

from __future__ import annotations

import hashlib

import numpy as np

from gateway.dicom.encoding.pixels import ImagePixel
from gateway.errors import CodecError
from gateway.render.codecs.nativebytes import Array


def read_cells(native: bytes, image: ImagePixel) -> Array:
    """Return each cell unchanged and unsigned: rows x columns, or rows x columns x samples.

    Single bits are returned one to a byte. Halved chrominance is doubled: each chrominance sample stands for
    two pixels (PS3.3 C.7.6.3.1.2). Bytes after the frame are ignored. Raises CodecError where bytes are
    missing.
    """
    if len(native) < image.count_bytes():
        raise CodecError(f"a frame has {len(native)} bytes, wanted {image.count_bytes()}")
    rows, columns, samples = image.rows, image.columns, image.samples
    cells = _unpack(native, image)
    if samples == 1:
        return cells.reshape(rows, columns)
    if image.is_halved:
        return _double(cells, image)
    if image.planar == 1:
        return cells.reshape(samples, rows, columns).transpose(1, 2, 0)
    return cells.reshape(rows, columns, samples)


def read_signed_cells(native: bytes, image: ImagePixel) -> Array:
    """Return the cells of `read_cells` with the sign of Pixel Representation.

    Raises CodecError as it does.
    """
    cells = read_cells(native, image)
    signed = image.is_signed and not image.is_floating and image.bits_allocated > 1
    return cells.view(f"<i{cells.dtype.itemsize}") if signed else cells


def _unpack(native: bytes, image: ImagePixel) -> Array:
    """Return the cells of one frame in the order of the bytes."""
    count = image.count_bits() // image.bits_allocated
    if image.bits_allocated == 1:
        return np.unpackbits(np.frombuffer(native, "u1"), count=count, bitorder="little")
    kind = "f" if image.is_floating else "u"
    return np.frombuffer(native, f"<{kind}{image.bits_allocated // 8}", count=count)


def _double(cells: Array, image: ImagePixel) -> Array:
    """Turn Y1 Y2 CB CR of two pixels into Y CB CR for each.

    Raises CodecError where a pixel has no neighbour.
    """
    rows, columns = image.rows, image.columns
    if columns % 2:
        raise CodecError(f"{image.photometric} has {columns} columns, wanted an even number")
    pairs = cells.reshape(rows, columns // 2, 4)
    full = np.empty((rows, columns // 2, 2, 3), cells.dtype)
    full[..., 0] = pairs[..., :2]
    full[..., 1] = pairs[..., 2:3]
    full[..., 2] = pairs[..., 3:4]
    return full.reshape(rows, columns, 3)


def hash_pixels(native: bytes, image: ImagePixel) -> bytes:
    """Return a hash of the cells of a native frame.

    It is the same by pixel and by plane, with halved and with doubled chrominance. Raises CodecError.
    """
    cells = np.ascontiguousarray(read_cells(native, image))
    return hashlib.blake2b(cells.data, digest_size=16).digest()


def count_needed_bits(cells: Array, image: ImagePixel) -> int:
    """Return how many bits each cell needs.

    These are the bits up to the High Bit where no signed cell exceeds it, else Bits Allocated.
    """
    if image.bits_allocated == 1:
        return 1
    due = image.high_bit + 1
    if not 1 < due < image.bits_allocated or not cells.size:
        return image.bits_allocated
    low, high = int(cells.min()), int(cells.max())
    floor, top = (-(1 << due - 1), 1 << due - 1) if cells.dtype.kind == "i" else (0, 1 << due)
    return due if floor <= low and high < top else image.bits_allocated
