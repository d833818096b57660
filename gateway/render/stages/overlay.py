"""Overlay planes, stored separately or in unused bits of the pixels (PS3.3 C.9.2, PS3.5 8.1.2)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gateway.dicom.encoding.pixels import ImagePixel
from gateway.render.attributes import Attributes
from gateway.render.rendering import Array

_ROWS, _COLUMNS, _FRAMES, _ORIGIN, _FIRST_FRAME = "0010", "0011", "0015", "0050", "0051"
_BIT_POSITION, _DATA = "0102", "3000"


def groups(attributes: Attributes) -> list[str]:
    """Return the repeating groups 6000 to 601E that are present."""
    return sorted({tag[:4] for tag in attributes.tags() if tag.startswith("60") and _is_group(tag[:4])})


def _is_group(group: str) -> bool:
    return group[2] in "01" and group[3] in "02468ACE"


def planes(
    attributes: Attributes, image: ImagePixel, cells: Array, frame: int
) -> Iterator[tuple[str, Array]]:
    """Yield group and mask of each overlay of `frame` (from 1), in the image's rows and columns."""
    for group in groups(attributes):
        mask = plane(attributes, group, image, cells, frame)
        if mask is not None:
            yield group, mask


def plane(attributes: Attributes, group: str, image: ImagePixel, cells: Array, frame: int) -> Array | None:
    """Return the mask of one overlay; None where it has none for this frame, or it cannot be read."""
    data = attributes.raw(group + _DATA)
    if data is None:
        return _read_embedded(attributes, group, image, cells)
    rows, columns = attributes.integer(group + _ROWS), attributes.integer(group + _COLUMNS)
    which = _which_frame(attributes, group, frame)
    if rows <= 0 or columns <= 0 or which is None:
        return None
    bits = rows * columns
    begin = which * bits
    if (begin + bits + 7) // 8 > len(data):
        return None
    window = np.frombuffer(data, "u1")[begin // 8 : (begin + bits + 7) // 8]
    mask = np.unpackbits(window, bitorder="little")[begin % 8 : begin % 8 + bits]
    return _place(mask.reshape(rows, columns).astype(bool), attributes, group, image)


def _which_frame(attributes: Attributes, group: str, frame: int) -> int | None:
    """Return the index of the overlay frame for an image frame; None where that has none.

    An overlay without a number of frames is on all frames.
    """
    count = attributes.integer(group + _FRAMES)
    if count <= 0:
        return 0
    which = frame - attributes.integer(group + _FIRST_FRAME, 1)
    return which if 0 <= which < count else None


def _read_embedded(attributes: Attributes, group: str, image: ImagePixel, cells: Array) -> Array | None:
    """Return the mask from one bit of each pixel cell outside the stored bits; None where it cannot be read.

    Such overlays were retired in 2004 and are common in older images.
    """
    position = attributes.integer(group + _BIT_POSITION)
    used = range(image.high_bit + 1 - image.bits_stored, image.high_bit + 1)
    if group + _BIT_POSITION not in attributes or position in used or not 0 < position < image.bits_allocated:
        return None
    if image.samples != 1 or image.is_floating or cells.dtype.kind != "u":
        return None
    found: Array = (cells >> np.array(position, cells.dtype)) & np.array(1, cells.dtype)
    return found.astype(bool)


def _place(mask: Array, attributes: Attributes, group: str, image: ImagePixel) -> Array:
    """Return the mask in the image's matrix; its origin is row and column, from 1, and may lie outside."""
    origin = attributes.numbers(group + _ORIGIN)
    top, left = (int(origin[0]) - 1, int(origin[1]) - 1) if len(origin) == 2 else (0, 0)
    if (top, left) == (0, 0) and mask.shape == (image.rows, image.columns):
        return mask
    out = np.zeros((image.rows, image.columns), bool)
    rows = slice(max(top, 0), max(min(top + mask.shape[0], image.rows), 0))
    columns = slice(max(left, 0), max(min(left + mask.shape[1], image.columns), 0))
    part = mask[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    if part.size and rows.start < rows.stop and columns.start < columns.stop:
        out[rows, columns] = part
    return out


def draw_overlay(picture: Array, mask: Array) -> Array:
    """Draw white where the mask is set, and return the picture."""
    picture[mask] = 255 if picture.dtype == np.uint8 else 65535
    return picture
