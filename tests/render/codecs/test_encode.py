"""Encoders: every codestream by our decoder, by those of others, and by what PS3.5 says it must look like."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gateway.dicom import uids
from gateway.dicom.encoding.layout import PixelLayout
from gateway.errors import CodecError
from gateway.render.codecs import codestreamheaders, encode, transcodetargets
from gateway.render.codecs.decode import decode_frame
from gateway.render.codecs.pixelcells import read_signed_cells
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID
from tests.build import pixel_layout
from tests.render import matrix
from tests.render.compressed import Image, oracles

LOSSLESS = (*(t for t in transcodetargets.LOSSLESS_TARGETS if t != uids.JPEG_XL_JPEG_RECOMPRESSION),)


def encoded(kind: str, target: str) -> tuple[bytes, bytes, PixelLayout]:
    data, pixels = matrix.picture(**matrix.KINDS[kind])
    return encode.encode_frame(data, pixels, target), data, pixels


# -- any to any --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", matrix.SYNTAXES, ids=matrix.name)
@pytest.mark.parametrize("target", matrix.SYNTAXES, ids=matrix.name)
def test_any_to_any_is_exact_or_within_what_is_stated(source: str, target: str) -> None:
    """Lossless targets are exact whatever the source; lossy ones within the stated part of the range."""
    found = {kind: d for kind in matrix.KINDS if (d := matrix.difference(kind, source, target)) is not None}
    if target == uids.JPEG_XL_JPEG_RECOMPRESSION and source not in {
        uids.JPEG_BASELINE_8_BIT,
        uids.JPEG_XL_JPEG_RECOMPRESSION,
    }:
        assert found == {}  # JPEG recompression wants a JPEG
        return
    assert found
    most, mean = matrix.TOLERANCE.get(target, (0.0, 0.0)) if source != target else (0.0, 0.0)
    if target == uids.JPEG_XL_JPEG_RECOMPRESSION or (source, target) == (
        uids.JPEG_XL_JPEG_RECOMPRESSION,
        uids.JPEG_BASELINE_8_BIT,
    ):
        most, mean = 0.8, 0.3  # the same coefficients, rounded by another decoder
    for kind, (largest, average) in found.items():
        assert (largest <= most, average <= mean) == (True, True), (kind, largest, average)


@pytest.mark.parametrize("kind", matrix.KINDS)
def test_every_kind_can_be_had_in_some_way_that_loses_nothing(kind: str) -> None:
    _, pixels = matrix.picture(**matrix.KINDS[kind])
    reachable = {
        t for t in LOSSLESS if not transcodetargets.unreachable(pixels, uids.EXPLICIT_VR_LITTLE_ENDIAN, t)
    }
    assert {
        uids.RLE_LOSSLESS,
        uids.DEFLATED_IMAGE_FRAME_COMPRESSION,
        uids.HTJ2K_LOSSLESS,
        uids.HTJ2K_LOSSLESS_RPCL,
    } <= reachable
    if pixels.bits_allocated in {8, 16} and pixels.photometric != "YBR_FULL":
        assert reachable == set(LOSSLESS)


@pytest.mark.parametrize("kind", ["8", "12 of 16", "12 of 16 signed", "16 signed", "8 signed", "RGB"])
def test_near_lossless_is_off_by_what_it_says(kind: str) -> None:
    """NEAR everywhere, and once more at the ends of a range that it keeps away from."""
    stream, data, pixels = encoded(kind, uids.JPEG_LS_NEAR_LOSSLESS)
    after = replace(pixels, encapsulated=True)
    before = read_signed_cells(data, pixels).astype("i8")
    apart = np.abs(
        read_signed_cells(decode_frame(stream, after, uids.JPEG_LS_NEAR_LOSSLESS).data, pixels) - before
    )
    assert apart.max() <= 2 * encode.NEAR
    whole = pixels.bits_stored == pixels.bits_allocated and not pixels.pixel_representation
    inner = np.abs(before - before.mean()) < np.ptp(before) / 4
    assert apart[... if whole else inner].max() <= encode.NEAR


def test_recompressed_jpeg_comes_back_byte_for_byte() -> None:
    for kind in ("8", "RGB"):
        have = matrix.stored(kind, uids.JPEG_BASELINE_8_BIT)
        assert have is not None
        recompressed = encode.recompress(have[0])
        assert recompressed != have[0]
        assert encode.reconstruct(recompressed) == have[0]
    with pytest.raises(CodecError):
        encode.recompress(b"no JPEG")
    with pytest.raises(CodecError):
        encode.reconstruct(encoded("8", uids.JPEG_XL_LOSSLESS)[0])


@settings(max_examples=60, deadline=None)
@given(
    stored=st.integers(1, 16),
    wide=st.booleans(),
    signed=st.booleans(),
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    target=st.sampled_from(LOSSLESS),
    seed=st.integers(0, 9),
)
def test_noise_of_any_size_and_depth_survives(
    stored: int, wide: bool, signed: bool, rows: int, columns: int, target: str, seed: int
) -> None:
    allocated = 16 if wide or stored > 8 else 8
    low, top = (-(1 << stored - 1), 1 << stored - 1) if signed else (0, 1 << stored)
    values = np.random.default_rng(seed).integers(low, top, rows * columns)
    data = (values & (1 << allocated) - 1).astype(f"<u{allocated // 8}").tobytes()
    pixels = pixel_layout(
        rows=rows,
        columns=columns,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=stored - 1,
        pixel_representation=int(signed),
        encapsulated=False,
    )
    codestream = encode.encode_frame(data, pixels, target)
    assert encode.proves(codestream, data, pixels, target)
    assert decode_frame(codestream, pixels, target).data == data


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 9), (9, 1), (2, 3), (17, 8)])
@pytest.mark.parametrize("kind", ["8", "16 signed", "RGB", "RGB of 16", "32", "1 bit"])
def test_frames_of_a_row_or_a_column_survive(kind: str, rows: int, columns: int) -> None:
    data, pixels = matrix.picture(**matrix.KINDS[kind], rows=rows, columns=columns)
    for target in LOSSLESS:
        if not transcodetargets.unreachable(pixels, uids.EXPLICIT_VR_LITTLE_ENDIAN, target):
            assert encode.proves(encode.encode_frame(data, pixels, target), data, pixels, target), target


# -- what others read --------------------------------------------------------------------------------------

# Signed samples in JPEG-LS and lossless JPEG, and what no plug-in of pydicom knows, have our decoder only.
JUDGED = (
    uids.RLE_LOSSLESS,
    uids.JPEG_LOSSLESS,
    uids.JPEG_LOSSLESS_SV1,
    uids.JPEG_LS_LOSSLESS,
    uids.JPEG_2000_LOSSLESS,
    uids.HTJ2K_LOSSLESS,
    uids.HTJ2K_LOSSLESS_RPCL,
)
PLAIN = (
    "8",
    "12 of 16",
    "12 of 16 signed",
    "16",
    "16 signed",
    "8 of 16",
    "palette of 8",
    "RGB",
    "RGB of 16",
    "YBR",
)


def as_image(frame: bytes, pixels: PixelLayout, target: str) -> Image:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(target)
    ds.Rows, ds.Columns, ds.SamplesPerPixel = pixels.rows, pixels.columns, pixels.samples
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = pixels.bits_allocated, pixels.bits_stored, pixels.high_bit
    ds.PixelRepresentation, ds.PhotometricInterpretation = pixels.pixel_representation, pixels.photometric
    if pixels.samples > 1:
        ds.PlanarConfiguration = pixels.planar
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].VR = "OB"
    return Image("made", target, pixels, (frame,), ds)


@pytest.mark.parametrize("target", JUDGED, ids=matrix.name)
def test_other_decoders_read_the_same_values(target: str) -> None:
    judged = set()
    for kind in PLAIN:
        frame, data, pixels = encoded(kind, target)
        after = transcodetargets.describe(pixels, uids.EXPLICIT_VR_LITTLE_ENDIAN, target)
        wanted = read_signed_cells(data, pixels).astype("i8")
        for plugin, theirs in oracles(as_image(frame, after, target), 0, raw=True):
            judged.add((kind, plugin))
            values: Any = theirs.astype("i8")
            if pixels.pixel_representation:  # some leave the sign to the reader
                values = values << 64 - pixels.bits_stored >> 64 - pixels.bits_stored
            assert np.array_equal(values, wanted), (kind, plugin)
    assert {kind for kind, _ in judged} >= {"8", "16", "RGB"}


@pytest.mark.parametrize(
    "target",
    [
        uids.JPEG_BASELINE_8_BIT,
        uids.JPEG_EXTENDED_12_BIT,
        uids.JPEG_LS_NEAR_LOSSLESS,
        uids.JPEG_2000,
        uids.HTJ2K,
    ],
)
def test_other_decoders_read_lossy_ones_as_we_do(target: str) -> None:
    seen = 0
    for kind in ("8", "12 of 16"):
        data, pixels = matrix.picture(**matrix.KINDS[kind])
        if transcodetargets.unreachable(pixels, uids.EXPLICIT_VR_LITTLE_ENDIAN, target):
            continue
        frame = encode.encode_frame(data, pixels, target)
        after = transcodetargets.describe(pixels, uids.EXPLICIT_VR_LITTLE_ENDIAN, target)
        ours = read_signed_cells(decode_frame(frame, after, target).data, pixels).astype("i8")
        assert ours.max() < 1 << pixels.bits_stored
        for plugin, theirs in oracles(as_image(frame, after, target), 0, raw=True):
            seen += 1
            assert np.abs(theirs.astype("i8") - ours).max() <= 1, (kind, plugin)
    assert seen


# -- what the standard says of them ------------------------------------------------------------------------


def segments(stream: bytes) -> dict[int, bytes]:
    """Marker segments of a JPEG or JPEG 2000 header by marker, up to the first data."""
    at, found = 2, {}
    while at + 4 <= len(stream):
        marker, length = struct.unpack_from(">HH", stream, at)
        if marker in (0xFFDA, 0xFF90, 0xFF93):
            break
        found[marker] = stream[at + 4 : at + 2 + length]
        at += 2 + length
    return found


@pytest.mark.parametrize("rows", [64, 65, 700, 2100])
def test_htj2k_is_ordered_by_resolution_with_tile_part_lengths(rows: int) -> None:
    """PS3.5 10.18: RPCL, TLM, and a lowest resolution of at most 64 in its width or height."""
    data, pixels = matrix.picture(8, 8, rows=rows, columns=rows)
    found = segments(encode.encode_frame(data, pixels, uids.HTJ2K_LOSSLESS_RPCL))
    style = found[0xFF52]
    assert style[1] == 2
    assert -(-rows // (1 << style[5])) <= 64
    assert 0xFF55 in found


@pytest.mark.parametrize("target", [uids.JPEG_2000_LOSSLESS, uids.HTJ2K_LOSSLESS], ids=matrix.name)
@pytest.mark.parametrize(
    ("kind", "depth"),
    [
        ("12 of 16", 11),
        ("12 of 16 signed", 0x8B),
        ("16 signed", 0x8F),
        ("5 of 8", 4),
        ("1 bit", 0),
        ("24 of 32", 23),
    ],
)
def test_jpeg_2000_says_the_depth_and_the_sign(target: str, kind: str, depth: int) -> None:
    """No more bits than the samples have; with an overlay above them, all of the cell."""
    stream, *_ = encoded(kind, target)
    assert stream.startswith(b"\xff\x4f\xff\x51")
    assert stream[42] == depth
    assert encoded("12 of 16 and an overlay", target)[0][42] == 15


def test_jpeg_family_processes() -> None:
    """PS3.5 A.4.1: baseline is SOF0, 12 bits are SOF1, lossless SOF3 with the first predictor; A.4.3 SOF55."""
    assert 0xFFC0 in segments(encoded("8", uids.JPEG_BASELINE_8_BIT)[0])
    assert segments(encoded("12 of 16", uids.JPEG_EXTENDED_12_BIT)[0])[0xFFC1][0] == 12
    stream, *_ = encoded("12 of 16 signed", uids.JPEG_LOSSLESS_SV1)
    assert segments(stream)[0xFFC3][0] == 12
    scan = stream.index(b"\xff\xda")
    assert stream[scan + 7] == 1
    assert 0xFFF7 in segments(encoded("16", uids.JPEG_LS_LOSSLESS)[0])


def test_baseline_colour_has_halved_chrominance() -> None:
    """PS3.5 8.2.1: YBR_FULL_422, two luminances to each difference."""
    stream, _, pixels = encoded("RGB", uids.JPEG_BASELINE_8_BIT)
    frame = segments(stream)[0xFFC0]
    assert [frame[7 + 3 * i] for i in range(3)] == [0x21, 0x11, 0x11]
    assert (
        transcodetargets.describe(
            pixels, uids.EXPLICIT_VR_LITTLE_ENDIAN, uids.JPEG_BASELINE_8_BIT
        ).photometric
        == "YBR_FULL_422"
    )


@pytest.mark.parametrize("kind", ["8", "16", "RGB of 16", "12 of 16 signed"])
@pytest.mark.parametrize("target", [uids.JPEG_XL_LOSSLESS, uids.JPEG_XL], ids=matrix.name)
def test_jpeg_xl_has_no_boxes(kind: str, target: str) -> None:
    data, pixels = matrix.picture(**matrix.KINDS[kind])
    if not transcodetargets.unreachable(pixels, uids.EXPLICIT_VR_LITTLE_ENDIAN, target):
        assert encode.encode_frame(data, pixels, target).startswith(b"\xff\x0a")


def test_rle_packs_each_row_for_itself() -> None:
    """PS3.5 G.3.1, G.5: a run does not go on in the next row; segments are even, offsets in the header."""
    pixels = pixel_layout(
        rows=3, columns=200, bits_allocated=8, bits_stored=8, high_bit=7, encapsulated=False
    )
    stream = encode.encode_frame(bytes(600), pixels, uids.RLE_LOSSLESS)
    assert struct.unpack_from("<16I", stream) == (1, 64, *[0] * 14)
    row = b"\x81\0\xb9\0"  # 128 zeros, then 72
    assert stream[64:] == row * 3
    sixteen, *_ = encoded("RGB of 16", uids.RLE_LOSSLESS)
    count, *offsets = struct.unpack_from("<16I", sixteen)
    assert count == 6
    assert all(offset % 2 == 0 for offset in offsets)


@pytest.mark.parametrize(
    ("source", "photometric", "target", "after"),
    [
        (uids.EXPLICIT_VR_LITTLE_ENDIAN, "RGB", uids.JPEG_2000_LOSSLESS, ("YBR_RCT", 0)),
        (uids.EXPLICIT_VR_LITTLE_ENDIAN, "RGB", uids.HTJ2K_LOSSLESS_RPCL, ("YBR_RCT", 0)),
        (uids.EXPLICIT_VR_LITTLE_ENDIAN, "RGB", uids.JPEG_2000, ("YBR_ICT", 0)),
        (uids.EXPLICIT_VR_LITTLE_ENDIAN, "RGB", uids.HTJ2K, ("YBR_ICT", 0)),
        (uids.EXPLICIT_VR_LITTLE_ENDIAN, "RGB", uids.JPEG_LOSSLESS_SV1, ("RGB", 0)),
        (uids.EXPLICIT_VR_LITTLE_ENDIAN, "RGB", uids.JPEG_LS_LOSSLESS, ("RGB", 0)),
        (uids.EXPLICIT_VR_LITTLE_ENDIAN, "RGB", uids.RLE_LOSSLESS, ("RGB", 1)),
        (uids.EXPLICIT_VR_LITTLE_ENDIAN, "RGB", uids.DEFLATED_IMAGE_FRAME_COMPRESSION, ("RGB", 1)),
        (uids.EXPLICIT_VR_LITTLE_ENDIAN, "RGB", uids.JPEG_BASELINE_8_BIT, ("YBR_FULL_422", 0)),
        (uids.EXPLICIT_VR_LITTLE_ENDIAN, "RGB", uids.JPEG_XL_LOSSLESS, ("RGB", 0)),
        (uids.EXPLICIT_VR_LITTLE_ENDIAN, "RGB", uids.JPEG_XL, ("XYB", 0)),
        (uids.EXPLICIT_VR_LITTLE_ENDIAN, "YBR_FULL", uids.JPEG_2000_LOSSLESS, ("YBR_FULL", 0)),
        (uids.EXPLICIT_VR_LITTLE_ENDIAN, "YBR_FULL", uids.JPEG_LS_LOSSLESS, ("YBR_FULL", 0)),
        (uids.EXPLICIT_VR_LITTLE_ENDIAN, "YBR_FULL_422", uids.RLE_LOSSLESS, ("YBR_FULL", 0)),
        (
            uids.EXPLICIT_VR_LITTLE_ENDIAN,
            "YBR_FULL_422",
            uids.DEFLATED_IMAGE_FRAME_COMPRESSION,
            ("YBR_FULL_422", 1),
        ),
        (uids.JPEG_BASELINE_8_BIT, "YBR_FULL_422", uids.JPEG_2000_LOSSLESS, ("YBR_RCT", 0)),
        (uids.JPEG_BASELINE_8_BIT, "YBR_FULL_422", uids.JPEG_LOSSLESS_SV1, ("RGB", 0)),
        (uids.JPEG_BASELINE_8_BIT, "YBR_FULL_422", uids.JPEG_XL_JPEG_RECOMPRESSION, ("YBR_FULL_422", 1)),
        (uids.JPEG_2000_LOSSLESS, "YBR_RCT", uids.JPEG_LS_LOSSLESS, ("RGB", 0)),
        (uids.JPEG_2000, "YBR_ICT", uids.HTJ2K_LOSSLESS, ("YBR_RCT", 0)),
        (uids.JPEG_LOSSLESS_SV1, "RGB", uids.JPEG_LOSSLESS, ("RGB", 1)),
    ],
)
def test_how_colour_is_described_afterwards(
    source: str, photometric: str, target: str, after: tuple[str, int]
) -> None:
    """PS3.5 8.2.1 to 8.2.16; a source says planar, which only RLE and deflate keep."""
    pixels = pixel_layout(
        samples=3, bits_allocated=8, bits_stored=8, high_bit=7, photometric=photometric, planar=1
    )
    pixels = replace(pixels, encapsulated=source != uids.EXPLICIT_VR_LITTLE_ENDIAN)
    found = transcodetargets.describe(pixels, source, target)
    assert (found.photometric, found.planar) == after
    changes = transcodetargets.header_changes(pixels, source, target)
    assert changes.get("00280004", photometric) == after[0]
    assert changes.get("00280006", 1) == after[1]


def test_halved_chrominance_of_native_frames_stands_for_two_pixels() -> None:
    """PS3.3 C.7.6.3.1.2: Y1 Y2 Cb Cr."""
    pixels = pixel_layout(
        rows=1,
        columns=4,
        samples=3,
        bits_allocated=8,
        bits_stored=8,
        high_bit=7,
        photometric="YBR_FULL_422",
        encapsulated=False,
    )
    data = bytes([1, 2, 100, 200, 3, 4, 101, 201])
    wanted = [[1, 100, 200], [2, 100, 200], [3, 101, 201], [4, 101, 201]]
    assert read_signed_cells(data, pixels)[0].tolist() == wanted
    for target in (uids.RLE_LOSSLESS, uids.JPEG_LS_LOSSLESS, uids.JPEG_2000_LOSSLESS, uids.JPEG_LOSSLESS_SV1):
        stream = encode.encode_frame(data, pixels, target)
        assert encode.proves(stream, data, pixels, target)
        after = transcodetargets.describe(pixels, uids.EXPLICIT_VR_LITTLE_ENDIAN, target)
        assert decode_frame(stream, after, target).data == bytes(np.array(wanted).reshape(-1).tolist())
    kept = encode.encode_frame(data, pixels, uids.DEFLATED_IMAGE_FRAME_COMPRESSION)
    assert decode_frame(kept, pixels, uids.DEFLATED_IMAGE_FRAME_COMPRESSION).data == bytes(
        np.array(wanted).reshape(-1).tolist()
    )


# -- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "target", "reason"),
    [
        ({"tag": 0x7FE00008, "bits_allocated": 32}, uids.JPEG_2000_LOSSLESS, "floating point"),
        ({"samples": 4}, uids.JPEG_2000_LOSSLESS, "4 samples"),
        ({"bits_allocated": 64, "bits_stored": 64, "high_bit": 63}, uids.RLE_LOSSLESS, "64 bits"),
        ({"rows": 0}, uids.RLE_LOSSLESS, "0 by 64"),
        ({"bits_allocated": 32, "bits_stored": 32, "high_bit": 31}, uids.JPEG_2000_LOSSLESS, "32 bits"),
        (
            {"bits_allocated": 32, "bits_stored": 32, "high_bit": 31, "samples": 3},
            uids.JPEG_LS_LOSSLESS,
            "wanted 8 or 16",
        ),
        ({"photometric": "PALETTE COLOR"}, uids.JPEG_2000, "palette"),
        ({"bits_stored": 12, "high_bit": 15}, uids.JPEG_2000, "12 bits of 16"),
        ({"pixel_representation": 1}, uids.JPEG_EXTENDED_12_BIT, "signed"),
        ({"pixel_representation": 1}, uids.JPEG_XL, "signed"),
        ({}, uids.JPEG_BASELINE_8_BIT, "wanted 8"),
        ({}, uids.JPEG_EXTENDED_12_BIT, "wanted 8 or 12"),
        ({}, uids.JPEG_XL_JPEG_RECOMPRESSION, "only JPEG Baseline"),
        ({}, "1.2.840.10008.1.2.4.92", "nothing is encoded"),
        ({}, "1.2.840.10008.1.2.4.102", "nothing is encoded"),
        ({"problem": "no offset table"}, uids.JPEG_2000_LOSSLESS, "no offset table"),
    ],
)
def test_what_cannot_be_is_told_from_attributes(changes: dict[str, Any], target: str, reason: str) -> None:
    pixels = pixel_layout(encapsulated=False, **changes)
    assert reason in transcodetargets.unreachable(pixels, uids.EXPLICIT_VR_LITTLE_ENDIAN, target)
    with pytest.raises(CodecError, match="cannot be encoded"):
        encode.encode_frame(bytes(64 * 64 * 2), pixels, target)


def test_what_cannot_be_decoded_is_not_offered() -> None:
    video = pixel_layout(photometric="YBR_PARTIAL_420", samples=3)
    for source in ("1.2.840.10008.1.2.4.102", "1.2.3.4"):
        for target in (uids.EXPLICIT_VR_LITTLE_ENDIAN, *transcodetargets.TARGETS):
            assert (
                "cannot be decoded" in transcodetargets.unreachable(video, source, target)
                or target == uids.JPEG_XL_JPEG_RECOMPRESSION
            )
        assert transcodetargets.unreachable(video, source, source) == ""


@pytest.mark.parametrize("target", transcodetargets.TARGETS, ids=matrix.name)
def test_bytes_that_are_no_frame_are_refused(target: str) -> None:
    _, pixels = matrix.picture(8, 8)
    if target in {uids.JPEG_XL_JPEG_RECOMPRESSION, uids.DEFLATED_IMAGE_FRAME_COMPRESSION}:
        return
    with pytest.raises(CodecError):
        encode.encode_frame(bytes(17), pixels, target)


@pytest.mark.parametrize("target", transcodetargets.LOSSY_TARGETS, ids=matrix.name)
def test_an_overlay_in_the_cells_is_never_lost(target: str) -> None:
    data, pixels = matrix.picture(16, 12, overlay=True)
    with pytest.raises(CodecError):
        encode.encode_frame(data, pixels, target)


@pytest.mark.parametrize("target", LOSSLESS, ids=matrix.name)
def test_proof_fails_where_a_pixel_differs(target: str) -> None:
    stream, data, pixels = encoded("12 of 16", target)
    assert encode.proves(stream, data, pixels, target)
    other = bytearray(data)
    other[1000] ^= 1
    assert not encode.proves(stream, bytes(other), pixels, target)
    assert not encode.proves(stream[: len(stream) // 2], data, pixels, target)


def test_headers_of_ours_are_read() -> None:
    assert (
        codestreamheaders.bare_jpegxl(encoded("16", uids.JPEG_XL_LOSSLESS)[0])
        == encoded("16", uids.JPEG_XL_LOSSLESS)[0]
    )
