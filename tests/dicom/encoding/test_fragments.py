"""Encapsulated values and frame tables under Hypothesis (PS3.5 8.2, A.4; PS3.18 10.4.1.1.6)."""

from __future__ import annotations

import itertools
import struct
from array import array
from dataclasses import replace
from io import BytesIO
from itertools import accumulate

import pytest
from gateway.dicom.encoding import layoutbytes
from gateway.dicom.encoding.filemeta import file_meta
from gateway.dicom.encoding.fragments import FragmentScanner, Unwrapped
from gateway.dicom.encoding.frames import (
    PixelElement,
    frame_spans,
    pixel_layout,
    realign,
    runs,
    swap,
)
from gateway.dicom.encoding.layout import BulkValue, InstanceLayout, PixelLayout
from gateway.dicom.encoding.pixels import ImagePixel
from gateway.errors import DicomError, Truncated
from gateway.model import FrameNumber, Identity, InstanceUID, SeriesUID, StudyUID
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.encaps import generate_frames

JPEG_LS = "1.2.840.10008.1.2.4.80"
START = b"\xff\xd8"

# Fragments of each frame: even lengths, as PS3.5 A.4 asks; anything may be inside, delimiters as well.
fragment = st.binary(max_size=40).map(lambda b: b + b"\0" * (len(b) % 2)) | st.just(
    b"\xfe\xff\xdd\xe0\0\0\0\0"
)
frame = st.lists(fragment, min_size=1, max_size=4)
movie = st.lists(frame, min_size=1, max_size=6)
table = st.sampled_from(["none", "basic", "extended"])


def item(value: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value


def offsets(frames: list[list[bytes]]) -> list[int]:
    sizes = [sum(len(f) + 8 for f in one) for one in frames]
    return [0, *accumulate(sizes[:-1])]


def value_of(frames: list[list[bytes]], kind: str) -> bytes:
    bot = struct.pack(f"<{len(frames)}I", *offsets(frames)) if kind == "basic" else b""
    items = b"".join(item(f) for one in frames for f in one)
    return item(bot) + items + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def scanned(value: bytes, cuts: list[int], offset: int = 100) -> FragmentScanner:
    scanner = FragmentScanner(offset)
    at = 0
    for cut in [*sorted(c % (len(value) + 1) for c in cuts), len(value)]:
        used = scanner.feed(memoryview(value)[at:cut])
        at += used
    return scanner


def laid_out(scanner: FragmentScanner, frames: list[list[bytes]], kind: str) -> PixelLayout:
    extended = struct.pack(f"<{len(frames)}Q", *offsets(frames)) if kind == "extended" else b""
    element = PixelElement(0x7FE00010, "OB", 100, scanner.end - 100, scanner, extended, b"")
    return pixel_layout(element, ImagePixel(8, 8, 1, 8, 8, 7, 0, "MONOCHROME2", 0), len(frames), JPEG_LS)


@given(movie, table, st.lists(st.integers(0, 500), max_size=6))
def test_frames_are_found_whatever_the_cuts(frames: list[list[bytes]], kind: str, cuts: list[int]) -> None:
    if kind == "none":
        # Without any table each codestream tells by how it begins.
        frames = [[START + one[0], *(b"\0" + f + b"\0" for f in one[1:])] for one in frames]
    value = value_of(frames, kind)
    scanner = scanned(value, cuts)
    assert scanner.done
    assert scanner.end == 100 + len(value)
    pixels = laid_out(scanner, frames, kind)
    if pixels.problem:
        # Frames of no bytes at all have one offset between them: nothing tells them apart.
        raise AssertionError(pixels.problem)
    whole = bytes(100) + value
    for number, one in enumerate(frames, 1):
        spans = frame_spans(pixels, FrameNumber(number))
        assert b"".join(whole[s.start : s.stop] for s in spans) == b"".join(one)
    with pytest.raises(IndexError):
        frame_spans(pixels, FrameNumber(len(frames) + 1))


@given(movie)
def test_pydicom_finds_the_same_frames(frames: list[list[bytes]]) -> None:
    value = value_of(frames, "basic")
    pixels = laid_out(scanned(value, []), frames, "basic")
    whole = bytes(100) + value
    ours = [
        b"".join(whole[s.start : s.stop] for s in frame_spans(pixels, FrameNumber(n + 1)))
        for n in range(len(frames))
    ]
    assert ours == list(generate_frames(value, number_of_frames=len(frames)))


@given(movie, st.data())
def test_a_value_cut_short_is_truncated(frames: list[list[bytes]], data: st.DataObject) -> None:
    value = value_of(frames, "basic")
    scanner = FragmentScanner(0)
    scanner.feed(value[: data.draw(st.integers(0, len(value) - 1))])
    with pytest.raises(Truncated):
        scanner.close()


@given(st.binary(min_size=8, max_size=8))
def test_what_is_no_item_is_refused_with_its_place(header: bytes) -> None:
    begins = header[:4] == b"\xfe\xff\x00\xe0" and header[4:] != b"\xff" * 4
    if begins or header[:4] == b"\xfe\xff\xdd\xe0":
        return
    with pytest.raises(DicomError, match="at byte 700: an item was due"):
        FragmentScanner(700).feed(header)


@given(st.integers(1, 40), st.integers(1, 9), st.binary(min_size=60, max_size=60))
def test_one_bit_frames_are_moved_to_a_byte(bits: int, frames: int, value: bytes) -> None:
    element = PixelElement(0x7FE00010, "OB", 0, len(value))
    pixels = pixel_layout(
        element, ImagePixel(1, bits, 1, 1, 1, 0, 0, "MONOCHROME2", 0), frames, "1.2.840.10008.1.2.1"
    )
    stream = [byte >> n & 1 for byte in value for n in range(8)]
    for number in range(1, pixels.frames + 1):
        (span,) = frame_spans(pixels, FrameNumber(number))
        got = realign(value[span.start : span.stop], pixels, FrameNumber(number))
        want = stream[(number - 1) * bits : number * bits]
        assert [byte >> n & 1 for byte in got for n in range(8)][:bits] == want
        assert len(got) == (bits + 7) // 8


@given(st.lists(st.integers(1, 6), min_size=1, max_size=12))
def test_runs_have_each_frame_once_in_order(numbers: list[int]) -> None:
    element = PixelElement(0x7FE00010, "OW", 50, 6 * 8)
    pixels = pixel_layout(
        element, ImagePixel(2, 2, 1, 16, 16, 15, 0, "MONOCHROME2", 0), 6, "1.2.840.10008.1.2.1"
    )
    found = list(runs(pixels, [FrameNumber(n) for n in numbers], 8))
    assert [n for run in found for n in run] == numbers
    assert all(run == list(range(run[0], run[0] + len(run))) for run in found)
    assert len(found) == 1 + sum(b != a + 1 for a, b in itertools.pairwise(numbers))


@given(
    st.lists(st.binary(max_size=9).map(lambda b: b + b), max_size=6),
    st.binary(max_size=8),
    st.integers(1, 40),
)
def test_fragments_are_unwrapped_however_they_arrive(fragments: list[bytes], table: bytes, step: int) -> None:
    items = [struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in (table, *fragments)]
    value = b"".join(items) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    change = Unwrapped()
    out = b"".join(change.feed(value[at : at + step]) for at in range(0, len(value), step))
    assert out + change.finish() == b"".join(fragments)
    cut = Unwrapped()
    cut.feed(value[:-8])
    with pytest.raises(Truncated):
        cut.finish()


@given(st.binary(max_size=64), st.sampled_from([1, 2, 4, 8]))
def test_swapping_twice_changes_nothing(data: bytes, width: int) -> None:
    assert swap(swap(data, width), width) == data
    if width > 1 and len(data) >= width:
        assert swap(data, width)[:width] == data[:width][::-1]


big = st.integers(0, 2**40)


@given(
    movie,
    table,
    st.dictionaries(st.text("0123456789ABCDEF/", min_size=8, max_size=26), st.tuples(big, big), max_size=5),
    st.booleans(),
)
def test_a_layout_comes_back_from_its_bytes(
    frames: list[list[bytes]], kind: str, bulk: dict[str, tuple[int, int]], flag: bool
) -> None:
    pixels = laid_out(scanned(value_of(frames, kind), []), frames, kind)
    values = {
        path: BulkValue("OB", *place, "application/pdf" if flag else None) for path, place in bulk.items()
    }
    layout = InstanceLayout(JPEG_LS, flag, not flag, flag, 9, 2**41, pixels, values)
    assert layoutbytes.decode(layoutbytes.encode(layout)) == layout
    bare = replace(layout, pixels=None)
    assert layoutbytes.decode(layoutbytes.encode(bare)) == bare
    with pytest.raises(ValueError, match="unknown version"):
        layoutbytes.decode(b"\x09" + layoutbytes.encode(bare)[1:])
    assert isinstance(pixels.first, array)


uid = st.from_regex(r"\A[0-2](\.(0|[1-9][0-9]{0,8})){1,5}\Z")


@given(uid, uid, uid)
def test_a_file_meta_is_what_pydicom_reads(sop_class: str, instance: str, syntax: str) -> None:
    identity = Identity(StudyUID("1.2"), SeriesUID("1.3"), InstanceUID(instance), sop_class)
    written = file_meta(identity, syntax)
    meta = dcmread(BytesIO(written), force=True).file_meta
    assert (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) == (sop_class, instance)
    assert meta.TransferSyntaxUID == syntax
    assert meta.FileMetaInformationGroupLength == len(written) - 144
