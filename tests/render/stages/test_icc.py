"""Colour profiles: embedded, converted, read again by others (PS3.18 8.3.5.1.5, 8.3.5.1.6)."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from gateway.render.attributes import Attributes
from gateway.render.output.imageformats import EMBEDS_ICC, encode
from gateway.render.rendering import IccTarget, Presentation, Rendering
from gateway.render.stages import icc
from PIL import Image as Pillow
from PIL import ImageCms
from tests.render.factories import element, rendered
from tests.render.picture import source

RGB = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128], [255, 255, 255]]], "u1")
NAMED = [IccTarget.SRGB, IccTarget.ADOBERGB, IccTarget.ROMMRGB, IccTarget.DISPLAYP3]


def _inline(profile: bytes) -> Any:
    return {"vr": "OB", "InlineBinary": b64encode(profile).decode()}


@pytest.mark.row("R-Q-42")
@pytest.mark.parametrize("target", NAMED)
def test_named_profiles_are_read_by_littlecms(target: IccTarget) -> None:
    """White is D50 and the colorants sum to it (ICC.1 7.2.16, F.3)."""
    profile = ImageCms.ImageCmsProfile(BytesIO(icc.make_profile(target))).profile
    colorants = [profile.red_colorant, profile.green_colorant, profile.blue_colorant]
    assert all(one is not None for one in colorants)
    total = np.sum([one[0] for one in colorants if one is not None], axis=0)
    assert total == pytest.approx([0.9642, 1.0, 0.8249], abs=2e-3)
    assert icc.usable(icc.make_profile(target))


def test_our_srgb_is_that_of_littlecms() -> None:
    ours = ImageCms.ImageCmsProfile(BytesIO(icc.make_profile(IccTarget.SRGB)))
    transform = ImageCms.buildTransform(ours, ImageCms.createProfile("sRGB"), "RGB", "RGB")
    colours = np.random.default_rng(5).integers(0, 256, (32, 32, 3), "u1")
    through = ImageCms.applyTransform(Pillow.fromarray(colours), transform)
    assert through is not None
    assert np.abs(np.asarray(through).astype(int) - colours).max() <= 1


# sRGB's red, grey and white in each space, by the published matrices and curves.
CONVERTED = [
    (IccTarget.SRGB, [(255, 0, 0), (128, 128, 128), (255, 255, 255)]),
    (IccTarget.ADOBERGB, [(219, 0, 0), (127, 127, 127), (255, 255, 255)]),
    (IccTarget.ROMMRGB, [(179, 70, 26), (109, 109, 109), (255, 255, 255)]),
    (IccTarget.DISPLAYP3, [(234, 51, 35), (128, 128, 128), (255, 255, 255)]),
]


@pytest.mark.row("R-Q-42")
@pytest.mark.parametrize(("target", "wanted"), CONVERTED)
def test_pixels_are_converted_and_that_profile_is_embedded(target: IccTarget, wanted: list[Any]) -> None:
    image = rendered(RGB, Rendering(icc=target))
    found = image.pixels[0, [0, 3, 4]].astype(int)
    assert np.abs(found - np.array(wanted)).max() <= 2
    assert image.icc == icc.make_profile(target)


def test_a_profile_of_the_object_is_where_conversion_starts() -> None:
    profile = icc.make_profile(IccTarget.ADOBERGB)
    image = rendered(RGB, Rendering(icc=IccTarget.SRGB), t00282000=_inline(profile))
    assert np.abs(image.pixels[0, 3].astype(int) - 128).max() <= 1
    assert image.pixels[0, 1].tolist() == [0, 255, 0]
    same = rendered(RGB, Rendering(icc=IccTarget.ADOBERGB), t00282000=_inline(profile))
    assert np.array_equal(same.pixels, RGB)


OWN, OTHER = icc.make_profile(IccTarget.ROMMRGB), icc.make_profile(IccTarget.DISPLAYP3)
SRGB = icc.make_profile(IccTarget.SRGB)


@pytest.mark.row("R-Q-41")
@pytest.mark.parametrize(
    ("changes", "inside", "wanted"),
    [
        ({"t00282000": _inline(OWN)}, OTHER, OWN),
        ({}, OTHER, OTHER),
        ({}, None, SRGB),
        ({"t00282000": _inline(b"no profile")}, None, SRGB),
        ({"t00282000": _inline(OWN[:200])}, OTHER, OTHER),
        ({"t00480105": element("SQ", {"00282000": _inline(OWN)})}, None, OWN),
    ],
)
def test_yes_embeds_that_of_the_object_of_the_codestream_or_a_well_known(
    changes: Any, inside: bytes | None, wanted: bytes
) -> None:
    from gateway.render.pipeline import render_frame
    from tests.render.factories import described

    attributes = Attributes(described(RGB, **changes))
    image = render_frame(RGB.tobytes(), attributes, 1, Rendering(icc=IccTarget.YES), inside)
    assert image.icc == wanted
    assert np.array_equal(image.pixels, RGB)


def test_the_profile_is_that_of_the_optical_path_of_the_frame() -> None:
    """PS3.3 C.8.12.5: each path has its own, a frame names its path."""
    paths = [
        {"00480106": element("SH", "1"), "00282000": _inline(OTHER)},
        {"00480106": element("SH", "2"), "00282000": _inline(OWN)},
    ]
    frames = [{"00480207": element("SQ", {"00480106": element("SH", name)})} for name in ("1", "2")]
    changes = {"t00480105": element("SQ", *paths), "t52009230": element("SQ", *frames)}
    assert rendered(RGB, Rendering(icc="yes"), frame=1, **changes).icc == OTHER
    assert rendered(RGB, Rendering(icc="yes"), frame=2, **changes).icc == OWN


@pytest.mark.row("R-Q-40")
@pytest.mark.parametrize("asked", [None, IccTarget.NO])
def test_unasked_or_no_embeds_none(asked: IccTarget | None) -> None:
    image = rendered(RGB, Rendering(icc=asked), t00282000=_inline(OWN))
    assert image.icc is None
    assert np.array_equal(image.pixels, RGB)


@pytest.mark.row("R-Q-46")
def test_a_presentation_state_brings_its_profile() -> None:
    state = Presentation(icc=OWN)
    assert rendered(RGB, Rendering(presentation=state)).icc == OWN
    assert rendered(RGB, Rendering(presentation=state, icc="yes")).icc == OWN
    assert rendered(RGB, Rendering(presentation=state, icc="no")).icc is None


@pytest.mark.row("R-Q-42")
def test_grey_becomes_colour_where_a_profile_of_colours_is_embedded() -> None:
    image = rendered(np.array([[0, 128, 255]], "u1"), Rendering(icc=IccTarget.YES))
    assert image.icc == SRGB
    assert image.pixels.tolist() == [[[0] * 3, [128] * 3, [255] * 3]]


@pytest.mark.row("R-Q-45")
@pytest.mark.parametrize("size", [len(OWN), 200_000])
@pytest.mark.parametrize("media", sorted(EMBEDS_ICC - {"image/jph"}))
def test_profiles_are_found_in_the_file_by_pillow(media: str, size: int) -> None:
    """APP2 in segments, iCCP, colour box: one of 200 kB takes four segments of a JPEG."""
    profile = OWN.ljust(size, b"\0")
    image = rendered(np.repeat(RGB, 16, axis=0), Rendering(presentation=Presentation(icc=profile)))
    with Pillow.open(BytesIO(encode(image, media, 90))) as opened:
        opened.load()
        assert opened.size == (5, 16)
        found = opened.info.get("icc_profile")
    data = encode(image, media, 90)
    if media == "image/jp2":
        # Pillow does not look into colour boxes.
        assert b"colr\2\0\0" + profile in data
        found = icc.in_codestream(data)
    assert found == profile


@pytest.mark.row("R-Q-41")
@pytest.mark.parametrize("media", ["image/jpeg", "image/jp2", "image/jph"])
def test_profiles_within_codestreams_are_found(media: str) -> None:
    image = rendered(RGB, Rendering(icc=IccTarget.YES))
    assert icc.in_codestream(encode(image, media, 90)) == SRGB
    assert icc.in_codestream(encode(rendered(RGB), media, 90)) is None
    assert icc.in_codestream(b"\xff\xd8\xff\xe2\0") is None


@pytest.mark.row("R-Q-41")
@pytest.mark.parametrize("name", ["sm_image.dcm", "sm_image_jpegls.dcm"])
def test_slides_keep_theirs(name: str) -> None:
    found = source(name)
    image = found.render(Rendering(icc=IccTarget.YES))
    assert image.icc is not None
    assert image.icc == icc.object_profile(found.attributes(), 1)
    plain = found.render().pixels
    assert np.array_equal(image.pixels, plain)
    assert not np.array_equal(found.render(Rendering(icc=IccTarget.ROMMRGB)).pixels, plain)
