"""Read the stored values of one frame, and the Image Pixel Module (PS3.3 C.7.6.3, PS3.5 8.1)."""

from __future__ import annotations

import numpy as np

from gateway.dicom import tagnumbers, tags
from gateway.dicom.encoding.pixels import ImagePixel
from gateway.errors import CodecError
from gateway.render.attributes import Attributes
from gateway.render.rendering import Array

_FLOATING_BITS = {tagnumbers.DOUBLE_FLOAT_PIXEL_DATA: 64, tagnumbers.FLOAT_PIXEL_DATA: 32}


def read_image_pixel(attributes: Attributes) -> ImagePixel:
    """Return the Image Pixel Module, corrected where needed. Raises CodecError where it describes no picture.

    A value that is absent or contradicts Bits Allocated is replaced by one that fits, so that each sample has
    its bits.
    """
    tag = _find_pixels(attributes)
    floating = tag != tagnumbers.PIXEL_DATA
    allocated = _FLOATING_BITS[tag] if floating else attributes.integer(tags.BITS_ALLOCATED)
    stored = attributes.integer(tags.BITS_STORED, allocated)
    stored = stored if 0 < stored <= allocated else allocated
    high = attributes.integer(tags.HIGH_BIT, stored - 1)
    image = ImagePixel(
        rows=attributes.integer(tags.ROWS),
        columns=attributes.integer(tags.COLUMNS),
        samples=attributes.integer(tags.SAMPLES_PER_PIXEL, 1),
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high if stored <= high + 1 <= allocated else stored - 1,
        pixel_representation=0 if floating else attributes.integer(tags.PIXEL_REPRESENTATION),
        photometric=attributes.text(tags.PHOTOMETRIC_INTERPRETATION).strip() or "MONOCHROME2",
        planar=attributes.integer(tags.PLANAR_CONFIGURATION),
        tag=tag,
    )
    _check(image)
    return image


def _find_pixels(attributes: Attributes) -> int:
    """Return the tag of the element that holds the pixels; that of Pixel Data where there is no other."""
    for tag in _FLOATING_BITS:
        if f"{tag:08X}" in attributes:
            return tag
    return tagnumbers.PIXEL_DATA


def _check(image: ImagePixel) -> None:
    """Raise CodecError for a description that cannot be a picture."""
    if image.rows <= 0 or image.columns <= 0:
        raise CodecError(f"no picture has {image.rows} rows and {image.columns} columns")
    if image.samples not in {1, 3}:
        raise CodecError(f"Samples per Pixel is {image.samples}, wanted 1 or 3", tag=tags.SAMPLES_PER_PIXEL)
    if image.bits_allocated not in {1, 8, 16, 32, 64}:
        raise CodecError(
            f"Bits Allocated is {image.bits_allocated}, wanted 1, 8, 16, 32 or 64", tag=tags.BITS_ALLOCATED
        )
    if image.samples == 3 and (image.bits_allocated == 1 or image.is_floating):
        raise CodecError("colour has whole samples of 8 bits or more", tag=tags.BITS_ALLOCATED)


def read_stored_values(cells: Array, image: ImagePixel) -> Array:
    """Return the bits up to High Bit, with the sign of Pixel Representation; floating values unchanged."""
    if image.is_floating or image.bits_allocated == 1:
        return cells
    width = cells.dtype.itemsize
    spare = image.bits_allocated - image.high_bit - 1
    unused = image.bits_allocated - image.bits_stored
    if not unused:
        return cells.view(f"<i{width}") if image.is_signed else cells
    lifted = cells << np.array(spare, cells.dtype) if spare else cells
    kind = f"<i{width}" if image.is_signed else f"<u{width}"
    lowered: Array = lifted.view(kind) >> np.array(unused, kind)
    return lowered
