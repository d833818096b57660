"""Rows of the JSON and XML models that no other test holds (PS3.18 Annex F, PS3.19 A.1)."""

from __future__ import annotations

import struct
from base64 import b64encode
from io import BytesIO
from typing import Any

import pytest
from gateway.dicom import uids
from gateway.dicom.dataset import Attribute, DataSet
from gateway.dicom.encoding.filemeta import file_meta
from gateway.dicom.model.encode import Codestreams, Octets, encode
from gateway.dicom.model.nativexml import to_xml
from gateway.dicom.model.nativexmlread import dataset as from_xml
from gateway.model import Identity, InstanceUID, SeriesUID, StudyUID
from pydicom import Dataset, dcmread
from tests.dicom.oracle import SEQUENCE_END, dataset, element, item, meta, parsed, read

JPEG = "1.2.840.10008.1.2.4.50"


def json_of(*more: bytes, syntax: str = uids.EXPLICIT_VR_LITTLE_ENDIAN) -> dict[str, Any]:
    return parsed(read(meta(syntax) + dataset(*more)).metadata)


def nothing(path: str, vr: str, uri: str) -> Octets | Codestreams:
    raise AssertionError(path)


def written(model: dict[str, Any]) -> bytes:
    encoded = encode(model, nothing)
    return b"".join(segment for segment in encoded.segments if isinstance(segment, bytes))


def through(model: dict[str, Any]) -> Dataset:
    """What pydicom reads of what we write."""
    identity = Identity(StudyUID("1.2"), SeriesUID("1.3"), InstanceUID("1.4"), "1.5")
    return dcmread(BytesIO(file_meta(identity, uids.EXPLICIT_VR_LITTLE_ENDIAN) + written(model)))


@pytest.mark.row("J-13")
def test_private_elements_come_with_their_creator_in_the_block_that_is_used() -> None:
    found = json_of(
        element(0x00290042, "LO", b"ACME"),
        element(0x00294207, "LO", b"ab"),
        element(
            0x00400275, "SQ", item(element(0x00290011, "LO", b"OTHR") + element(0x00291107, "LO", b"cd"))
        ),
    )
    assert found["00290042"] == {"vr": "LO", "Value": ["ACME"]}
    assert found["00294207"] == {"vr": "LO", "Value": ["ab"]}
    (nested,) = found["00400275"]["Value"]
    assert list(nested) == ["00290011", "00291107"]
    again = through(found)
    assert again.private_block(0x29, "ACME")[7].value == "ab"
    assert again[0x00400275][0].private_block(0x29, "OTHR")[7].value == "cd"


@pytest.mark.row("J-30")
@pytest.mark.parametrize(("signed", "vr", "value"), [(0, "US", 65535), (1, "SS", -1)])
@pytest.mark.parametrize("nested", [False, True])
def test_a_vr_that_pixel_representation_decides(signed: int, vr: str, value: int, nested: bool) -> None:
    def bare(tag: int, raw: bytes) -> bytes:
        return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(raw)) + raw

    found_uids = b"".join(bare(tag, b"1.2\0") for tag in (0x00080016, 0x00080018, 0x0020000D, 0x0020000E))
    smallest = bare(0x00280106, b"\xff\xff")
    if nested:
        smallest = bare(0x00283000, struct.pack("<HHI", 0xFFFE, 0xE000, 10) + bare(0x00283002, b"\xff\xff"))
    data = meta("1.2.840.10008.1.2") + found_uids + bare(0x00280103, struct.pack("<H", signed)) + smallest
    found = parsed(read(data).metadata)
    member = found["00283000"]["Value"][0]["00283002"] if nested else found["00280106"]
    assert member == {"vr": vr, "Value": [value]}


@pytest.mark.row("J-48")
def test_trailing_empty_components_stay_where_the_source_has_them_and_need_not_be_sent() -> None:
    assert json_of(element(0x00100010, "PN", b"SB6^^^^ "))["00100010"]["Value"] == [{"Alphabetic": "SB6^^^^"}]
    assert through({"00100010": {"vr": "PN", "Value": [{"Alphabetic": "SB6"}]}}).PatientName == "SB6"


@pytest.mark.row("J-63")
def test_inline_binary_is_given_for_binary_vrs_alone_and_taken_for_all() -> None:
    lut = struct.pack("<300H", *range(300))
    assert json_of(element(0x00283006, "US", lut))["00283006"]["Value"] == list(range(300))
    inline: Attribute = {"vr": "US", "InlineBinary": b64encode(lut).decode()}
    assert list(through({"00283006": inline})[0x00283006].value) == list(range(300))


@pytest.mark.row("J-67")
def test_encapsulated_pixel_data_is_never_inline() -> None:
    fragments = item() + item(b"\xff\xd8\xff\xd9") + SEQUENCE_END
    member = json_of(element(0x7FE00010, "OB", fragments, -1), syntax=JPEG)["7FE00010"]
    assert member.keys() == {"vr", "BulkDataURI"}


@pytest.mark.row("J-CS-5", "J-CS-4")
def test_un_that_is_known_to_be_text_is_decoded_and_what_is_not_keeps_its_bytes() -> None:
    charset = element(0x00080005, "CS", b"ISO_IR 144")
    data = (
        meta()
        + charset
        + dataset(element(0x00091001, "UN", b"\xbb\xee"), element(0x00400007, "UN", b"\xbb\xee"))
    )
    found = parsed(read(data).metadata)
    assert found["00400007"] == {"vr": "LO", "Value": ["Лю"]}
    assert found["00091001"] == {"vr": "UN", "InlineBinary": b64encode(b"\xbb\xee").decode()}


@pytest.mark.row("J-CS-2", "J-CS-3", "X-19")
@pytest.mark.parametrize("declared", [b"", b"ISO_IR 100", rb"\ISO 2022 IR 87"])
def test_specific_character_set_is_that_of_the_source(declared: bytes) -> None:
    charset = element(0x00080005, "CS", declared + b" " * (len(declared) % 2)) if declared else b""
    found = parsed(read(meta() + charset + dataset(element(0x00400007, "LO", b"M\xfcll"))).metadata)
    terms = [term or None for term in declared.decode().split("\\")]
    assert found.get("00080005") == ({"vr": "CS", "Value": terms} if declared else None)
    assert "Müll".encode() in to_xml(found)


@pytest.mark.row("X-14")
def test_an_at_is_eight_digits_in_xml() -> None:
    model: DataSet = {"00200009": {"vr": "AT", "Value": ["0018A001", None, "00100010"]}}
    document = to_xml(model)
    assert b'<Value number="1">0018A001</Value>' in document
    assert from_xml(document) == model


@pytest.mark.row("X-23")
@pytest.mark.parametrize(
    ("vr", "value", "raw"),
    [("LO", "odd", b"odd "), ("UI", "1.2", b"1.2\0"), ("DS", "1.5", b"1.5 "), ("OB", "AAEC", b"\0\1\2\0")],
)
def test_padding_is_not_needed_and_comes_back(vr: str, value: str, raw: bytes) -> None:
    member: Attribute = {"vr": vr, "InlineBinary": value} if vr == "OB" else {"vr": vr, "Value": [value]}
    assert written(from_xml(to_xml({"00420010": member}))) == element(0x00420010, vr, raw)
