"""Draw icons for objects that have no picture, or none that may be shown (PS3.18 8.3.5.2)."""

from __future__ import annotations

from math import exp, pi, sin

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from gateway.render.rendering import Image
from gateway.render.stages.fonts import font

_GROUND, _SHEET, _LINE, _TEXT = 24, 44, 120, 220
# Icons are drawn so many times larger and then scaled down, for smooth edges.
_FINER = 4
_SIDE = 256


def icon(kind: str, label: str, width: int, height: int) -> Image:
    """Return a square icon within `width` x `height`: a sheet for 'text', a curve for 'wave', else a frame.

    `label` stands below; it must say nothing about a patient: a modality, for example.
    """
    side = _SIDE * _FINER
    picture = Pillow.new("L", (side, side), _GROUND)
    draw = ImageDraw.Draw(picture)
    (_sheet if kind == "text" else _wave if kind == "wave" else _frame)(draw, side)
    text = label.strip()[:8]
    if text:
        face = font(0, side // 7)
        draw.text((side / 2, side * 0.86), text, fill=_TEXT, font=face, anchor="mm")
    small = max(1, min(width, height))
    return Image(np.asarray(picture.resize((small, small), Pillow.Resampling.LANCZOS)))


def _sheet(draw: ImageDraw.ImageDraw, side: int) -> None:
    left, right, top, bottom = side * 0.30, side * 0.70, side * 0.12, side * 0.70
    width = side // 64
    draw.rounded_rectangle((left, top, right, bottom), side // 40, fill=_SHEET, outline=_LINE, width=width)
    for number in range(6):
        y = top + (bottom - top) * (number + 1.2) / 7.4
        end = right - side * (0.05 if number % 3 else 0.14)
        draw.line((left + side * 0.05, y, end, y), fill=_LINE, width=width)


def _wave(draw: ImageDraw.ImageDraw, side: int) -> None:
    points = []
    for step in range(161):
        x = step / 160
        beat = exp(-(((x % 0.5) - 0.25) ** 2) / 0.0006)
        points.append((side * (0.12 + 0.76 * x), side * (0.48 - 0.28 * beat + 0.02 * sin(8 * pi * x))))
    draw.line(points, fill=_LINE, width=side // 48, joint="curve")


def _frame(draw: ImageDraw.ImageDraw, side: int) -> None:
    box = (side * 0.20, side * 0.12, side * 0.80, side * 0.70)
    draw.rounded_rectangle(box, side // 32, fill=_SHEET, outline=_LINE, width=side // 48)
    hill = [(0.22, 0.66), (0.40, 0.40), (0.52, 0.54), (0.62, 0.44), (0.78, 0.66)]
    draw.polygon([(side * x, side * y) for x, y in hill], fill=_LINE)
    draw.ellipse((side * 0.60, side * 0.20, side * 0.70, side * 0.30), fill=_LINE)
