"""Blending states and where frames lie in space (PS3.3 C.11.14, PS3.4 N.2.4)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from gateway.dicom import uids
from gateway.render.attributes import Attributes
from gateway.render.objects.blending import blend, find_facing, opacity, parts
from gateway.render.objects.imageplane import ImagePlane, apart, plane_of, within
from gateway.render.objects.presentation import read_applied, read_superimposed
from gateway.render.pipeline import render_frame
from gateway.render.rendering import Placement, Rendering
from tests.render.factories import described, element

AXIAL = (1, 0, 0, 0, 1, 0)


def placed(
    position: tuple[float, ...] = (0, 0, 0),
    cosines: tuple[float, ...] = AXIAL,
    spacing: tuple[float, ...] = (1, 1),
    thickness: float | None = None,
) -> Attributes:
    found: dict[str, Any] = {
        "00200032": element("DS", *position),
        "00200037": element("DS", *cosines),
        "00280030": element("DS", *spacing),
    }
    if thickness is not None:
        found["00180050"] = element("DS", thickness)
    return Attributes(found)


def plane(*args: Any, **named: Any) -> ImagePlane:
    found = plane_of(placed(*args, **named), 1)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "attributes",
    [
        Attributes({}),
        placed((1, 2)),
        placed((0, 0, 0), (1, 0, 0)),
        placed((0, 0, 0), (1, 0, 0, 1, 0, 0)),
        placed(spacing=(0, 1)),
        placed((0, 0, 0), (0, 0, 0, 0, 0, 0)),
    ],
)
def test_what_does_not_tell_has_no_place(attributes: Attributes) -> None:
    assert plane_of(attributes, 1) is None


def test_a_frame_tells_by_its_functional_groups() -> None:
    groups = [
        {
            "00209113": element("SQ", {"00200032": element("DS", 0, 0, z)}),
            "00209116": element("SQ", {"00200037": element("DS", *AXIAL)}),
            "00289110": element("SQ", {"00280030": element("DS", 2, 3)}),
        }
        for z in (5, 9)
    ]
    found = plane_of(Attributes({"52009230": element("SQ", *groups)}), 2)
    assert found is not None
    assert found.corner.tolist() == [-1.5, -1, 9]
    assert apart(found, plane()) == 9


def test_a_point_of_one_is_found_in_the_other() -> None:
    """Finer, shifted and turned: the centre of a pixel is at the same millimetre in both."""
    one = plane((10, 20, 5), spacing=(2, 3))
    other = plane((10, 20, 5), (0, 1, 0, -1, 0, 0), (0.5, 0.5))
    way = within(one, other)
    x, y = way.point(4.5, 7.5)
    millimetres = other.corner + other.across * x + other.down * y
    assert np.allclose(millimetres, (10 + 4 * 3, 20 + 7 * 2, 5))
    assert np.allclose(within(other, one).point(x, y), (4.5, 7.5))


def test_planes_face_the_nearest_within_reach() -> None:
    stack: list[ImagePlane | None] = [plane((0, 0, z)) for z in (0, 4, 8)]
    assert [find_facing(plane((0, 0, z)), stack) for z in (-1, 1.9, 2.1, 9, 11)] == [0, 0, 1, 2, None]
    assert find_facing(plane((0, 0, 3)), [plane(thickness=5)]) is None
    assert find_facing(plane((0, 0, 2)), [None, plane(thickness=5)]) == 1
    assert find_facing(plane((0, 0, 0.4)), [plane()]) == 0
    assert find_facing(plane(), [None]) is None
    tilted = (1, 0, 0, 0, math.cos(0.1), math.sin(0.1))
    assert find_facing(plane(), [plane((0, 0, 0), tilted)]) is None


def test_the_one_above_covers_as_much_as_its_opacity_says() -> None:
    beneath = np.full((2, 4), 100, np.uint8)
    above = np.zeros((1, 2, 3), np.uint8)
    above[0, :, 0] = (200, 0)
    shown = blend(beneath, above=above, way=Placement(c=-1), share=0.25)
    assert shown[0].tolist() == [[100] * 3, [125, 75, 75], [75, 75, 75], [100] * 3]
    assert (shown[1] == 100).all()
    assert (beneath == 100).all()


@pytest.mark.parametrize(("value", "share"), [(0.25, 0.25), (7, 1), (-1, 0), (None, 0.5), ("x", 0.5)])
def test_opacity_is_a_share(value: Any, share: float) -> None:
    found = {} if value is None else {"00700403": element("FL", value)}
    assert opacity(Attributes(found)) == share


def window(center: float, width: float) -> Any:
    item = {"00281050": element("DS", center), "00281051": element("DS", width)}
    return element("SQ", item)


def test_each_has_a_grey_scale_of_its_own() -> None:
    """Beneath by its item, above through the palette of the state (N.2.4.1, N.2.4.2)."""
    palette = {
        **{f"0028110{n}": element("US", 256, 0, 8) for n in (1, 2, 3)},
        "00281201": element("OW", *range(256)),
        "00281202": element("OW", *[0] * 256),
        "00281203": element("OW", *reversed(range(256))),
    }
    items = [
        {"00700405": element("CS", where), "00283110": window(*of)}
        for where, of in (("UNDERLYING", (50.5, 101)), ("SUPERIMPOSED", (100.5, 201)))
    ]
    state = Attributes({"00700402": element("SQ", *items), **palette})
    both = parts(state)
    assert both is not None
    pixels = np.array([[0, 50, 100, 200]], "<u2")
    image = Attributes(described(pixels))
    beneath = read_applied(state, uids.BLENDING_SOFTCOPY_PRESENTATION_STATE_STORAGE, image, "1.2", 1)
    shown = render_frame(pixels.tobytes(), image, 1, Rendering(presentation=beneath))
    assert shown.pixels[0].tolist() == [0, 128, 255, 255]
    over = read_superimposed(state, both[1], "1.2", 1)
    shown = render_frame(pixels.tobytes(), image, 1, Rendering(presentation=over))
    assert (
        np.abs(shown.pixels[0].astype(int) - [[0, 0, 255], [64, 0, 191], [128, 0, 127], [255, 0, 0]]).max()
        <= 1
    )


def test_without_both_there_is_nothing_to_blend() -> None:
    one = {"00700405": element("CS", "UNDERLYING")}
    assert parts(Attributes({"00700402": element("SQ", one)})) is None
    assert parts(Attributes({})) is None
