"""Show RT Dose in colours (PS3.3 C.8.8.3): from blue for little dose to red for the most."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gateway.dicom import tags, uids
from gateway.dicom.encoding.pixels import ImagePixel
from gateway.render.attributes import Attributes
from gateway.render.codecs.pixelcells import read_cells
from gateway.render.objects.imageplane import ImagePlane, plane_of
from gateway.render.rendering import Array
from gateway.render.stages.storedvalues import read_image_pixel, read_stored_values

CLASSES = frozenset({uids.RT_DOSE_STORAGE})
# Largest Image Pixel Value, of the whole grid where it is known, so that all frames have the same scale.
LARGEST = tags.LARGEST_IMAGE_PIXEL_VALUE
# Shares of the highest dose and their colours, mixed in between: blue, cyan, green, yellow, red.
_STOPS = (0.0, 0.25, 0.5, 0.75, 1.0)
_COLOURS = ((0, 0, 255), (0, 255, 255), (0, 255, 0), (255, 255, 0), (255, 0, 0))
# Below this share of the highest dose nothing is shown.
THRESHOLD = 0.05
OPACITY = 0.4


def is_dose(attributes: Attributes) -> bool:
    """Return whether the object is of the RT Dose SOP Class."""
    return attributes.text(tags.SOP_CLASS_UID).strip() in CLASSES


def doses(cells: Array, attributes: Attributes, image: ImagePixel) -> Array:
    """Return each pixel's dose in Dose Units: stored value times Dose Grid Scaling (C.8.8.3.2)."""
    scaled: Array = read_stored_values(cells, image).astype(np.float64) * (
        attributes.number(tags.DOSE_GRID_SCALING) or 1.0
    )
    return scaled


def largest(native: bytes, attributes: Attributes) -> int:
    """Return the largest stored value of a frame. Raises CodecError where bytes are missing."""
    image = read_image_pixel(attributes)
    return int(read_stored_values(read_cells(native, image), image).max(initial=0))


def highest(cells: Array, attributes: Attributes, image: ImagePixel) -> float:
    """Return the dose at which the colour scale ends.

    It is the largest dose of the grid where the attributes hold it, else of the frame.
    """
    told = attributes.number(LARGEST)
    most = float(read_stored_values(cells, image).max(initial=0)) if told is None else told
    return most * (attributes.number(tags.DOSE_GRID_SCALING) or 1.0)


def wash(values: Array, top: float, threshold: float = THRESHOLD) -> tuple[Array, Array]:
    """Return the colour of each dose on a scale up to `top`, and a mask of the doses to show."""
    share = np.clip(values / top, 0, 1) if top > 0 else np.zeros(values.shape)
    channels = [np.interp(share, _STOPS, [colour[n] for colour in _COLOURS]) for n in range(3)]
    shown: Array = share >= threshold if top > 0 else np.zeros(values.shape, bool)
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8), shown


def colour_dose(
    cells: Array, attributes: Attributes, image: ImagePixel, beneath: Array | None = None
) -> Array | None:
    """Return a frame in dose colours over `beneath`, RGB of the same size, or over black.

    None where the object is not a dose.
    """
    if not is_dose(attributes) or image.samples != 1:
        return None
    colour, shown = wash(doses(cells, attributes, image), highest(cells, attributes, image))
    if beneath is None:
        colour[~shown] = 0
        return colour
    mixed = np.rint(beneath * (1 - OPACITY) + colour * OPACITY)
    picture: Array = np.where(shown[..., None], mixed, beneath).astype(np.uint8)
    return picture


def plane(attributes: Attributes, frame: int) -> ImagePlane | None:
    """Return the plane of `frame` (from 1) in space (C.8.8.3.2); None where it is not known.

    Offsets that begin with 0 run along the normal, others are z coordinates in the patient.
    """
    first, offsets = plane_of(attributes, frame), attributes.numbers(tags.GRID_FRAME_OFFSET_VECTOR)
    if first is None or len(offsets) < frame:
        return first if frame == 1 else None
    way = first.normal if offsets[0] == 0 else np.array([0.0, 0.0, 1.0])
    return replace(first, corner=first.corner + way * (offsets[frame - 1] - offsets[0]))
