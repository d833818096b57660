"""Whatever an uncompressed data set is encoded in, its rewriting says the same (PS3.18 8.7.3)."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import pydicom
import pytest
from gateway.dicom import uids
from gateway.dicom.encoding.headeredit import write_decoded_head
from gateway.dicom.encoding.part10 import Part10Reader, ReadInstance
from gateway.dicom.encoding.rewrite import PIECE, Rewriter
from gateway.errors import DicomError, Truncated
from gateway.model import Identity, InstanceUID, SeriesUID, StudyUID
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from tests import build
from tests.corpus import Row, rows
from tests.dicom.oracle import (
    PLACE,
    SEQUENCE_END,
    UIDS,
    VERSION,
    dataset,
    element,
    item,
    meta,
    parsed,
    stored,
)

IDENTITY = Identity(StudyUID("1.2"), SeriesUID("1.2.4"), InstanceUID("1.2.3"), "1.2.840.10008.5.1.4.1.1.7")
REQUEST, PROTOCOL, COMMENT = 0x00400275, 0x00400007, 0x00400280

# Wrong in the source and right when written: an unknown VR becomes UN, which PS3.6 then settles (PS3.5 6.2.2),
# a value of one byte where two are due is padded.
SETTLED = {
    "malformed/gen-unknown-vr.dcm": {"00081030"},
    "malformed/gen-us-one-byte.dcm": {"00280103"},
    "structure/GH179A.dcm": {"00280120"},
}
# Where pydicom cannot be asked, or reads the source otherwise than we do; `divergences` says why.
OTHERWISE = {
    "malformed/gen-unknown-vr.dcm": {"00081030"},
    "malformed/gen-us-one-byte.dcm": {"00280103"},
    "modality-rt/RI6XDosiGap.dcm": {"50003000"},
}
LOST_ON_PYDICOM = (
    "malformed/GH177_D_CLUNIE_CT1_IVRLE_BigEndian_undefined_length.dcm",
    "structure/GH179A.dcm",
)


def read(data: bytes) -> tuple[ReadInstance, bytes]:
    """What the reader makes of a file, and the file with what it lacked."""
    reader = Part10Reader(version=VERSION)
    reader.feed(data)
    found = reader.finish()
    return found, reader.prefix + data


def rewritten(data: bytes, step: int = 1 << 24) -> bytes:
    found, whole = read(data)
    body = stored(data, found, whole[: len(whole) - len(data)])
    body = body if found.layout.inflated else body[found.layout.dataset_offset :]
    rewriter = Rewriter(found.identity, found.layout)
    pieces = [rewriter.feed(body[at : at + step]) for at in range(0, len(body), step)]
    return b"".join([*pieces, rewriter.finish()])


@cache
def uncompressed() -> tuple[tuple[Row, ReadInstance], ...]:
    """Corpus files that the reader takes and that hold nothing encapsulated."""
    taken = []
    for row in rows():
        try:
            found, _ = read(row.read())
        except DicomError:
            continue
        if found.layout.pixels is None or not found.layout.pixels.encapsulated:
            taken.append((row, found))
    return tuple(taken)


def implicit(tag: int, value: bytes, length: int | None = None) -> bytes:
    size = len(value) if length is None else length & 0xFFFFFFFF
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, size) + value


def implicit_file(*more: bytes) -> bytes:
    found_uids = b"".join(implicit(tag, value) for tag, value in {**UIDS, **PLACE}.items())
    return meta(uids.IMPLICIT_VR_LITTLE_ENDIAN) + found_uids + b"".join(more)


# -- the corpus -------------------------------------------------------------------------------------------


def test_any_chunking_gives_the_same_bytes() -> None:
    for row, found in uncompressed():
        data = row.read()
        whole = rewritten(data)
        for step in (1, 7, 997) if len(data) < 20_000 else (997, 65536):
            assert rewritten(data, step) == whole, (row.name, step)
        assert read(whole)[0].identity == found.identity, row.name


def test_the_reader_says_the_same_of_what_is_rewritten() -> None:
    assert uncompressed()
    for row, found in uncompressed():
        again, _ = read(rewritten(row.read()))
        assert again.transfer_syntax == uids.EXPLICIT_VR_LITTLE_ENDIAN
        was, now = parsed(found.metadata), parsed(again.metadata)
        different = {tag for tag in was.keys() | now.keys() if was.get(tag) != now.get(tag)}
        assert different == SETTLED.get(row.name, set()), row.name
        assert again.layout.bulk.keys() == found.layout.bulk.keys(), row.name


def test_pydicom_reads_the_same_of_what_is_rewritten() -> None:
    for row, found in uncompressed():
        if row.name in LOST_ON_PYDICOM:
            continue
        data, whole = rewritten(row.read()), read(row.read())[1]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source, target = (pydicom.dcmread(io.BytesIO(b), force=True) for b in (whole, data))
            different = set(_differences(source, target, "")) - OTHERWISE.get(row.name, set())
            if found.layout.big_endian:  # pydicom leaves OW as it is in the file
                assert (source.pixel_array == target.pixel_array).all(), row.name
                different.discard("7FE00010")
        assert not different, row.name


def _differences(source: Dataset, target: Dataset, above: str) -> Iterator[str]:
    found_tags = {int(t) for t in source.keys() if int(t) & 0xFFFF and int(t) != 0xFFFCFFFC}  # noqa: SIM118
    for tag in sorted(found_tags ^ {int(t) for t in target.keys()}):  # noqa: SIM118
        yield f"{above}{tag:08X}"
    for tag in sorted(found_tags):
        path = f"{above}{tag:08X}"
        try:
            mine, other = source[tag], target[tag]
        except (NotImplementedError, BytesLengthException):
            yield path
            continue
        if mine.VR == other.VR == "SQ" and len(mine.value) == len(other.value):
            for number, (one, two) in enumerate(zip(mine.value, other.value, strict=True), 1):
                yield from _differences(one, two, f"{path}/{number}/")
        elif mine.VR != other.VR or _plain(mine.value) != _plain(other.value):
            yield path


def _plain(value: Any) -> Any:
    """Without the padding that an odd length gains; as text, so that NaN is itself."""
    return bytes(value).rstrip(b"\0 ") if isinstance(value, bytes | bytearray) else repr(value)


# -- made-up files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "transfer_syntax",
    [uids.IMPLICIT_VR_LITTLE_ENDIAN, uids.EXPLICIT_VR_LITTLE_ENDIAN, uids.EXPLICIT_VR_BIG_ENDIAN],
)
def test_private_elements_and_sequences_keep_vr_and_value(transfer_syntax: str) -> None:
    ds = build.dataset(PixelData=None)
    ds.ReferencedImageSequence = [build.dataset(PixelData=None, Rows=None), Dataset()]
    block = ds.private_block(0x0019, "GEMS_ACQU_01", create=True)
    block.add_new(0x02, "SL", 7)
    once = read(rewritten(build.part10(ds, transfer_syntax)))[0]
    assert once.metadata == read(build.part10(ds, uids.EXPLICIT_VR_LITTLE_ENDIAN))[0].metadata


def test_sequences_have_undefined_length_and_group_lengths_go() -> None:
    name = implicit(PROTOCOL, b"desc")
    data = implicit_file(implicit(0x00400000, b"\0\0\0\0"), implicit(REQUEST, item(name)))
    inner = item(element(PROTOCOL, "LO", b"desc"), undefined=True)
    once = rewritten(data)
    assert once.endswith(element(REQUEST, "SQ", inner + SEQUENCE_END, -1))
    assert struct.pack("<HH", 0x40, 0) + b"UL" not in once


SIGNED = implicit(0x00280103, b"\1\0") + implicit(0x00280106, b"\xff\xff")
HOSTILE = {
    "signed, without pixels": implicit_file(SIGNED),
    "signed in an item": implicit_file(implicit(REQUEST, item(SIGNED))),
    "signed around an item": implicit_file(
        SIGNED, implicit(REQUEST, item(implicit(0x00280106, b"\xff\xff")))
    ),
    "a sequence without items": implicit_file(implicit(REQUEST, b"abcdefghij")),
    "an explicit item among implicit ones": implicit_file(
        implicit(REQUEST, item(element(PROTOCOL, "LO", b"desc")) + item(implicit(PROTOCOL, b"more")))
    ),
    "an item longer than its sequence": implicit_file(
        implicit(REQUEST, struct.pack("<HHI", 0xFFFE, 0xE000, 100) + implicit(PROTOCOL, b"")),
        implicit(COMMENT, b"okok"),
    ),
    "bytes after the last element of an item": implicit_file(
        implicit(REQUEST, item(implicit(PROTOCOL, b"desc") + bytes(4))), implicit(COMMENT, b"okok")
    ),
    "an item without delimiter": implicit_file(
        implicit(REQUEST, item(implicit(PROTOCOL, b"desc"), undefined=True)[:-8] + SEQUENCE_END, -1),
        implicit(COMMENT, b"okok"),
    ),
    "a delimiter where an element was due": implicit_file(SEQUENCE_END, implicit(COMMENT, b"okok")),
    "zeros at the end": implicit_file(implicit(COMMENT, b"okok"), bytes(12)),
    "an implicit element in an explicit data set": meta()
    + dataset(implicit(0x00280010, b"\1\0"), element(0x00280011, "US", b"\2\0")),
    "explicit items in UN": meta()
    + dataset(
        element(REQUEST, "UN", item(element(PROTOCOL, "LO", b"desc"), undefined=True) + SEQUENCE_END, -1)
    ),
    "implicit items in UN": meta()
    + dataset(element(REQUEST, "UN", item(implicit(PROTOCOL, b"desc")) + SEQUENCE_END, -1)),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("step", [1, 1 << 20])
def test_what_the_reader_forgives_is_rewritten_as_it_was_read(name: str, step: int) -> None:
    data = HOSTILE[name]
    again, _ = read(rewritten(data, step))
    assert parsed(again.metadata) == parsed(read(data)[0].metadata)
    assert not again.warnings


def test_values_too_long_for_their_vr_become_un() -> None:
    for length, vr in ((65534, b"LO"), (65535, b"UN"), (65536, b"UN")):
        once = rewritten(implicit_file(implicit(0x00400254, b"x" * length)))
        assert struct.pack("<HH", 0x40, 0x254) + vr in once, length
        assert read(once)[0].identity == IDENTITY


def test_odd_lengths_are_padded_as_the_vr_wants() -> None:
    assert rewritten(implicit_file(implicit(0x00280010, b"\1"))).endswith(element(0x00280010, "US", b"\1\0"))
    assert rewritten(implicit_file(implicit(COMMENT, b"x"))).endswith(element(COMMENT, "ST", b"x "))
    for text in (b"x", b"x" * (PIECE + 1)):
        assert rewritten(implicit_file(implicit(0x0040A160, text))).endswith(text + b" ")


def test_long_values_pass_through_without_being_held() -> None:
    length = 64 * PIECE
    data = implicit_file(implicit(0x7FE00010, bytes(8), length))
    found, _ = read(implicit_file(implicit(0x7FE00010, bytes(8))))
    rewriter = Rewriter(found.identity, found.layout)
    written = len(rewriter.feed(data[found.layout.dataset_offset :]))
    chunk = bytes(65521)
    for _ in range(100):
        assert len(rewriter.feed(chunk)) == len(chunk)
    assert written < 1024
    with pytest.raises(Truncated):
        rewriter.finish()


def test_big_endian_units_may_lie_across_chunks() -> None:
    words = bytes(range(256)) * (PIECE // 256 + 1)
    ds = build.dataset(PixelData=words, Rows=PIECE // 256 + 1, Columns=128)
    data = build.part10(ds, uids.EXPLICIT_VR_BIG_ENDIAN)
    once = rewritten(data, 4093)
    assert once == rewritten(data)
    swapped = bytes(n ^ 1 for n in range(256))
    assert once.endswith(swapped * (len(words) // 256))


@pytest.mark.parametrize("cut", [1, 4, 9, 13])
def test_bytes_that_end_early_are_not_taken(cut: int) -> None:
    data = implicit_file(
        implicit(REQUEST, item(implicit(PROTOCOL, b"desc"), undefined=True) + SEQUENCE_END, -1)
    )
    found, _ = read(data)
    rewriter = Rewriter(found.identity, found.layout)
    rewriter.feed(data[found.layout.dataset_offset : -cut])
    with pytest.raises(Truncated):
        rewriter.finish()


def test_encapsulated_data_is_refused() -> None:
    data = implicit_file(implicit(0x00420011, item(b"abcd") + SEQUENCE_END, -1))
    with pytest.raises(DicomError, match="encapsulated"):
        rewritten(data)


# -- the head before decoded frames -----------------------------------------------------------------------

CHANGES: dict[str, str | int] = {"00280004": "RGB", "00280006": 0, "00280100": 8}
NESTED = {
    "sequence": element(REQUEST, "SQ", item(element(PROTOCOL, "LO", b"desc"))),
    "UN in a sequence": element(
        REQUEST,
        "SQ",
        item(
            element(0x00400008, "UN", item(implicit(PROTOCOL, b"d"), undefined=True) + SEQUENCE_END, -1),
            undefined=True,
        )
        + SEQUENCE_END,
        -1,
    ),
    "explicit items in UN": element(
        REQUEST, "UN", item(element(PROTOCOL, "LO", b"desc"), undefined=True) + SEQUENCE_END, -1
    ),
    "an item without delimiter": element(
        REQUEST, "SQ", item(element(PROTOCOL, "LO", b"desc"), undefined=True)[:-8] + SEQUENCE_END, -1
    ),
    "an encapsulated icon": element(
        0x00880200,
        "SQ",
        item(element(0x7FE00010, "OB", item() + item(b"\xff\xd8") + SEQUENCE_END, -1), undefined=True)
        + SEQUENCE_END,
        -1,
    ),
}


def test_attributes_are_replaced_or_put_in_their_places() -> None:
    head = dataset(
        element(0x00280000, "UL", bytes(4)),
        element(0x00280002, "US", b"\3\0"),
        element(0x00280004, "CS", b"YBR_FULL_422"),
        element(0x00280010, "US", b"\1\0"),
        element(0x7FE00001, "OV", bytes(8)),
        element(0x7FE00002, "OV", bytes(8)),
    )
    wanted = dataset(
        element(0x00280002, "US", b"\3\0"),
        element(0x00280004, "CS", b"RGB "),
        element(0x00280006, "US", b"\0\0"),
        element(0x00280010, "US", b"\1\0"),
        element(0x00280100, "US", b"\x08\0"),
    )
    found = write_decoded_head(head, IDENTITY, CHANGES)
    assert found.endswith(wanted)
    assert pydicom.dcmread(io.BytesIO(found)).file_meta.TransferSyntaxUID == uids.EXPLICIT_VR_LITTLE_ENDIAN
    assert read(found)[0].layout.dataset_offset == len(found) - len(wanted)


@pytest.mark.parametrize("name", NESTED)
def test_what_is_nested_stays_as_it_is(name: str) -> None:
    head = dataset(NESTED[name], element(0x00880130, "SH", b"okok"))
    assert write_decoded_head(head, IDENTITY, {}).endswith(head)


@pytest.mark.parametrize("name", NESTED)
def test_a_head_that_ends_within_an_element_is_refused(name: str) -> None:
    head = dataset(NESTED[name])
    for cut in (1, 4, 9):
        with pytest.raises(DicomError):
            write_decoded_head(head[:-cut], IDENTITY, {})


def test_every_encapsulated_head_of_the_corpus() -> None:
    for row in rows():
        try:
            found, whole = read(row.read())
        except DicomError:
            continue
        layout = found.layout
        pixels = layout.pixels
        if pixels is None or not pixels.encapsulated or layout.implicit or layout.big_endian:
            continue
        head = write_decoded_head(whole[layout.dataset_offset : pixels.offset - 12], found.identity, {})
        again = parsed(read(head)[0].metadata)
        gone = {f"{pixels.tag:08X}", "7FE00001", "7FE00002"}
        before = {tag: value for tag, value in parsed(found.metadata).items() if tag < "7FE00010"}
        assert again == {tag: value for tag, value in before.items() if tag not in gone}, row.name
