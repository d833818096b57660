"""Find where a frame lies in space, and how two frames lie to each other (PS3.3 C.7.6.2, C.7.6.16.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gateway.dicom import tags
from gateway.render.attributes import Attributes
from gateway.render.rendering import Placement

# The smallest cosine between the normals of parallel planes.
_PARALLEL = 0.9995


@dataclass(frozen=True, slots=True)
class ImagePlane:
    """The plane of a frame in space, in millimetres.

    It has the outer corner of the first pixel, the steps of a column and of a row, and its thickness. `space`
    is the Frame of Reference UID.
    """

    space: str
    corner: Any
    across: Any
    down: Any
    thickness: float

    @property
    def normal(self) -> Any:
        crossed = np.cross(self.across, self.down)
        return crossed / np.linalg.norm(crossed)


def plane_of(attributes: Attributes, frame: int) -> ImagePlane | None:
    """Return the plane of `frame` (from 1); None where its position is not known."""
    place, turned, measures = (
        attributes.functional(frame, macro) or attributes
        for macro in (
            tags.PLANE_POSITION_SEQUENCE,
            tags.PLANE_ORIENTATION_SEQUENCE,
            tags.PIXEL_MEASURES_SEQUENCE,
        )
    )
    at, cosines, spacing = (
        place.numbers(tags.IMAGE_POSITION_PATIENT),
        turned.numbers(tags.IMAGE_ORIENTATION_PATIENT),
        measures.numbers(tags.PIXEL_SPACING),
    )
    if len(at) != 3 or len(cosines) != 6 or len(spacing) != 2 or min(spacing) <= 0:
        return None
    across, down = np.array(cosines[:3]) * spacing[1], np.array(cosines[3:]) * spacing[0]
    if not np.linalg.norm(np.cross(across, down)) > 0:
        return None
    # The position is that of the centre of the first pixel.
    corner = np.array(at) - (across + down) / 2
    space = attributes.text(tags.FRAME_OF_REFERENCE_UID).strip()
    return ImagePlane(space, corner, across, down, measures.number(tags.SLICE_THICKNESS) or 0.0)


def apart(one: ImagePlane, other: ImagePlane) -> float:
    """Return the millimetres between parallel planes; infinite where they are not parallel."""
    if abs(float(np.dot(one.normal, other.normal))) < _PARALLEL:
        return float("inf")
    return abs(float(np.dot(other.corner - one.corner, one.normal)))


def within(one: ImagePlane, other: ImagePlane) -> Placement:
    """Return the map from columns and rows of `one` to those of `other`, along the normal of `other`."""
    steps = np.stack([other.across, other.down, other.normal], axis=1)
    c, f, _ = np.linalg.solve(steps, one.corner - other.corner)
    a, d, _ = np.linalg.solve(steps, one.across)
    b, e, _ = np.linalg.solve(steps, one.down)
    return Placement(*(float(value) for value in (a, b, c, d, e, f)))
