"""Luminance and chrominance to RGB, against the equations in whole numbers (PS3.3 C.7.6.3.1.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gateway.render.codecs.ybr import FULL_RANGE, STUDIO_RANGE, YbrRange, ybr_to_rgb
from numpy.typing import NDArray

LEVELS = np.arange(256, dtype="u1")


def chrominances(y: int) -> NDArray[Any]:
    """Every pair of chrominances at one luminance."""
    out = np.empty((256, 256, 3), "u1")
    out[..., 0], out[..., 1], out[..., 2] = y, LEVELS[:, None], LEVELS
    return out


def by_whole_numbers(ybr: NDArray[Any]) -> NDArray[Any]:
    """The full range in millionths, a half rounded up."""
    y, cb, cr = (ybr[..., n].astype("i8") for n in range(3))
    cb, cr = cb - 128, cr - 128
    millionths = (y * 10**6 + 1402000 * cr, y * 10**6 - 344136 * cb - 714136 * cr, y * 10**6 + 1772000 * cb)
    return np.stack([np.clip((p + 500000) // 10**6, 0, 255) for p in millionths], axis=-1)


@pytest.mark.parametrize("y", [0, 1, 16, 64, 127, 128, 200, 254, 255])
def test_every_chrominance_is_as_the_equations_say(y: int) -> None:
    """Halves too, which blue has at 3 and 253; the one half of green is taken to either side."""
    ybr = chrominances(y)
    apart = np.argwhere(ybr_to_rgb(ybr) != by_whole_numbers(ybr)).tolist()
    assert [place for place in apart if place not in ([78, 178, 1], [178, 78, 1])] == []
    assert np.abs(ybr_to_rgb(ybr).astype("i8") - by_whole_numbers(ybr)).max() <= 1


def test_a_half_is_rounded_up_whether_the_number_is_even_or_odd() -> None:
    """1 + 1.772 x 125 is 222.5, and 2 + 1.772 x 125 is 223.5."""
    assert ybr_to_rgb(np.array([[1, 253, 128], [2, 253, 128]], "u1"))[:, 2].tolist() == [223, 224]


@pytest.mark.parametrize(
    ("levels", "black", "white"), [(FULL_RANGE, 0, 255), (STUDIO_RANGE, 16, 235)], ids=["full", "studio"]
)
def test_the_ends_of_a_range_are_black_and_white(levels: YbrRange, black: int, white: int) -> None:
    ybr = np.array([[black, 128, 128], [white, 128, 128]], "u1")
    assert ybr_to_rgb(ybr, levels).tolist() == [[0, 0, 0], [255, 255, 255]]
