"""Convert colour of any Photometric Interpretation to RGB of 8 bits (PS3.3 C.7.6.3.1.2)."""

from __future__ import annotations

import numpy as np

from gateway.dicom import tags
from gateway.dicom.encoding.pixels import ImagePixel
from gateway.errors import CodecError
from gateway.render.attributes import Attributes
from gateway.render.codecs.ybr import FULL_RANGE, STUDIO_RANGE, ybr_to_rgb
from gateway.render.rendering import Array
from gateway.render.stages.palette import colour_indices, has_palette, palette
from gateway.render.stages.storedvalues import read_stored_values

_FULL = frozenset({"YBR_FULL", "YBR_FULL_422"})
_PARTIAL = frozenset({"YBR_PARTIAL_422", "YBR_PARTIAL_420"})
# The codec has already converted these to RGB.
_DECODED = frozenset({"YBR_ICT", "YBR_RCT", "XYB"})
_SUPPLEMENTAL = "COLOR"


def rgb(cells: Array, attributes: Attributes, image: ImagePixel) -> Array:
    """Return rows x columns x RGB. Raises CodecError for an unknown Photometric Interpretation."""
    values = read_stored_values(cells, image)
    if image.samples == 1:
        return colour_indices(values, palette(attributes, image.is_signed))
    eight = _eight_bits(values, image)
    if image.photometric in _FULL:
        return ybr_to_rgb(eight, FULL_RANGE)
    if image.photometric in _PARTIAL:
        return ybr_to_rgb(eight, STUDIO_RANGE)
    if image.photometric == "RGB" or image.photometric in _DECODED or "MONO" in image.photometric:
        return eight
    raise CodecError(
        f"{image.photometric} is no colour that is rendered here", tag=tags.PHOTOMETRIC_INTERPRETATION
    )


def _eight_bits(values: Array, image: ImagePixel) -> Array:
    if image.bits_stored == 8:
        return values.astype(np.uint8, copy=False)
    if image.bits_stored > 8:
        high: Array = values >> np.array(image.bits_stored - 8, values.dtype)
        return high.astype(np.uint8)
    wide: Array = values.astype(np.uint16) * 255 // ((1 << image.bits_stored) - 1)
    return wide.astype(np.uint8)


def supplement(grey: Array, cells: Array, attributes: Attributes, image: ImagePixel, frame: int) -> Array:
    """Return a grey picture with the stored values that a Supplemental Palette maps in colour.

    PS3.3 C.8.16.2.1.1.1, C.7.6.19. Without such values, return the picture unchanged.
    """
    if image.is_floating or not has_palette(attributes) or not _has_colour(attributes, frame):
        return grey
    colours = palette(attributes, image.is_signed)
    values = read_stored_values(cells, image)
    among = values >= colours[0].first
    if not among.any():
        return grey
    out = in_colour(grey)
    out[among] = colour_indices(values[among], colours)
    return out


def _has_colour(attributes: Attributes, frame: int) -> bool:
    """Return whether Pixel Presentation is COLOR, in the frame's functional group or else in the image."""
    for macro in (
        tags.MR_IMAGE_FRAME_TYPE_SEQUENCE,
        tags.CT_IMAGE_FRAME_TYPE_SEQUENCE,
        tags.PET_FRAME_TYPE_SEQUENCE,
        tags.PET_FRAME_ACQUISITION_SEQUENCE,
    ):  # MR, CT, PET and similar
        group = attributes.functional(frame, macro)
        if group is not None and tags.PIXEL_PRESENTATION in group:
            return group.text(tags.PIXEL_PRESENTATION).strip() == _SUPPLEMENTAL
    return attributes.text(tags.PIXEL_PRESENTATION).strip() == _SUPPLEMENTAL


def in_colour(picture: Array) -> Array:
    """Return a writable copy of the picture in RGB of 8 bits."""
    if picture.dtype != np.uint8:
        picture = ((picture.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    if picture.ndim == 3:
        return picture.copy()
    return np.repeat(picture[..., None], 3, axis=2)
