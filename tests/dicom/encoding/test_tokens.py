"""The tokenizer on hand-made bytes: containers, order, odd elements, bounds."""

from __future__ import annotations

import hashlib
import struct
import time
import tracemalloc
import zlib
from typing import Any

import pytest
from gateway.dicom.encoding.part10 import Part10Reader
from gateway.dicom.limits import ReadLimits
from gateway.errors import DicomError, LimitExceeded, Truncated
from tests.dicom.oracle import SEQUENCE_END, VERSION, dataset, element, item, meta, parsed, read

NAME = element(0x00400007, "LO", b"ab")
DEFLATED = "1.2.840.10008.1.2.1.99"


def json_of(*more: bytes) -> dict[str, Any]:
    data = meta() + dataset(*more)
    whole = read(data)
    assert read(data, chunk=1) == whole
    return parsed(whole.metadata)


def remarks(*more: bytes) -> list[tuple[str, str, str]]:
    return [(w.code, w.tag, w.message) for w in read(meta() + dataset(*more)).warnings]


@pytest.mark.parametrize("undefined_items", [False, True])
@pytest.mark.parametrize("undefined", [False, True])
def test_sequences_of_both_kinds(undefined: bool, undefined_items: bool) -> None:
    inner = item(NAME, undefined=undefined_items) + item(undefined=undefined_items)
    sequence = (
        element(0x00400275, "SQ", inner + SEQUENCE_END, -1) if undefined else element(0x00400275, "SQ", inner)
    )
    found = json_of(sequence, element(0x00400280, "ST", b"x "))
    assert found["00400275"] == {"vr": "SQ", "Value": [{"00400007": {"vr": "LO", "Value": ["ab"]}}, {}]}
    assert found["00400280"] == {"vr": "ST", "Value": ["x"]}


@pytest.mark.row("J-52")
def test_an_empty_sequence_has_no_value() -> None:
    assert json_of(element(0x00400275, "SQ", b""))["00400275"] == {"vr": "SQ"}
    assert json_of(element(0x00400275, "SQ", SEQUENCE_END, -1))["00400275"] == {"vr": "SQ"}


@pytest.mark.row("J-31")
def test_un_of_undefined_length_is_an_implicit_sequence() -> None:
    implicit = struct.pack("<HHI", 0x0040, 0x0007, 2) + b"ab"
    value = item(implicit, undefined=True) + SEQUENCE_END
    found = json_of(element(0x00091001, "UN", value, -1))
    assert found["00091001"]["Value"] == [{"00400007": {"vr": "LO", "Value": ["ab"]}}]


@pytest.mark.row("J-31")
def test_un_of_a_known_tag_is_read_by_the_dictionary() -> None:
    found = json_of(element(0x00280010, "UN", b"\5\0"), element(0x00400007, "UN", b"ab"))
    assert found["00280010"] == {"vr": "US", "Value": [5]}
    assert found["00400007"] == {"vr": "LO", "Value": ["ab"]}


def test_a_sequence_without_items_is_given_as_un() -> None:
    assert json_of(element(0x00400275, "SQ", b"no items"))["00400275"]["vr"] == "UN"
    assert remarks(element(0x00400275, "SQ", b"no items"))[0][1] == "00400275"


@pytest.mark.row("J-53", "J-CS-2")
def test_an_item_declares_its_own_character_set_and_the_next_does_not_inherit_it() -> None:
    cyrillic = element(0x00080005, "CS", b"ISO_IR 144") + element(0x00400007, "LO", b"\xbb\xee")
    western = element(0x00400007, "LO", b"\xfc ")
    data = (
        meta()
        + element(0x00080005, "CS", b"ISO_IR 100")
        + dataset(element(0x00400275, "SQ", item(cyrillic) + item(western)))
    )
    first, second = parsed(read(data).metadata)["00400275"]["Value"]
    assert first["00400007"]["Value"] == ["Лю"]
    assert second["00400007"]["Value"] == ["ü"]
    assert first["00080005"]["Value"] == ["ISO_IR 144"]


def test_tags_out_of_order_are_sorted_and_of_two_the_first_counts() -> None:
    late = element(0x00100020, "LO", b"P1"), element(0x00100020, "LO", b"P2")
    found = json_of(element(0x00400001, "AE", b"A "), *late, element(0x00400001, "AE", b"B "))
    assert list(found) == sorted(found)
    assert found["00100020"]["Value"] == ["P1"]
    assert found["00400001"]["Value"] == ["A"]
    messages = {message for _, _, message in remarks(*late)}
    assert messages == {"out of order", "a second element with the same tag"}


def test_a_second_sequence_with_the_same_tag_leaves_nothing_behind() -> None:
    large = element(0x00400008, "UT", b"x" * 70_000)
    found = read(
        meta()
        + dataset(element(0x00400275, "SQ", item(NAME)), element(0x00400275, "SQ", item(large) + item(large)))
    )
    assert found.layout.bulk == {}
    assert len(parsed(found.metadata)["00400275"]["Value"]) == 1


@pytest.mark.row("J-6", "J-7", "J-14")
def test_what_is_no_part_of_the_model_is_dropped() -> None:
    found = json_of(
        element(0x00280000, "UL", b"\1\0\0\0"),
        struct.pack("<HHI", 0xFFFE, 0xE00D, 0),
        SEQUENCE_END,
        element(0x00400007, "LO", b"ab"),
        element(0xFFFCFFFC, "OB", bytes(2000)),
    )
    assert list(found) == ["00080016", "00080018", "0020000D", "0020000E", "00400007"]


def test_trailing_padding_is_not_in_the_content_digest() -> None:
    bare = dataset(NAME)
    padded = bare + element(0xFFFCFFFC, "OB", bytes(3000))
    for chunk in (0, 1, 100):
        assert read(meta() + bare, chunk=chunk).content_digest == hashlib.sha256(bare).digest()
        assert read(meta() + padded, chunk=chunk).content_digest == hashlib.sha256(bare).digest()


def test_an_unknown_vr_is_un_with_a_short_length() -> None:
    raw = struct.pack("<HH2sH", 0x0040, 0x0007, b"ZZ", 2) + b"ab"
    assert json_of(raw, element(0x00400280, "ST", b"x "))["00400007"] == {"vr": "UN", "InlineBinary": "YWI="}
    assert remarks(raw)[0] == ("B007", "00400007", "an unknown VR, read as UN")


def test_an_implicit_item_in_an_explicit_data_set_and_the_other_way_round() -> None:
    implicit = struct.pack("<HHI", 0x0040, 0x0007, 2) + b"ab"
    found = json_of(element(0x00400275, "SQ", item(implicit)), element(0x00400280, "ST", b"x "))
    assert found["00400275"]["Value"] == [{"00400007": {"vr": "LO", "Value": ["ab"]}}]
    uids = b"".join(
        struct.pack("<HHI", tag >> 16, tag & 0xFFFF, 4) + b"1.2\0"
        for tag in (0x00080016, 0x00080018, 0x0020000D, 0x0020000E)
    )
    sequence = struct.pack("<HHI", 0x0040, 0x0275, len(item(NAME))) + item(NAME)
    whole = read(meta("1.2.840.10008.1.2") + uids + sequence)
    assert parsed(whole.metadata)["00400275"]["Value"] == [{"00400007": {"vr": "LO", "Value": ["ab"]}}]
    assert whole.layout.implicit


@pytest.mark.row("J-64")
@pytest.mark.parametrize("vr", ["OB", "OW", "UN", "FD", "US", "DS"])
def test_large_values_go_out_by_reference_at_any_depth(vr: str) -> None:
    value = b"1.50" * 300 if vr == "DS" else bytes(1200)
    tag = 0x00091001
    inner = element(0x00400275, "SQ", item() + item(element(tag, vr, value)))
    whole = read(meta() + dataset(inner))
    member = parsed(whole.metadata)["00400275"]["Value"][1]["00091001"]
    path = "00400275/2/00091001"
    assert member == {"vr": vr, "BulkDataURI": f"/bulkdata/{path}?v={VERSION}"}
    bulk = whole.layout.bulk[path]
    assert (meta() + dataset(inner))[bulk.offset : bulk.offset + bulk.length] == value


def test_long_text_goes_out_by_reference_and_names_do_not() -> None:
    found = json_of(element(0x00400280, "UT", b"x" * 65538), element(0x00404037, "PN", b"a" * 5000))
    assert "BulkDataURI" in found["00400280"]
    assert "Value" in found["00404037"]


@pytest.mark.row("J-66")
def test_small_pixel_data_goes_out_by_reference_and_empty_has_no_value() -> None:
    assert "BulkDataURI" in json_of(element(0x7FE00010, "OW", b"\0\0"))["7FE00010"]
    assert json_of(element(0x7FE00010, "OW", b""))["7FE00010"] == {"vr": "OW"}


@pytest.mark.row("J-24")
def test_what_is_not_finite_goes_out_by_reference() -> None:
    value = struct.pack("<2d", 1.0, float("nan"))
    whole = read(meta() + dataset(element(0x00189303, "FD", value)))
    assert "BulkDataURI" in parsed(whole.metadata)["00189303"]
    assert whole.layout.bulk["00189303"].length == 16


def test_fragments_of_an_icon_go_out_by_reference() -> None:
    fragments = item() + item(b"\xff\xd8\xff\xd9") + SEQUENCE_END
    icon = element(0x7FE00010, "OB", fragments, -1)
    whole = read(meta("1.2.840.10008.1.2.4.50") + dataset(element(0x00880200, "SQ", item(icon))))
    bulk = whole.layout.bulk["00880200/1/7FE00010"]
    assert bulk.length == len(fragments)
    assert whole.layout.pixels is None


@pytest.mark.parametrize(
    "cut", [element(0x00400280, "ST", b"x", 40), element(0x7FE00010, "OW", b"xy", 4000), b"\x40\0\x80\2ST"]
)
def test_a_value_that_ends_early_is_truncated(cut: bytes) -> None:
    with pytest.raises(Truncated, match="at byte"):
        read(meta() + dataset(cut))


def test_missing_delimiters_are_truncated_and_the_sequence_is_named() -> None:
    for open_end in (item(NAME), item(NAME, undefined=True), item(NAME, undefined=True)[:-8]):
        with pytest.raises(Truncated, match=r"\(0040,0275\)"):
            read(meta() + dataset(element(0x00400275, "SQ", open_end, -1)))


def test_something_else_where_an_item_was_due() -> None:
    with pytest.raises(DicomError, match=r"an item was due in \(0040,0275\) at byte"):
        read(meta() + dataset(element(0x00400275, "SQ", item() + NAME + SEQUENCE_END, -1)))


def test_zero_bytes_at_the_end_are_told_and_taken() -> None:
    for count in (2, 7, 8, 40):
        assert read(meta() + dataset() + bytes(count)).warnings[0].code == "B007"


@pytest.mark.row("J-54")
@pytest.mark.parametrize("chunk", [0, 1000])
def test_nesting_is_bounded_in_time(chunk: int) -> None:
    level = struct.pack("<HH2sHI", 0x0040, 0x0275, b"SQ", 0, 0xFFFFFFFF) + item(undefined=True)[:8]
    begin = time.perf_counter()
    with pytest.raises(LimitExceeded, match="deeper than 64"):
        read(meta() + dataset(level * 20_000), chunk=chunk)
    assert time.perf_counter() - begin < 1
    json_of(level * 64, (item(undefined=True)[8:] + SEQUENCE_END) * 64)


@pytest.mark.row("J-54")
def test_counts_and_sizes_are_bounded() -> None:
    many = b"".join(element(0x00091000 + i, "US", b"\0\0") for i in range(200))
    with pytest.raises(LimitExceeded, match="more than 100 elements"):
        read(meta() + dataset(many), limits=ReadLimits(elements=100))
    with pytest.raises(LimitExceeded, match="more than 100 elements"):
        read(meta() + dataset(element(0x00400275, "SQ", item() * 101)), limits=ReadLimits(elements=100))
    with pytest.raises(LimitExceeded, match="header"):
        read(meta() + dataset(many), limits=ReadLimits(metadata=1000))
    with pytest.raises(LimitExceeded, match=r"\(0040,4037\)"):
        read(
            meta() + dataset(element(0x00404037, "UC", b"a" * 60_000)),
            chunk=999,
            limits=ReadLimits(value=1000),
        )


def test_a_value_that_announces_gigabytes_is_not_waited_for() -> None:
    with pytest.raises(LimitExceeded):
        read(meta() + dataset(element(0x00091001, "UR", b"x", 0xFFFFFFF0)))


def test_warnings_are_bounded() -> None:
    odd = b"".join(element(0x00091000 + i, "LO", b"x") for i in range(200))
    assert len(read(meta() + dataset(odd)).warnings) == 64


def peak_of(reader: Part10Reader, head: bytes, piece: bytes, count: int) -> int:
    reader.feed(head)
    tracemalloc.start()
    for _ in range(count):
        reader.feed(piece)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_a_float_array_of_400_mb_costs_no_memory() -> None:
    size = 400 << 20
    head = meta() + dataset(element(0x00660016, "OF", b"", size))
    reader = Part10Reader(version=VERSION)
    assert peak_of(reader, head, bytes(1 << 20), 400) < 1 << 20
    assert reader.finish().layout.bulk["00660016"].length == size


def test_a_zip_bomb_is_refused_in_bounded_memory() -> None:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = deflater.compress(dataset(element(0x7FE00010, "OW", b"", 512 << 20)))
    body += b"".join(deflater.compress(bytes(1 << 20)) for _ in range(64)) + deflater.flush()
    reader = Part10Reader(version=VERSION)
    tracemalloc.start()
    with pytest.raises(LimitExceeded, match="200-fold"):
        reader.feed(meta(DEFLATED) + body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_one_byte_at_a_time_stays_linear() -> None:
    data = meta() + dataset(element(0x00400280, "UT", b"x" * 60_000))
    begin = time.process_time()  # of this process alone: others may keep the machine busy
    assert read(data, chunk=1) == read(data)
    assert time.process_time() - begin < 5
