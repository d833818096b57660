"""Turn the array of a codec into the bytes that Explicit VR Little Endian holds (PS3.5 8.1)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.dicom.encoding.pixels import ImagePixel
from gateway.errors import CodecError
from gateway.render.codecs.codestreamheaders import CodestreamHeader

Array = NDArray[Any]


def native_bytes(array: Array, pixels: ImagePixel, header: CodestreamHeader) -> bytes:
    """Return little endian bytes, colour-by-pixel, each value in `bits_allocated` bits, single bits packed.

    PS3.5 8.1.1. Raises CodecError where the array does not fit the description.
    """
    if pixels.bits_allocated == 1:
        if header.precision > 1 and array.max(initial=0) > 1:
            raise CodecError(f"the codestream has {header.precision} bits a sample, Bits Allocated is 1")
        return np.packbits(array.reshape(-1).astype(bool), bitorder="little").tobytes()
    width = pixels.bits_allocated // 8
    array = _apply_representation(array, pixels, header)
    kind = "i" if array.dtype.kind == "i" else "u"
    return array.astype(f"<{kind}{width}", copy=False).tobytes()


def _apply_representation(array: Array, pixels: ImagePixel, header: CodestreamHeader) -> Array:
    """Return the values with the sign of Pixel Representation, where the codestream has another or none.

    An unsigned codestream of a signed image holds two's complement in `precision` bits, which is
    sign-extended. Raises CodecError for values that are not whole numbers.
    """
    signed = pixels.is_signed
    if array.dtype.kind not in "iu":
        raise CodecError(f"the codestream decodes to {array.dtype.name}, wanted whole numbers")
    if signed == (array.dtype.kind == "i"):
        return array
    size = 8 * array.dtype.itemsize
    spare = size - header.precision
    if signed:
        extended: Array = array.view(f"i{array.dtype.itemsize}")
        return extended << spare >> spare if spare > 0 else extended
    masked: Array = array.view(f"u{array.dtype.itemsize}") & ((1 << header.precision) - 1)
    return masked
