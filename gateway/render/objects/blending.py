"""Blending presentation states: grey below, palette colours above (PS3.3 C.11.14, PS3.4 N.2.4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image as Pillow

from gateway.dicom import tags
from gateway.render.attributes import Attributes
from gateway.render.objects.imageplane import ImagePlane, apart
from gateway.render.rendering import Array, Placement
from gateway.render.stages.color import in_colour

# Half the extent, in millimetres, of a plane whose thickness is unknown.
_REACH = 0.5


def parts(state: Attributes) -> tuple[Attributes, Attributes] | None:
    """Return the items of the underlying and the superimposed images; None where one is missing."""
    found = {item.text(tags.BLENDING_POSITION).strip(): item for item in state.items(tags.BLENDING_SEQUENCE)}
    if "UNDERLYING" not in found or "SUPERIMPOSED" not in found:
        return None
    return found["UNDERLYING"], found["SUPERIMPOSED"]


def opacity(state: Attributes) -> float:
    """Return how much of the underlying image is covered, 0 to 1."""
    value = state.number(tags.RELATIVE_OPACITY)
    return 0.5 if value is None else min(max(value, 0.0), 1.0)


def find_facing(plane: ImagePlane, others: Sequence[ImagePlane | None]) -> int | None:
    """Return the index of the plane in `others` that is at the place of `plane`; None where there is none.

    It is the nearest one, if it is no further than half a thickness or half a gap between planes.
    """
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
    """Return `image` in RGB of 8 bits on the grid of another plane, black outside the image.

    `way` maps from the grid to the image.
    """
    matrix = (way.a, way.b, way.c, way.d, way.e, way.f)
    found = Pillow.fromarray(np.ascontiguousarray(in_colour(image))).transform(
        (columns, rows), Pillow.Transform.AFFINE, matrix, Pillow.Resampling.BILINEAR
    )
    return np.asarray(found)


def blend(picture: Array, *, above: Array, way: Placement, share: float) -> Array:
    """Return the picture with `above`, in RGB, laid over it with the opacity `share`.

    `way` maps from columns and rows of the picture to those of `above`. Outside of `above` the picture is
    unchanged.
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
