"""Graphics and texts over a picture (PS3.3 C.10.5, C.10.7)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from gateway.dicom import uids
from gateway.render.attributes import Attributes
from gateway.render.objects import layercolours as ink_of
from gateway.render.objects.graphicobjects import outline
from gateway.render.objects.layercolours import contrary, lay_ink
from gateway.render.objects.presentation import read_applied
from gateway.render.objects.textobjects import TextBox, box_between, draw_letters, lines_of
from gateway.render.pipeline import render_frame
from gateway.render.rendering import Array, DisplayedArea, Ink, Placement, Region, Rendering, Viewport
from tests.render.factories import described, element

ROWS, COLUMNS = 60, 80
RED = (35574, 53663, 50860)
IMAGE = described(np.zeros((ROWS, COLUMNS), "u1"))


def line(*numbers: float, units: str = "PIXEL", **more: Any) -> dict[str, Any]:
    return {
        "00700005": element("CS", units),
        "00700022": element("FL", *numbers),
        "00700023": element("CS", "POLYLINE"),
        "00700024": element("CS", "N"),
        **{tag[1:]: value for tag, value in more.items()},
    }


def text(value: str, *box: float, units: str = "PIXEL", **more: Any) -> dict[str, Any]:
    return {
        "00700003": element("CS", units),
        "00700006": element("ST", value),
        "00700010": element("FL", *box[:2]),
        "00700011": element("FL", *box[2:]),
        **{tag[1:]: value for tag, value in more.items()},
    }


def state(
    *objects: dict[str, Any], texts: tuple[Any, ...] = (), layer: Any = None, **members: Any
) -> Attributes:
    note = {
        "00700002": element("CS", "ONE"),
        "00700008": element("SQ", *texts),
        "00700009": element("SQ", *objects),
    }
    named = {"00700002": element("CS", "ONE"), "00700062": element("IS", 1), **(layer or {})}
    found = {"00700001": element("SQ", note), "00700060": element("SQ", named)}
    return Attributes({**found, **{tag[1:]: value for tag, value in members.items()}})


def area(left: int, top: int, right: int, bottom: int) -> Any:
    return element("SQ", {"00700052": element("SL", left, top), "00700053": element("SL", right, bottom)})


def drawn(
    ps: Attributes, sop_class: str = uids.GRAYSCALE_SOFTCOPY_PRESENTATION_STATE_STORAGE, **asked: Any
) -> Array:
    presentation = read_applied(ps, sop_class, Attributes(IMAGE), "1.2", 1)
    how = Rendering(presentation=presentation, **asked)
    return render_frame(bytes(ROWS * COLUMNS), Attributes(IMAGE), 1, how).pixels


def bright(picture: Array) -> list[tuple[int, int]]:
    """Rows and columns of the corners of what is drawn."""
    rows, columns = np.nonzero(picture > 100 if picture.ndim == 2 else picture.max(axis=2) > 100)
    return [(int(rows.min()), int(columns.min())), (int(rows.max()), int(columns.max()))]


# The displayed area is columns 11 to 50 and rows 21 to 40; a line from its left edge to its middle.
HALF = line(0, 0.5, 0.5, 0.5, units="DISPLAY")


@pytest.mark.parametrize(
    ("members", "asked", "corners"),
    [
        ({}, {}, ((10, 0), (10, 20))),
        ({"t00700041": element("CS", "Y")}, {}, ((10, 0), (10, 20))),
        ({"t00700042": element("US", 90)}, {}, ((20, 0), (20, 10))),
        ({"t00700042": element("US", 180)}, {}, ((10, 0), (10, 20))),
        ({}, {"region": Region(0.25, 0, 1, 1)}, ((10, 0), (10, 10))),
        ({}, {"viewport": Viewport(80, 40)}, ((20, 0), (20, 40))),
        ({}, {"viewport": Viewport(40, 20, 0, 0, -40, 20)}, ((10, 20), (10, 39))),
    ],
)
def test_fractions_are_of_the_displayed_area(members: Any, asked: Any, corners: Any) -> None:
    """As it is seen, turned and flipped (C.10.5), and also where less of it is asked or it is mirrored."""
    found = bright(drawn(state(HALF, t0070005A=area(11, 21, 50, 40), **members), **asked))
    assert np.abs(np.array(found) - np.array(corners)).max() <= 1


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("flip", ["N", "Y"])
def test_pixels_are_of_the_image(rotation: int, flip: str) -> None:
    """What is drawn in the image turns with it: as the picture of an image into which it is burned."""
    turned = {"t00700042": element("US", rotation), "t00700041": element("CS", flip)}
    filled = line(10, 10, 30, 10, 30, 20, 10, 20, 10, 10, t00700024=element("CS", "Y"))
    burned = np.zeros((ROWS, COLUMNS), np.uint8)
    burned[10:20, 10:30] = 255
    expected = np.rot90(burned, -rotation // 90)
    expected = expected[:, ::-1] if flip == "Y" else expected
    shown = drawn(state(filled, **turned))
    # An outline is a pixel wide: half of it lies outside.
    assert np.abs(np.array(bright(shown)) - np.array(bright(expected))).max() <= 1


@pytest.mark.parametrize(
    ("layer", "colour"),
    [
        ({}, 255),
        ({"00700066": element("US", 32768)}, 128),
        ({"00700401": element("US", *RED)}, [255, 0, 0]),
        ({"00700401": element("US", *RED), "00700066": element("US", 9)}, [255, 0, 0]),
        ({"00700401": element("US", 65535, 32896, 32896), "00700066": element("US", 32768)}, 128),
        ({"00700067": element("US", 0, 65535, 0)}, [0, 255, 0]),
        ({"00700401": element("US", 1), "00700066": element("US", 70000)}, 255),
    ],
)
def test_a_layer_has_its_grey_or_colour(layer: Any, colour: Any) -> None:
    shown = drawn(state(line(0, 30, 80, 30), layer=layer))
    assert shown[30, 40].tolist() == colour


def test_a_style_goes_before_the_layer() -> None:
    """Of a line its colour and thickness, of a filling its own colour and opacity."""
    thick = {"00700251": element("US", *RED), "00700253": element("FL", 5.0)}
    fill = {"00700251": element("US", 65535, 32896, 32896), "00700284": element("FL", 0.5)}
    points = (10, 10, 60, 10, 60, 50, 10, 50, 10, 10)
    item = line(
        *points,
        t00700024=element("CS", "Y"),
        t00700232=element("SQ", thick),
        t00700233=element("SQ", fill),
    )
    shown = drawn(state(item))
    assert shown[30, 35].tolist() == [128, 128, 128]
    assert [shown[row, 35].tolist() for row in (8, 10, 12)] == [[255, 0, 0]] * 3


@pytest.mark.parametrize(
    ("corners", "quarters", "size"),
    [
        (((10, 10), (50, 30)), 0, (40, 20)),
        (((50, 10), (30, 50)), 1, (40, 20)),
        (((50, 30), (10, 10)), 2, (40, 20)),
        (((10, 50), (30, 10)), 3, (40, 20)),
    ],
)
def test_text_runs_from_its_first_corner_to_its_last(corners: Any, quarters: int, size: Any) -> None:
    """C.10.5.1.1, also where the image is turned. Each way is the upright one, turned."""
    box = box_between(*corners)
    assert (box.quarters, box.width, box.height) == (quarters, *size)
    letters, _ = draw_letters(["Lp"], box, "LEFT", (60, 60))
    upright, _ = draw_letters(["Lp"], TextBox((0, 0), 40, 20), "LEFT", (60, 60))
    (top, left), (bottom, right) = bright(letters)
    (up, first), (low, last) = bright(upright)
    wanted = upright[up : low + 1, first : last + 1]
    assert np.array_equal(np.rot90(letters[top : bottom + 1, left : right + 1], quarters), wanted)
    low_x, high_x = sorted(corner[0] for corner in corners)
    low_y, high_y = sorted(corner[1] for corner in corners)
    assert low_x <= left
    assert right <= high_x
    assert low_y <= top
    assert bottom <= high_y


@pytest.mark.parametrize(("word", "place"), [("LEFT", 0), ("CENTER", 1), ("RIGHT", 2), ("", 0)])
def test_text_is_justified(word: str, place: int) -> None:
    (_, left), (_, right) = bright(draw_letters(["i"], TextBox((0, 0), 300, 20), word, (300, 40))[0])
    assert place == (left + right) // 200


def test_text_is_made_to_fit() -> None:
    long = draw_letters(["Länge 12,5 mm und mehr"], TextBox((10, 10), 150, 40), "LEFT", (300, 80))[0]
    (top, left), (bottom, right) = bright(long)
    assert right <= 162
    assert left >= 10
    assert top >= 10
    assert bottom <= 52


def test_text_is_seen_on_any_ground() -> None:
    words = text("WWW", 5, 5, 75, 45)
    white = Attributes({**IMAGE, "20500020": element("CS", "INVERSE")})
    ps = state(texts=(words,), t20500020=element("CS", "INVERSE"))
    presentation = read_applied(ps, uids.GRAYSCALE_SOFTCOPY_PRESENTATION_STATE_STORAGE, white, "1.2", 1)
    on_white = render_frame(bytes(ROWS * COLUMNS), white, 1, Rendering(presentation=presentation)).pixels
    assert on_white[0, 0] == 255
    assert on_white.min() < 50
    assert drawn(state(texts=(words,))).max() > 200


def test_an_anchor_that_is_visible_is_joined_with_its_text() -> None:
    def words(shown: str) -> dict[str, Any]:
        anchor = {"t00700014": element("FL", 70, 50), "t00700004": element("CS", "PIXEL")}
        return text("a", 5, 5, 25, 15, t00700015=element("CS", shown), **anchor)

    assert bright(drawn(state(texts=(words("Y"),))))[1] == (50, 70)
    assert bright(drawn(state(texts=(words("N"),))))[1] < (30, 40)
    alone = text("a", t00700014=element("FL", 40, 20), t00700004=element("CS", "PIXEL"))
    assert bright(drawn(state(texts=(alone,))))[0] > (20, 40)


def test_a_color_state_draws_in_colour_without_windows() -> None:
    ps = state(line(0, 30, 80, 30), layer={"00700401": element("US", *RED)})
    assert drawn(ps, uids.COLOR_SOFTCOPY_PRESENTATION_STATE_STORAGE)[30, 40].tolist() == [255, 0, 0]


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_ink_on_each_depth(depth: type) -> None:
    top = np.iinfo(depth).max
    picture: Any = np.full((1, 3), top, depth)
    share = np.array([[0.0, 0.5, 1.0]])
    assert lay_ink(picture, share, Ink(0.0))[0].tolist() == [top, round(top / 2), 0]
    assert lay_ink(picture, share, Ink(colour=(255, 0, 0)))[0, 2].tolist() == [255, 0, 0]
    assert picture.tolist() == [[top] * 3]
    assert contrary(Ink(colour=(255, 255, 0))) == Ink(0.0)
    assert contrary(Ink(0.2)) == Ink(1.0)


def test_what_has_no_style_has_no_colour() -> None:
    assert ink_of.read_style_ink(None) is None
    assert ink_of.read_style_ink(Attributes({})) is None
    assert ink_of.opacity(None) == 1.0
    assert ink_of.read_layer_ink(None) == Ink()


def test_curves_go_through_their_points() -> None:
    points = [(0.0, 0.0), (10.0, 5.0), (20.0, 0.0), (30.0, 9.0)]
    curve = outline("INTERPOLATED", points)
    assert all(any(np.allclose(point, place) for place in curve) for point in points)
    closed = [*points, points[0]]
    assert outline("INTERPOLATED", closed)[0] == outline("INTERPOLATED", closed)[-1]
    ellipse = np.array(outline("ELLIPSE", [(0, 10), (40, 10), (20, 0), (20, 20)]))
    assert np.allclose(((ellipse - (20, 10)) / (20, 10)) ** 2 @ (1, 1), 1)
    assert outline("CIRCLE", points) == points


@pytest.mark.parametrize(
    "item",
    [
        line(1e30, -1e30, 5, 5),
        line(1, 2, 3),
        line(),
        line(1, 1, 1, 1, t00700024=element("CS", "Y")),
        line(5, 5, 9, 9, t00700023=element("CS", "SPIRAL")),
        line(5, 5, 9, 9, t00700232=element("SQ", {"00700253": element("FL", 1e9)})),
        text("x" * 5000 + "\n" * 5000, 0, 0, 1e9, -1e9),
        text("", 1, 1, 5, 5),
        text("a\0\x1b[31m\u202e\U0001f600", 1, 1, 5, 5, units="MATRIX"),
        {"00700022": element("FL", "x")},
    ],
)
def test_nothing_odd_breaks_a_picture(item: dict[str, Any]) -> None:
    assert drawn(state(item, texts=(item,))).shape[:2] == (ROWS, COLUMNS)


def test_lines_are_ended_in_each_way() -> None:
    assert lines_of("a\r\nb\nc\rd") == ["a", "b", "c", "d"]
    assert len(lines_of("\n" * 1000)) == 100
    assert len(lines_of("x" * 1000)[0]) == 400


def test_many_may_draw_at_once() -> None:
    """A font face is shared by all threads: each must draw what one alone does."""
    ps = [state(texts=(text(word, 5, 5, 75, 55),)) for word in ("Quick 12.5", "Größe", "山田", "ABC\nDEF")]
    alone = [drawn(one) for one in ps]
    with ThreadPoolExecutor(4) as pool:
        for picture, found in zip(alone * 8, pool.map(drawn, ps * 8), strict=True):
            assert np.array_equal(picture, found)


def test_a_placement_leads_back() -> None:
    way = Placement(0, -2, 30, 3, 0, 5)
    assert np.allclose(way.inverse().point(*way.point(7, 9)), (7, 9))
    assert DisplayedArea(1, 1, 2, 2).mode == "SCALE TO FIT"
