"""Draw the text of graphic annotations in its bounding box (PS3.3 C.10.5.1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from gateway.render.objects.graphicobjects import Point
from gateway.render.rendering import Array
from gateway.render.stages.fonts import DRAWING, font, runs

_SMALLEST, _LARGEST, _STEP = 8, 48, 1.3
# Further lines of a text, and further characters of a line, are left out.
MOST_LINES, MOST_CHARACTERS = 100, 400
_TURNED = {1: Pillow.Transpose.ROTATE_270, 2: Pillow.Transpose.ROTATE_180, 3: Pillow.Transpose.ROTATE_90}


@dataclass(frozen=True, slots=True)
class TextBox:
    """The place of a text: its starting corner, its size as it is read, its quarter turns clockwise."""

    start: Point
    width: float
    height: float
    quarters: int = 0


def box_between(first: Point, last: Point) -> TextBox:
    """Return the box from the corner where a text begins to the corner where it ends, wherever these lie.

    Text runs from the first to the second corner, even if they have been turned or flipped with the image;
    letters are never mirrored.
    """
    across, down = last[0] - first[0], last[1] - first[1]
    quarters = {(False, False): 0, (True, False): 1, (True, True): 2, (False, True): 3}[across < 0, down < 0]
    width, height = (abs(across), abs(down)) if quarters % 2 == 0 else (abs(down), abs(across))
    return TextBox(first, width, height, quarters)


def lines_of(text: str) -> list[str]:
    """Return the lines of a text with any line ends, at most `MOST_LINES` of `MOST_CHARACTERS` each."""
    found = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [line[:MOST_CHARACTERS] for line in found[:MOST_LINES]]


def draw_letters(
    lines: Sequence[str], box: TextBox, justification: str, size: tuple[int, int]
) -> tuple[Array, Array]:
    """Return two masks of `size`, 0 to 255: how much of each pixel is letter, and how much its edge."""
    with DRAWING:
        letters, edges = _sheets(lines, box, justification, size)
    turn = _TURNED.get(box.quarters)
    made = [sheet if turn is None else sheet.transpose(turn) for sheet in (letters, edges)]
    x, y = box.start
    # After a turn, the beginning of the text is no longer its upper left corner.
    left = x - made[0].width if box.quarters in (1, 2) else x
    top = y - made[0].height if box.quarters in (2, 3) else y
    pictures = [Pillow.new("L", size) for _ in made]
    for picture, sheet in zip(pictures, made, strict=True):
        picture.paste(sheet, (round(left), round(top)))
    return np.asarray(pictures[0]), np.asarray(pictures[1])


def _sheets(
    lines: Sequence[str], box: TextBox, justification: str, size: tuple[int, int]
) -> tuple[Pillow.Image, Pillow.Image]:
    """Return letters and edges of the upright text; text too long for its box runs beyond it (C.10.5.1.1)."""
    pixels = _letter_size(lines, box)
    lengths = [_length(line, pixels) for line in lines]
    edge = max(1, pixels // 12)
    width = min(max(box.width, *lengths) + 2 * edge, 2 * max(size))
    height = min(len(lines) * pixels * _STEP + pixels, 2 * max(size))
    sheets = [Pillow.new("L", (max(1, round(width)), max(1, round(height)))) for _ in range(2)]
    for number, (line, length) in enumerate(zip(lines, lengths, strict=True)):
        spare = max(box.width - length, 0.0)
        x = edge + {"RIGHT": spare, "CENTER": spare / 2}.get(justification, 0.0)
        y = pixels * (1 + number * _STEP)
        for text, face_number in runs(line):
            face = font(face_number, pixels)
            ImageDraw.Draw(sheets[0]).text((x, y), text, fill=255, font=face, anchor="ls")
            ImageDraw.Draw(sheets[1]).text((x, y), text, fill=255, font=face, anchor="ls", stroke_width=edge)
            x += face.getlength(text)
    return sheets[0], sheets[1]


def _letter_size(lines: Sequence[str], box: TextBox) -> int:
    """Return the largest letter size in which all lines fit the box, within the limits of letter sizes."""
    fitting = int(box.height / (len(lines) * _STEP))
    pixels = min(max(fitting, _SMALLEST), _LARGEST)
    longest = max(_length(line, pixels) for line in lines)
    if longest > box.width > 0:
        pixels = max(int(pixels * box.width / longest), _SMALLEST)
    return pixels


def _length(line: str, pixels: int) -> float:
    return sum(font(number, pixels).getlength(text) for text, number in runs(line))
