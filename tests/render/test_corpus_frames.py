"""Every compressed file of the corpus, pixel by pixel with pydicom's plug-ins."""

from __future__ import annotations

from io import BytesIO

import imagecodecs
import numpy as np
import pytest
from gateway.dicom.encoding.layout import PixelLayout
from gateway.errors import CodecError
from gateway.render.codecs.decode import JPEG_XL, decode_frame, describe_after, native_frame_length
from gateway.render.codecs.jpeg import TO_RGB
from PIL import Image as Pillow
from pydicom import dcmread
from tests.corpus import row
from tests.made.streams import colours
from tests.render.compressed import Image, descriptions, image, images, layout_of, oracles, values

# Streams that are no streams (findings, section 4), and an offset table that cuts within one.
BROKEN = {
    "fragments/JPEG2000-embedded-sequence-delimiter.dcm",
    "fragments/invalid_compression.dcm",
    "fragments/gen-bot-wrong.dcm",
}
# What no plug-in of pydicom decodes and we do; each has a test of its own below.
OURS_ALONE = {
    "modality-vl-wsi/test_slide_coordinates.dcm",
    "ts-j2k/gen-jxl-lossless-110.dcm",
    "ts-j2k/will-jxl.dcm",
    "ts-j2k/made-jxl-lossy.112.dcm",
    "ts-jpeg/made-progressive.55.dcm",
    "ts-jpeg/CTImage.dcm_JPEGProcess10_12TransferSyntax_1.2.840.10008.1.2.4.55.dcm",
    "ts-jpeg/CTImage.dcm_JPEGProcess6_8TransferSyntax_1.2.840.10008.1.2.4.53.dcm",
    "ts-jpeg/JPEG-lossy.dcm",
    "ts-rle/liver_rle.dcm",
    "ts-uncompressed/liver_deflate.dcm",
}
# Declared lossless, coded as baseline JPEG: the plug-ins differ among themselves.
LOSSY_IN_TRUTH = {"modality-vl-wsi/sample-op.dcm"}


def is_lossy(found: Image) -> bool:
    return found.transfer_syntax in TO_RGB or found.name in LOSSY_IN_TRUTH


@pytest.mark.parametrize("found", images(), ids=lambda found: found.name)
def test_frames_are_what_pydicom_decodes(found: Image) -> None:
    """Lossless, JPEG-LS and JPEG 2000: exact. Discrete cosine JPEG: within one step, where ISO 10918-2 lets
    decoders differ; pylibjpeg interpolates chroma another way, so colour is held to half a step on average.
    """
    if found.name in BROKEN:
        with pytest.raises(CodecError):
            found.decoded()
        return
    for index in range(len(found.frames)):
        frame = found.decoded(index)
        assert len(frame.data) == native_frame_length(found.layout)
        ours = values(frame, found.layout).astype("i8")
        judges = list(oracles(found, index, raw=not (is_lossy(found) and found.layout.samples == 3)))
        assert bool(judges) != (found.name in OURS_ALONE)
        for plugin, theirs in judges:
            apart = np.abs(ours - theirs.astype("i8"))
            if plugin == "pylibjpeg" and is_lossy(found) and found.layout.samples == 3:
                assert apart.mean() < 0.5, (plugin, index)
            else:
                assert apart.max() <= is_lossy(found), (plugin, index)


@pytest.mark.parametrize("found", images(), ids=lambda found: found.name)
def test_what_the_header_will_say_is_known_before_decoding(found: Image) -> None:
    if found.name in BROKEN:
        return
    changes = describe_after(found.layout, found.transfer_syntax)
    frame = found.decoded()
    assert changes.get("00280004", found.layout.photometric) == frame.image.photometric
    assert changes.get("00280006", found.layout.planar) == frame.image.planar
    if found.layout.samples == 3 and found.transfer_syntax in TO_RGB | JPEG_XL:
        assert (frame.image.photometric, frame.image.planar) == ("RGB", 0)


@pytest.mark.parametrize("found", images(), ids=lambda found: found.name)
def test_frames_are_described_as_pydicom_describes_them(found: Image) -> None:
    """Photometric interpretation, samples, bits, sign and planar configuration, after decoding; only what discrete
    cosines coded as YBR we give as RGB.
    """
    if found.name in BROKEN | OURS_ALONE:
        return
    frame = found.decoded()
    ours = {
        "samples_per_pixel": frame.image.samples,
        "bits_allocated": frame.image.bits_allocated,
        "bits_stored": frame.image.bits_stored,
        "pixel_representation": frame.image.pixel_representation,
        "photometric_interpretation": frame.image.photometric,
    }
    said = list(descriptions(found))
    assert said
    for plugin, theirs in said:
        if found.transfer_syntax in TO_RGB and found.layout.samples == 3:
            theirs["photometric_interpretation"] = "RGB"
        assert {name: theirs[name] for name in ours} == ours, plugin


@pytest.mark.parametrize("name", ["liver_rle.dcm", "liver_deflate.dcm", "liver_j2k.dcm"])
def test_single_bit_frames_are_those_of_the_native_twin(name: str) -> None:
    """PS3.5 8.1.1: bits packed from the lowest, whatever they were compressed with."""
    native = dcmread(row("modality-seg-map-other/liver.dcm").file).PixelData
    found = image(name)
    assert b"".join(found.decoded(i).data for i in range(3)) == native[: 3 * 512 * 512 // 8]


@pytest.mark.parametrize(
    "process", ["10_12TransferSyntax_1.2.840.10008.1.2.4.55", "6_8TransferSyntax_1.2.840.10008.1.2.4.53"]
)
def test_retired_processes_decode_to_the_image_of_their_twin(process: str) -> None:
    twin = image("CTImage.dcm_JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm")
    found = image(f"CTImage.dcm_JPEGProcess{process}.dcm")
    difference = values(found.decoded(), found.layout).astype("i4") - values(twin.decoded(), twin.layout)
    assert np.abs(difference).max() <= 1


def test_a_twelve_bit_stream_that_others_refuse_is_close_to_its_lossless_twin() -> None:
    lossy, lossless = image("JPEG-lossy.dcm"), image("JPEG-LL.dcm")
    ours = values(lossy.decoded(), lossy.layout).astype("i4")
    apart = np.abs(ours - values(lossless.decoded(), lossless.layout))
    # 77 : 1, of an image that goes to 278.
    assert apart.mean() < 3
    assert np.percentile(apart, 99) <= 15


def test_jpeg_xl_of_a_jpeg_decodes_to_what_the_jpeg_does() -> None:
    found = image("will-jxl.dcm")
    original = bytes(imagecodecs.jpegxl_decode_jpeg(found.frames[0]))  # type: ignore[call-arg]  # it has a default
    twin = decode_frame(original, found.layout, "1.2.840.10008.1.2.4.50")
    ours = values(found.decoded(), found.layout).astype("i4")
    assert np.abs(ours - values(twin, found.layout)).mean() < 1


def test_lossy_jpeg_xl_is_close_to_what_was_coded() -> None:
    found = image("made-jxl-lossy.112.dcm")
    assert np.abs(values(found.decoded(), found.layout).astype("i4") - colours()).mean() < 4


def test_a_progressive_stream_is_what_pillow_decodes() -> None:
    found = image("made-progressive.55.dcm")
    theirs = np.asarray(Pillow.open(BytesIO(found.frames[0])))
    assert np.abs(values(found.decoded(), found.layout).astype("i4") - theirs).max() <= 1


def test_lossless_jpeg_xl_keeps_every_colour() -> None:
    found = image("gen-jxl-lossless-110.dcm")
    ours = values(found.decoded(), found.layout)
    assert np.array_equal(ours, imagecodecs.jpegxl_decode(found.frames[0]))


def test_an_absent_planar_configuration_is_colour_by_pixel() -> None:
    found = image("test_slide_coordinates.dcm")
    found.dataset.PlanarConfiguration = 0
    (_, theirs), *_ = oracles(found, 0, raw=False)
    shape: PixelLayout = layout_of(found.dataset)
    assert np.abs(values(found.decoded(), shape).astype("i4") - theirs).max() <= 1
