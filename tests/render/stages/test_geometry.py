"""Crop, scale, mirror (PS3.18 8.3.5.1.3, 9.5.1.2.4, 9.5.1.2.5; PS3.3 C.10.4, C.10.6)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gateway.errors import BadParameter, CodecError
from gateway.render.rendering import (
    Array,
    DisplayedArea,
    Placement,
    Presentation,
    Region,
    Rendering,
    Viewport,
)
from gateway.render.stages.geometry import place
from hypothesis import given
from hypothesis import strategies as st
from tests.render.factories import element, rendered

SIZES = st.integers(1, 60)


def picture(width: int = 40, height: int = 30) -> Array:
    return (np.arange(width * height) % 251).astype("u1").reshape(height, width)


def size(how: Rendering, width: int, height: int, aspect: float = 1.0) -> tuple[int, int]:
    out, _ = place(picture(width, height), aspect, how)
    return int(out.shape[1]), int(out.shape[0])


@pytest.mark.row("R-Q-10", "U-62")
@given(SIZES, SIZES, SIZES, SIZES, st.booleans())
def test_the_picture_is_the_largest_of_its_shape_in_the_viewport(
    w: int, h: int, vw: int, vh: int, uri: bool
) -> None:
    """8.3.5.1.3: one side equals the viewport's, the other is what the aspect ratio makes it; also enlarged."""
    how = Rendering(rows=vh, columns=vw) if uri else Rendering(viewport=Viewport(vw, vh))
    width, height = size(how, w, h)
    assert width <= vw
    assert height <= vh
    assert width == vw or height == vh
    assert abs(width * h - height * w) <= max(w, h) or min(width, height) == 1


@pytest.mark.row("R-Q-11", "U-64")
@given(SIZES, SIZES, st.floats(0.2, 5))
def test_without_a_size_each_pixel_stays(w: int, h: int, aspect: float) -> None:
    """8.3.5.1.3: the same matrix as the source, whatever shape its pixels have."""
    source = picture(w, h)
    assert np.array_equal(place(source, aspect, Rendering())[0], source)


@pytest.mark.row("R-Q-12", "R-Q-16", "R-Q-17", "R-Q-18")
@given(st.data())
def test_a_region_of_its_own_size_is_cut_out_and_mirrored(data: st.DataObject) -> None:
    source = picture()
    left, top = data.draw(st.integers(0, 39)), data.draw(st.integers(0, 29))
    width, height = data.draw(st.integers(1, 40 - left)), data.draw(st.integers(1, 30 - top))
    x, y = data.draw(st.sampled_from([1, -1])), data.draw(st.sampled_from([1, -1]))
    signs = data.draw(st.sampled_from([1, -1]))
    view = Viewport(width, height, signs * left, signs * top, x * width, y * height)
    out, where = place(source, 1.0, Rendering(viewport=view))
    assert np.array_equal(out, source[top : top + height, left : left + width][::y, ::x])
    column, row = (
        data.draw(st.integers(left, left + width - 1)),
        data.draw(st.integers(top, top + height - 1)),
    )
    at = where.point(column + 0.5, row + 0.5)
    assert out[int(at[1]), int(at[0])] == source[row, column]


ELIDED = [
    pytest.param(Viewport(30, 20, 10, 10), (10, 10, 40, 30), marks=pytest.mark.row("R-Q-14")),
    pytest.param(Viewport(7, 20, None, 10, 7), (0, 10, 7, 30), marks=pytest.mark.row("R-Q-13", "R-Q-14")),
    pytest.param(Viewport(33, 5, 7, None, None, 5), (7, 0, 40, 5), marks=pytest.mark.row("R-Q-13")),
    pytest.param(Viewport(5, 5, 35, 25, 99, 99), (35, 25, 40, 30), marks=pytest.mark.row("R-Q-21")),
]


@pytest.mark.parametrize(("view", "box"), ELIDED)
def test_what_is_left_out_reaches_to_the_edge(view: Viewport, box: tuple[int, ...]) -> None:
    """And what reaches over the edge is cut off there."""
    out, _ = place(picture(), 1.0, Rendering(viewport=view))
    assert np.array_equal(out, picture()[box[1] : box[3], box[0] : box[2]])


@pytest.mark.row("R-Q-19")
def test_regions_may_begin_and_end_within_a_pixel() -> None:
    source = np.array([[0, 100, 200, 0]], "u1")
    out, _ = place(source, 1.0, Rendering(viewport=Viewport(1, 1, 0.5, 0, 2, 1)))
    assert out.tolist() == [[100]]
    out, _ = place(source, 1.0, Rendering(viewport=Viewport(1, 1, 1.5, 0, 1, 1)))
    assert out.tolist() == [[150]]


@pytest.mark.row("R-Q-21")
@pytest.mark.parametrize(
    "view",
    [Viewport(9, 9, 40), Viewport(9, 9, None, -30), Viewport(9, 9, 0, 0, 0, 5), Viewport(9, 9, 0, 0, 5, 0)],
)
def test_a_region_that_is_not_on_the_picture_is_refused(view: Viewport) -> None:
    with pytest.raises(BadParameter) as refused:
        place(picture(), 1.0, Rendering(viewport=view))
    assert refused.value.parameter == "viewport"


@pytest.mark.row("R-Q-10", "U-62")
@pytest.mark.parametrize(
    ("tag", "pair"), [("t00280034", (2, 1)), ("t00280030", (0.8, 0.4)), ("t00181164", (2, 1))]
)
def test_pixels_that_are_not_square_become_so_where_a_size_is_asked(tag: str, pair: Any) -> None:
    """The ratio that 8.3.5.1.3 keeps is that of what is seen; here twice as high as the matrix says."""
    source = picture(20, 20)
    change = {tag: element("DS", *pair)}
    assert rendered(source, Rendering(viewport=Viewport(100, 100)), **change).pixels.shape == (100, 50)
    assert rendered(source, Rendering(columns=20), **change).pixels.shape == (40, 20)
    assert rendered(source, **change).pixels.shape == (20, 20)
    assert rendered(source, Rendering(columns=20), t00280034=element("IS", 0, 1)).pixels.shape == (20, 20)


@pytest.mark.row("U-63")
@pytest.mark.parametrize(
    ("how", "wanted"), [(Rendering(rows=60), (80, 60)), (Rendering(columns=20), (20, 15))]
)
def test_one_side_alone_makes_the_other(how: Rendering, wanted: tuple[int, int]) -> None:
    """PS3.18 9.5.2.5: by the aspect ratio."""
    assert size(how, 40, 30) == wanted


@pytest.mark.row("U-66")
@given(*[st.lists(st.floats(0, 1), min_size=2, max_size=2, unique=True).map(sorted) for _ in range(2)])
def test_a_region_in_fractions_is_cut_on_pixel_borders(across: list[float], down: list[float]) -> None:
    """PS3.18 9.5.1.2.5, and one pixel for each of the source where no size is asked."""
    (a, b), (c, d) = across, down
    source = picture()
    out, where = place(source, 1.0, Rendering(region=Region(a, c, b, d)))
    assert abs(out.shape[1] - (b - a) * 40) <= 1
    assert abs(out.shape[0] - (d - c) * 30) <= 1
    left, top = where.c, where.f
    assert np.array_equal(out, source[round(-top) :, round(-left) :][: out.shape[0], : out.shape[1]])


@pytest.mark.row("U-68")
def test_presentation_region_and_viewport_come_in_this_order() -> None:
    source = picture()
    state = Presentation(area=DisplayedArea(11, 11, 30, 30), flip=True)
    how = Rendering(presentation=state, region=Region(0, 0, 0.5, 0.5), viewport=Viewport(5, 5, 5, 5, 5, 5))
    out, _ = place(source, 1.0, how)
    assert np.array_equal(out, source[10:30, 10:30][:, ::-1][:10, :10][5:10, 5:10])


@given(
    st.sampled_from([0, 90, 180, 270]),
    st.booleans(),
    *[st.integers(-20, 60) for _ in range(4)],
    st.integers(0, 39),
    st.integers(0, 29),
)
def test_a_displayed_area_is_cut_turned_and_flipped(
    rotation: int, flip: bool, x0: int, y0: int, x1: int, y1: int, column: int, row: int
) -> None:
    """C.10.4, C.10.6: corners in either order and outside the image, then clockwise, then left to right."""
    source = picture() + 1
    state = Presentation(area=DisplayedArea(x0, y0, x1, y1), rotation=rotation, flip=flip)
    out, where = place(source, 1.0, Rendering(presentation=state))
    left, top = min(x0, x1) - 1, min(y0, y1) - 1
    width, height = abs(x1 - x0) + 1, abs(y1 - y0) + 1
    assert out.shape == ((height, width) if rotation % 180 == 0 else (width, height))
    inside = left <= column < left + width and top <= row < top + height
    x, y = where.point(column + 0.5, row + 0.5)
    assert inside == (0 <= x < out.shape[1] and 0 <= y < out.shape[0])
    if inside:
        assert out[int(y), int(x)] == source[row, column]


@pytest.mark.parametrize(
    ("state", "how", "wanted"),
    [
        (Presentation(rotation=90), {}, (30, 40)),
        (Presentation(area=DisplayedArea(1, 1, 10, 20, "MAGNIFY", 2.5)), {}, (25, 50)),
        (
            Presentation(area=DisplayedArea(1, 1, 10, 20, "MAGNIFY", 2.5)),
            {"viewport": Viewport(10, 10)},
            (10, 10),
        ),
        (Presentation(area=DisplayedArea(1, 1, 10, 20, "MAGNIFY", 2.5)), {"rows": 60, "columns": 9}, (9, 50)),
        (
            Presentation(area=DisplayedArea(1, 1, 10, 20, "MAGNIFY", 2.0, 0.5), rotation=90),
            {"columns": 60},
            (20, 20),
        ),
        (Presentation(area=DisplayedArea(1, 1, 10, 20)), {"rows": 40, "columns": 40}, (20, 40)),
        (Presentation(area=DisplayedArea(1, 1, 10, 20, aspect=0.5)), {"rows": 40, "columns": 40}, (40, 40)),
        (Presentation(area=DisplayedArea(1, 1, 10, 20, "TRUE SIZE")), {}, (10, 20)),
    ],
)
def test_the_size_of_what_is_presented(state: Presentation, how: Any, wanted: tuple[int, int]) -> None:
    assert size(Rendering(presentation=state, **how), 40, 30) == wanted


@pytest.mark.row("U-78")
def test_a_magnified_area_is_cropped_to_the_viewport_not_scaled() -> None:
    """Its middle is shown, and the source lies where the placement says."""
    source = picture()
    state = Presentation(area=DisplayedArea(1, 1, 40, 30, "MAGNIFY", 2.0))
    whole, _ = place(source, 1.0, Rendering(presentation=state))
    part, where = place(source, 1.0, Rendering(presentation=state, viewport=Viewport(20, 10)))
    assert whole.shape == (60, 80)
    assert np.array_equal(part, whole[25:35, 30:50])
    assert where.point(20, 15) == (10, 5)


@pytest.mark.parametrize(
    "how",
    [
        Rendering(rows=1 << 20),
        Rendering(viewport=Viewport(1 << 15, 1 << 15)),
        Rendering(presentation=Presentation(area=DisplayedArea(-(1 << 31), 1, 1 << 31, 9))),
    ],
)
def test_a_picture_beyond_all_limits_is_refused_before_it_is_made(how: Rendering) -> None:
    with pytest.raises(CodecError):
        place(picture(30, 30), 1.0, how)


def test_sixteen_bits_are_scaled_as_eight() -> None:
    deep = picture().astype(np.uint16) * 257
    how = Rendering(viewport=Viewport(17, 17))
    eight, sixteen = place(picture(), 1.0, how)[0], place(deep, 1.0, how)[0]
    assert sixteen.dtype == np.uint16
    # In 8 bits rounding comes twice: along rows, then along columns.
    assert np.abs(sixteen / 257 - eight).max() <= 1.01


def test_graphics_are_drawn_where_the_source_lies() -> None:
    seen: list[Placement] = []

    def draw(picture: Array, placement: Placement) -> Array:
        seen.append(placement)
        return np.zeros_like(picture)

    how = Rendering(presentation=Presentation(draw=draw, rotation=180), viewport=Viewport(80, 60))
    assert rendered(picture(), how).pixels.max() == 0
    assert seen[0].point(0, 0) == (80, 60)
    assert seen[0].point(40, 30) == (0, 0)
