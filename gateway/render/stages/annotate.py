"""Burn text into pictures (PS3.18 8.3.5.1.1): the patient's identity and the technique.

Always the last step.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from gateway.dicom import tags
from gateway.render.attributes import Attributes
from gateway.render.rendering import Array
from gateway.render.stages.fonts import DRAWING, font, runs

PATIENT, TECHNIQUE = "patient", "technique"
KNOWN = frozenset({PATIENT, TECHNIQUE})

_SMALLEST, _LARGEST = 9, 40


def annotate(picture: Array, attributes: Attributes, frame: int, wanted: frozenset[str]) -> Array:
    """Return the picture with the patient's text in its upper left, the technique's in its lower left."""
    above = patient_lines(attributes) if PATIENT in wanted else []
    below = technique_lines(attributes, frame) if TECHNIQUE in wanted else []
    if not above and not below:
        return picture
    with DRAWING:
        fill, edge = _masks(picture.shape[1], picture.shape[0], above, below)
    return _blend(picture, fill, edge)


def patient_lines(attributes: Attributes) -> list[str]:
    """Return the patient's lines: each group of the name on its own line, the ID, birth date and sex."""
    names = (group.replace("^", " ").split() for group in attributes.groups(tags.PATIENT_NAME))
    lines = [" ".join(name) for name in names if name]
    identity = attributes.text(tags.PATIENT_ID).strip()
    more = (_date(attributes.text(tags.PATIENT_BIRTH_DATE)), attributes.text(tags.PATIENT_SEX).strip())
    return [*lines, *filter(None, (identity, "  ".join(filter(None, more))))]


def technique_lines(attributes: Attributes, frame: int) -> list[str]:
    """Return the technique's lines.

    They show modality and descriptions, date and time, numbers of series, image and frame, and then location,
    thickness and kV.
    """
    return [line for line in (part.strip() for part in _technique(attributes, frame)) if line]


def _technique(a: Attributes, frame: int) -> Iterator[str]:
    yield " ".join(
        filter(None, (a.text(tags.MODALITY), a.text(tags.STUDY_DESCRIPTION), a.text(tags.SERIES_DESCRIPTION)))
    )
    day = a.text(tags.ACQUISITION_DATE) or a.text(tags.STUDY_DATE)
    yield " ".join(
        filter(None, (_date(day), _time(a.text(tags.ACQUISITION_TIME) or a.text(tags.STUDY_TIME))))
    )
    numbers = [f"Se {a.text(tags.SERIES_NUMBER)}" if a.text(tags.SERIES_NUMBER) else ""]
    numbers.append(f"Im {a.text(tags.INSTANCE_NUMBER)}" if a.text(tags.INSTANCE_NUMBER) else "")
    if a.integer(tags.NUMBER_OF_FRAMES, 1) > 1:
        numbers.append(f"Fr {frame}/{a.integer(tags.NUMBER_OF_FRAMES)}")
    yield "  ".join(filter(None, numbers))
    measures = (
        (tags.SLICE_LOCATION, "Loc {:g} mm"),
        (tags.SLICE_THICKNESS, "Thk {:g} mm"),
        (tags.KVP, "{:g} kV"),
    )
    found = ((a.number(tag), form) for tag, form in measures)
    yield "  ".join(form.format(value) for value, form in found if value is not None)


def _date(text: str) -> str:
    text = text.strip()
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if len(text) == 8 and text.isdigit() else text


def _time(text: str) -> str:
    text = text.strip()
    return f"{text[:2]}:{text[2:4]}:{text[4:6]}" if text[:6].isdigit() and len(text) >= 6 else text


def _masks(width: int, height: int, above: list[str], below: list[str]) -> tuple[Array, Array]:
    """Return two masks of the picture's size, 0 to 255: the share of text and of its dark edge."""
    size = min(max(min(height, width) // 28, _SMALLEST), _LARGEST)
    margin, step = size // 2, round(size * 1.35)
    fill, edge = Pillow.new("L", (width, height)), Pillow.new("L", (width, height))
    room = width - 2 * margin
    top = [part for line in above for part in break_line(line, size, room)]
    bottom = [part for line in below for part in break_line(line, size, room)]
    starts = [margin + step * n for n in range(len(top))]
    starts += [height - margin - step * (len(bottom) - n) for n in range(len(bottom))]
    for line, y in zip([*top, *bottom], starts, strict=True):
        x = float(margin)
        for text, number in runs(line):
            face = font(number, size)
            at = (x, y + size)
            ImageDraw.Draw(fill).text(at, text, fill=255, font=face, anchor="ls")
            ImageDraw.Draw(edge).text(
                at, text, fill=255, font=face, anchor="ls", stroke_width=max(1, size // 12)
            )
            x += face.getlength(text)
    return np.asarray(fill), np.asarray(edge)


def break_line(line: str, size: int, room: int) -> list[str]:
    """Return the line broken into lines that fit `room` pixels; no text is left out."""
    if length(line, size) <= room or len(line) < 2:
        return [line]
    low, high = 1, len(line)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if length(line[:middle], size) <= room else (low, middle - 1)
    space = line.rfind(" ", 1, low + 1)
    cut = space if space > 0 else low
    return [line[:cut], *break_line(line[cut:].lstrip(), size, room)] if line[cut:].strip() else [line[:cut]]


def length(line: str, size: int) -> float:
    """Return the width of the line in pixels."""
    return sum(font(number, size).getlength(text) for text, number in runs(line))


def _blend(picture: Array, fill: Array, edge: Array) -> Array:
    """Return the picture with white letters; their dark edge makes them legible on any background."""
    top = 255 if picture.dtype == np.uint8 else 65535
    dark, light = edge.astype(np.float32) / 255, fill.astype(np.float32) / 255
    if picture.ndim == 3:
        dark, light = dark[..., None], light[..., None]
    mixed = picture * (1 - dark) * (1 - light) + top * light
    done: Array = np.rint(mixed).astype(picture.dtype)
    return done
