"""Segments in their colours (PS3.3 C.8.20, C.10.7.1.1)."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from gateway.render.attributes import Attributes
from gateway.render.objects.segmentation import colours, segment_of, source_of
from gateway.render.pipeline import render_frame
from gateway.render.rendering import Array, Rendering, Window
from gateway.render.stages.cielab import srgb
from PIL import Image as Pillow
from PIL import ImageCms
from tests.render.factories import described, element
from tests.render.picture import source

SEGMENTATION, LABELS = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"
# L*, a*, b* of sRGB's red and blue under D50, as 16 bits each.
RED, BLUE = (35574, 53663, 50860), (19378, 50449, 4103)
LIVER = "modality-seg-map-other/liver.dcm"


def segment(number: int, **members: Any) -> dict[str, Any]:
    return {"00620004": element("US", number), **{tag[1:]: value for tag, value in members.items()}}


def frames(*numbers: int) -> Any:
    """Functional groups: which segment each frame is of."""
    groups = ({"0062000A": element("SQ", {"0062000B": element("US", number)})} for number in numbers)
    return element("SQ", *groups)


def made(pixels: Array, kind: str, *segments: Any, of: tuple[int, ...] = (1,), **more: Any) -> Attributes:
    sop_class = LABELS if kind == "LABELMAP" else SEGMENTATION
    return Attributes(
        described(
            pixels,
            t00080016=element("UI", sop_class),
            t00620001=element("CS", kind),
            t00620002=element("SQ", *segments),
            t52009230=frames(*of),
            **more,
        )
    )


def drawn(pixels: Array, attributes: Attributes, frame: int = 1, how: Rendering | None = None) -> Array:
    return render_frame(pixels.tobytes(), attributes, frame, how or Rendering()).pixels


def by_profile(encoded: tuple[int, int, int]) -> tuple[int, ...]:
    """The same colour by littlecms, from its own Lab and sRGB profiles, in 8 bits."""
    lightness, a, b = (round(value / 257) for value in encoded)
    lab = Pillow.frombytes("LAB", (1, 1), bytes((lightness, a ^ 128, b ^ 128)))
    # littlecms takes a* and b* of 8 bits as signed from 128.
    ends = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(*ends, "LAB", "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC)
    found = ImageCms.applyTransform(lab, transform)
    assert found is not None
    pixel = found.getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return tuple(int(value) for value in pixel)


@pytest.mark.parametrize(
    ("encoded", "colour"),
    [
        ((65535, 32896, 32896), (255, 255, 255)),
        ((0, 32896, 32896), (0, 0, 0)),
        (RED, (255, 0, 0)),
        (BLUE, (0, 0, 255)),
        ((57553, 12524, 53710), (0, 255, 0)),
    ],
)
def test_lab_is_srgb(encoded: tuple[int, int, int], colour: tuple[int, int, int]) -> None:
    found = srgb(encoded)
    assert found is not None
    assert max(abs(a - b) for a, b in zip(found, colour, strict=True)) <= 1


@pytest.mark.parametrize("encoded", [(41661, 41167, 40792), (30000, 30000, 40000), (50000, 28000, 25000)])
def test_lab_is_what_littlecms_makes_of_it(encoded: tuple[int, int, int]) -> None:
    """Within 3 of 255: littlecms has its input in 8 bits."""
    found = srgb(encoded)
    assert found is not None
    assert max(abs(a - b) for a, b in zip(found, by_profile(encoded), strict=True)) <= 3


@pytest.mark.parametrize("encoded", [(), (1, 2), (1, 2, 70000), (-1, 0, 0)])
def test_what_is_no_colour_is_none(encoded: tuple[float, ...]) -> None:
    assert srgb(encoded) is None


def test_a_corpus_segment_is_drawn_in_its_colour() -> None:
    """Everything that pydicom says is of the segment, and nothing else."""
    from pydicom import dcmread
    from tests.corpus import row

    ds = dcmread(row(LIVER).file)
    found = source(LIVER)
    colour = srgb(ds.SegmentSequence[0].RecommendedDisplayCIELabValue)
    for frame in (1, 2, 3):
        image = found.render(frame=frame)
        expected = np.where(ds.pixel_array[frame - 1][..., None] == 1, np.array(colour, np.uint8), 0)
        assert np.array_equal(image.pixels, expected)
    assert colour is not None
    assert colour != (0, 0, 0)


def test_a_window_or_no_colour_shows_the_values() -> None:
    assert source(LIVER).render(Rendering(window=Window(0.5, 1))).pixels.ndim == 2
    assert source("seg_image_ct_binary_overlap.dcm").render().pixels.ndim == 2


def test_a_fraction_is_as_bright() -> None:
    pixels = np.array([[0, 50, 100, 200]], "u1")
    attributes = made(
        pixels, "FRACTIONAL", segment(7, t0062000D=element("US", *RED)), of=(7,), t0062000E=element("US", 100)
    )
    assert drawn(pixels, attributes)[0, :, 0].tolist() == [0, 128, 255, 255]


def test_each_frame_has_its_segment() -> None:
    pixels = np.array([[0, 1]], "u1")
    two = (segment(1, t0062000D=element("US", *RED)), segment(2, t0062000C=element("US", 32896)))
    attributes = made(pixels, "BINARY", *two, of=(2, 1))
    assert segment_of(attributes, 1) == 2
    assert drawn(pixels, attributes, 1)[0, 1].tolist() == [128, 128, 128]
    assert drawn(pixels, attributes, 2)[0, 1].tolist() == list(colours(attributes)[1])


def test_labels_have_each_their_colour() -> None:
    """Number 9 has no segment, and 3 has no colour: neither is shown."""
    pixels = np.array([[0, 1, 2, 3, 9]], "<u2")
    attributes = made(
        pixels,
        "LABELMAP",
        segment(2, t0062000D=element("US", *BLUE)),
        segment(1, t0062000D=element("US", *RED)),
        segment(3),
    )
    shown = drawn(pixels, attributes)
    assert shown[0].tolist() == [
        [0, 0, 0],
        list(colours(attributes)[1]),
        list(colours(attributes)[2]),
        *[[0] * 3] * 2,
    ]


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_over_an_image(kind: str) -> None:
    pixels = np.array([[0, 1]], "u1")
    attributes = made(pixels, kind, segment(1, t0062000D=element("US", *RED)))
    below = np.full((1, 2, 3), 255, np.uint8)
    over = drawn(pixels, attributes, how=Rendering(beneath=lambda rows, columns: below[:rows, :columns]))
    red, green, blue = colours(attributes)[1]
    assert over[0].tolist() == [[255] * 3, [round((255 + part) / 2) for part in (red, green, blue)]]
    assert (below == 255).all()


def test_what_a_frame_was_made_of() -> None:
    found = source(LIVER).attributes()
    assert source_of(found, 1) is not None
    assert source_of(Attributes({}), 1) is None


def test_odd_segments_break_nothing() -> None:
    pixels = np.array([[0, 1]], "u1")
    for segments in ((), (segment(1, t0062000D=element("US", 1)),), ({"00620004": element("LO", "x")},)):
        for kind in ("BINARY", "FRACTIONAL", "LABELMAP", ""):
            assert drawn(pixels, made(pixels, kind, *segments)).ndim == 2
    assert BytesIO(drawn(pixels, made(pixels, "BINARY")).tobytes()).read()
