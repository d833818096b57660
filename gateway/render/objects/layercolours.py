"""The greys and colours of graphic layers, and how they are drawn on a picture (PS3.3 C.10.5, C.10.7)."""

from __future__ import annotations

import numpy as np

from gateway.dicom import tags
from gateway.render.attributes import Attributes
from gateway.render.rendering import Array, Ink
from gateway.render.stages.cielab import srgb
from gateway.render.stages.color import in_colour


def read_layer_ink(layer: Attributes | None) -> Ink:
    """Return the recommended colour of an item of Graphic Layer Sequence, else its grey, else white."""
    if layer is None:
        return Ink()
    colour = srgb(layer.numbers(tags.GRAPHIC_LAYER_RECOMMENDED_DISPLAY_CIE_LAB_VALUE)) or _read_retired_rgb(
        layer
    )
    value = layer.number(tags.GRAPHIC_LAYER_RECOMMENDED_DISPLAY_GRAYSCALE_VALUE)
    if colour is not None and (value is None or max(colour) != min(colour)):
        return _ink(colour)
    return Ink() if value is None else Ink(min(max(value / 65535, 0.0), 1.0))


def read_style_ink(style: Attributes | None, tag: str = tags.PATTERN_ON_COLOR_CIE_LAB_VALUE) -> Ink | None:
    """Return the colour of an item of Line, Fill or Text Style Sequence; None where it has none."""
    colour = srgb(style.numbers(tag)) if style is not None else None
    return None if colour is None else _ink(colour)


def opacity(style: Attributes | None) -> float:
    """Return how much a fill covers the picture, 0 to 1."""
    value = style.number(tags.PATTERN_ON_OPACITY) if style is not None else None
    return 1.0 if value is None else min(max(value, 0.0), 1.0)


def contrary(ink: Ink) -> Ink:
    """Return black for a light ink, white for a dark one."""
    red, green, blue = ink.colour or (ink.grey * 255,) * 3
    return Ink(0.0 if 0.299 * red + 0.587 * green + 0.114 * blue > 127 else 1.0)


def lay_ink(picture: Array, share: Array, ink: Ink) -> Array:
    """Return the picture with ink on it, `share` (0 to 1 or a mask) on each pixel.

    A coloured ink turns a grey picture into one of colour, of 8 bits.
    """
    if not share.any():
        return picture
    if ink.colour is not None:
        picture = in_colour(picture) if picture.ndim == 2 or picture.dtype != np.uint8 else picture
    top = 255 if picture.dtype == np.uint8 else 65535
    level = np.array(ink.colour if ink.colour is not None else ink.grey * top, np.float32)
    cover = share.astype(np.float32)
    if picture.ndim == 3:
        cover = cover[..., None]
    mixed: Array = np.rint(picture * (1 - cover) + level * cover).astype(picture.dtype)
    return mixed


def _ink(colour: tuple[int, int, int]) -> Ink:
    """Return the colour as an ink; a grey colour becomes a grey ink, so that a grey picture stays grey."""
    return Ink(colour[0] / 255) if max(colour) == min(colour) else Ink(colour=colour)


def _read_retired_rgb(layer: Attributes) -> tuple[int, int, int] | None:
    """Return Graphic Layer Recommended Display RGB Value, reduced from 16 to 8 bits; None without it."""
    values = layer.numbers(tags.GRAPHIC_LAYER_RECOMMENDED_DISPLAY_RGB_VALUE)
    if len(values) != 3 or not all(0 <= value <= 65535 for value in values):
        return None
    red, green, blue = (round(value * 255 / 65535) for value in values)
    return red, green, blue
