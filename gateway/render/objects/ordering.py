"""Order several frames (PS3.18 8.3.5.1.6): by dimension, or else by position, or else as they are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from gateway.render.attributes import Attributes

Key: TypeAlias = tuple[float, ...]

_CONTENT, _DIMENSIONS = "00209111", "00209157"
_PLANE, _POSITION = "00209113", "00200032"
_ORIENTATIONS, _ORIENTATION = "00209116", "00200037"
_VOLUME_PLANE, _VOLUME_POSITION = "0020930E", "00209301"
_VOLUME_ORIENTATIONS, _VOLUME_ORIENTATION = "0020930F", "00209302"


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
    content = attributes.functional(number, _CONTENT)
    return tuple(content.numbers(_DIMENSIONS)) if content is not None else ()


def _along(macros: tuple[str, str], tags: tuple[str, str]) -> Callable[[Attributes, int], Key]:
    def key(attributes: Attributes, number: int) -> Key:
        place = attributes.functional(number, macros[0]) or attributes
        plane = attributes.functional(number, macros[1]) or attributes
        at, turned = place.numbers(tags[0]), plane.numbers(tags[1])
        if len(at) != 3 or len(turned) != 6:
            return ()
        a, b, c, d, e, f = turned
        normal = (b * f - c * e, c * d - a * f, a * e - b * d)
        # Rounded, so that frames in the same plane, such as tiles, keep their order.
        return (round(sum(p * n for p, n in zip(at, normal, strict=True)), 3),)

    return key


_along_patient = _along((_PLANE, _ORIENTATIONS), (_POSITION, _ORIENTATION))
_along_volume = _along((_VOLUME_PLANE, _VOLUME_ORIENTATIONS), (_VOLUME_POSITION, _VOLUME_ORIENTATION))
