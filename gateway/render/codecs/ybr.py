"""Convert luminance and chrominance of 8 bits to RGB (PS3.3 C.7.6.3.1.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.render.codecs.nativebytes import Array


@dataclass(frozen=True, slots=True)
class YbrRange:
    """The range of levels: black of luminance, and the factors that stretch luminance and chrominance."""

    black: int = 0
    luma: float = 1.0
    chroma: float = 1.0


FULL_RANGE = YbrRange()
# Luminance from 16 to 235, chrominance from 16 to 240 (YBR_PARTIAL_422, YBR_PARTIAL_420).
STUDIO_RANGE = YbrRange(16, 255 / 219, 255 / 224)


def ybr_to_rgb(ybr: Array, levels: YbrRange = FULL_RANGE) -> Array:
    """Return RGB of the same shape, samples last; halves are rounded up."""
    y = (ybr[..., 0].astype(np.float32) - levels.black) * np.float32(levels.luma)
    cb = (ybr[..., 1].astype(np.float32) - 128) * np.float32(levels.chroma)
    cr = (ybr[..., 2].astype(np.float32) - 128) * np.float32(levels.chroma)
    out = np.empty(ybr.shape, np.uint8)
    for n, plane in enumerate((y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb)):
        out[..., n] = np.clip(plane + 0.5, 0, 255)
    return out
