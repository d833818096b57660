"""Blending presentation states: grey beneath, a palette's colours above (PS3.3 C.11.14, PS3.4 N.2.4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image as Pillow

from gateway.render.attributes import Attributes
from gateway.render.objects.imageplane import ImagePlane, apart
from gateway.render.rendering import Array, Placement
from gateway.render.stages.color import in_colour

BLENDING = "1.2.840.10008.5.1.4.1.1.11.4"
_SEQUENCE, _POSITION, _OPACITY = "00700402", "00700405", "00700403"
# Planes of which nothing tells how thick they are reach so far, in millimetres.
_REACH = 0.5


def parts(state: Attributes) -> tuple[Attributes, Attributes] | None:
    """The item of what lies beneath, and of what is laid over it; None where one is missing."""
    found = {item.text(_POSITION).strip(): item for item in state.items(_SEQUENCE)}
    if "UNDERLYING" not in found or "SUPERIMPOSED" not in found:
        return None
    return found["UNDERLYING"], found["SUPERIMPOSED"]


def opacity(state: Attributes) -> float:
    """How much of what lies beneath is covered, 0 to 1."""
    value = state.number(_OPACITY)
    return 0.5 if value is None else min(max(value, 0.0), 1.0)


def facing(plane: ImagePlane, others: Sequence[ImagePlane | None]) -> int | None:
    """Which of the planes above is at the place of `plane`: the nearest, as far as its thickness or a gap reaches."""
    gaps = [(apart(plane, other), n) for n, other in enumerate(others) if other is not None]
    if not gaps:
        return None
    gap, nearest = min(gaps)
    found = others[nearest]
    assert found is not None
    steps = [step for other in others if other is not None and (step := apart(found, other)) > 1e-3]
    reach = max(found.thickness, min(steps, default=0.0), plane.thickness) / 2 or _REACH
    return nearest if gap <= reach + 1e-3 else None


def move_onto(rows: int, columns: int, *, image: Array, way: Placement) -> Array:
    """`image`, in RGB of 8 bits, on a grid of another plane; `way` leads from the grid to it. Outside it is black."""
    matrix = (way.a, way.b, way.c, way.d, way.e, way.f)
    found = Pillow.fromarray(np.ascontiguousarray(in_colour(image))).transform(
        (columns, rows), Pillow.Transform.AFFINE, matrix, Pillow.Resampling.BILINEAR
    )
    return np.asarray(found)


def blend(picture: Array, *, above: Array, way: Placement, share: float) -> Array:
    """The picture with `above`, in RGB, laid over it; `way` leads from columns and rows of it to those of `above`.

    Outside of `above` the picture stays as it is.
    """
    size = (picture.shape[1], picture.shape[0])
    matrix = (way.a, way.b, way.c, way.d, way.e, way.f)
    laid = move_onto(size[1], size[0], image=above, way=way)
    there = Pillow.new("L", (above.shape[1], above.shape[0]), 255).transform(
        size, Pillow.Transform.AFFINE, matrix, Pillow.Resampling.NEAREST
    )
    beneath = in_colour(picture)
    mixed = np.rint(laid * np.float32(share) + beneath * np.float32(1 - share))
    made: Array = np.where(np.asarray(there)[..., None] > 0, mixed, beneath).astype(np.uint8)
    return made
