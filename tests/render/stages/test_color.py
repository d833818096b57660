"""Colours, palettes, overlays and shutters (PS3.3 C.7.6.3, C.7.9, C.9.2, C.7.6.11, C.7.6.15)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gateway.errors import CodecError
from gateway.render.attributes import Attributes
from gateway.render.pipeline import render_frame
from gateway.render.rendering import Array, Presentation, Rendering
from gateway.render.stages.palette import expand_segments
from pydicom.pixels.processing import _expand_segmented_lut
from tests.render.factories import described, element, rendered, row_of

# YBR_FULL of saturated colours by the equations of C.7.6.3.1.2.
YBR = [
    ((76, 85, 255), (254, 0, 0)),
    ((150, 44, 21), (0, 255, 1)),
    ((29, 255, 107), (0, 0, 254)),
    ((9, 128, 128), (9,) * 3),
]


@pytest.mark.row("R-RN-1")
@pytest.mark.parametrize(("ybr", "rgb"), YBR)
@pytest.mark.parametrize("photometric", ["YBR_FULL", "YBR_FULL_422"])
def test_ybr_becomes_rgb(photometric: str, ybr: tuple[int, ...], rgb: tuple[int, ...]) -> None:
    """C.7.6.3.1.2; two pixels of 4:2:2 share their chrominance."""
    pixels = np.array([[ybr, ybr]], "u1")
    members = described(pixels, t00280004=element("CS", photometric))
    y, cb, cr = ybr
    native = pixels.tobytes() if photometric == "YBR_FULL" else bytes((y, y, cb, cr))
    picture = render_frame(native, Attributes(members), 1, Rendering()).pixels
    assert np.abs(picture.astype(int) - rgb).max() <= 1


def test_partial_range_is_spread() -> None:
    """Retired YBR_PARTIAL_422: black is 16, white 235."""
    members = described(np.zeros((1, 2, 3), "u1"), t00280004=element("CS", "YBR_PARTIAL_422"))
    picture = render_frame(bytes((16, 235, 128, 128)), Attributes(members), 1, Rendering()).pixels
    assert picture.tolist() == [[[0, 0, 0], [255, 255, 255]]]


@pytest.mark.row("R-RN-1", "R-Q-35")
@pytest.mark.parametrize(("kind", "scale"), [("u1", 1), ("<u2", 256), ("<u4", 1 << 24)])
def test_colour_by_plane_is_colour_by_pixel(kind: str, scale: int) -> None:
    """C.7.6.3.1.3; deep colour keeps its upper eight bits, and no window touches it."""
    rgb = (np.arange(12).reshape(2, 2, 3) * scale).astype(kind)
    planes = np.ascontiguousarray(rgb.transpose(2, 0, 1))
    members = described(
        rgb, t00280006=element("US", 1), t00281050=element("DS", 1), t00281051=element("DS", 2)
    )
    picture = render_frame(planes.tobytes(), Attributes(members), 1, Rendering()).pixels
    assert picture.tolist() == np.arange(12).reshape(2, 2, 3).tolist()
    assert rendered(rgb).pixels.tolist() == picture.tolist()


def test_an_unknown_photometric_interpretation_is_refused() -> None:
    with pytest.raises(CodecError):
        rendered(np.zeros((1, 1, 3), "u1"), t00280004=element("CS", "HSV"))


# -- palettes ----------------------------------------------------------------------------------------------


def _palette(first: int, bits: int, red: list[int], green: list[int], blue: list[int]) -> dict[str, Any]:
    changes = {"t00280004": element("CS", "PALETTE COLOR")}
    for n, entries in enumerate((red, green, blue), 1):
        changes[f"t0028110{n}"] = element("US", len(entries), first, bits)
        changes[f"t0028120{n}"] = element("US", *entries)
    return changes


@pytest.mark.row("R-RN-1")
@pytest.mark.parametrize(("bits", "scale"), [(8, 1), (16, 1), (16, 256)])
def test_indices_are_looked_up(bits: int, scale: int) -> None:
    """C.7.6.3.1.5: below the first and above the last the ends hold; 8 bits in words, declared or not."""
    colours = _palette(10, bits, [scale * v for v in (1, 2, 255)], [0, 0, scale * 9], [scale * 4, 0, 0])
    picture = rendered(row_of(0, 10, 11, 12, 200, kind="u1"), **colours).pixels
    assert picture.tolist() == [[[1, 0, 4], [1, 0, 4], [2, 0, 0], [255, 9, 0], [255, 9, 0]]]
    many = np.tile(row_of(0, 11, 12, kind="u1"), (1 << 15, 1))
    assert rendered(many, **colours).pixels[5].tolist() == [[1, 0, 4], [2, 0, 0], [255, 9, 0]]


@pytest.mark.row("R-RN-1")
def test_a_supplemental_palette_begins_with_its_first_value() -> None:
    """C.7.6.19: what is stored below the first value mapped is grey; that value is the first in colour."""
    colours = _palette(10, 8, [1, 2, 255], [0, 0, 9], [4, 0, 0])
    colours["t00280004"] = element("CS", "MONOCHROME2")
    colours["t00089205"] = element("CS", "COLOR")
    picture = rendered(row_of(0, 9, 10, 11, 12, kind="u1"), **colours).pixels
    assert picture[0].tolist() == [[0] * 3, [int(picture[0, 1, 0])] * 3, [1, 0, 4], [2, 0, 0], [255, 9, 0]]
    colours["t00089205"] = element("CS", "MONOCHROME")
    assert rendered(row_of(0, 9, 10, 11, 12, kind="u1"), **colours).pixels.ndim == 2


def test_bytes_of_a_palette_may_be_packed() -> None:
    colours = _palette(0, 8, [0], [0], [0])
    for n in (1, 2, 3):
        colours[f"t0028110{n}"] = element("US", 3, 0, 8)
        colours[f"t0028120{n}"] = {"vr": "OW", "BulkDataURI": "x"}
    bulk = {f"0028120{n}": bytes((n, 10 * n, 20 * n, 0)) for n in (1, 2, 3)}
    picture = rendered(row_of(0, 1, 2, kind="u1"), bulk=bulk, **colours).pixels
    assert picture.tolist() == [[[1, 2, 3], [10, 20, 30], [20, 40, 60]]]


def _words(*values: int) -> bytes:
    return np.array(values, "<u2").tobytes()


SEGMENTS = [
    ("discrete", _words(0, 3, 7, 8, 9), 16, [7, 8, 9]),
    ("linear", _words(0, 1, 0, 1, 4, 100), 16, [0, 25, 50, 75, 100]),
    ("falling", _words(0, 1, 100, 1, 2, 0), 16, [100, 50, 0]),
    ("indirect", _words(0, 2, 1, 2, 1, 2, 10, 2, 2, 0, 0), 16, [1, 2, 6, 10, 1, 2, 6, 10]),
    ("bytes", bytes((0, 2, 5, 6, 1, 2, 8)), 8, [5, 6, 7, 8]),
    ("indirect bytes", bytes((0, 1, 5, 1, 1, 9, 2, 1, 0, 0, 0, 0)), 8, [5, 9, 5]),
    ("indirect, further in", _words(0, 1, 3, 0, 2, 7, 8, 2, 1, 6, 0), 16, [3, 7, 8, 7, 8]),
    ("indirect bytes, further in", bytes((0, 1, 3, 0, 2, 7, 8, 2, 1, 3, 0, 0, 0)), 8, [3, 7, 8, 7, 8]),
]


@pytest.mark.parametrize(("what", "data", "bits", "wanted"), SEGMENTS)
def test_segments_expand(what: str, data: bytes, bits: int, wanted: list[int]) -> None:
    """C.7.9.2: the linear one leaves out the value before it; the indirect one copies by byte offset."""
    assert expand_segments(data, bits, len(wanted)).tolist() == wanted, what


@pytest.mark.parametrize(
    "data",
    [
        *(b"", _words(1, 3, 7), _words(9, 1, 1), _words(0, 9, 1), _words(2, 1, 0, 0), _words(0, 1)),
        *(_words(0, 1, 3, 2, 1, 1, 0), _words(0, 1, 3, 2, 1, 0, 1)),
    ],
)
def test_segments_that_lead_nowhere_are_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        expand_segments(data, 16, 4)


@pytest.mark.parametrize("bits", [8, 16])
def test_segments_expand_as_pydicom_expands_them(bits: int) -> None:
    """But for the unit of an offset: C.7.9.2.3 has bytes, pydicom takes entries in tables of 16 bits too."""
    width = 1 if bits == 8 else 2
    top = (1 << bits) - 1
    head = [0, 2, top // 3, top, 1, 50, 5, 0, 3, 1, 2, 3, 1, 9, top]
    places = [(0, 1), (4, 2), (7, 1), (7, 2), (12, 1)]

    def data(unit: int) -> list[int]:
        found = list(head)
        for at, count in places:
            offset = at * unit
            found += [2, count, *((offset, 0, 0, 0) if bits == 8 else (offset, 0))]
        return found

    theirs = _expand_segmented_lut(tuple(data(1)), f"<{len(data(1))}{'B' if bits == 8 else 'H'}")
    ours = expand_segments(np.array(data(width), f"<u{width}").tobytes(), bits, len(theirs)).tolist()
    steps = [abs(a - b) for a, b in zip(ours, theirs, strict=True)]
    assert max(steps) <= 1  # of half a step the one rounds to even, the other by what its quotient is
    assert len(ours) > 100


def test_a_pseudo_colour_state_colours_what_the_grey_pipeline_gives() -> None:
    """PS3.4 N.2.2: the whole range of the VOI over the whole palette."""
    members = {tag[1:]: value for tag, value in _palette(0, 8, [0, 100, 200], [1, 1, 1], [2, 2, 2]).items()}
    state = Presentation(
        voi=Attributes({"00281050": element("DS", 50), "00281051": element("DS", 101)}),
        palette=Attributes(members),
    )
    picture = rendered(row_of(0, 49, 100), Rendering(presentation=state)).pixels
    assert picture[0, :, 0].tolist() == [0, 100, 200]


# -- overlays ----------------------------------------------------------------------------------------------


def _overlay(
    mask: Array, group: str = "6000", origin: tuple[int, int] = (1, 1), **more: Any
) -> dict[str, Any]:
    packed = np.packbits(mask.reshape(-1).astype(bool), bitorder="little").tobytes()
    changes = {
        f"t{group}0010": element("US", mask.shape[-2]),
        f"t{group}0011": element("US", mask.shape[-1]),
        f"t{group}0040": element("CS", "G"),
        f"t{group}0050": element("SS", *origin),
        f"t{group}0100": element("US", 1),
        f"t{group}0102": element("US", 0),
        f"t{group}3000": {**element("US", *packed), "vr": "OB"},
    }
    return {**changes, **{f"t{group}{tag[1:]}": value for tag, value in more.items()}}


BLACK = np.zeros((4, 5), "u1")
CORNER = np.array([[1, 0], [1, 1]])


@pytest.mark.parametrize(
    ("origin", "white"),
    [
        ((1, 1), {(0, 0), (1, 0), (1, 1)}),
        ((3, 4), {(2, 3), (3, 3), (3, 4)}),
        ((0, 0), {(0, 0)}),
        ((4, 5), {(3, 4)}),
        ((-9, 1), set()),
        ((5, 1), set()),
        ((1, 99), set()),
    ],
)
def test_overlays_are_placed_by_their_origin(origin: tuple[int, int], white: set[tuple[int, int]]) -> None:
    """C.9.2.1.3: row and column from 1; what lies outside is not drawn."""
    picture = rendered(BLACK, **_overlay(CORNER, origin=origin)).pixels
    assert {(int(r), int(c)) for r, c in zip(*np.nonzero(picture), strict=True)} == white
    assert set(np.unique(picture)) <= {0, 255}


def test_overlays_have_frames_of_their_own() -> None:
    """C.9.2.1.4: frames from Image Frame Origin on; single bits run on from frame to frame."""
    masks = np.array([[[1, 0, 0]], [[0, 1, 0]], [[0, 0, 1]]])
    changes = _overlay(masks, t0015=element("IS", 3), t0051=element("US", 2))
    pixels = np.zeros((1, 3), "u1")
    seen = [rendered(pixels, frame=n, **changes).pixels.ravel().tolist() for n in range(1, 6)]
    assert seen == [[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 0]]


def test_an_overlay_in_unused_bits() -> None:
    """PS3.5 8.1.2, retired; a bit that is part of the pixel is none."""
    pixels = np.array([[0x8001, 0x0002, 0x8000]], "<u2")
    twelve = {"t00280101": element("US", 12), "t00280102": element("US", 11)}
    changes = {**twelve, "t60000100": element("US", 16), "t60000102": element("US", 15)}
    window = {"t00281050": element("DS", 2048), "t00281051": element("DS", 4096)}
    assert rendered(pixels, **changes, **window).pixels.tolist() == [[255, 0, 255]]
    changes["t60000102"] = element("US", 3)
    assert rendered(pixels, **changes, **window).pixels.max() == 0


def test_overlays_that_are_cut_short_or_curves_are_left_out() -> None:
    changes = _overlay(CORNER)
    changes["t60003000"] = {**element("US", 1), "vr": "OB"}
    changes["t60000010"] = element("US", 100)
    changes["t50003000"] = element("US", 1)
    assert rendered(BLACK, **changes).pixels.max() == 0
    assert rendered(np.zeros((4, 5, 3), "u1"), **_overlay(CORNER)).pixels[0, 0].tolist() == [255, 255, 255]


# -- shutters ----------------------------------------------------------------------------------------------

WHITE = np.full((9, 9), 255, "u1")
SHUTTERS = [
    (
        {
            "t00181600": element("CS", "RECTANGULAR"),
            "t00181602": element("IS", 2),
            "t00181604": element("IS", 4),
            "t00181606": element("IS", 3),
            "t00181608": element("IS", 9),
        },
        3 * 7,
    ),
    (
        {
            "t00181600": element("CS", "CIRCULAR"),
            "t00181610": element("IS", 5, 5),
            "t00181612": element("IS", 2),
        },
        13,
    ),
    (
        {"t00181600": element("CS", "POLYGONAL"), "t00181620": element("IS", 2, 2, 2, 6, 4, 6, 4, 2)},
        3 * 5,
    ),
    (
        {
            "t00181600": element("CS", "RECTANGULAR", "CIRCULAR"),
            "t00181602": element("IS", 5),
            "t00181610": element("IS", 5, 5),
            "t00181612": element("IS", 1),
        },
        4,
    ),
    ({"t00181600": element("CS", "CIRCULAR")}, 81),
    ({}, 81),
]


@pytest.mark.parametrize(("changes", "seen"), SHUTTERS)
def test_shutters_cover_what_lies_outside(changes: Any, seen: int) -> None:
    picture = rendered(WHITE, **changes).pixels
    assert (picture == 255).sum() == seen
    assert (picture == 0).sum() == 81 - seen


def test_a_circular_shutter_is_round_in_what_is_seen() -> None:
    """C.7.6.11: the radius counts pixels along a row; these are twice as high as wide."""
    circle = {
        "t00181600": element("CS", "CIRCULAR"),
        "t00181610": element("IS", 5, 5),
        "t00181612": element("IS", 4),
    }
    seen = rendered(WHITE, t00280034=element("IS", 2, 1), **circle).pixels == 255
    assert (seen.any(axis=0).sum(), seen.any(axis=1).sum()) == (9, 5)


def test_a_bitmap_shutter_covers_where_its_overlay_is_set_in_its_grey() -> None:
    """C.7.6.15; that overlay is not drawn as one."""
    changes = _overlay(CORNER, "6004")
    changes |= {"t00181600": element("CS", "BITMAP"), "t00181623": element("US", 0x6004)}
    changes["t00181622"] = element("US", 0x8000)
    picture = rendered(WHITE, **changes).pixels
    assert (picture[0, 0], picture[1, 0], picture[0, 1]) == (128, 128, 255)
    assert (picture == 128).sum() == 3
