"""The grayscale pipeline from stored values to P-Values (PS3.4 N.2, PS3.3 C.11, PS3.14).

Output is proportional to P-Values, which a display calibrated by PS3.14 shows as intended; no other display's
curve is applied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gateway.dicom import tags, uids
from gateway.dicom.encoding.pixels import ImagePixel
from gateway.render.attributes import Attributes
from gateway.render.rendering import Array, Rendering
from gateway.render.stages import modality as modality_of
from gateway.render.stages import voi as voi_of
from gateway.render.stages.lut import Lut, lut_of
from gateway.render.stages.modality import Modality
from gateway.render.stages.storedvalues import read_stored_values
from gateway.render.stages.voi import ValueSpan, Voi

# How many pixels are looked up at once.
BAND = 1 << 18
# SOP classes whose stored values are P-Values without a VOI (PS3.3 A.8.2.4, A.8.3.4, A.8.4.4).
_P_VALUES = frozenset(
    {
        uids.MULTI_FRAME_SINGLE_BIT_SECONDARY_CAPTURE_IMAGE_STORAGE,
        uids.MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE_STORAGE,
        uids.MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE_STORAGE,
    }
)


@dataclass(frozen=True, slots=True)
class Padding:
    """The range of stored values that are not part of the picture (PS3.3 C.7.5.1.1.2)."""

    low: float
    high: float

    def among(self, values: Array) -> Array:
        found: Array = (values >= self.low) & (values <= self.high)
        return found


@dataclass(frozen=True, slots=True)
class Chain:
    """All transformations of the pipeline, in the order in which they apply to a stored value."""

    modality: Modality
    voi: Voi
    lut: Lut | None
    inverse: bool
    padding: Padding | None

    def apply(self, values: Array, bits: int) -> Array:
        """Return stored values as output of `bits` bits; padding is darkest, even if inverted."""
        share = voi_of.apply(self.voi, self.modality.apply(values))
        if self.lut is not None:
            index = np.rint(share * (len(self.lut.entries) - 1)).astype(np.intp)
            share = self.lut.entries[index].astype(np.float32) / np.float32(self.lut.top)
        if self.inverse:
            share = 1 - share
        top = (1 << bits) - 1
        out = (share * top + 0.5).astype(np.uint8 if bits == 8 else np.uint16)
        if self.padding is not None:
            out[self.padding.among(values)] = 0
        return out


def grey(
    cells: Array, attributes: Attributes, image: ImagePixel, frame: int, how: Rendering, bits: int = 8
) -> Array:
    """Return one frame of MONOCHROME1 or MONOCHROME2 in 8 or 16 bits."""
    made = chain(cells, attributes, image, frame, how)
    if image.bits_allocated > 16 or cells.size < 1 << image.bits_allocated:
        return made.apply(read_stored_values(cells, image), bits)
    # The table gives the same output for any unused bits, so pixels need no mask.
    every = np.arange(1 << max(image.bits_allocated, 8), dtype=cells.dtype)
    return look_up(lambda: made.apply(read_stored_values(every, image), bits), cells)


def look_up(table: Callable[[], Array], cells: Array) -> Array:
    """Return `table()[cells]` of rows x columns.

    The look-up is done in bands, since an index takes eight bytes a pixel while it is used.
    """
    entries = table()
    found = np.empty(cells.shape, entries.dtype)
    band = max(1, BAND // cells.shape[1])
    for row in range(0, len(cells), band):
        np.take(entries, cells[row : row + band], out=found[row : row + band], mode="clip")
    return found


def chain(cells: Array, attributes: Attributes, image: ImagePixel, frame: int, how: Rendering) -> Chain:
    """Return the transformations for the frame.

    A requested window takes precedence; others come from the presentation state, or else from the frame and
    the object.
    """
    state = how.presentation
    if state is not None:
        modality = modality_of.module(state.modality, image.is_signed)
    else:
        modality = modality_of.modality(attributes, frame, image.is_signed)
    low, high = _possible(image)
    signed = modality.range(low, high)[0] < 0
    padding = _padding(attributes, image)
    found: Voi | None = how.window
    if found is None:
        found = (
            voi_of.module(state.voi, signed) if state is not None else voi_of.voi(attributes, frame, signed)
        )
    if found is None:
        found = _everything(cells, attributes, image, modality, padding, state is not None)
    says = state.lut if state is not None else attributes
    inverse = says.text(tags.PRESENTATION_LUT_SHAPE).strip() == "INVERSE"
    if state is None:
        # Presentation LUT Shape or MONOCHROME1 makes the lowest value white (PS3.3 C.8.11.3.1); a state has only
        # its own shape.
        inverse = inverse or image.photometric == "MONOCHROME1"
    item = says.item(tags.PRESENTATION_LUT_SEQUENCE)
    lut = lut_of(item, False) if item is not None else None
    return Chain(modality, found, lut, inverse and lut is None, padding)


def _possible(image: ImagePixel) -> tuple[float, float]:
    if image.is_floating:
        return -np.inf, np.inf
    if image.is_signed:
        return -float(1 << image.bits_stored - 1), float((1 << image.bits_stored - 1) - 1)
    return 0.0, float((1 << image.bits_stored) - 1)


def _padding(attributes: Attributes, image: ImagePixel) -> Padding | None:
    """Return the padding range; None where the object has none.

    Float and double pixels have tags of their own. A range limit may be the lower or the upper end.
    """
    limits = (tags.PIXEL_PADDING_VALUE, tags.PIXEL_PADDING_RANGE_LIMIT)
    if image.is_floating:
        limits = (
            (tags.FLOAT_PIXEL_PADDING_VALUE, tags.FLOAT_PIXEL_PADDING_RANGE_LIMIT)
            if image.bits_allocated == 32
            else (tags.DOUBLE_FLOAT_PIXEL_PADDING_VALUE, tags.DOUBLE_FLOAT_PIXEL_PADDING_RANGE_LIMIT)
        )
    value, limit = attributes.number(limits[0]), attributes.number(limits[1])
    if value is None:
        return None
    ends = [_as_stored(value, image), _as_stored(value if limit is None else limit, image)]
    return Padding(min(ends), max(ends))


def _as_stored(value: float, image: ImagePixel) -> float:
    """Return a padding value whose VR has the other sign as the same bits in the pixels' sign."""
    if image.is_floating:
        return value
    low, high = _possible(image)
    if image.is_signed and value > high:
        return value - (1 << image.bits_stored if value < 1 << image.bits_stored else 1 << 16)
    if not image.is_signed and value < low:
        return value + (1 << 16)
    return value


def _everything(
    cells: Array,
    attributes: Attributes,
    image: ImagePixel,
    modality: Modality,
    padding: Padding | None,
    state: bool,
) -> ValueSpan:
    """Return the span to show without a VOI.

    It is the whole possible range where the image or state means that, else the range of values in the frame.
    """
    low, high = _possible(image)
    whole = image.bits_stored <= 8 and not image.is_signed and modality.identity
    if not image.is_floating and (whole or state or attributes.text(tags.SOP_CLASS_UID) in _P_VALUES):
        return ValueSpan(*modality.range(low, high))
    values = read_stored_values(cells, image)
    if padding is not None:
        values = values[~padding.among(values)]
    if image.is_floating:
        values = values[np.isfinite(values)]
    if not values.size:
        return ValueSpan(0.0, 1.0)
    found = modality.apply(np.array([values.min(), values.max()]))
    return ValueSpan(float(found.min()), float(found.max()))
