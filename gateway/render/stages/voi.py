"""The VOI LUT: windows and tables that select the values of interest (PS3.3 C.11.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from gateway.dicom import tags
from gateway.render.attributes import Attributes
from gateway.render.rendering import Array, VoiFunction, Window, valid_width
from gateway.render.stages.lut import Lut, lut_of


@dataclass(frozen=True, slots=True)
class ValueSpan:
    """All values from the lowest to the highest, scaled to the whole output."""

    low: float
    high: float


Voi: TypeAlias = Window | Lut | ValueSpan


def voi(attributes: Attributes, frame: int, signed: bool) -> Voi | None:
    """Return the first VOI of the frame's functional group, else of the data set; None where there is none.

    A window comes before a table.
    """
    group = attributes.functional(frame, tags.FRAME_VOI_LUT_SEQUENCE)
    found = module(group, signed) if group is not None else None
    return found or module(attributes, signed)


def module(attributes: Attributes, signed: bool) -> Voi | None:
    """Return the first window whose width is allowed, else the first table, of a VOI LUT Module or macro.

    None where it has neither.
    """
    centers, widths = attributes.numbers(tags.WINDOW_CENTER), attributes.numbers(tags.WINDOW_WIDTH)
    named = attributes.text(tags.VOI_LUT_FUNCTION).strip()
    function = VoiFunction(named) if named in set(VoiFunction) else VoiFunction.LINEAR
    for center, width in zip(centers, widths, strict=False):
        if valid_width(width, function):
            return Window(center, width, function)
    item = attributes.item(tags.VOI_LUT_SEQUENCE)
    return lut_of(item, signed) if item is not None else None


def apply(voi: Voi, values: Array) -> Array:
    """Return each value as a share of the output range, 0 to 1."""
    if isinstance(voi, Lut):
        return voi.look_up(values).astype(np.float32) / np.float32(voi.top)
    kind = np.float32 if values.dtype.itemsize <= 2 or values.dtype == np.float32 else np.float64
    x: Any = values.astype(kind, copy=True)
    if isinstance(voi, ValueSpan):
        return _ramp(x, voi.low, voi.high)
    c, w = voi.center, voi.width
    if voi.function is VoiFunction.SIGMOID:
        # Beyond 60 the result is 0 or 1 in double precision: the clip only avoids overflow.
        power = np.nan_to_num((x - x.dtype.type(c)) * x.dtype.type(-4.0 / w))
        power = np.clip(power, -60, 60)
        share: Array = 1 / (1 + np.exp(power))
        return share
    if voi.function is VoiFunction.LINEAR_EXACT:
        return _ramp(x, c - w / 2, c + w / 2)
    return _ramp(x, c - 0.5 - (w - 1) / 2, c - 0.5 + (w - 1) / 2)


def _ramp(x: Any, low: float, high: float) -> Array:
    """Return 0 up to `low`, 1 from `high`, and a straight line between them.

    Where both are the same, only higher values are 1 (C.11.2.1.2.1, width 1).
    """
    if high <= low:
        above: Array = (x > low).astype(x.dtype)
        return above
    np.subtract(x, x.dtype.type(low), out=x)
    np.multiply(x, x.dtype.type(1 / (high - low)), out=x)
    clipped: Array = np.clip(np.nan_to_num(x, copy=False), 0, 1, out=x)
    return clipped
