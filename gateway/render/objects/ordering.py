"""Order several frames (PS3.18 8.3.5.1.6): by dimension, or else by position, or else as they are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from gateway.dicom import tags
from gateway.render.attributes import Attributes

Key: TypeAlias = tuple[float, ...]


def order_frames(frames: Sequence[tuple[Attributes, int]]) -> list[int]:
    """Return the indexes of `frames` (data set and number from 1) in the order to send them.

    Dimension Index Values come first. Where not every frame has them, Image Position (Patient) along the
    normal of the planes is used, and then Image Position (Volume). Where no frame order follows from these,
    the given order is kept.
    """
    for key_of in (_dimensions, _along_patient, _along_volume):
        keys = [key_of(attributes, number) for attributes, number in frames]
        if all(keys) and len(set(map(len, keys))) == 1:
            return sorted(range(len(frames)), key=keys.__getitem__)
    return list(range(len(frames)))


def _dimensions(attributes: Attributes, number: int) -> Key:
    content = attributes.functional(number, tags.FRAME_CONTENT_SEQUENCE)
    return tuple(content.numbers(tags.DIMENSION_INDEX_VALUES)) if content is not None else ()


def _along(macros: tuple[str, str], vectors: tuple[str, str]) -> Callable[[Attributes, int], Key]:
    def key(attributes: Attributes, number: int) -> Key:
        place = attributes.functional(number, macros[0]) or attributes
        plane = attributes.functional(number, macros[1]) or attributes
        at, turned = place.numbers(vectors[0]), plane.numbers(vectors[1])
        if len(at) != 3 or len(turned) != 6:
            return ()
        a, b, c, d, e, f = turned
        normal = (b * f - c * e, c * d - a * f, a * e - b * d)
        # Rounded, so that frames in the same plane, such as tiles, keep their order.
        return (round(sum(p * n for p, n in zip(at, normal, strict=True)), 3),)

    return key


_along_patient = _along(
    (tags.PLANE_POSITION_SEQUENCE, tags.PLANE_ORIENTATION_SEQUENCE),
    (tags.IMAGE_POSITION_PATIENT, tags.IMAGE_ORIENTATION_PATIENT),
)
_along_volume = _along(
    (tags.PLANE_POSITION_VOLUME_SEQUENCE, tags.PLANE_ORIENTATION_VOLUME_SEQUENCE),
    (tags.IMAGE_POSITION_VOLUME, tags.IMAGE_ORIENTATION_VOLUME),
)
