"""The Modality LUT, from stored values to the units of the modality (PS3.3 C.11.1, C.7.6.16.2.9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gateway.dicom import tags, uids
from gateway.render.attributes import Attributes
from gateway.render.rendering import Array
from gateway.render.stages.lut import Lut, lut_of

# X-Ray angiographic and radiofluoroscopic images: their Modality LUT maps to X-ray intensity and is not for
# display (PS3.3 C.8.7.1.1.2); viewers and dcmtk apply the VOI to stored values.
_XRAY = frozenset({uids.X_RAY_ANGIOGRAPHIC_IMAGE_STORAGE, uids.X_RAY_RADIOFLUOROSCOPIC_IMAGE_STORAGE})


@dataclass(frozen=True, slots=True)
class Modality:
    """A Modality LUT: a table, or slope and intercept."""

    slope: float = 1.0
    intercept: float = 0.0
    lut: Lut | None = None

    @property
    def identity(self) -> bool:
        return self.lut is None and self.slope == 1.0 and self.intercept == 0.0

    def apply(self, values: Array) -> Array:
        """Return the values in the units of the modality."""
        if self.lut is not None:
            return self.lut.look_up(values)
        if self.identity:
            return values
        # Single precision holds any 16-bit value exactly; deeper ones need more.
        scaled: Any = values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
        scaled *= self.slope
        scaled += self.intercept
        result: Array = scaled
        return result

    def range(self, low: float, high: float) -> tuple[float, float]:
        """Return the lowest and highest possible output for input from `low` to `high`."""
        if self.lut is not None:
            return 0.0, float(self.lut.top)
        ends = low * self.slope + self.intercept, high * self.slope + self.intercept
        return min(ends), max(ends)


def modality(attributes: Attributes, frame: int, signed: bool) -> Modality:
    """Return the Modality LUT of `frame`, from its functional group or else from the data set."""
    group = attributes.functional(frame, tags.PIXEL_VALUE_TRANSFORMATION_SEQUENCE)
    if group is not None and tags.RESCALE_SLOPE in group:
        return module(group, signed)
    if attributes.text(tags.SOP_CLASS_UID) in _XRAY:
        return Modality()
    return module(attributes, signed)


def module(attributes: Attributes, signed: bool) -> Modality:
    """Return a Modality LUT Module; its sequence takes precedence over slope and intercept (PS3.3 C.11.1)."""
    item = attributes.item(tags.MODALITY_LUT_SEQUENCE)
    lut = lut_of(item, signed) if item is not None else None
    if lut is not None:
        return Modality(lut=lut)
    slope, intercept = attributes.number(tags.RESCALE_SLOPE), attributes.number(tags.RESCALE_INTERCEPT)
    # A slope of 0 would give every pixel the same grey, so it is taken as 1.
    return Modality(slope or 1.0, intercept or 0.0)
