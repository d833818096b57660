"""DICOM JSON and Native XML to Part 10: there and back over the corpus, with pydicom as witness, and what is refused."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import orjson
import pytest
from gateway.dicom import uids
from gateway.dicom.dataset import DataSet
from gateway.dicom.encoding.filemeta import file_meta
from gateway.dicom.encoding.frames import frame_spans, swap, swap_width
from gateway.dicom.encoding.part10 import Part10Reader, ReadInstance
from gateway.dicom.model.encode import Codestreams, Encoded, Octets, encode
from gateway.dicom.model.jsonread import datasets
from gateway.dicom.model.nativexml import to_xml
from gateway.dicom.model.nativexmlread import dataset as from_xml
from gateway.errors import DicomError, GatewayError, LimitExceeded
from gateway.model import FrameNumber, Identity, InstanceUID, SeriesUID, StudyUID
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from tests.corpus import Row, rows

NATIVE = frozenset(
    {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"}
)
UIDS: DataSet = {
    "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.7"]},
    "00080018": {"vr": "UI", "Value": ["1.2.3.4"]},
    "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
    "0020000E": {"vr": "UI", "Value": ["1.2.3.5"]},
}


def read(data: bytes) -> ReadInstance:
    reader = Part10Reader(version="0" * 32)
    reader.feed(data)
    return reader.finish()


def no_bulk(path: str, vr: str, uri: str) -> Octets:
    raise DicomError(f"{path}: nothing at {uri}")


def joined(encoded: Encoded) -> bytes:
    data = b"".join(s if isinstance(s, bytes) else s.source for s in encoded.segments)  # type: ignore[misc]
    assert len(data) == encoded.length
    return data


def written(encoded: Encoded, syntax: str = uids.EXPLICIT_VR_LITTLE_ENDIAN) -> bytes:
    identity = Identity(StudyUID("1.2.3"), SeriesUID("1.2.3.5"), InstanceUID("1.2.3.4"), "1.2")
    return file_meta(identity, syntax) + joined(encoded)


class Source:
    """The bulk data of a file, by path."""

    def __init__(self, data: bytes, found: ReadInstance) -> None:
        self.data, self.layout = data, found.layout

    def __call__(self, path: str, vr: str, uri: str) -> Octets | Codestreams:
        assert uri.startswith("\0/bulkdata/")
        where = uri.removeprefix("\0/bulkdata/").partition("?")[0]
        pixels = self.layout.pixels
        if pixels is not None and pixels.encapsulated and where == f"{pixels.tag:08X}":
            spans = [frame_spans(pixels, FrameNumber(n + 1)) for n in range(pixels.frames)]
            joined = [b"".join(self.data[s.start : s.stop] for s in one) for one in spans]
            return Codestreams(tuple(Octets(frame, len(frame)) for frame in joined))
        value = self.layout.bulk[where]
        raw = self.data[value.offset : value.offset + value.length]
        if self.layout.big_endian:
            raw = swap(raw, swap_width(value.vr, pixels.bits_allocated if pixels else 16))
        return Octets(raw, len(raw))


def readable() -> list[Row]:
    return [row for row in rows() if row.transfer_syntax != "1.2.840.10008.1.2.1.99"]


def bare(metadata: bytes) -> Any:
    """Without what names the version and the character set, which may become UTF-8."""
    model = json.loads(metadata.replace(b"\0", b"@"), parse_float=str)
    model.pop("00080005", None)
    if model.get("7FE00010", {}).get("vr") == "OW":
        model["7FE00010"]["vr"] = "OB"  # what is encapsulated is OB, whatever the file said (PS3.5 A.4)
    return model


def _plain(value: Any) -> Any:
    """Nested character sets are taken into that of the whole."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if k != "00080005" and not _known_un(k, v)}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value


@pytest.mark.row("J-CS-7", "J-5", "J-40", "J-42", "J-43", "J-50", "J-51", "S-47", "S-56", "S-58")
@pytest.mark.parametrize("row", readable(), ids=lambda row: row.name)
def test_a_file_comes_back_from_its_metadata_and_bulk_data(row: Row) -> None:
    data = row.read()
    try:
        found = read(data)
    except GatewayError:
        return  # tests/wire/corpus_outcomes.csv says why it is not read
    if found.layout.pixels is not None and found.layout.pixels.problem:
        return
    (model,) = datasets(found.metadata.replace(b"\0", b"\\u0000"))
    encoded = encode(model, Source(data, found))
    again = read(
        written(
            encoded, found.layout.transfer_syntax if _encapsulated(found) else uids.EXPLICIT_VR_LITTLE_ENDIAN
        )
    )
    assert _plain(bare(again.metadata)) == _plain(bare(found.metadata))


def _known_un(tag: str, member: Any) -> bool:
    """Written as UN and read again as what PS3.6 says (PS3.5 6.2.2), where the first reading had reasons not to."""
    return tag in ("00081030", "00280120") and isinstance(member, dict)


def _encapsulated(found: ReadInstance) -> bool:
    return found.layout.pixels is not None and found.layout.pixels.encapsulated


@pytest.mark.row("X-7", "X-8", "X-10", "X-11", "X-12", "X-13", "X-15", "X-16", "X-17", "X-25")
@pytest.mark.parametrize("row", readable(), ids=lambda row: row.name)
def test_xml_says_what_json_says(row: Row) -> None:
    try:
        found = read(row.read())
    except GatewayError:
        return  # tests/wire/corpus_outcomes.csv says why it is not read
    model = orjson.loads(found.metadata.replace(b"\0", b"@"))
    if b"\\u00" in found.metadata:
        return  # characters that XML cannot hold
    assert _comparable(from_xml(to_xml(model))) == _comparable(model)


def _comparable(model: Any, vr: str = "") -> Any:
    """Decimals as numbers, names without empty trailing components, blocks by their creators."""
    if isinstance(model, dict) and "vr" in model:
        member = dict(model)
        member["Value"] = [_comparable(value, model["vr"]) for value in model.get("Value", ())]
        return member
    if isinstance(model, dict) and vr == "PN":
        return {group: text.rstrip("^") for group, text in model.items() if text.rstrip("^")} or None
    if isinstance(model, dict):
        creators = {
            k: (v.get("Value") or [""])[0] for k, v in model.items() if k[3] in "13579BDF" and k[4:6] == "00"
        }
        found = {}
        for key, member in model.items():
            if key in creators:
                continue
            creator = creators.get(f"{key[:4]}00{key[4:6]}") if key[3] in "13579BDF" else None
            found[(key[:4], creator, key[6:]) if creator else key] = _comparable(member)
        return found
    if vr in ("DS", "IS") and model is not None:
        return str(model)
    if vr in ("SV", "UV") and model is not None:
        return int(model)
    if vr in ("FL", "FD") and isinstance(model, int | float):
        return float(model)
    return model


# -- single values


def value(vr: str, *values: Any, tag: str = "00091001") -> dict[str, Any]:
    return {tag: {"vr": vr, "Value": list(values)}, "00090010": {"vr": "LO", "Value": ["TEST"]}}


def through(model: dict[str, Any]) -> Any:
    """What pydicom reads of what we write."""
    (parsed,) = datasets(json.dumps([{**UIDS, **model}]).encode())
    return dcmread(BytesIO(written(encode(parsed, no_bulk))))


@pytest.mark.row("J-20", "J-21", "J-22", "J-23", "J-25", "J-26", "J-27", "J-60", "S-56")
@pytest.mark.parametrize(
    ("vr", "given", "seen"),
    [
        ("DS", [1.5, "0.50", 3], ["1.5", "0.50", "3"]),
        ("IS", [7, "007", 2.0], ["7", "007", "2"]),
        ("DS", ["N/A"], None),
        ("US", [1, 65535], [1, 65535]),
        ("SS", [-32768], [-32768]),
        ("SV", [str(-(2**63)), 2**53 + 1], [-(2**63), 2**53 + 1]),
        ("UV", [str(2**64 - 1)], [2**64 - 1]),
        ("FL", [0.5, 1e10], [0.5, 1e10]),
        ("FD", [0.1, "-Infinity"], [0.1, float("-inf")]),
        ("AT", ["0018A001", "00100010"], [0x0018A001, 0x00100010]),
        ("UI", ["1.2.3", "1.2.3.4"], ["1.2.3", "1.2.3.4"]),
        ("LO", ["a", None, "b"], ["a", "", "b"]),
        ("LT", [" two\\parts "], [" two\\parts"]),
        ("UR", ["http://x.example/%20"], ["http://x.example/%20"]),
    ],
)
def test_values_are_what_pydicom_reads(vr: str, given: list[Any], seen: list[Any] | None) -> None:
    ds = through(value(vr, *given))
    if seen is None:
        assert given[0].encode() in written(encode({**UIDS, **value(vr, *given)}, no_bulk))
        return
    element = ds[0x0009, 0x1001]
    assert vr == element.VR
    found = list(element.value) if element.VM > 1 else [element.value]
    if vr in ("DS", "IS"):
        found = [one.original_string for one in found]
    assert found == seen


@pytest.mark.row("J-45", "J-46", "J-47", "J-49")
@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ([{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}], "Yamada^Tarou=山田^太郎"),
        ([{"Ideographic": "王^小東"}], "=王^小東"),
        ([{"Phonetic": "ab"}], "==ab"),
        (["Doe^Jane"], "Doe^Jane"),
        ([None, {"Alphabetic": "B"}], ["", "B"]),
    ],
)
def test_names(given: list[Any], seen: str | list[str]) -> None:
    ds = through({"00100010": {"vr": "PN", "Value": given}})
    found = ds[0x00100010].value
    assert (found if isinstance(seen, str) else [str(n) for n in found]) == seen


@pytest.mark.row("J-41", "J-44", "J-52")
@pytest.mark.parametrize("member", [{}, {"Value": []}, {"Value": [None]}, {"Value": [""]}])
def test_ways_to_be_empty(member: dict[str, Any]) -> None:
    ds = through({"00100020": {"vr": "LO", **member}, "00081140": {"vr": "SQ"}})
    assert ds.PatientID == ""
    assert ds.ReferencedImageSequence == []


@pytest.mark.row("J-CS-7", "J-CS-8", "S-58")
@pytest.mark.parametrize(
    ("declared", "text", "term"),
    [
        ([], "plain", None),
        ([], "Müller", "ISO_IR 192"),
        (["ISO_IR 100"], "Müller", "ISO_IR 100"),
        (["ISO_IR 100"], "山田", "ISO_IR 192"),
        (["ISO_IR 192"], "plain", "ISO_IR 192"),
        (["GB18030"], "王小东", "GB18030"),
        (["ISO 2022 IR 6", "ISO 2022 IR 87"], "plain", ["ISO 2022 IR 6", "ISO 2022 IR 87"]),
        (["ISO 2022 IR 6", "ISO 2022 IR 87"], "山田", "ISO_IR 192"),
        (["no such set"], "Müller", "ISO_IR 192"),
    ],
)
def test_text_is_written_in_the_declared_set_where_that_can_hold_it(
    declared: list[str], text: str, term: Any
) -> None:
    model: DataSet = {"00104000": {"vr": "LT", "Value": [text]}}
    if declared:
        model["00080005"] = {"vr": "CS", "Value": declared}
    ds = through(model)
    assert ds.PatientComments == text
    assert ds.get("SpecificCharacterSet") == term


@pytest.mark.row("C-TS-5")
def test_a_value_too_long_for_its_vr_is_un() -> None:
    ds = through(value("US", *[7] * 40_000))
    assert ds[0x0009, 0x1001].VR == "UN"
    assert len(ds[0x0009, 0x1001].value) == 80_000


@pytest.mark.row("J-6", "J-7", "J-14", "S-46")
def test_groups_that_are_the_writers_are_left_out() -> None:
    ds = through(
        {
            "00020010": {"vr": "UI", "Value": ["1.2.840.10008.1.2.4.50"]},
            "00080000": {"vr": "UL", "Value": [1]},
            "FFFCFFFC": {"vr": "OB", "InlineBinary": "AAAA"},
        }
    )
    assert ds.file_meta.TransferSyntaxUID == uids.EXPLICIT_VR_LITTLE_ENDIAN
    assert 0x00080000 not in ds
    assert 0xFFFCFFFC not in ds


@pytest.mark.row("J-9", "J-10", "J-11", "J-21", "J-29", "J-54", "J-62", "S-57", "X-24", "J-CS-8")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"00100010": {"vr": "PN"}, "00100010": {"vr": "PN"}}', "twice"),
        ('{"0010001": {"vr": "PN"}}', "no tag"),
        ('{"00100020": {"vr": "LO", "Value": ["a"], "InlineBinary": "AAAA"}}', "want one of them"),
        ('{"00100020": {"vr": "XX", "Value": ["a"]}}', "no VR"),
        ('{"00111020": {"Value": ["a"]}}', "no VR"),
        ('{"00111020": {"vr": ["LO"], "Value": ["a"]}}', "no string"),
        ('{"0020000d": {"vr": "UI"}, "0020000D": {"vr": "UI"}}', "twice"),
        ('{"00100020": {"vr": "LO", "Value": "a"}}', "no array"),
        ('{"00100020": {"vr": "LO", "Value": [1]}}', "wants strings"),
        ('{"00100020": {"vr": "LO", "Value": ["a\\\\b"]}}', "backslash"),
        ('{"00100020": {"vr": "LO", "Value": ["\\ud800"]}}', "cannot hold"),
        ('{"00280010": {"vr": "US", "Value": [65536]}}', "beyond VR US"),
        ('{"00280010": {"vr": "US", "Value": [1.5]}}', "whole numbers"),
        ('{"00200013": {"vr": "IS", "Value": [3000000000]}}', "IS can hold"),
        ('{"00180050": {"vr": "DS", "Value": [true]}}', "numbers or strings"),
        ('{"00189074": {"vr": "DT", "Value": ["ü"]}}', "cannot hold"),
        ('{"00189305": {"vr": "FD", "Value": ["much"]}}', "wants numbers"),
        ('{"00189305": {"vr": "FL", "Value": [1e300]}}', "beyond VR FL"),
        ('{"00189305": {"vr": "FD", "Value": [NaN]}}', "no JSON number"),
        ('{"00200009": {"vr": "AT", "Value": ["0010"]}}', "8 hex digits"),
        ('{"7FE00010": {"vr": "OW", "Value": [1, 2]}}', "no Value"),
        ('{"7FE00010": {"vr": "OW", "InlineBinary": "***"}}', "no base64"),
        ('{"00081140": {"vr": "SQ", "Value": ["x"]}}', "no item"),
        ('{"00100010": {"vr": "PN", "Value": [{"Family": "x"}]}}', "Alphabetic"),
        ('{"00100010": {"vr": "PN", "BulkDataURI": "x"}}', "may not be elsewhere"),
        ('{"00081140": {"vr": "LT", "Value": ["a", "b"]}}', "one value"),
        ("[1]", "array of data sets"),
        ("[]", "array of data sets"),
        ("{", "malformed at line 1"),
    ],
)
def test_what_is_not_the_model_is_named(text: str, says: str) -> None:
    with pytest.raises(DicomError, match=says):
        [encode(model, no_bulk) for model in datasets(text.encode())]


@pytest.mark.row("J-54", "S-57")
def test_hostile_json_is_bounded() -> None:
    nested = b'{"00081140":{"vr":"SQ","Value":[' * 5000 + b"]}}" * 5000
    with pytest.raises(LimitExceeded):
        datasets(nested)
    shallow = b'{"00081140":{"vr":"SQ","Value":[' * 80 + b"]}}" * 80
    with pytest.raises(LimitExceeded):
        encode(datasets(shallow)[0], no_bulk)
    with pytest.raises(DicomError, match="not UTF-8"):
        datasets(b'{"x": "\xff"}')


@pytest.mark.row("X-24")
@pytest.mark.parametrize(
    ("xml", "says"),
    [
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><NativeDicomModel>&a;</NativeDicomModel>", "entities"),
        ("<Other/>", "no NativeDicomModel"),
        ("<NativeDicomModel>", "malformed"),
        ("<NativeDicomModel><DicomAttribute tag='x' vr='LO'/></NativeDicomModel>", "no tag"),
        ("<NativeDicomModel><Other/></NativeDicomModel>", "DicomAttribute was due"),
        (
            "<NativeDicomModel><DicomAttribute tag='00100020' vr='LO'><Value number='2'>a</Value>"
            "</DicomAttribute></NativeDicomModel>",
            "do not count from 1",
        ),
        (
            "<NativeDicomModel><DicomAttribute tag='00280010' vr='US'><Value number='1'>a</Value>"
            "</DicomAttribute></NativeDicomModel>",
            "no number",
        ),
        (
            "<NativeDicomModel>" + "<DicomAttribute tag='00100020' vr='LO'/>" * 2 + "</NativeDicomModel>",
            "twice",
        ),
    ],
)
def test_what_is_not_the_native_model_is_named(xml: str, says: str) -> None:
    with pytest.raises(DicomError, match=says):
        from_xml(xml.encode())


@pytest.mark.row("X-24", "J-12")
def test_loose_documents_and_names_are_taken() -> None:
    loose = b"<NativeDicomModel><DicomAttribute Tag='0010001a' VR='LO'><Value>x</Value></DicomAttribute></NativeDicomModel>"
    assert from_xml(loose) == {"0010001A": {"vr": "LO", "Value": ["x"]}}
    (model,) = datasets(b'\xef\xbb\xbf{"0020000d":{"vr":"UI","Value":["1.2"]},"00080060":{"vr":"CS"}}')
    assert joined(encode(model, no_bulk)).startswith(b"\x08\0\x60\0CS\0\0")


text = st.text(
    st.characters(codec="utf-8", exclude_characters="\\\0=^", exclude_categories=("Cc", "Cs")), max_size=12
)
members = st.one_of(
    st.fixed_dictionaries(
        {"vr": st.just("LO"), "Value": st.lists(text.filter(str.strip).map(str.strip), min_size=1)}
    ),
    st.fixed_dictionaries({"vr": st.just("US"), "Value": st.lists(st.integers(0, 65535), min_size=1)}),
    st.fixed_dictionaries(
        {"vr": st.just("SL"), "Value": st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1)}
    ),
    st.fixed_dictionaries(
        {"vr": st.just("FD"), "Value": st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1)}
    ),
    st.fixed_dictionaries(
        {"vr": st.just("IS"), "Value": st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1)}
    ),
    st.just({"vr": "OB", "InlineBinary": "AAECAw=="}),
    st.just({"vr": "SQ"}),
)
tags = st.integers(0x1002, 0x10FF).map(lambda element: f"0009{element:04X}")
models = st.recursive(
    st.dictionaries(tags, members, max_size=5),
    lambda inner: st.dictionaries(
        tags,
        st.lists(inner, min_size=1, max_size=3).map(lambda items: {"vr": "SQ", "Value": items}),
        max_size=3,
    ),
    max_leaves=6,
)


@given(models)
def test_generated_models_come_back_and_pydicom_agrees(model: dict[str, Any]) -> None:
    whole = {**UIDS, "00090010": {"vr": "LO", "Value": ["TEST"]}, **model}
    (parsed,) = datasets(json.dumps(whole).encode())
    data = written(encode(parsed, no_bulk))
    assert json.loads(json.dumps(_sorted(bare(read(data).metadata)))) == json.loads(
        json.dumps(_sorted(_strings(whole)))
    )
    theirs = Dataset.from_json(whole)
    ours = dcmread(BytesIO(data))
    for element in theirs:
        if element.VR in ("LO", "US", "SL", "FD"):
            assert ours[element.tag].value == element.value


def _strings(model: Any) -> Any:
    return json.loads(json.dumps(model), parse_float=str)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _sorted(v) for k, v in sorted(value.items())}
    if isinstance(value, list):
        return [_sorted(v) for v in value]
    try:
        return float(value) if not isinstance(value, bool) and str(value)[:1] in "-0123456789" else value
    except ValueError:
        return value
