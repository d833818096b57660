"""Pictures against those of an independent renderer, Debian's dcmj2pnm, within one of 255 steps.

Where it stands further off, `DIFFERENT` says why, with the clause, and what is compared instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from gateway.errors import CodecError, GatewayError
from gateway.render.objects.dose import is_dose
from gateway.render.objects.segmentation import is_segmentation
from gateway.render.pipeline import render_frame
from gateway.render.rendering import Array, Rendering, Viewport, VoiFunction, Window
from gateway.render.stages import voi
from tests.corpus import rows
from tests.render.picture import DCMTK_READS, Source, apart, by_dcmtk, source

TOLERANCE = 1


@dataclass(frozen=True, slots=True)
class Case:
    """What to ask of dcmtk and of us, and the largest difference."""

    options: tuple[str, ...] = ()
    how: Rendering = field(default_factory=Rendering)
    tolerance: int = TOLERANCE


def _window(center: float, width: float, function: VoiFunction = VoiFunction.LINEAR) -> Case:
    named = ("+Wfs",) if function is VoiFunction.SIGMOID else ()
    how = Rendering(window=Window(center, width, function))
    return Case(("+Ww", str(center), str(width), *named), how)


_WIDE = _window(100, 600)
_MIN_MAX = Case(("+Wm",))
# By the end of the name: what is compared instead, and None where dcmtk makes no picture of it.
DIFFERENT: dict[str, Case | None] = {
    # It counts Pixel Padding Value -2000 as part of the picture when it looks for the darkest value; PS3.3
    # C.7.5.1.1.2 has it left out.
    "D_CLUNIE_CT1_RLE_FRAGS.dcm": _WIDE,
    "GH177_D_CLUNIE_CT1_IVRLE_BigEndian_undefined_length.dcm": _WIDE,
    # It rounds the output of the Modality LUT to whole numbers, with a slope of 0.001 to a handful of them; PS3.3
    # C.11.1.1.2 has units that may be fractions. A window far wider than a unit hides most of it.
    "modality-ct-mr/1.dcm": Case(("+Ww", "100", "600"), _WIDE.how, 2),
    "modality-ct-mr/2.dcm": Case(("+Ww", "100", "600"), _WIDE.how, 2),
    # Its window is 0.2 wide, which LINEAR does not define (C.11.2.1.2.1): dcmtk shows black, we show all values.
    "modality-rt/RI6XDosiGap.dcm": _WIDE,
    # It shows 1 of a single bit as 128; the highest stored value is white (PS3.3 A.8.2.4, PS3.14).
    "gen-mf-single-bit-sc.dcm": _MIN_MAX,
    # It wants Pixel Representation, which is missing, and shows nothing; unsigned is the safe reading.
    "MultiframeWindowing.dcm": None,
    "seg-map-other/liver.dcm": _MIN_MAX,
    "liver_expb.dcm": _MIN_MAX,
    "seg_image_ct_binary_overlap.dcm": _MIN_MAX,
    "liver_nonbyte_aligned.dcm": _MIN_MAX,
    # It sums truncated products of the YBR equations; PS3.3 C.7.6.3.1.2 has no truncation.
    "SC_ybr_full_uncompressed.dcm": Case(tolerance=2),
    "ybrFull-RLE.dcm": Case(tolerance=2),
    # RGB declared of codestreams that are not: told to look, it agrees to the last bit.
    "GH195.dcm": Case(("+cg",), tolerance=0),
    "ts-jpeg/JPEGProcess2_4.dcm": Case(("+cg",), tolerance=0),
    # 32 bits in OW, big endian: it swaps pairs of bytes and takes the halves in the wrong order; pydicom has ours.
    "rtdose_expb.dcm": None,
    # It reads no Float or Double Float Pixel Data, no 32-bit colour, no segmented palettes, no 1-bit RLE, and
    # refuses data sets that are coded otherwise than declared.
    "parametric_map_float.dcm": None,
    "parametric_map_double_float.dcm": None,
    "SC_rgb_32bit.dcm": None,
    "SC_rgb_32bit_2frame.dcm": None,
    "SC_rgb_expb_32bit.dcm": None,
    "SC_rgb_expb_32bit_2frame.dcm": None,
    "gdcm-US-ALOKA-16.dcm": None,
    "liver_rle.dcm": None,
    "malformed/SC_rgb_jpeg.dcm": None,
    "gen-declares-implicit-is-explicit.dcm": None,
}
# It leaves Supplemental Palettes alone (PS3.3 C.7.6.19): what they do not colour is compared.
SUPPLEMENTED = ("CT0012.not_fragmented_no_bot_rle.dcm", "eCT_Supplemental.dcm")


def _readable(name: str) -> Source | None:
    try:
        found = source(name)
    except GatewayError:
        return None
    pixels = found.layout.pixels
    if pixels is None or pixels.problem or not pixels.frames:
        return None
    return found if found.layout.transfer_syntax in DCMTK_READS else None


def _names() -> list[str]:
    """Of those that both can read; what is broken or has a Supplemental Palette has a test of its own."""
    others = (*SUPPLEMENTED, "invalid_compression.dcm")
    return [row.name for row in rows() if not row.name.endswith(others) and _readable(row.name) is not None]


def _usual(found: Source) -> Case:
    """The options that make dcmtk do what we do unasked: the object's window, its table, or all values."""
    attributes, pixels = found.attributes(), found.pixels
    if pixels.samples == 3 or pixels.photometric == "PALETTE COLOR":
        return Case()
    own = voi.voi(attributes, 1, signed=True)
    if isinstance(own, Window):
        # As numbers: dcmtk does not look into functional groups.
        named = ("+Wfs",) if own.function is VoiFunction.SIGMOID else ()
        return Case(("+Ww", repr(own.center), repr(own.width), *named))
    if own is not None:
        return Case(("+Wl", "1"))
    deep = pixels.bits_stored > 8 or pixels.pixel_representation == 1
    return _MIN_MAX if deep else Case()


def _values(found: Source, how: Rendering, frame: int = 1) -> Array:
    """Segments and doses as any other image: dcmtk knows nothing of their colours."""
    attributes = found.attributes()
    if is_segmentation(attributes) or is_dose(attributes):
        attributes = attributes.without("00080016")
    return render_frame(found.native(frame), attributes, frame, how).pixels


@pytest.mark.row("R-RN-1", "R-Q-36", "C-RND-4")
@pytest.mark.parametrize("name", _names())
def test_a_frame_is_what_dcmtk_renders(name: str, largest: dict[str, int]) -> None:
    """Every photometric interpretation, depth, sign, LUT, palette and overlay of the corpus."""
    found = _readable(name)
    assert found is not None
    case = next((case for end, case in DIFFERENT.items() if name.endswith(end)), _usual(found))
    if case is None:
        with pytest.raises(AssertionError) as refused:
            assert apart(found.render().pixels, by_dcmtk(found.file, "+Wm")) <= TOLERANCE
        assert str(refused.value)
        return
    difference = apart(_values(found, case.how), by_dcmtk(found.file, *case.options))
    largest[name] = difference
    assert difference <= case.tolerance


WINDOWS = [
    ("CT_small.dcm", _window(40, 400)),
    ("CT_small.dcm", _window(-600, 1500)),
    ("CT_small.dcm", _window(50.5, 1)),
    ("CT_small.dcm", _window(50, 2)),
    ("CT_small.dcm", _window(40, 400, VoiFunction.SIGMOID)),
    ("MR_small.dcm", _window(600, 1600)),
    ("MR_small.dcm", _window(600, 300, VoiFunction.SIGMOID)),
    ("6154.dcm", _window(2048, 4096)),
    ("6154.dcm", _window(512, 300, VoiFunction.SIGMOID)),
    ("dx_image.dcm", _window(8192, 9000)),
    ("test16signed.dcm", _window(0, 20000)),
    ("signed-raw-9bit.dcm", _window(0, 256)),
    ("mlut_18.dcm", _window(2000, 3000)),
    ("vlut_04.dcm", _window(128, 256)),
    ("ovly_p01.dcm", _window(1000, 2000)),
    ("rtdose_rle.dcm", _window(2_000_000, 4_000_000)),
]


@pytest.mark.row("R-Q-30", "U-69")
@pytest.mark.parametrize(("name", "case"), WINDOWS)
def test_an_asked_window_is_what_dcmtk_renders(name: str, case: Case, largest: dict[str, int]) -> None:
    """LINEAR and SIGMOID (PS3.3 C.11.2.1.2, C.11.2.1.3.1); MONOCHROME1 is inverted after it."""
    found = source(name)
    difference = apart(found.render(case.how).pixels, by_dcmtk(found.file, *case.options))
    largest[f"{name} {case.options}"] = difference
    assert difference <= case.tolerance


GEOMETRY = [
    ("R-Q-16", ("+Lh",), Viewport(128, 128, sw=-128, sh=128)),
    ("R-Q-17", ("+Lv",), Viewport(128, 128, sw=128, sh=-128)),
    ("R-Q-16", ("+Lhv",), Viewport(128, 128, sw=-128, sh=-128)),
    ("R-Q-12", ("+C", "10", "20", "64", "32"), Viewport(64, 32, 10, 20, 64, 32)),
    ("R-Q-18", ("+C", "10", "20", "64", "32"), Viewport(64, 32, -10, -20, 64, 32)),
    ("R-Q-14", ("+C", "100", "90", "28", "38"), Viewport(28, 38, 100, 90)),
    ("R-Q-13", ("+C", "0", "0", "50", "60"), Viewport(50, 60, None, None, 50, 60)),
    ("R-Q-10", ("+Sxv", "64", "+i", "1"), Viewport(64, 64)),
    ("R-Q-10", ("+Sxv", "32", "+i", "1"), Viewport(32, 100)),
]


@pytest.mark.parametrize(
    ("options", "viewport"),
    [pytest.param(options, viewport, marks=pytest.mark.row(row)) for row, options, viewport in GEOMETRY],
)
def test_a_viewport_is_what_dcmtk_crops_and_scales(
    options: tuple[str, ...], viewport: Viewport, largest: dict[str, int]
) -> None:
    """PS3.18 8.3.5.1.3. Both take the mean of the pixels that go into one, dcmtk before the window, so a step more."""
    found = source("CT_small.dcm")
    how = Rendering(window=Window(1000, 4000), viewport=viewport)
    scaled = "+Sxv" in options
    difference = apart(found.render(how).pixels, by_dcmtk(found.file, "+Ww", "1000", "4000", *options))
    largest[f"viewport {options}"] = difference
    assert difference <= TOLERANCE + scaled


@pytest.mark.row("R-RN-1")
@pytest.mark.parametrize("name", SUPPLEMENTED)
def test_a_supplemental_palette_colours_what_lies_in_it_and_nothing_else(name: str) -> None:
    """PS3.3 C.7.6.19, C.8.16.2.1.1.1: stored values from 1024 on are coloured, the rest is grey as dcmtk has it."""
    found = source(name)
    ours = found.render().pixels.astype(int)
    theirs = by_dcmtk(found.file, *_usual(found).options)
    values = np.frombuffer(found.native(), "<u2").reshape(theirs.shape)
    grey = values < 1024
    assert np.abs(ours - theirs[..., None])[grey].max() <= TOLERANCE
    assert (np.ptp(ours, axis=2)[~grey] > 0).any()
    assert not np.ptp(ours, axis=2)[grey].any()


@pytest.mark.parametrize("name", ["examples_rgb_color.dcm", "TestPattern_Palette.dcm"])
@pytest.mark.row("R-Q-12", "R-RN-1")
def test_colour_is_cropped_as_dcmtk_does(name: str) -> None:
    found = source(name)
    how = Rendering(viewport=Viewport(60, 40, 30, 20, -60, 40))
    theirs = by_dcmtk(found.file, "+C", "30", "20", "60", "40", "+Lh")
    assert apart(found.render(how).pixels, theirs) <= TOLERANCE


FRAMES = [
    ("emri_small.dcm", 7),
    ("NM-MONO2-16-13x-heart.dcm", 13),
    ("examples_ybr_color.dcm", 12),
    ("liver_nonbyte_aligned.dcm", 3),
    ("SC_rgb_rle_16bit_2frame.dcm", 2),
    ("explicit_rtdose_16bit_mono2_3d-volume.dcm", 60),
    ("gen-enhanced-pet.dcm", 4),
]


@pytest.mark.parametrize(("name", "frame"), FRAMES)
def test_any_frame_is_what_dcmtk_renders(name: str, frame: int, largest: dict[str, int]) -> None:
    found = source(name)
    colour = found.pixels.samples == 3
    ours = _values(found, Rendering(), frame)
    case = _usual(found) if not name.startswith("liver") else _MIN_MAX
    if case == _MIN_MAX and not colour and ours.max() == ours.min():
        pytest.fail(f"frame {frame} of {name} has one value only, it tells nothing")
    theirs = by_dcmtk(found.file, *case.options, frame=frame)
    largest[f"{name} {frame}"] = apart(ours, theirs)
    assert largest[f"{name} {frame}"] <= TOLERANCE


def test_sixteen_bits_keep_what_eight_lose() -> None:
    """PNG may have 16 bits (C-RND-4): more greys than 256, of which each is that of 8 bits."""
    found = source("MR_small.dcm")
    deep, flat = found.render(Rendering(bits=16)).pixels, found.render().pixels
    assert deep.dtype == np.uint16
    assert len(np.unique(deep)) > len(np.unique(flat))
    assert np.abs(deep / 257.0 - flat).max() <= 0.51


@pytest.mark.parametrize("name", ["JPEG2000-embedded-sequence-delimiter.dcm", "invalid_compression.dcm"])
def test_what_is_no_codestream_is_refused(name: str) -> None:
    with pytest.raises(CodecError):
        source(name).render()
