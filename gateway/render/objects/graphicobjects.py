"""Turn graphic objects into lines through points (PS3.3 C.10.5.1.2)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

Point: TypeAlias = tuple[float, float]
_STEPS = 96


def outline(kind: str, points: Sequence[Point]) -> list[Point]:
    """Return the points of the object's outline, in its own coordinates.

    For an unknown type or number of points these are the given points.
    """
    if kind == "CIRCLE" and len(points) == 2:
        (x, y), (to_x, to_y) = points
        return list(_ellipse((x, y), (to_x - x, to_y - y), (y - to_y, to_x - x)))
    if kind == "ELLIPSE" and len(points) == 4:
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = points
        middle = ((ax + bx) / 2, (ay + by) / 2)
        return list(_ellipse(middle, ((bx - ax) / 2, (by - ay) / 2), ((dx - cx) / 2, (dy - cy) / 2)))
    if kind == "INTERPOLATED" and len(points) > 2:
        return list(_spline(points))
    return list(points)


def _ellipse(centre: Point, one: Point, other: Point) -> Iterator[Point]:
    for step in range(_STEPS + 1):
        angle = 2 * math.pi * (step % _STEPS) / _STEPS
        c, s = math.cos(angle), math.sin(angle)
        yield centre[0] + c * one[0] + s * other[0], centre[1] + c * one[1] + s * other[1]


def _spline(points: Sequence[Point]) -> Iterator[Point]:
    """Yield the points of a Catmull-Rom curve.

    The standard leaves the interpolation open, but the line must run through every point.
    """
    closed = points[0] == points[-1]
    before = points[-2] if closed else points[0]
    after = points[1] if closed else points[-1]
    padded = [before, *points, after]
    for p0, p1, p2, p3 in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        for step in range(12):
            t = step / 12
            yield _cubic(p0[0], p1[0], p2[0], p3[0], t), _cubic(p0[1], p1[1], p2[1], p3[1], t)
    yield points[-1]


def _cubic(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
