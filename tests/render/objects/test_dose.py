"""RT Dose as a wash (PS3.3 C.8.8.3)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gateway.render.attributes import Attributes
from gateway.render.codecs.pixelcells import read_cells
from gateway.render.objects.dose import LARGEST, THRESHOLD, doses, highest, plane, wash
from gateway.render.pipeline import render_frame
from gateway.render.rendering import Array, Rendering, Window
from gateway.render.stages.storedvalues import read_image_pixel
from pydicom import dcmread
from tests.corpus import row
from tests.render.factories import described, element
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
    attributes, image = found.attributes(), read_image_pixel(found.attributes())
    for frame in range(1, found.pixels.frames + 1):
        cells = read_cells(found.native(frame), image)
        expected = ds.pixel_array[frame - 1] * float(ds.DoseGridScaling)
        assert np.allclose(doses(cells, attributes, image), expected)
        assert highest(cells, attributes, image) == pytest.approx(expected.max())
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
    below = np.full((1, 2, 3), 100, np.uint8)
    pixels = np.array([[0, 60]], "<u2")
    over = drawn(pixels, made(pixels), Rendering(beneath=lambda rows, columns: below[:rows, :columns]))
    assert over[0].tolist() == [[100, 100, 100], [162, 60, 60]]
    assert (below == 100).all()


@pytest.mark.parametrize(
    ("cosines", "offsets", "third"),
    [
        ([1, 0, 0, 0, 1, 0], ["0", "2.5", "5"], -5.0),
        # along the normal, which points down here
        ([1, 0, 0, 0, -1, 0], ["0", "2.5", "5"], -15.0),
        # z itself
        ([1, 0, 0, 0, -1, 0], ["-10", "-7.5", "-5"], -5.0),
    ],
)
def test_where_the_planes_of_a_grid_lie(cosines: list[float], offsets: list[str], third: float) -> None:
    attributes = made(
        np.zeros((3, 1, 2), "<u2"),
        t00200032=element("DS", "1", "2", "-10"),
        t00200037=element("DS", *map(str, cosines)),
        t00280030=element("DS", "2", "2"),
        t3004000C=element("DS", *offsets),
    )
    first, last = plane(attributes, 1), plane(attributes, 3)
    assert first is not None
    assert last is not None
    assert (first.corner[2], last.corner[2]) == (-10.0, third)
    assert plane(attributes, 4) is None
