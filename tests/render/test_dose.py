"""RT Dose as a wash (PS3.3 C.8.8.3)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gateway.errors import CodecError
from gateway.render.attributes import Attributes
from gateway.render.dose import LARGEST, THRESHOLD, doses, highest, overlay_dose, wash
from gateway.render.pipeline import render_frame
from gateway.render.rendering import Array, Image, Rendering, Window
from gateway.render.stored import shape_of, words
from pydicom import dcmread
from tests.corpus import row
from tests.render.making import described, element
from tests.render.picture import source

RT_DOSE = "1.2.840.10008.5.1.4.1.1.481.2"


def made(pixels: Array, **more: Any) -> Attributes:
    changes = {"t00080016": element("UI", RT_DOSE), "t3004000E": element("DS", "0.01"), **more}
    return Attributes(described(pixels, **changes))


def drawn(pixels: Array, attributes: Attributes, how: Rendering | None = None) -> Array:
    return render_frame(pixels.tobytes(), attributes, 1, how or Rendering()).pixels


@pytest.mark.parametrize(
    ("share", "colour"),
    [
        (0.25, (0, 255, 255)),
        (0.5, (0, 255, 0)),
        (0.75, (255, 255, 0)),
        (1.0, (255, 0, 0)),
        (0.625, (128, 255, 0)),
        (1.5, (255, 0, 0)),
    ],
)
def test_the_scale_goes_from_blue_to_red(share: float, colour: tuple[int, int, int]) -> None:
    found, shown = wash(np.array([[share * 60]]), 60.0)
    assert found[0, 0].tolist() == list(colour)
    assert shown.all()


def test_little_is_not_shown() -> None:
    values = np.array([[0.0, THRESHOLD * 59, THRESHOLD * 61]])
    assert wash(values, 60.0)[1].tolist() == [[False, False, True]]
    assert not wash(values, 0.0)[1].any()


@pytest.mark.parametrize(
    "name", ["modality-rt/rtdose.dcm", "ts-uncompressed/rtdose_expb.dcm", "rtdose_rle.dcm"]
)
def test_doses_of_the_corpus_are_those_of_pydicom(name: str) -> None:
    ds = dcmread(row(name).file)
    found = source(name)
    attributes, shape = found.attributes(), shape_of(found.attributes())
    for frame in range(1, found.pixels.frames + 1):
        cells = words(found.native(frame), shape)
        expected = ds.pixel_array[frame - 1] * float(ds.DoseGridScaling)
        assert np.allclose(doses(cells, attributes, shape), expected)
        assert highest(cells, attributes, shape) == pytest.approx(expected.max())
        assert found.render(frame=frame).pixels.shape == (*expected.shape, 3)


def test_one_scale_for_the_whole_grid_where_it_is_told() -> None:
    pixels = np.array([[0, 100, 200]], "<u2")
    assert drawn(pixels, made(pixels))[0].tolist() == [[0, 0, 0], [0, 255, 0], [255, 0, 0]]
    told = made(pixels, **{f"t{LARGEST}": element("US", 400)})
    assert drawn(pixels, told)[0].tolist() == [[0, 0, 0], [0, 255, 255], [0, 255, 0]]


def test_a_window_shows_the_values() -> None:
    pixels = np.array([[0, 100, 200]], "<u2")
    assert drawn(pixels, made(pixels), Rendering(window=Window(100, 201))).ndim == 2


def test_over_an_image() -> None:
    base = Image(np.full((1, 2), 100, np.uint8))
    over = overlay_dose(base, np.array([[0.0, 60.0]]), 60.0, 0.5)
    assert over.pixels[0].tolist() == [[100, 100, 100], [178, 50, 50]]
    assert base.pixels.tolist() == [[100, 100]]
    with pytest.raises(CodecError):
        overlay_dose(base, np.zeros((3, 3)), 60.0)
