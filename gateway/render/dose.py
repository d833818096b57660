"""RT Dose as a wash of colour (PS3.3 C.8.8.3): blue for little, red for the most, nothing where there is none."""

from __future__ import annotations

import numpy as np

from gateway.errors import CodecError
from gateway.render.attributes import Attributes
from gateway.render.color import in_colour
from gateway.render.rendering import Array, Image
from gateway.render.stored import Shape, shape_of, stored_values, words

_CLASS, _SCALING = "1.2.840.10008.5.1.4.1.1.481.2", "3004000E"
# Largest Image Pixel Value: of the whole grid where it is told, so that all frames have one scale.
LARGEST = "00280107"
# Share of the highest dose to colour, between which it is mixed: blue, cyan, green, yellow, red.
_STOPS = (0.0, 0.25, 0.5, 0.75, 1.0)
_COLOURS = ((0, 0, 255), (0, 255, 255), (0, 255, 0), (255, 255, 0), (255, 0, 0))
# Below this share of the highest dose nothing is shown.
THRESHOLD = 0.05
OPACITY = 0.4


def is_dose(attributes: Attributes) -> bool:
    """Whether it is of the RT Dose SOP Class, with a grid."""
    return attributes.text("00080016").strip() == _CLASS


def doses(cells: Array, attributes: Attributes, shape: Shape) -> Array:
    """Each pixel's dose in Dose Units: stored value times Dose Grid Scaling (C.8.8.3.2)."""
    scaled: Array = stored_values(cells, shape).astype(np.float64) * (attributes.number(_SCALING) or 1.0)
    return scaled


def largest(native: bytes, attributes: Attributes) -> int:
    """The largest stored value of a frame. Raises CodecError where bytes are missing."""
    shape = shape_of(attributes)
    return int(stored_values(words(native, shape), shape).max(initial=0))


def highest(cells: Array, attributes: Attributes, shape: Shape) -> float:
    """What the scale ends at: the largest of the grid where the attributes tell it, else of the frame."""
    told = attributes.number(LARGEST)
    most = float(stored_values(cells, shape).max(initial=0)) if told is None else told
    return most * (attributes.number(_SCALING) or 1.0)


def wash(values: Array, top: float, threshold: float = THRESHOLD) -> tuple[Array, Array]:
    """Colour of each dose on a scale up to `top`, and whether it is shown."""
    share = np.clip(values / top, 0, 1) if top > 0 else np.zeros(values.shape)
    channels = [np.interp(share, _STOPS, [colour[n] for colour in _COLOURS]) for n in range(3)]
    shown: Array = share >= threshold if top > 0 else np.zeros(values.shape, bool)
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8), shown


def coloured(cells: Array, attributes: Attributes, shape: Shape) -> Array | None:
    """A frame as a wash over black; None where it is no dose."""
    if not is_dose(attributes) or shape.samples != 1:
        return None
    colour, shown = wash(doses(cells, attributes, shape), highest(cells, attributes, shape))
    colour[~shown] = 0
    return colour


def overlay_dose(base: Image, values: Array, top: float, opacity: float = OPACITY) -> Image:
    """`base`, in colour of 8 bits, with the wash of the doses of the same plane and pixels over it.

    Raises CodecError where there is not a dose for each pixel.
    """
    if values.shape != base.pixels.shape[:2]:
        raise CodecError(
            f"doses of {values.shape[1]} by {values.shape[0]} points do not lie on an image of "
            f"{base.width} by {base.height}"
        )
    colour, shown = wash(values, top)
    picture = in_colour(base.pixels)
    picture[shown] = np.rint(picture[shown] * (1 - opacity) + colour[shown] * opacity).astype(np.uint8)
    return Image(picture, base.icc)
