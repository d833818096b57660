"""Values as DICOM JSON (PS3.18 Annex F), one rule a test."""

from __future__ import annotations

import struct

import orjson
import pytest
from gateway.dicom.encoding import values
from gateway.dicom.encoding.charsets import DEFAULT, charset
from gateway.dicom.encoding.jsonmodel import Order, bulk_member, json_object, opening
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.row("J-20", "J-23", "J-43")
@pytest.mark.parametrize(
    ("raw", "members"),
    [
        (b"0.50", "0.50"),
        (b" 12 ", "12"),
        (b"-0\\1e-3\\1.5E+10", "-0,1e-3,1.5E+10"),
        (b"1.605547e-004", "1.605547e-004"),
        (b"1 \\2", "1,2"),
        (b"+1", '"+1"'),
        (b".5", '".5"'),
        (b"1.", '"1."'),
        (b"007", '"007"'),
        (b"1,5\\2", '"1,5",2'),
        (b"1e400", '"1e400"'),
        (b"NaN", '"NaN"'),
        (b"12@", '"12@"'),
        (b"1\\\\3", "1,null,3"),
        (b"\\1", "null,1"),
        (b"  ", ""),
        (b"3\0", "3"),
    ],
)
def test_decimals_keep_their_digits_or_stay_strings(raw: bytes, members: str) -> None:
    assert values.decimals(raw, False)[0] == members


def test_decimals_as_strings_by_setting() -> None:
    assert values.decimals(b"0.50\\2", True)[0] == '"0.50","2"'


@pytest.mark.row("J-26", "J-27", "J-42", "J-CS-10")
@pytest.mark.parametrize(
    ("vr", "raw", "members"),
    [
        ("CS", b"ORIGINAL\\PRIMARY ", '"ORIGINAL","PRIMARY"'),
        ("SH", b"MPG\\\\XR3", '"MPG",null,"XR3"'),
        ("LO", b"A\\", '"A",null'),
        ("LT", b"a\\b\r\n\f\t ", r'"a\\b\r\n\f\t"'),
        ("UR", b"http://a/\\ ", r'"http://a/\\"'),
        ("ST", b"  led", '"  led"'),
        ("AE", b" MINE ", '"MINE"'),
        ("UI", b"1.2\0", '"1.2"'),
        ("LO", b'say "x"', r'"say \"x\""'),
        ("LO", b"a\x1fb", r'"a\u001fb"'),
        ("SH", b"  ", ""),
    ],
)
def test_strings(vr: str, raw: bytes, members: str) -> None:
    assert values.strings(vr, raw, DEFAULT)[0] == members


@pytest.mark.row("J-45", "J-46", "J-47")
@pytest.mark.parametrize(
    ("raw", "members"),
    [
        (b"A^B", '{"Alphabetic":"A^B"}'),
        ("=王^小東=".encode(), '{"Ideographic":"王^小東"}'),
        (b"A\\\\B=C=D", '{"Alphabetic":"A"},null,{"Alphabetic":"B","Ideographic":"C","Phonetic":"D"}'),
        (b"==", ""),
    ],
)
def test_person_names_are_objects_of_their_groups(raw: bytes, members: str) -> None:
    assert values.names(raw, charset(b"ISO_IR 192"))[0] == members


@pytest.mark.row("J-22", "J-24")
def test_binary_numbers() -> None:
    assert values.numbers("AT", bytes.fromhex("180001a0"), False) == '"0018A001"'
    assert values.numbers("US", b"\1\0\2\0", False) == "1,2"
    assert values.numbers("SS", b"\xff\xfe", True) == "-2"
    assert values.numbers("UV", struct.pack("<2Q", 2**53, 2**64 - 1), False) == f'{2**53},"{2**64 - 1}"'
    assert values.numbers("SV", struct.pack("<q", -(2**63)), False) == f'"{-(2**63)}"'
    assert values.numbers("FD", struct.pack("<d", 0.1), False) == "0.1"
    assert values.numbers("FL", struct.pack("<f", 0.1), False) == "0.1"
    assert values.numbers("FL", struct.pack("<f", float("inf")), False) is None
    assert values.numbers("FD", struct.pack("<d", float("nan")), False) is None
    assert values.numbers("US", b"\1", False) is None


@pytest.mark.row("J-25")
@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_single_reads_back_and_is_short(value: float) -> None:
    text = values.shortest_single(value)
    assert struct.pack("<f", orjson.loads(text)) == struct.pack("<f", value)
    assert float(f"{value:.6g}") != value or len(text) <= len(repr(value))


@pytest.mark.row("J-60", "J-61")
@pytest.mark.parametrize(
    ("vr", "big", "little"),
    [
        ("OB", b"\1\2\3", b"\1\2\3"),
        ("OW", b"\1\2\3\4", b"\2\1\4\3"),
        ("OF", b"\1\2\3\4", b"\4\3\2\1"),
        ("OD", bytes(range(8)), bytes(range(7, -1, -1))),
        ("UN", b"\1\2", b"\1\2"),
        ("OW", b"\1\2\3", b"\2\1\3"),
    ],
)
def test_inline_binary_is_little_endian(vr: str, big: bytes, little: bytes) -> None:
    assert values.base64_of(vr, big, True) == values.base64_of(vr, little, False)


def test_objects_are_sorted_only_when_they_must_be() -> None:
    members = [opening(0x00100020, "LO") + "}", opening(0x00080060, "CS") + "}"]
    assert list(orjson.loads(json_object(members, True))) == ["00080060", "00100020"]
    assert json_object(members[:1], False) == '{"00100020":{"vr":"LO"}}'


def test_of_two_elements_with_one_tag_the_first_is_admitted() -> None:
    order = Order()
    members = [opening(0x00100020, "LO") + "}"]
    assert not order.admits(0x00100020, members)
    assert order.admits(0x00080060, members)
    members.append(opening(0x00080060, "CS") + "}")
    assert not order.admits(0x00080060, members)


def test_a_nul_stands_for_the_url_of_the_instance() -> None:
    member = bulk_member(opening(0x7FE00010, "OW"), "7FE00010", "ab")
    assert member == '"7FE00010":{"vr":"OW","BulkDataURI":"\0/bulkdata/7FE00010?v=ab"}'
