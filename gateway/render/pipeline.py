"""Render one frame from its native bytes to a picture (PS3.18 8.7.4, PS3.4 N.2)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gateway.dicom.encoding.pixels import ImagePixel
from gateway.render.attributes import Attributes
from gateway.render.codecs.pixelcells import read_cells
from gateway.render.objects import dose, segmentation
from gateway.render.objects.layercolours import lay_ink
from gateway.render.rendering import Array, Image, Rendering
from gateway.render.stages import icc, overlay, shutter
from gateway.render.stages.annotate import annotate
from gateway.render.stages.color import rgb, supplement
from gateway.render.stages.geometry import pixel_aspect, place
from gateway.render.stages.grey import grey
from gateway.render.stages.palette import palette, spread
from gateway.render.stages.storedvalues import read_image_pixel


def render_frame(
    native: bytes, attributes: Attributes, frame: int, how: Rendering, profile: bytes | None = None
) -> Image:
    """Return the picture of `frame` (from 1), whose decoded bytes are `native`.

    `attributes` describe the decoded frame: those of the object and, where it was compressed, with the
    changes of `decode.describe_after`. `profile` is the ICC profile in the codestream, if any. Raises
    CodecError where bytes or attributes do not make a picture, BadParameter where the viewport is not on it.
    """
    # Overflowing values are clipped when they are shown, so NumPy's warnings of them are not needed.
    with np.errstate(all="ignore"):
        return _render(native, attributes, frame, how, profile)


def _render(
    native: bytes, attributes: Attributes, frame: int, how: Rendering, profile: bytes | None
) -> Image:
    image = read_image_pixel(attributes)
    cells = read_cells(native, image)
    picture = _pixels(cells, attributes, image, frame, how)
    if how.presentation is not None and how.presentation.blend is not None:
        picture = how.presentation.blend(picture)
    picture = _cover(picture, cells, attributes, image, frame, how)
    picture, placement = place(picture, pixel_aspect(attributes), how)
    if how.presentation is not None and how.presentation.draw is not None:
        picture = how.presentation.draw(picture, placement)
    made = icc.finish(picture, attributes, frame, how, profile)
    if not how.annotation:
        return made
    return replace(made, pixels=annotate(made.pixels, attributes, frame, how.annotation))


def _pixels(cells: Array, attributes: Attributes, image: ImagePixel, frame: int, how: Rendering) -> Array:
    state = how.presentation
    if image.samples == 3 or image.photometric == "PALETTE COLOR":
        return rgb(cells, attributes, image)
    if state is None and how.window is None:
        # With a requested window or a presentation state, the values themselves are shown, not segment or dose colours.
        below = how.beneath(image.rows, image.columns) if how.beneath is not None else None
        made = segmentation.colour_segments(cells, attributes, image, frame, below)
        made = dose.colour_dose(cells, attributes, image, below) if made is None else made
        if made is not None:
            return made
    if state is not None and state.palette is not None:
        # A Pseudo-Color state: the palette maps the output of the grayscale pipeline (PS3.4 N.2.2).
        return spread(grey(cells, attributes, image, frame, how, 16), palette(state.palette, False))
    bits = 16 if how.bits == 16 and image.bits_stored > 8 else 8
    picture = grey(cells, attributes, image, frame, how, bits)
    return supplement(picture, cells, attributes, image, frame)


def _cover(
    picture: Array, cells: Array, attributes: Attributes, image: ImagePixel, frame: int, how: Rendering
) -> Array:
    """Return the picture with its overlays drawn, and its shutters drawn over them."""
    state = how.presentation
    planes = attributes if state is None else state.overlays
    shutters = attributes if state is None else state.shutter
    bitmap = shutter.bitmap_group(shutters)
    masks = dict(overlay.planes(planes, image, cells, frame))
    hiding = masks.pop(bitmap, None) if bitmap else None
    hidden = shutter.find_covered(shutters, image.rows, image.columns, pixel_aspect(attributes), hiding)
    if (masks or hidden is not None) and not picture.flags.writeable:
        picture = picture.copy()
    for group, mask in masks.items():
        ink = state.inks.get(group) if state is not None else None
        picture = overlay.draw_overlay(picture, mask) if ink is None else lay_ink(picture, mask, ink)
    return picture if hidden is None else shutter.draw_shutter(picture, hidden, shutters)
