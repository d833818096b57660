"""Show segments in their recommended colours, over black or over their source image (PS3.3 A.51, C.8.20)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from gateway.dicom import tags, uids
from gateway.dicom.encoding.pixels import ImagePixel
from gateway.render.attributes import Attributes
from gateway.render.rendering import Array
from gateway.render.stages.cielab import srgb
from gateway.render.stages.storedvalues import read_stored_values

Colour: TypeAlias = tuple[int, int, int]

CLASSES = frozenset({uids.SEGMENTATION_STORAGE, uids.LABEL_MAP_SEGMENTATION_STORAGE})
# How much of a segment covers the image that it lies on.
OPACITY = 0.5


def is_segmentation(attributes: Attributes) -> bool:
    """Return whether the object is of the Segmentation or the Label Map Segmentation SOP Class."""
    return attributes.text(tags.SOP_CLASS_UID).strip() in CLASSES


def colours(attributes: Attributes) -> Mapping[int, Colour]:
    """Return recommended colours or greys by segment number (C.8.20.2), for segments that have one."""
    found: dict[int, Colour] = {}
    for item in attributes.items(tags.SEGMENT_SEQUENCE):
        colour = srgb(item.numbers(tags.RECOMMENDED_DISPLAY_CIE_LAB_VALUE))
        if colour is None and tags.RECOMMENDED_DISPLAY_GRAYSCALE_VALUE in item:
            level = round(
                min(max(item.integer(tags.RECOMMENDED_DISPLAY_GRAYSCALE_VALUE), 0), 65535) * 255 / 65535
            )
            colour = (level, level, level)
        if colour is not None:
            found[item.integer(tags.SEGMENT_NUMBER)] = colour
    return found


def segment_of(attributes: Attributes, frame: int) -> int | None:
    """Return the segment number of `frame` (from 1); None in a label map (C.8.20.3.1).

    In a label map the pixels hold the segment numbers.
    """
    group = attributes.functional(frame, tags.SEGMENT_IDENTIFICATION_SEQUENCE)
    return (
        group.integer(tags.REFERENCED_SEGMENT_NUMBER)
        if group is not None and tags.REFERENCED_SEGMENT_NUMBER in group
        else None
    )


def source_of(attributes: Attributes, frame: int) -> tuple[str, int] | None:
    """Return SOP Instance UID and frame number of the first image that `frame` was derived from.

    C.7.6.16.2.6. None where there is no such image.
    """
    derivation = attributes.functional(frame, tags.DERIVATION_IMAGE_SEQUENCE)
    image = derivation.item(tags.SOURCE_IMAGE_SEQUENCE) if derivation is not None else None
    if image is None or tags.REFERENCED_SOP_INSTANCE_UID not in image:
        return None
    return image.text(tags.REFERENCED_SOP_INSTANCE_UID), max(
        image.integer(tags.REFERENCED_FRAME_NUMBER, 1), 1
    )


def colour_segments(
    cells: Array, attributes: Attributes, image: ImagePixel, frame: int, beneath: Array | None = None
) -> Array | None:
    """Return a frame in colour over `beneath`, RGB of the same size, or over black.

    None where none of its segments has a colour, or the object is not a segmentation.
    """
    if not is_segmentation(attributes) or image.samples != 1:
        return None
    found = _shares(cells, attributes, image, frame)
    if found is None:
        return None
    share, colour = found
    if beneath is None:
        alone: Array = np.rint(share[..., None] * colour).astype(np.uint8)
        return alone
    cover = (share * np.float32(OPACITY))[..., None]
    mixed: Array = np.rint(beneath * (1 - cover) + colour * cover).astype(np.uint8)
    return mixed


def _shares(
    cells: Array, attributes: Attributes, image: ImagePixel, frame: int
) -> tuple[Array, Array] | None:
    """Return the share of each pixel in a segment, 0 to 1, and one colour for all pixels or for each.

    None where no segment has a colour.
    """
    values, known = read_stored_values(cells, image), colours(attributes)
    kind = attributes.text(tags.SEGMENTATION_TYPE).strip()
    if kind == "LABELMAP" and known:
        return _label(values, known)
    colour = known.get(segment_of(attributes, frame) or 0)
    if colour is None:
        return None
    most = attributes.integer(tags.MAXIMUM_FRACTIONAL_VALUE, 255) if kind == "FRACTIONAL" else 1
    share = np.clip(values.astype(np.float32) / np.float32(max(most, 1)), 0, 1)
    return share, np.array(colour, np.float32)


def _label(values: Array, known: Mapping[int, Colour]) -> tuple[Array, Array]:
    """Return shares and colours of a label map by a single look-up; labels without a colour have share 0."""
    numbers = np.array(sorted(known))
    table = np.array([known[number] for number in numbers.tolist()] + [(0, 0, 0)], np.float32)
    at = np.searchsorted(numbers, values)
    at[numbers[np.minimum(at, len(numbers) - 1)] != values] = len(numbers)
    return (at < len(numbers)).astype(np.float32), table[at]
