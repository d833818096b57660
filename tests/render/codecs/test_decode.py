"""Made codestreams: signs, widths, planes, sizes that lie, and streams that are broken."""

from __future__ import annotations

import random
import zlib
from typing import Any

import imagecodecs
import jpeg_ls
import numpy as np
import pytest
from gateway.errors import CodecError
from gateway.render.codecs.decode import (
    DECODABLE,
    decodable,
    decode_frame,
    describe_after,
    native_frame_length,
)
from pydicom import Dataset
from pydicom.pixels import get_encoder
from tests.build import pixel_layout
from tests.render.compressed import Image, images, outcome, values

P = "1.2.840.10008.1.2.4."
RLE = "1.2.840.10008.1.2.5"
DEFLATED = "1.2.840.10008.1.2.8.1"
Array = np.ndarray[Any, Any]


def ramp(low: int, high: int, kind: str) -> Array:
    return np.linspace(low, high, 64 * 64).astype(kind).reshape(64, 64)


def colours() -> Array:
    x, y = np.meshgrid(np.arange(64), np.arange(64))
    return np.stack([4 * x, 4 * y, x + y], axis=-1).astype("u1")


RGB = {"samples": 3, "bits_allocated": 8, "bits_stored": 8, "high_bit": 7, "photometric": "RGB"}


# -- which


def test_every_syntax_of_the_standard_that_the_codecs_read_is_decodable() -> None:
    suffixes = (50, 51, 53, 55, 57, 70, 80, 81, 90, 91, 92, 93, 110, 111, 112, 201, 202, 203)
    assert {*(f"{P}{n}" for n in suffixes), RLE, DEFLATED} == DECODABLE
    assert not decodable("1.2.840.10008.1.2.1")


@pytest.mark.parametrize("syntax", [P + "100", "1.2.840.10008.1.2.1", "1.2.3"])
def test_other_syntaxes_are_refused_by_name(syntax: str) -> None:
    with pytest.raises(CodecError, match=syntax):
        decode_frame(b"\0" * 100, pixel_layout(), syntax)


# -- signs and widths


def test_signed_jpeg_2000_keeps_its_sign() -> None:
    image = ramp(-2000, 2000, "i2")
    stream = imagecodecs.jpeg2k_encode(image, level=0, codecformat="j2k", reversible=True)
    shape = pixel_layout(pixel_representation=1)
    assert np.array_equal(values(decode_frame(bytes(stream), shape, P + "90"), shape), image)


@pytest.mark.parametrize("syntax", [P + "80", P + "90"])
def test_twelve_unsigned_bits_of_a_signed_image_are_extended(syntax: str) -> None:
    """Two's complement in Bits Stored bits, as encoders without signed samples write it."""
    image = ramp(-2048, 2047, "i2")
    coded = image.view("u2") & 0xFFF
    if syntax == P + "80":
        stream = bytes(jpeg_ls.encode_buffer(coded.tobytes(), 64, 64, 1, 12))
    else:
        stream = bytes(
            imagecodecs.jpeg2k_encode(coded, level=0, codecformat="j2k", reversible=True, bitspersample=12)
        )
    shape = pixel_layout(pixel_representation=1, bits_stored=12, high_bit=11)
    assert np.array_equal(values(decode_frame(bytes(stream), shape, syntax), shape), image)


def test_signed_samples_of_an_unsigned_image_are_masked() -> None:
    image = ramp(-100, 100, "i2")
    stream = imagecodecs.jpeg2k_encode(image, level=0, codecformat="j2k", reversible=True)
    shape = pixel_layout()
    assert np.array_equal(values(decode_frame(bytes(stream), shape, P + "90"), shape), image.view("u2"))


def test_bits_above_bits_stored_stay() -> None:
    """Overlays in unused bits (PS3.5 8.1.2) are the data of the object, not ours to drop."""
    image = ramp(0, 65535, "u2")
    shape = pixel_layout(bits_stored=12, high_bit=11)
    stream = bytes(imagecodecs.jpegls_encode(image))
    assert np.array_equal(values(decode_frame(bytes(stream), shape, P + "80"), shape), image)


@pytest.mark.parametrize("syntax", [P + "80", P + "90", P + "201", P + "110"])
def test_eight_coded_bits_are_widened_to_bits_allocated(syntax: str) -> None:
    image = ramp(0, 255, "u1")
    shape = pixel_layout(bits_stored=8, high_bit=7)
    frame = decode_frame(encoded(image, syntax), shape, syntax)
    assert len(frame.data) == native_frame_length(shape) == 64 * 64 * 2
    assert np.array_equal(values(frame, shape), image)


@pytest.mark.parametrize("syntax", [P + "80", P + "90", P + "201", P + "110"])
def test_sixteen_bits_come_back_exactly(syntax: str) -> None:
    image = ramp(0, 65535, "u2")
    shape = pixel_layout()
    assert np.array_equal(values(decode_frame(encoded(image, syntax), shape, syntax), shape), image)


def encoded(image: Array, syntax: str) -> bytes:
    if syntax == P + "80":
        return bytes(imagecodecs.jpegls_encode(image))
    if syntax == P + "90":
        return bytes(imagecodecs.jpeg2k_encode(image, level=0, codecformat="j2k", reversible=True))
    if syntax == P + "201":
        return bytes(imagecodecs.htj2k_encode(image, reversible=True))
    return bytes(imagecodecs.jpegxl_encode(image, lossless=True))


# -- colour


@pytest.mark.parametrize("syntax", [P + "80", P + "90", P + "201", P + "110"])
def test_colour_comes_by_pixel_whatever_planar_configuration_said(syntax: str) -> None:
    image = colours()
    shape = pixel_layout(**RGB, planar=1)
    frame = decode_frame(encoded(image, syntax), shape, syntax)
    assert (frame.image.photometric, frame.image.planar, frame.data) == ("RGB", 0, image.tobytes())
    assert describe_after(shape, syntax) == {"00280006": 0}


def test_jpeg_without_transform_and_markers_is_rgb_where_declared_so() -> None:
    image = np.full((64, 64, 3), (200, 40, 10), "u1")
    stream = bytes(imagecodecs.jpeg8_encode(image, 95, colorspace="RGB", outcolorspace="RGB"))
    frame = decode_frame(bytes(stream), pixel_layout(**RGB), P + "50")
    assert np.abs(values(frame, pixel_layout(**RGB)).astype(int) - image).max() <= 3


def test_jpeg_in_ybr_comes_as_rgb_though_declared_ybr_full_422() -> None:
    image = np.full((64, 64, 3), (200, 40, 10), "u1")
    stream = bytes(imagecodecs.jpeg8_encode(image, 95, colorspace="RGB", outcolorspace="YCBCR"))
    shape = pixel_layout(**{**RGB, "photometric": "YBR_FULL_422"})
    frame = decode_frame(bytes(stream), shape, P + "50")
    assert frame.image.photometric == "RGB"
    assert np.abs(values(frame, shape).astype(int) - image).max() <= 3


def test_lossless_jpeg_keeps_ybr_full_as_it_is() -> None:
    image = colours()
    stream = bytes(imagecodecs.jpeg8_encode(image, lossless=True, colorspace="RGB", outcolorspace="RGB"))
    shape = pixel_layout(**{**RGB, "photometric": "YBR_FULL"})
    frame = decode_frame(bytes(stream), shape, P + "70")
    assert (frame.image.photometric, frame.data) == ("YBR_FULL", image.tobytes())
    assert describe_after(shape, P + "70") == {}


@pytest.mark.parametrize("photometric", ["YBR_RCT", "YBR_ICT"])
def test_the_transform_of_jpeg_2000_is_undone(photometric: str) -> None:
    image = colours()
    stream = imagecodecs.jpeg2k_encode(image, level=0, codecformat="j2k", reversible=True, mct=True)
    frame = decode_frame(bytes(stream), pixel_layout(**{**RGB, "photometric": photometric}), P + "90")
    assert (frame.image.photometric, frame.data) == ("RGB", image.tobytes())


# -- RLE and deflate


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planar", [0, 1])
def test_rle_comes_as_planar_configuration_says(bits: int, planar: int) -> None:
    """PS3.5 8.2.2: coded by plane in either case."""
    image = np.random.default_rng(bits).integers(0, 1 << bits, (64, 64, 3), dtype=f"u{bits // 8}")
    shape = pixel_layout(
        samples=3, bits_allocated=bits, bits_stored=bits, high_bit=bits - 1, photometric="RGB", planar=planar
    )
    frame = decode_frame(rle_encoded(image, bits), shape, RLE)
    assert np.array_equal(values(frame, shape), image)
    assert describe_after(shape, RLE) == {}


def rle_encoded(image: Array, bits: int) -> bytes:
    dataset = Dataset()
    dataset.Rows, dataset.Columns = image.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation, dataset.PlanarConfiguration, dataset.NumberOfFrames = 0, 0, 1
    encode = get_encoder(RLE).encode
    return bytes(encode(image, index=None, encoding_plugin="pydicom", **options(dataset)))


def options(dataset: Dataset) -> dict[str, Any]:
    return {
        "rows": dataset.Rows,
        "columns": dataset.Columns,
        "samples_per_pixel": dataset.SamplesPerPixel,
        "photometric_interpretation": dataset.PhotometricInterpretation,
        "bits_allocated": dataset.BitsAllocated,
        "bits_stored": dataset.BitsStored,
        "pixel_representation": dataset.PixelRepresentation,
        "planar_configuration": dataset.PlanarConfiguration,
        "number_of_frames": dataset.NumberOfFrames,
        "pixel_keyword": "PixelData",
    }


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (b"", "0 bytes"),
        (bytes(63), "63 bytes"),
        (b"\x03" + bytes(63) + b"\0\0", "3 segments, wanted 2"),
        (b"\x02\0\0\0\x40\0\0\0\x40\0\0\0" + bytes(60), r"begin at \[64, 64\]"),
        (b"\x02\0\0\0\x40\0\0\0\x80\0\0\0" + bytes(60), r"begin at \[64, 128\]"),
        (b"\x02\0\0\0\x40\0\0\0\x42\0\0\0" + bytes(52) + b"\x81\0\x81\0", "cannot hold 4096"),
    ],
)
def test_rle_headers_that_lie_are_refused(stream: bytes, said: str) -> None:
    with pytest.raises(CodecError, match=said):
        decode_frame(bytes(stream), pixel_layout(), RLE)


def deflated(data: bytes) -> bytes:
    press = zlib.compressobj(wbits=-15)
    return press.compress(data) + press.flush()


@pytest.mark.parametrize("bits", [1, 8, 16])
def test_a_deflated_frame_is_inflated_and_padding_left_out(bits: int) -> None:
    shape = pixel_layout(rows=3, columns=3, bits_allocated=bits, bits_stored=bits, high_bit=bits - 1)
    data = random.Random(bits).randbytes(native_frame_length(shape))
    padded = data + b"\0" * (len(data) % 2)
    assert decode_frame(deflated(padded) + b"\0", shape, DEFLATED).data == data
    assert decode_frame(deflated(data), shape, DEFLATED).data == data


@pytest.mark.parametrize("length", [0, 8191, 8194, 50_000_000])
def test_a_deflated_frame_of_another_length_is_refused_unread(length: int) -> None:
    with pytest.raises(CodecError, match="wanted 8192"):
        decode_frame(deflated(bytes(length)), pixel_layout(), DEFLATED)


# -- sizes that lie


@pytest.mark.parametrize("syntax", [P + "70", P + "80", P + "90", P + "201", P + "110"])
def test_a_size_other_than_the_data_set_has_is_refused_before_decoding(syntax: str) -> None:
    image = ramp(0, 255, "u1")
    stream = (
        bytes(imagecodecs.jpeg8_encode(image, lossless=True))
        if syntax == P + "70"
        else encoded(image, syntax)
    )
    with pytest.raises(CodecError, match="64 rows by 64 columns, wanted 65 by 64"):
        decode_frame(bytes(stream), pixel_layout(rows=65), syntax)


@pytest.mark.parametrize("syntax", [P + "70", P + "80", P + "90"])
def test_more_components_or_bits_than_the_data_set_has_are_refused(syntax: str) -> None:
    grey = ramp(0, 65535, "u2")
    stream = (
        bytes(imagecodecs.jpeg8_encode(grey, lossless=True, bitspersample=16))
        if syntax == P + "70"
        else encoded(grey, syntax)
    )
    with pytest.raises(CodecError, match="1 components, Samples per Pixel is 3"):
        decode_frame(bytes(stream), pixel_layout(samples=3, photometric="RGB"), syntax)
    with pytest.raises(CodecError, match="16 bits a sample, Bits Allocated is 8"):
        decode_frame(bytes(stream), pixel_layout(bits_allocated=8), syntax)


@pytest.mark.parametrize("syntax", sorted(DECODABLE))
@pytest.mark.parametrize("side", [0, 46341, 65535])
def test_absurd_sizes_are_refused_before_anything_is_allocated(syntax: str, side: int) -> None:
    with pytest.raises(CodecError, match="0 rows" if not side else "beyond the limit"):
        decode_frame(b"\xff\xd8", pixel_layout(rows=side, columns=side), syntax)


@pytest.mark.parametrize("bits", [0, 7, 12, 24])
def test_odd_bits_allocated_are_refused(bits: int) -> None:
    with pytest.raises(CodecError, match=f"Bits Allocated is {bits}"):
        decode_frame(b"\xff\xd8", pixel_layout(bits_allocated=bits), P + "50")


# -- broken streams


@pytest.mark.parametrize("found", images(), ids=lambda found: found.name)
def test_a_stream_cut_short_is_refused(found: Image) -> None:
    """A made up rest of an image would look like a finding."""
    stream = found.frames[0]
    for sixteenth in range(16):
        assert outcome(stream[: len(stream) * sixteenth // 16], found.layout, found.transfer_syntax) is None


@pytest.mark.parametrize("found", images(), ids=lambda found: found.name)
def test_random_damage_ends_in_a_frame_or_a_refusal(found: Image) -> None:
    rng = random.Random(found.name)
    stream, wanted = found.frames[0], native_frame_length(found.layout)
    broken = [rng.randbytes(600), stream[:100] + rng.randbytes(600)]
    for count in (1, 4, 16):
        damaged = bytearray(stream)
        for _ in range(count):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        broken.append(bytes(damaged))
    for candidate in broken:
        frame = outcome(candidate, found.layout, found.transfer_syntax)
        assert frame is None or len(frame.data) == wanted
