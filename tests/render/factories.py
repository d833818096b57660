"""Small images made for a test: an array and the attributes that differ from the plainest."""

from __future__ import annotations

from typing import Any

import numpy as np
from gateway.render.attributes import Attributes
from gateway.render.pipeline import render_frame
from gateway.render.rendering import Array, Image, Rendering


def element(vr: str, *values: Any) -> Any:
    """A member of a DICOM JSON object, for `changes` of any kind."""
    return {"vr": vr, "Value": list(values)}


def lut(first: int, entries: list[int], bits: int) -> Any:
    """An item of a LUT sequence."""
    return {
        "00283002": element("US", len(entries) & 0xFFFF, first, bits),
        "00283006": element("US", *entries),
    }


def described(pixels: Array, **changes: dict[str, Any]) -> dict[str, Any]:
    """The Image Pixel Module of an array, grey or colour-by-pixel; `changes` are named `t00280004` and so on."""
    bits = 8 * pixels.dtype.itemsize
    members = {
        "00280002": element("US", 3 if pixels.ndim == 3 else 1),
        "00280004": element("CS", "RGB" if pixels.ndim == 3 else "MONOCHROME2"),
        "00280010": element("US", pixels.shape[0]),
        "00280011": element("US", pixels.shape[1]),
        "00280100": element("US", bits),
        "00280101": element("US", bits),
        "00280102": element("US", bits - 1),
        "00280103": element("US", int(pixels.dtype.kind == "i")),
    }
    return {**members, **{tag[1:]: value for tag, value in changes.items()}}


def rendered(
    pixels: Array,
    how: Rendering | None = None,
    frame: int = 1,
    bulk: dict[str, bytes] | None = None,
    **changes: Any,
) -> Image:
    attributes = Attributes(described(pixels, **changes), bulk)
    return render_frame(pixels.tobytes(), attributes, frame, how or Rendering())


def row_of(*values: int, kind: str = "<i2") -> Array:
    """One row of pixels."""
    return np.array([values], kind)
