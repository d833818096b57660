"""Draw graphic annotations of a presentation state (PS3.3 C.10.5): lines, shapes and text over a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from gateway.dicom import tags
from gateway.render.attributes import Attributes
from gateway.render.objects import layercolours as ink_of
from gateway.render.objects.graphicobjects import Point, outline
from gateway.render.objects.layercolours import lay_ink
from gateway.render.objects.textobjects import TextBox, box_between, draw_letters, lines_of
from gateway.render.rendering import Array, Ink, Placement

# Further objects and texts of one annotation are not drawn; coordinates are clipped to `FARTHEST`.
MOST_OBJECTS, MOST_TEXTS = 5_000, 200
FARTHEST = 1e6


def draw_graphics(
    picture: Array,
    placement: Placement,
    *,
    notes: Sequence[Attributes],
    layers: Mapping[str, Attributes],
    display: Placement,
) -> Array:
    """Return the picture with every object of `notes`, layer by layer, in the colours of the layers.

    `placement` maps from the source to the picture, `display` from fractions of the displayed area to the
    source.
    """
    pen = _Pen((picture.shape[1], picture.shape[0]), placement, display.then(placement))
    for note in sorted(notes, key=lambda item: _order(layers.get(item.text(tags.GRAPHIC_LAYER).strip()))):
        own = ink_of.read_layer_ink(layers.get(note.text(tags.GRAPHIC_LAYER).strip()))
        for item in note.items(tags.GRAPHIC_OBJECT_SEQUENCE)[:MOST_OBJECTS]:
            pen.object(item, own)
        picture = pen.finish(picture)
        for item in note.items(tags.TEXT_OBJECT_SEQUENCE)[:MOST_TEXTS]:
            picture = pen.finish(pen.text(picture, item, own))
    return picture


def layers_of(state: Attributes) -> dict[str, Attributes]:
    """Return the items of Graphic Layer Sequence by name (C.10.7)."""
    return {item.text(tags.GRAPHIC_LAYER).strip(): item for item in state.items(tags.GRAPHIC_LAYER_SEQUENCE)}


def _order(layer: Attributes | None) -> int:
    return layer.integer(tags.GRAPHIC_LAYER_ORDER) if layer is not None else 0


@dataclass(slots=True)
class _Pen:
    """A pen that draws on one sheet for each ink and opacity."""

    size: tuple[int, int]
    placement: Placement
    display: Placement
    sheets: dict[tuple[Ink, float], Pillow.Image] = field(default_factory=dict)

    def finish(self, picture: Array) -> Array:
        """Return the picture with everything drawn so far, and clear the sheets."""
        for (ink, cover), sheet in self.sheets.items():
            picture = lay_ink(picture, np.asarray(sheet, np.float32) * np.float32(cover / 255), ink)
        self.sheets.clear()
        return picture

    def _on(self, ink: Ink, cover: float = 1.0) -> ImageDraw.ImageDraw:
        sheet = self.sheets.setdefault((ink, cover), Pillow.new("L", self.size))
        return ImageDraw.Draw(sheet)

    def _place(self, point: Sequence[float], units: str) -> Point:
        """Return a point in the picture, clipped to `FARTHEST`.

        Units PIXEL are image pixels, DISPLAY fractions of the displayed area (C.10.5).
        """
        by = self.display if units.strip() == "DISPLAY" else self.placement
        x, y = by.point(point[0], point[1])
        return max(-FARTHEST, min(FARTHEST, x)), max(-FARTHEST, min(FARTHEST, y))

    def object(self, item: Attributes, layer: Ink) -> None:
        """Draw a graphic object; its own style takes precedence over its layer's (C.10.5.1.2)."""
        numbers, kind = item.numbers(tags.GRAPHIC_DATA), item.text(tags.GRAPHIC_TYPE).strip()
        points = outline(kind, list(zip(numbers[::2], numbers[1::2], strict=False)))
        shown = [self._place(point, item.text(tags.GRAPHIC_ANNOTATION_UNITS)) for point in points]
        style, fill = item.item(tags.LINE_STYLE_SEQUENCE), item.item(tags.FILL_STYLE_SEQUENCE)
        ink = ink_of.read_style_ink(style) or layer
        if kind == "POINT" and shown:
            (x, y), r = shown[0], 1.5 * self._width(style)
            self._on(ink).ellipse((x - r, y - r, x + r, y + r), fill=255)
        elif len(shown) > 1:
            if item.text(tags.GRAPHIC_FILLED).strip() == "Y" and points[0] == points[-1]:
                self._on(ink_of.read_style_ink(fill) or ink, ink_of.opacity(fill)).polygon(shown, fill=255)
            self._on(ink).line(shown, fill=255, width=self._width(style), joint="curve")

    def _width(self, style: Attributes | None) -> int:
        """Return the line width in pixels: one for each 512 of the picture, times the style's thickness."""
        thickness = style.number(tags.LINE_THICKNESS) if style is not None else None
        usual = max(1, round(min(self.size) / 512))
        return usual if thickness is None else max(1, min(round(thickness * usual), 64))

    def text(self, picture: Array, item: Attributes, layer: Ink) -> Array:
        """Return the picture with a text object, which has a contrasting edge (C.10.5.1.1).

        A visible anchor point is joined with the text by a line.
        """
        lines = lines_of(item.text(tags.UNFORMATTED_TEXT_VALUE))
        ink = (
            ink_of.read_style_ink(item.item(tags.TEXT_STYLE_SEQUENCE), tags.TEXT_COLOR_CIE_LAB_VALUE) or layer
        )
        found = self._box(item, len(lines))
        if found is None:
            return picture
        letters, edges = draw_letters(
            lines, found, item.text(tags.BOUNDING_BOX_TEXT_HORIZONTAL_JUSTIFICATION).strip(), self.size
        )
        picture = lay_ink(picture, edges.astype(np.float32) / 255, ink_of.contrary(ink))
        picture = lay_ink(picture, letters.astype(np.float32) / 255, ink)
        anchor = item.numbers(tags.ANCHOR_POINT)
        if len(anchor) == 2 and item.text(tags.ANCHOR_POINT_VISIBILITY).strip() == "Y":
            to = self._place(anchor, item.text(tags.ANCHOR_POINT_ANNOTATION_UNITS))
            self._on(ink).line([found.start, to], fill=255, width=self._width(None))
        return picture

    def _box(self, item: Attributes, lines: int) -> TextBox | None:
        """Return the bounding box, or else a box next to the anchor; None where the text has no position."""
        first, last, anchor = (
            item.numbers(tag)
            for tag in (
                tags.BOUNDING_BOX_TOP_LEFT_HAND_CORNER,
                tags.BOUNDING_BOX_BOTTOM_RIGHT_HAND_CORNER,
                tags.ANCHOR_POINT,
            )
        )
        if len(first) == len(last) == 2:
            units = item.text(tags.BOUNDING_BOX_ANNOTATION_UNITS)
            return box_between(self._place(first, units), self._place(last, units))
        if len(anchor) != 2:
            return None
        step = max(16.0, min(self.size) / 24)
        x, y = self._place(anchor, item.text(tags.ANCHOR_POINT_ANNOTATION_UNITS))
        return TextBox((x + step / 2, y + step / 2), 0.0, step * lines)
