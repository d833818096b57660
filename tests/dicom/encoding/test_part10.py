"""Whole files: preamble, file meta, transfer syntaxes, UIDs, layout."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

import pytest
from gateway.dicom.encoding.part10 import Part10Reader, ReadInstance
from gateway.errors import DicomError, NotDicom, Truncated
from tests.dicom.oracle import PLACE, SEQUENCE_END, UIDS, VERSION, dataset, element, item, meta, parsed, read

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
BIG, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
JPEG, JPEGLS = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.80"
LARGE = element(0x00991001, "OB", bytes(2000))


def codes(found: ReadInstance) -> list[tuple[str, str]]:
    return [(warning.code, warning.tag) for warning in found.warnings]


def image(pixels: bytes, *, frames: bytes = b"1 ", rows: int = 2) -> bytes:
    words = {0x00280010: rows, 0x00280011: 2, 0x00280100: 8, 0x00280101: 8, 0x00280102: 7, 0x00280103: 0}
    return dataset(
        element(0x00280002, "US", b"\1\0"),
        element(0x00280004, "CS", b"MONOCHROME2 "),
        element(0x00280008, "IS", frames),
        *(element(tag, "US", struct.pack("<H", value)) for tag, value in words.items()),
        pixels,
    )


def test_identity_is_known_while_the_rest_is_still_to_come() -> None:
    data = meta() + dataset(element(0x7FE00010, "OW", b"", 4 << 20))
    reader = Part10Reader(version=VERSION)
    reader.feed(data)
    assert reader.identity is not None
    assert reader.identity.path.url() == "/studies/1.2/series/1.2.4/instances/1.2.3"
    assert reader.prefix == b""
    with pytest.raises(Truncated):
        reader.finish()


@pytest.mark.parametrize("chunk", [0, 1, 50])
def test_a_missing_preamble_is_supplied(chunk: int) -> None:
    whole = meta() + dataset(LARGE)
    reader = Part10Reader(version=VERSION)
    bare = whole[132:]
    for at in range(0, len(bare), chunk or len(bare)):
        reader.feed(bare[at : at + (chunk or len(bare))])
    found = reader.finish()
    assert reader.prefix == whole[:132]
    assert codes(found) == [("B000", "")]
    assert found.layout == read(whole).layout


@pytest.mark.parametrize(
    ("named", "declared"),
    [(None, EXPLICIT), (EXPLICIT, EXPLICIT), (IMPLICIT, EXPLICIT), (JPEG, JPEG)],
)
def test_missing_file_meta_is_supplied_and_offsets_count_from_it(named: str | None, declared: str) -> None:
    reader = Part10Reader(version=VERSION, named_transfer_syntax=named)
    data = dataset(LARGE)
    reader.feed(data)
    found = reader.finish()
    assert reader.prefix[128:132] == b"DICM"
    assert found.transfer_syntax == declared
    assert ("B000", "") in codes(found)
    whole = reader.prefix + data
    bulk = found.layout.bulk["00991001"]
    assert whole[bulk.offset : bulk.offset + bulk.length] == bytes(2000)
    again = read(whole)
    assert (again.identity, again.metadata, again.layout) == (found.identity, found.metadata, found.layout)
    assert again.content_digest == found.content_digest


def test_fragments_behind_supplied_file_meta_are_shifted() -> None:
    data = image(element(0x7FE00010, "OB", item() + item(b"\xff\xd8\xff\xd9") + SEQUENCE_END, -1))
    reader = Part10Reader(version=VERSION, named_transfer_syntax=JPEG)
    reader.feed(data)
    pixels = reader.finish().layout.pixels
    assert pixels is not None
    start = pixels.starts[0]
    assert (reader.prefix + data)[start : start + pixels.lengths[0]] == b"\xff\xd8\xff\xd9"


def test_an_implicit_data_set_without_file_meta_is_taken_only_when_it_is_named() -> None:
    uids = {**UIDS, **PLACE}
    data = b"".join(struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(uid)) + uid for tag, uid in uids.items())
    with pytest.raises(NotDicom):
        read(data)
    found = read(data, named_transfer_syntax=IMPLICIT)
    assert (found.transfer_syntax, found.layout.implicit) == (IMPLICIT, True)


@pytest.mark.parametrize("data", [b"", b"x", b"hello, world " * 30, bytes(200)])
def test_what_is_not_dicom(data: bytes) -> None:
    with pytest.raises(NotDicom):
        read(data)


def test_file_meta_must_name_a_transfer_syntax_or_the_part_does() -> None:
    head = bytes(128) + b"DICM" + element(0x00020003, "UI", b"1.2.3\0")
    with pytest.raises(DicomError, match="no Transfer Syntax") as refused:
        read(head + dataset())
    assert refused.value.tag == "00020010"
    assert read(head + dataset(), named_transfer_syntax=EXPLICIT).transfer_syntax == EXPLICIT
    with pytest.raises(DicomError, match="no file meta"):
        read(bytes(128) + b"DICM" + dataset())


def test_a_wrong_group_length_does_not_matter() -> None:
    for length in (0, 3, 1 << 30):
        head = element(0x00020000, "UL", struct.pack("<I", length)) + meta()[132:]
        assert read(bytes(128) + b"DICM" + head + dataset()).layout.dataset_offset == 132 + len(head)


@pytest.mark.parametrize(
    ("declared", "implicit", "big"), [(IMPLICIT, False, False), (BIG, False, False), (DEFLATED, False, False)]
)
def test_the_bytes_win_over_the_declaration(declared: str, implicit: bool, big: bool) -> None:
    if declared == DEFLATED:
        deflater = zlib.compressobj(wbits=-15)
        body = deflater.compress(dataset(LARGE)) + deflater.flush()
        found = read(meta(declared) + body + b"\0")
        assert found.layout.inflated
        assert found.layout.bulk["00991001"].offset == len(dataset()) + 12
        assert found.content_digest == read(meta() + dataset(LARGE)).content_digest
        assert codes(found) == []
        return
    found = read(meta(declared) + dataset(LARGE))
    assert (found.layout.implicit, found.layout.big_endian) == (implicit, big)
    assert found.transfer_syntax == declared
    assert codes(found) == [("B007", "00020010")]


@pytest.mark.parametrize("tag", sorted(UIDS | PLACE))
@pytest.mark.parametrize(
    "value",
    [
        *(None, b"", b"\0\0", b"1.2x", b"../../etc", b"1.2\\1.3 ", b"1." + b"2" * 64, "1.２".encode()),
        *(b".", b"..", b".\0", b".. "),
    ],
)
def test_a_uid_that_is_missing_or_wrong_is_named(tag: int, value: bytes | None) -> None:
    uids = {**UIDS, **PLACE}
    data = b"".join(
        element(key, "UI", uid if key != tag else value or b"")
        for key, uid in uids.items()
        if key != tag or value is not None
    )
    with pytest.raises(DicomError) as refused:
        read(meta() + data)
    assert refused.value.tag == f"{tag:08X}"


@pytest.mark.parametrize("value", [b"1.2.3 ", b"1.02", b"1..2", b".1", b"...", b"1."])
def test_uids_that_break_a_rule_are_taken_with_a_warning(value: bytes) -> None:
    found = read(
        meta()
        + b"".join(
            element(k, "UI", value if k == 0x0020000D else v) for k, v in sorted({**UIDS, **PLACE}.items())
        )
    )
    assert found.identity.study == value.decode().strip()
    assert codes(found)[0] == ("B007", "0020000D")


def test_the_data_set_wins_over_the_file_meta() -> None:
    found = read(meta() + element(0x00020003, "UI", b"9.9.9\0") + dataset())
    assert found.identity.instance == "1.2.3"
    assert codes(found) == [("B007", "00020003")]


def test_late_uids_are_waited_for() -> None:
    uids = [element(tag, "UI", uid) for tag, uid in {**UIDS, **PLACE}.items()]
    reader = Part10Reader(version=VERSION)
    reader.feed(meta() + b"".join(uids[:3]) + element(0x00400280, "ST", b"x "))
    assert reader.identity is None
    reader.feed(uids[3])
    assert reader.identity is not None
    assert list(parsed(reader.finish().metadata))[-1] == "00400280"


def test_native_pixels_that_are_short_keep_their_whole_frames() -> None:
    found = read(meta() + image(element(0x7FE00010, "OB", bytes(10)), frames=b"3 "))
    assert found.layout.pixels is not None
    assert (found.layout.pixels.frames, found.layout.pixels.declared_frames) == (2, 3)
    assert codes(found) == [("B007", "7FE00010")]


def test_native_pixels_under_a_compressed_transfer_syntax_have_no_frames() -> None:
    found = read(meta(JPEGLS) + image(element(0x7FE00010, "OB", bytes(4))))
    assert found.layout.pixels is not None
    assert found.layout.pixels.frames == 0
    assert codes(found) == [("B007", "7FE00010")]


JPEG_FRAME = bytes.fromhex("ffd8ffc0000b080002000201011100ffda0008010100003f0000ffd9")
LOSSLESS_FRAME = JPEG_FRAME.replace(b"\xff\xc0", b"\xff\xc3").replace(b"\0\x3f\0", b"\x01\0\0")


@pytest.mark.parametrize(
    ("frame", "syntax"),
    [
        (JPEG_FRAME, JPEG),
        (LOSSLESS_FRAME, "1.2.840.10008.1.2.4.70"),
        (JPEG_FRAME.replace(b"\xff\xc0", b"\xff\xf7").replace(b"\0\x3f\0", b"\0\0\0"), JPEGLS),
    ],
)
@pytest.mark.parametrize("bare", [True, False])
def test_fragments_under_a_native_transfer_syntax_are_recognised(
    frame: bytes, syntax: str, bare: bool
) -> None:
    data = image(element(0x7FE00010, "OB", item() + item(frame) + SEQUENCE_END, -1))
    found = read(data if bare else meta() + data)
    assert (found.transfer_syntax, found.layout.transfer_syntax, found.layout.odd_meta) == (
        syntax,
        syntax,
        True,
    )
    assert found.layout.pixels is not None
    assert found.layout.pixels.frames == 1
    assert ("B007", "00020010") in codes(found)


@pytest.mark.parametrize("frame", [b"", b"what is no codestream", b"\xff\xd8", b"\xff\x4f\xff\x51\0\0"])
def test_fragments_of_nobody_knows_what_have_no_frames(frame: bytes) -> None:
    data = image(element(0x7FE00010, "OB", item() + item(frame) + SEQUENCE_END, -1))
    found = read(meta() + data)
    assert found.layout.pixels is not None
    assert (found.layout.pixels.frames, found.layout.pixels.problem) == (
        0,
        "fragments under a native transfer syntax",
    )
    assert ("B007", "7FE00010") in codes(found)


@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.parametrize("table", ["none", "basic"])
def test_of_more_frames_than_are_declared_those_that_are_declared_are_there(frames: int, table: str) -> None:
    one = item(JPEG_FRAME)
    offsets = struct.pack("<4I", *(n * len(one) for n in range(4))) if table == "basic" else b""
    value = item(offsets) + one * 4 + SEQUENCE_END
    found = read(meta(JPEG) + image(element(0x7FE00010, "OB", value, -1), frames=b"%d " % frames))
    pixels = found.layout.pixels
    assert pixels is not None
    assert (pixels.frames, list(pixels.first), len(pixels.starts)) == (frames, list(range(frames)), frames)
    assert ("B007", "7FE00010") in codes(found)


def test_one_frame_in_several_fragments_stays_one_frame() -> None:
    value = item() + item(JPEG_FRAME[:20]) + item(JPEG_FRAME[20:]) + SEQUENCE_END
    found = read(meta(JPEG) + image(element(0x7FE00010, "OB", value, -1)))
    assert found.layout.pixels is not None
    assert (found.layout.pixels.frames, len(found.layout.pixels.starts), found.warnings) == (1, 2, ())


def test_samples_per_pixel_of_grey_is_one_where_it_is_missing() -> None:
    data = image(element(0x7FE00010, "OB", bytes(4))).replace(element(0x00280002, "US", b"\1\0"), b"")
    found = read(meta() + data)
    assert found.layout.pixels is not None
    assert (found.layout.pixels.frames, found.layout.pixels.samples) == (1, 1)
    assert codes(found) == [("B007", "00280002")]
    colour = data.replace(b"MONOCHROME2 ", b"RGB         ")
    assert read(meta() + colour).layout.pixels == replace(
        found.layout.pixels,
        samples=0,
        frames=0,
        frame_bits=0,
        photometric="RGB",
        problem="Rows, Columns, Samples per Pixel or Bits Allocated is absent or zero",
    )


def test_fragments_within_a_defined_length() -> None:
    fragments = item() + item(b"\xff\xd8\xff\xd9")
    for chunk in (0, 1):
        found = read(meta(JPEG) + image(element(0x7FE00010, "OB", fragments)), chunk=chunk)
        assert found.layout.pixels is not None
        assert (found.layout.pixels.encapsulated, found.layout.pixels.frames) == (True, 1)
        assert found.layout.pixels.length == len(fragments)


def test_an_extended_offset_table_is_used_and_is_bulk_too() -> None:
    fragments = item() + b"".join(item(b"\xff\xd8\xff\xd9") for _ in range(200)) + SEQUENCE_END
    table = element(0x7FE00001, "OV", struct.pack("<100Q", *range(0, 2400, 24))) + element(
        0x7FE00002, "OV", struct.pack("<100Q", *[8] * 100)
    )
    data = meta(JPEG) + image(table + element(0x7FE00010, "OB", fragments, -1), frames=b"100 ")
    for chunk in (0, 37):
        found = read(data, chunk=chunk)
        assert found.layout.pixels is not None
        assert (found.layout.pixels.frames, list(found.layout.pixels.first)[:3]) == (100, [0, 2, 4])


def test_number_of_frames_that_is_no_number_is_one() -> None:
    found = read(meta() + image(element(0x7FE00010, "OB", bytes(4)), frames=b"1A"))
    assert found.layout.pixels is not None
    assert found.layout.pixels.declared_frames == 1
    assert ("B007", "00280008") in codes(found)


def test_an_encapsulated_document_is_bulk_with_its_media_type() -> None:
    document = element(0x00420011, "OB", b"%PDF") + element(0x00420012, "LO", b"application/pdf ")
    bulk = read(meta() + dataset(document)).layout.bulk["00420011"]
    assert (bulk.length, bulk.content_type) == (4, "application/pdf")


@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_a_damaged_deflated_data_set(damage: str) -> None:
    deflater = zlib.compressobj(wbits=-15)
    body = deflater.compress(dataset(LARGE)) + deflater.flush()
    body = body[:-4] if damage == "cut" else b"\xff" + body[1:]
    with pytest.raises(DicomError, match="deflated"):
        read(meta(DEFLATED) + body)


def test_numbers_as_strings_by_setting() -> None:
    data = meta() + dataset(element(0x00280030, "DS", b"0.50\\1 "))
    assert b'"Value":[0.50,1]' in read(data).metadata
    assert b'"Value":["0.50","1"]' in read(data, numbers_as_strings=True).metadata


def test_the_outline_of_long_metadata_leaves_long_attributes_out() -> None:
    one = item(element(0x00081150, "UI", b"1.2.840\0"))
    long = element(0x00081140, "SQ", one * 10_000 + SEQUENCE_END, 0xFFFFFFFF)
    found = read(meta() + dataset(element(0x00080070, "LO", b"ACME"), long, LARGE))
    whole, outline = parsed(found.metadata), parsed(found.outline)
    assert len(whole["00081140"]["Value"]) == 10_000
    assert whole.keys() - outline.keys() == {
        "00081140",
        "00991001",
    }  # what is private is not searched for here
    assert outline["00080070"] == {"vr": "LO", "Value": ["ACME"]}
    placed = [text.partition(b"\0")[2][:9] for text in found.place_base()]
    assert placed == [b"/studies/", b""]
    assert read(meta() + dataset(LARGE)).outline == b""
