"""Graphic annotations of a presentation state (PS3.3 C.10.5): lines, shapes and text over a picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from gateway.render.attributes import Attributes
from gateway.render.fonts import font, runs
from gateway.render.rendering import Array, Placement

_LAYERS, _LAYER, _ORDER, _GREY = "00700060", "00700002", "00700062", "00700066"
_OBJECTS, _UNITS, _DATA, _KIND, _FILLED = "00700009", "00700005", "00700022", "00700023", "00700024"
_TEXTS, _TEXT, _BOX_UNITS, _ANCHOR_UNITS = "00700008", "00700006", "00700003", "00700004"
_BOX_TOP, _BOX_BOTTOM, _ANCHOR, _ANCHOR_SHOWN = "00700010", "00700011", "00700014", "00700015"
_DISPLAY = "DISPLAY"
_STEPS = 96
# Objects of one state beyond this are not drawn, and no coordinate is taken further out than that.
MOST_OBJECTS = 5_000
FARTHEST = 1e6

Point = tuple[float, float]


def drawn(picture: Array, placement: Placement, *, state: Attributes, notes: Sequence[Attributes]) -> Array:
    """The picture with every object of `notes`, layer by layer, in the greys of their layers."""
    layers = {item.text(_LAYER): item for item in state.items(_LAYERS)}
    out = picture
    top = 255 if out.dtype == np.uint8 else 65535
    for note in sorted(notes, key=lambda item: _order(layers.get(item.text(_LAYER)))):
        mask = _mask(note, placement, (picture.shape[1], picture.shape[0]))
        out = _covered(out, mask, _level(layers.get(note.text(_LAYER))) * top)
    return out


def _order(layer: Attributes | None) -> int:
    return layer.integer(_ORDER) if layer is not None else 0


def _level(layer: Attributes | None) -> float:
    """The recommended grey, 0 to 1; white where there is none."""
    grey = layer.number(_GREY) if layer is not None else None
    return 1.0 if grey is None else max(0.0, min(1.0, grey / 65535))


def _covered(picture: Array, mask: Array, ink: float) -> Array:
    if not mask.any():
        return picture
    share = mask.astype(np.float32) / 255
    if picture.ndim == 3:
        share = share[..., None]
    mixed: Array = np.rint(picture * (1 - share) + ink * share).astype(picture.dtype)
    return mixed


def _mask(note: Attributes, placement: Placement, size: tuple[int, int]) -> Array:
    """How much of each pixel the objects of one note cover, 0 to 255."""
    sheet = Pillow.new("L", size)
    draw = ImageDraw.Draw(sheet)
    for item in note.items(_OBJECTS)[:MOST_OBJECTS]:
        _object(draw, item, placement, size)
    for item in note.items(_TEXTS)[:MOST_OBJECTS]:
        _text(draw, item, placement, size)
    return np.asarray(sheet)


def _object(draw: ImageDraw.ImageDraw, item: Attributes, placement: Placement, size: tuple[int, int]) -> None:
    numbers = item.numbers(_DATA)
    points = list(zip(numbers[::2], numbers[1::2], strict=False))
    kind = item.text(_KIND).strip()
    outline = list(_outline(kind, points))
    shown = [_place(point, item.text(_UNITS), placement, size) for point in outline]
    if kind == "POINT" and shown:
        x, y = shown[0]
        draw.ellipse((x - 1.5, y - 1.5, x + 1.5, y + 1.5), fill=255)
    elif len(shown) > 1:
        if item.text(_FILLED).strip() == "Y" and outline[0] == outline[-1]:
            draw.polygon(shown, fill=255)
        draw.line(shown, fill=255, width=max(1, round(min(size) / 512)), joint="curve")


def _outline(kind: str, points: Sequence[Point]) -> Iterator[Point]:
    """The object as a line through many points, in its own coordinates (PS3.3 C.10.5.1.2)."""
    if kind == "CIRCLE" and len(points) == 2:
        (x, y), (to_x, to_y) = points
        yield from _ellipse((x, y), (to_x - x, to_y - y), (y - to_y, to_x - x))
    elif kind == "ELLIPSE" and len(points) == 4:
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = points
        centre = ((ax + bx) / 2, (ay + by) / 2)
        yield from _ellipse(centre, ((bx - ax) / 2, (by - ay) / 2), ((dx - cx) / 2, (dy - cy) / 2))
    elif kind == "INTERPOLATED" and len(points) > 2:
        yield from _spline(points)
    else:
        yield from points


def _ellipse(centre: Point, one: Point, other: Point) -> Iterator[Point]:
    for step in range(_STEPS + 1):
        angle = 2 * math.pi * (step % _STEPS) / _STEPS
        c, s = math.cos(angle), math.sin(angle)
        yield centre[0] + c * one[0] + s * other[0], centre[1] + c * one[1] + s * other[1]


def _spline(points: Sequence[Point]) -> Iterator[Point]:
    """Catmull-Rom: the standard leaves the interpolation open, but wants the line through every point."""
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


def _place(point: Point, units: str, placement: Placement, size: tuple[int, int]) -> Point:
    """PIXEL counts in the image, DISPLAY in fractions of the displayed area."""
    if units.strip() == _DISPLAY:
        x, y = point[0] * size[0], point[1] * size[1]
    else:
        x, y = placement.point(*point)
    return max(-FARTHEST, min(FARTHEST, x)), max(-FARTHEST, min(FARTHEST, y))


def _text(draw: ImageDraw.ImageDraw, item: Attributes, placement: Placement, size: tuple[int, int]) -> None:
    lines = item.text(_TEXT).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    box = [item.numbers(_BOX_TOP), item.numbers(_BOX_BOTTOM)]
    anchor = item.numbers(_ANCHOR)
    if all(len(corner) == 2 for corner in box):
        corners = [_place((c[0], c[1]), item.text(_BOX_UNITS), placement, size) for c in box]
        start: Point = (min(c[0] for c in corners), min(c[1] for c in corners))
        height = abs(corners[1][1] - corners[0][1]) / max(len(lines), 1)
        _written(draw, lines, start, max(8, min(int(height * 0.8), 48)))
    elif len(anchor) == 2:
        start = _place((anchor[0], anchor[1]), item.text(_ANCHOR_UNITS), placement, size)
        _written(draw, lines, start, max(10, min(size) // 32))
    else:
        return
    if len(anchor) == 2 and item.text(_ANCHOR_SHOWN).strip() == "Y":
        draw.line(
            [start, _place((anchor[0], anchor[1]), item.text(_ANCHOR_UNITS), placement, size)], fill=255
        )


def _written(draw: ImageDraw.ImageDraw, lines: Sequence[str], start: Point, size: int) -> None:
    for number, line in enumerate(lines[:200]):
        x = start[0]
        for text, face_number in runs(line):
            face = font(face_number, size)
            draw.text((x, start[1] + number * size * 1.25), text, fill=255, font=face)
            x += face.getlength(text)
