"""Display shutters, which cover all that lies outside their shapes (PS3.3 C.7.6.11, C.7.6.15)."""

from __future__ import annotations

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from gateway.dicom import tags
from gateway.render.attributes import Attributes
from gateway.render.rendering import Array
from gateway.render.stages.cielab import srgb


def find_covered(
    shutter: Attributes, rows: int, columns: int, aspect: float, bitmap: Array | None
) -> Array | None:
    """Return a mask of the pixels that any of the shapes hides; None where none is hidden. Edges are visible.

    `aspect` is the height of a pixel divided by its width, since a radius counts pixels along a row. `bitmap`
    is the overlay of a bitmap shutter.
    """
    shapes = {text.strip() for text in shutter.texts(tags.SHUTTER_SHAPE)}
    seen = np.ones((rows, columns), bool)
    if "RECTANGULAR" in shapes:
        _rectangle(shutter, seen)
    if "CIRCULAR" in shapes:
        _circle(shutter, seen, aspect)
    if "POLYGONAL" in shapes:
        _polygon(shutter, seen)
    if "BITMAP" in shapes and bitmap is not None:
        seen &= ~bitmap
    return None if seen.all() else ~seen


def bitmap_group(shutter: Attributes) -> str | None:
    """Return the overlay group of a bitmap shutter, as the first half of its tags; None without one."""
    if (
        "BITMAP" not in {text.strip() for text in shutter.texts(tags.SHUTTER_SHAPE)}
        or tags.SHUTTER_OVERLAY_GROUP not in shutter
    ):
        return None
    return f"{shutter.integer(tags.SHUTTER_OVERLAY_GROUP):04X}"


def draw_shutter(picture: Array, hidden: Array, shutter: Attributes) -> Array:
    """Draw the shutter over the hidden pixels, and return the picture.

    It is drawn in its P-Value (of 16 bits; black where there is none); in a colour picture its colour takes
    precedence.
    """
    colour = srgb(shutter.numbers(tags.SHUTTER_PRESENTATION_COLOR_CIE_LAB_VALUE))
    if picture.ndim == 3 and colour is not None:
        picture[hidden] = colour
        return picture
    value = min(max(shutter.integer(tags.SHUTTER_PRESENTATION_VALUE), 0), 65535)
    picture[hidden] = value if picture.dtype == np.uint16 else (value * 255 + 32767) // 65535
    return picture


def _rectangle(shutter: Attributes, seen: Array) -> None:
    """Clear `seen` outside the rectangle, whose edges count columns and rows from 1."""
    rows, columns = seen.shape
    left, right = (
        shutter.integer(tags.SHUTTER_LEFT_VERTICAL_EDGE, 1),
        shutter.integer(tags.SHUTTER_RIGHT_VERTICAL_EDGE, columns),
    )
    upper, lower = (
        shutter.integer(tags.SHUTTER_UPPER_HORIZONTAL_EDGE, 1),
        shutter.integer(tags.SHUTTER_LOWER_HORIZONTAL_EDGE, rows),
    )
    seen[: max(upper - 1, 0)] = False
    seen[max(lower, 0) :] = False
    seen[:, : max(left - 1, 0)] = False
    seen[:, max(right, 0) :] = False


def _circle(shutter: Attributes, seen: Array, aspect: float) -> None:
    centre, radius = (
        shutter.numbers(tags.CENTER_OF_CIRCULAR_SHUTTER),
        shutter.number(tags.RADIUS_OF_CIRCULAR_SHUTTER),
    )
    if len(centre) != 2 or radius is None:
        return
    down = (np.arange(1, seen.shape[0] + 1) - centre[0]) * aspect
    across = np.arange(1, seen.shape[1] + 1) - centre[1]
    seen &= down[:, None] ** 2 + across[None, :] ** 2 <= radius**2


def _polygon(shutter: Attributes, seen: Array) -> None:
    """Clear `seen` outside the polygon.

    Vertices are pairs of row and column; the last is joined with the first.
    """
    points = shutter.numbers(tags.VERTICES_OF_THE_POLYGONAL_SHUTTER)
    corners = [(column - 1, row - 1) for row, column in zip(points[::2], points[1::2], strict=False)]
    if len(corners) < 3:
        return
    mask = Pillow.new("1", (seen.shape[1], seen.shape[0]))
    ImageDraw.Draw(mask).polygon(corners, fill=1, outline=1)
    seen &= np.asarray(mask, bool)
