"""From stored values to P-Values, step by step (PS3.3 C.11, C.7.5.1.1.2; PS3.4 N.2)."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from gateway.errors import CodecError
from gateway.render.attributes import Attributes
from gateway.render.pipeline import render_frame
from gateway.render.rendering import Array, Presentation, Rendering, VoiFunction, Window
from gateway.render.stages.grey import BAND, look_up
from tests.render.factories import described, element, lut, rendered, row_of

LINEAR, EXACT, SIGMOID = VoiFunction.LINEAR, VoiFunction.LINEAR_EXACT, VoiFunction.SIGMOID


def grey(pixels: Array, how: Rendering | None = None, frame: int = 1, **changes: Any) -> list[int]:
    found: list[int] = rendered(pixels, how, frame, **changes).pixels.ravel().tolist()
    return found


# C.11.2.1.2.1's own examples: c=2048 w=4096, c=2048 w=1, c=0 w=100, c=0 w=1.
STANDARD = [
    (2048, 4096, LINEAR, [(0, 0), (4095, 255), (2047, 127), (2048, 128)]),
    (2048, 1, LINEAR, [(2047, 0), (2048, 255)]),
    (0, 100, LINEAR, [(-51, 0), (-50, 0), (49, 255), (0, 129)]),
    (0, 1, LINEAR, [(-1, 0), (0, 255)]),
    (2048, 4096, EXACT, [(0, 0), (4096, 255), (2048, 128)]),
    (0, 0.5, EXACT, [(-1, 0), (0, 128), (1, 255)]),
    (0, 1, EXACT, [(-1, 0), (0, 128), (1, 255)]),
    (100, 200, SIGMOID, [(100, 128), (0, 30), (200, 225), (-1000, 0), (1200, 255)]),
]


@pytest.mark.row("R-Q-30", "U-69")
@pytest.mark.parametrize(("center", "width", "function", "points"), STANDARD)
def test_windows_are_those_of_the_standard(
    center: float, width: float, function: VoiFunction, points: list[tuple[int, int]]
) -> None:
    """C.11.2.1.2.1, C.11.2.1.3.1, C.11.2.1.3.2; by table and by value."""
    inputs, wanted = zip(*points, strict=True)
    how = Rendering(window=Window(center, width, function))
    assert grey(row_of(*inputs), how) == pytest.approx(wanted, abs=1)
    many = np.tile(row_of(*inputs), (1 << 15, 1))
    assert rendered(many, how).pixels[-1].tolist() == grey(row_of(*inputs), how)


@pytest.mark.parametrize(("width", "function"), [(0.9, LINEAR), (0, EXACT), (-1, SIGMOID), (0, SIGMOID)])
def test_a_window_without_width_is_none(width: float, function: VoiFunction) -> None:
    with pytest.raises(ValueError, match="width"):
        Window(0, width, function)


# What is the brightest and the darkest, by what the object says; asked before first window, window before table.
_WINDOW = {"t00281050": element("DS", 50, 500), "t00281051": element("DS", 101, 1000)}
_LUT = {"t00283010": element("SQ", lut(0, [255, 128, 0], 8))}
CHOSEN = [
    ("the first window", {**_WINDOW, **_LUT}, None, [0, 26, 255]),
    ("the table", _LUT, None, [255, 0, 0]),
    ("asked", _WINDOW, Window(5, 11), [13, 255, 255]),
    ("a function of its own", {**_WINDOW, "t00281056": element("CS", "SIGMOID")}, None, [31, 44, 225]),
    ("an unknown function", {**_WINDOW, "t00281056": element("CS", "MAGIC")}, None, [0, 26, 255]),
    (
        "a window that is none",
        {"t00281050": element("DS", 0), "t00281051": element("DS", 0)},
        None,
        [0, 26, 255],
    ),
    (
        "a window that is text",
        {"t00281050": element("DS", "a"), "t00281051": element("DS", 1)},
        None,
        [0, 26, 255],
    ),
    ("nothing", {}, None, [0, 26, 255]),
]


@pytest.mark.row("R-Q-36")
@pytest.mark.parametrize(("what", "changes", "window", "wanted"), CHOSEN)
def test_the_voi_is(what: str, changes: Any, window: Window | None, wanted: list[int]) -> None:
    assert grey(row_of(0, 10, 100), Rendering(window=window), **changes) == pytest.approx(wanted, abs=1), what


SPANS = [
    ("8 bits without anything: all possible values", np.array([[0, 100]], "u1"), {}, [0, 100]),
    ("8 bits signed: those that are there", np.array([[-50, 50]], "i1"), {}, [0, 255]),
    (
        "8 bits with a slope: those that are there",
        np.array([[0, 100]], "u1"),
        {"t00281053": element("DS", 2), "t00281052": element("DS", 0)},
        [0, 255],
    ),
    (
        "P-Values (A.8.4.4)",
        np.array([[0, 32768]], "<u2"),
        {"t00080016": element("UI", "1.2.840.10008.5.1.4.1.1.7.3")},
        [0, 128],
    ),
    ("one value only", np.array([[7, 7]], "<u2"), {}, [0, 0]),
    ("32 bits", np.array([[0, 1 << 30, 1 << 31]], "<u4"), {}, [0, 128, 255]),
    ("32 bits signed", np.array([[-(1 << 31), 0, (1 << 31) - 1]], "<i4"), {}, [0, 128, 255]),
]


@pytest.mark.row("R-Q-36")
@pytest.mark.parametrize(("what", "pixels", "changes", "wanted"), SPANS)
def test_without_a_voi(what: str, pixels: Array, changes: Any, wanted: list[int]) -> None:
    assert grey(pixels, **changes) == wanted, what


def test_stored_bits_are_cut_out_and_signed() -> None:
    """C.7.6.3.1: 10 bits up to bit 13, two's complement; what lies around them is ignored."""
    pixels = np.array([[0x8000 | 0x200 << 4 | 3, 0x1FF << 4, 0x0007]], "<u2")
    ten = {"t00280101": element("US", 10), "t00280102": element("US", 13), "t00280103": element("US", 1)}
    assert grey(pixels, Rendering(window=Window(0, 1024)), **ten) == [0, 255, 128]
    many = np.tile(pixels, (1 << 15, 1))
    assert rendered(many, Rendering(window=Window(0, 1024)), **ten).pixels[99].tolist() == [0, 255, 128]


def test_single_bits_are_black_and_white() -> None:
    members = described(np.zeros((2, 5), "u1"), t00280100=element("US", 1), t00280101=element("US", 1))
    picture = render_frame(bytes([0b10100101, 0b10]), Attributes(members), 1, Rendering()).pixels
    assert (picture // 255).tolist() == [[1, 0, 1, 0, 0], [1, 0, 1, 0, 1]]


@pytest.mark.parametrize(("tag", "kind"), [("7FE00008", "<f4"), ("7FE00009", "<f8")])
def test_floating_pixels_keep_their_fractions(tag: str, kind: str) -> None:
    """C.7.6.24, C.7.6.25; what is not finite is no part of the range."""
    pixels = np.array([[-0.5, 0.0, 0.5, np.nan, np.inf]], kind)
    changes: Any = {f"t{tag}": {"vr": "OF", "BulkDataURI": "x"}}
    assert grey(pixels, **changes) == [0, 128, 255, 0, 255]
    assert grey(pixels, Rendering(window=Window(0, 1, EXACT)), **changes)[:3] == [0, 128, 255]


SLOPE = {"t00281053": element("DS", "-2"), "t00281052": element("DS", "100")}


def test_rescale_may_turn_the_range_around() -> None:
    """C.11.1.1.2, with a negative slope."""
    assert grey(row_of(0, 25, 50), **SLOPE) == [255, 128, 0]
    assert grey(row_of(0, 25, 50), Rendering(window=Window(50.5, 101)), **SLOPE) == [255, 128, 0]


def test_a_modality_table_comes_before_slope_and_clamps_at_its_ends() -> None:
    """C.11.1.1.1; the first value mapped is signed as the pixels are."""
    table = {"t00283000": element("SQ", lut(0xFFFF, [0, 1000, 4000], 12)), **SLOPE}
    how = Rendering(window=Window(2000, 4000, EXACT))
    assert grey(row_of(-100, -1, 0, 1, 99), how, **table) == [0, 0, 64, 255, 255]


def test_a_table_of_bytes_in_words_and_one_of_65536_entries() -> None:
    item = {"00283002": element("US", 3, 0, 8), "00283006": {"vr": "OW", "InlineBinary": "AID/AA=="}}
    assert grey(row_of(0, 1, 2, 9), t00283010=element("SQ", item)) == [0, 128, 255, 255]
    ramp = np.arange(65536, dtype="<u2")[::-1].tobytes()
    item = {"00283002": element("US", 0, 0, 16), "00283006": {"vr": "OW", "BulkDataURI": "x"}}
    pixels = np.array([[0, 65535]], "<u2")
    made = rendered(pixels, bulk={"00283010/1/00283006": ramp}, t00283010=element("SQ", item))
    assert made.pixels.tolist() == [[255, 0]]


PADDING = [
    ({"t00280120": element("SS", -2000)}, [0, 0, 128, 255]),
    ({"t00280120": element("US", 63536)}, [0, 0, 128, 255]),
    ({"t00280120": element("SS", -1990), "t00280121": element("SS", -2010)}, [0, 0, 128, 255]),
    ({"t00280120": element("SS", -2000), "t00280004": element("CS", "MONOCHROME1")}, [0, 255, 128, 0]),
    ({}, [0, 245, 250, 255]),
]


@pytest.mark.parametrize(("changes", "wanted"), PADDING)
def test_padding_is_black_and_no_part_of_the_range(changes: Any, wanted: list[int]) -> None:
    """C.7.5.1.1.2; a value, a range in either order, coded with the other sign, under MONOCHROME1."""
    assert grey(row_of(-2000, 0, 50, 100), **changes) == pytest.approx(wanted, abs=5)


INVERSE = [
    ({"t00280004": element("CS", "MONOCHROME1")}, True),
    ({"t20500020": element("CS", "INVERSE")}, True),
    ({"t20500020": element("CS", "IDENTITY")}, False),
    ({"t00280004": element("CS", "MONOCHROME1"), "t20500020": element("CS", "INVERSE")}, True),
]


@pytest.mark.row("R-RN-1")
@pytest.mark.parametrize(("changes", "inverse"), INVERSE)
def test_low_is_white(changes: Any, inverse: bool) -> None:
    """C.7.6.3.1.2, C.8.11.3.1."""
    assert grey(row_of(0, 100), **changes) == ([255, 0] if inverse else [0, 255])


def test_a_presentation_table_takes_the_whole_range() -> None:
    """C.11.6.1: whatever the VOI gives is spread over the table's input."""
    table = lut(0, [0, 1000, 4095], 12)
    assert grey(row_of(0, 50, 100), t20500010=element("SQ", table)) == [0, 62, 255]


def test_frames_have_their_own_transformations() -> None:
    """C.7.6.16.2.9, C.7.6.16.2.10: of the frame, else shared, else of the data set."""

    def group(center: float, slope: float) -> dict[str, Any]:
        return {
            "00289132": element("SQ", {"00281050": element("DS", center), "00281051": element("DS", 101)}),
            "00289145": element("SQ", {"00281053": element("DS", slope), "00281052": element("DS", 0)}),
        }

    changes = {"t52009229": element("SQ", group(50, 1)), "t52009230": element("SQ", group(50, 2), {})}
    assert grey(row_of(0, 25, 50), frame=1, **changes) == [1, 129, 255]
    assert grey(row_of(0, 50, 100), frame=2, **changes) == [1, 129, 255]
    assert grey(row_of(0, 50, 100), frame=3, **changes) == [1, 129, 255]


@pytest.mark.row("U-68")
def test_a_presentation_state_replaces_all_that_the_object_says() -> None:
    """PS3.4 N.2.1: none of its modules is the identity, and MONOCHROME1 is its own affair."""
    changes = {**SLOPE, **_WINDOW, "t00280004": element("CS", "MONOCHROME1")}
    pixels = np.array([[0, 2048, 4095]], "<u2")
    twelve = {"t00280101": element("US", 12), "t00280102": element("US", 11)}
    assert grey(pixels, Rendering(presentation=Presentation()), **changes, **twelve) == [0, 128, 255]
    state = Presentation(
        modality=Attributes({"00281053": element("DS", 2), "00281052": element("DS", -10)}),
        voi=Attributes({"00281050": element("DS", 2048), "00281051": element("DS", 4096)}),
        lut=Attributes({"20500020": element("CS", "INVERSE")}),
    )
    assert grey(pixels, Rendering(presentation=state), **changes, **twelve) == [255, 1, 0]
    window = Window(-5, 11)
    assert grey(pixels, Rendering(presentation=state, window=window), **twelve) == [242, 0, 0]


BROKEN = [
    {"t00280010": element("US", 0)},
    {"t00280010": element("US", 100)},
    {"t00280002": element("US", 4)},
    {"t00280100": element("US", 12)},
    {"t00280004": element("CS", "PALETTE COLOR")},
    {"t00280010": {"vr": "US"}},
]


@pytest.mark.parametrize("changes", BROKEN)
def test_what_is_no_picture_is_refused(changes: Any) -> None:
    with pytest.raises(CodecError):
        rendered(row_of(1, 2, 3), **changes)


def test_a_table_is_looked_up_in_bands() -> None:
    cells = np.arange(1500 * 1700, dtype="<u2").reshape(1500, 1700)
    table = np.arange(1 << 16, dtype="u2")[::-1] >> 8
    tracemalloc.start()
    found = look_up(lambda: table.astype("u1"), cells)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(found, table.astype("u1")[cells])
    assert most < 2 * cells.size + 8 * BAND
