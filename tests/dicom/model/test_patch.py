"""Header patches: on the model, on the bytes, and what is remembered of them (PS3.3 C.12.1.1.9)."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from gateway.dicom import uids
from gateway.dicom.dataset import Attribute, DataSet
from gateway.dicom.model.patch import (
    AttributeChange,
    Modification,
    Nonconforming,
    Patch,
    apply_patch,
    original_attributes,
    remember_originals,
)
from gateway.dicom.model.patchbytes import Patcher
from gateway.errors import DicomError, GatewayError, Truncated
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from tests.corpus import Row, rows
from tests.dicom.oracle import SEQUENCE_END, dataset, element, item, meta, parsed, read

NAME: Attribute = {"vr": "PN", "Value": [{"Alphabetic": "Roe^Richard"}]}
TEXT: Attribute = {"vr": "LO", "Value": ["new"]}
WHEN = datetime(2024, 2, 29, 12, 30, 15, tzinfo=UTC)


def applied(data: bytes, model: dict[str, Any], patch: Patch, step: int = 0) -> bytes:
    """The data set, in pieces of `step` bytes."""
    patcher = Patcher(model, patch)
    step = step or len(data) or 1
    pieces = [patcher.feed(data[at : at + step]) for at in range(0, len(data), step)]
    return b"".join(pieces) + patcher.finish()


def model_of(data: bytes, syntax: str = uids.EXPLICIT_VR_LITTLE_ENDIAN) -> dict[str, Any]:
    return parsed(read(meta(syntax) + data).metadata)


def both(data: bytes, *changes: AttributeChange, step: int = 0) -> dict[str, Any]:
    """The model of the patched bytes, which is the patched model."""
    model, patch = model_of(data), Patch(changes)
    out = applied(data, model, patch, step)
    found = model_of(out)
    assert found == apply_patch(model, patch)
    assert list(found) == sorted(found)
    return found


SEQUENCE = element(0x00400275, "SQ", item(element(0x00400007, "LO", b"ab")) + item())
UNDEFINED = element(
    0x00400275,
    "SQ",
    item(element(0x00400007, "LO", b"ab"), undefined=True) + item(undefined=True) + SEQUENCE_END,
    -1,
)
PATCHES = {
    "replace": [AttributeChange("00100010", NAME)],
    "take away": [
        AttributeChange("00100020", None),
        AttributeChange("00400275", None),
        AttributeChange("00100099", None),
    ],
    "empty": [AttributeChange("00100020", {"vr": "LO"})],
    "first and last": [
        AttributeChange("00080001", {"vr": "UL", "Value": [1]}),
        AttributeChange("FFFA0001", TEXT),
    ],
    "inside": [AttributeChange("00400275/1/00400007", TEXT), AttributeChange("00400275/2/00400007", TEXT)],
    "inside, in order": [
        AttributeChange("00400275/1/00400008", TEXT),
        AttributeChange("00400275/1/00400001", TEXT),
    ],
    "another item": [
        AttributeChange("00400275/3/00400007", TEXT),
        AttributeChange("00400275/4/00400007", TEXT),
    ],
    "take away inside": [
        AttributeChange("00400275/1/00400007", None),
        AttributeChange("00400275/3/00400007", None),
    ],
    "a new sequence": [
        AttributeChange("00400555/1/0040A160", TEXT),
        AttributeChange("00400555/2/0040A160/1/00100010", NAME),
    ],
    "over and over": [
        AttributeChange("00100020", TEXT),
        AttributeChange("00100020", None),
        AttributeChange("00100020", TEXT),
    ],
    "replace, then inside": [
        AttributeChange("00400275/2/00400007", TEXT),
        AttributeChange("00400275", {"vr": "SQ", "Value": [{}]}),
        AttributeChange("00400275/1/00400007", TEXT),
    ],
    "private": [
        AttributeChange("00110010", {"vr": "LO", "Value": ["ACME"]}),
        AttributeChange("00111001", TEXT),
    ],
}


@pytest.mark.parametrize("step", [0, 1, 13])
@pytest.mark.parametrize("sequence", [SEQUENCE, UNDEFINED, b""], ids=["defined", "undefined", "none"])
@pytest.mark.parametrize("name", list(PATCHES))
def test_bytes_become_what_the_model_becomes(name: str, sequence: bytes, step: int) -> None:
    if not sequence and name not in ("replace", "take away", "first and last", "a new sequence", "private"):
        return
    found_uids = dataset()
    data = found_uids[: found_uids.index(b"\x20\0\x0d\0")] + element(0x00100020, "LO", b"P1")
    data += found_uids[found_uids.index(b"\x20\0\x0d\0") :] + sequence + element(0x00400280, "ST", b"x ")
    both(data + element(0x7FE00010, "OB", bytes(100)), *PATCHES[name], step=step)


def test_what_is_not_touched_passes_as_it_is() -> None:
    odd = element(0x00091001, "UN", item(b"\x40\0\7\0\2\0\0\0ab", undefined=True) + SEQUENCE_END, -1)
    fragments = item() + item(b"\xff\xd8" * 50) + SEQUENCE_END
    tail = odd + UNDEFINED + element(0x7FE00010, "OB", fragments, -1) + element(0xFFFCFFFC, "OB", bytes(8))
    data = dataset(tail)
    out = applied(
        data, model_of(data, "1.2.840.10008.1.2.4.50"), Patch((AttributeChange("00080060", TEXT),)), 7
    )
    assert out.endswith(tail)
    assert element(0x00080060, "LO", b"new ") in out


def test_group_lengths_go() -> None:
    patch = Patch((AttributeChange("00080060", TEXT),))
    data = element(0x00080000, "UL", b"\x10\0\0\0") + dataset()
    assert applied(data, model_of(data), patch) == applied(dataset(), model_of(dataset()), patch)


# -- character sets


def test_text_is_written_in_the_declared_set() -> None:
    data = element(0x00080005, "CS", b"ISO_IR 100") + dataset(element(0x00400280, "ST", b"M\xfcll"))
    out = applied(
        data, model_of(data), Patch((AttributeChange("00400007", {"vr": "LO", "Value": ["Größe"]}),))
    )
    assert element(0x00400007, "LO", "Größe ".encode("latin-1")) in out
    assert element(0x00400280, "ST", b"M\xfcll") in out


def nested(charset: bytes, text: bytes) -> bytes:
    return item(element(0x00080005, "CS", charset) + element(0x00400007, "LO", text))


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("declared", [b"", b"ISO_IR 100", b"\\ISO 2022 IR 87"])
def test_text_that_does_not_fit_makes_all_of_it_utf_8(declared: bytes, step: int) -> None:
    pad = b" " * (len(declared) % 2)
    data = (element(0x00080005, "CS", declared + pad) if declared else b"") + dataset(
        element(
            0x00400275, "SQ", nested(b"ISO_IR 144", b"\xbb\xee") + item(element(0x00400007, "LO", b"M\xfcll"))
        ),
        element(0x00400280, "ST", b"M\xfcll"),
    )
    before = model_of(data)
    out = applied(data, before, Patch((AttributeChange("00081030", {"vr": "LO", "Value": ["山田"]}),)), step)
    found = model_of(out)
    assert found.pop("00080005") == {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert found.pop("00081030") == {"vr": "LO", "Value": ["山田"]}
    before.pop("00080005", None)
    before["00400275"]["Value"][0].pop("00080005")
    assert found == before
    ds = dcmread(BytesIO(meta() + out))
    assert (ds.StudyDescription, ds[0x00400275][0][0x00400007].value) == ("山田", "Лю")


def test_an_item_with_a_set_of_its_own_that_gets_other_text() -> None:
    data = dataset(element(0x00400275, "SQ", nested(b"ISO_IR 144", b"\xbb\xee")))
    change = AttributeChange("00400275/1/00400008", {"vr": "LO", "Value": ["ü"]})
    found = model_of(applied(data, model_of(data), Patch((change,))))
    assert found["00400275"]["Value"] == [
        {"00400007": {"vr": "LO", "Value": ["Лю"]}, "00400008": {"vr": "LO", "Value": ["ü"]}}
    ]


# -- the corpus


def explicit() -> Iterator[tuple[Row, bytes, dict[str, Any], int]]:
    for row in rows():
        try:
            data = row.read()
            found = read(data)
        except GatewayError:
            continue
        layout = found.layout
        if not (layout.implicit or layout.big_endian or layout.inflated):
            prefix = layout.length - len(data)
            yield row, data, parsed(found.metadata), layout.dataset_offset - prefix


# Sequences of these are coded as UN: nothing inside can be changed as they are.
CODED_OTHERWISE = {
    "modality-xray/ith_private_sequence_having_undefined_length_and_implicit_encoding.dcm",
    "structure/gen-un-undefined-implicit-sq.dcm",
    "ts-rle/rtdose_rle.dcm",
}


def test_every_explicit_file_of_the_corpus() -> None:
    tried = 0
    for row, data, model, offset in explicit():
        changes = [AttributeChange("00100010", NAME), AttributeChange("00081030", None)]
        inside = [
            AttributeChange(f"{tag}/1/00081155", {"vr": "UI", "Value": ["1.2"]})
            for tag, member in model.items()
            if member["vr"] == "SQ"
        ]
        if row.name in CODED_OTHERWISE:
            with pytest.raises(DicomError, match="is no sequence in the file"):
                applied(data[offset:], model, Patch((*changes, *inside)))
            inside = []
        out = applied(data[offset:], model, Patch((*changes, *inside)), 1 << 16)
        again = parsed(read(data[:offset] + out).metadata)
        assert again == apply_patch(model, Patch((*changes, *inside))), row.name
        tried += 1
    assert tried > 100


# -- generated

paths = st.sampled_from(
    ["00100010", "00100020", "00400275/1/00400007", "00400275/2/00400275/1/00400007", "00400555/1/0040A160"]
)


@settings(max_examples=60)
@given(
    changes=st.lists(st.tuples(paths, st.sampled_from([TEXT, {"vr": "LO"}, None])), max_size=8),
    sequence=st.sampled_from([SEQUENCE, UNDEFINED]),
    step=st.integers(1, 40),
)
def test_any_changes_in_any_order(
    changes: list[tuple[str, Attribute | None]], sequence: bytes, step: int
) -> None:
    both(dataset(sequence), *(AttributeChange(path, member) for path, member in changes), step=step)


# -- refusals


@pytest.mark.parametrize(
    "path", ["", "10", "0010001g", "00100010/0/00100010", "00100010/1", "00020010", "7FE00010", "00080005"]
)
def test_what_can_be_no_change(path: str) -> None:
    with pytest.raises(DicomError):
        AttributeChange(path, TEXT)


def test_a_patch_holds_its_values() -> None:
    with pytest.raises(DicomError, match="holds its values"):
        AttributeChange("00400555", {"vr": "SQ", "Value": [{"0040A160": {"vr": "UT", "BulkDataURI": "x"}}]})


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("00400275/4/00400007", "has 2 items"),
        ("00080018/1/00400007", "no sequence"),
        ("00111001", "no creator"),
    ],
)
def test_changes_that_do_not_fit_are_told_before_a_byte_is_written(path: str, says: str) -> None:
    with pytest.raises(DicomError, match=says):
        Patcher(model_of(dataset(SEQUENCE)), Patch((AttributeChange(path, TEXT),)))


@pytest.mark.parametrize("data", [dataset(UNDEFINED[:-8]), dataset(UNDEFINED[:-20]), dataset(SEQUENCE[:-9])])
def test_bytes_that_end_early(data: bytes) -> None:
    with pytest.raises(Truncated):
        applied(data, model_of(dataset(SEQUENCE)), Patch((AttributeChange("00400275/1/00400007", TEXT),)))


@pytest.mark.parametrize(
    "inside",
    [
        element(0x00400007, "LO", b"ab") + bytes(3),
        bytes(8) + element(0x00400007, "LO", b"ab"),
        SEQUENCE_END + element(0x00400007, "LO", b"ab"),
        element(0x00400007, "LO", b"ab") + element(0x00400008, "LO", b"") + b"\xfe\xff\x0d\xe0" + bytes(4),
    ],
    ids=["bytes after the last element", "zeros", "a delimiter of the sequence", "a delimiter of the item"],
)
@pytest.mark.parametrize("step", [0, 1])
def test_what_the_reader_forgives_within_items(inside: bytes, step: int) -> None:
    data = dataset(element(0x00400275, "SQ", item(inside) + item()), element(0x00400280, "LO", b"after "))
    both(data, AttributeChange("00400275/1/00400009", TEXT), step=step)


def test_pixel_data_is_not_held() -> None:
    data = dataset()
    patcher = Patcher(model_of(data), Patch((AttributeChange("00100010", NAME),)))
    patcher.feed(data + element(0x7FE00010, "OB", b"", 200 << 20))
    piece = bytes(1 << 20)
    tracemalloc.start()
    for _ in range(200):
        patcher.feed(piece)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 << 20


# -- what is remembered


def test_a_patch_is_kept_as_json() -> None:
    patch = Patch(tuple(PATCHES["inside"]) + tuple(PATCHES["take away"]))
    assert Patch.load(json.loads(json.dumps(patch.dump()))) == patch


@pytest.mark.row("S-71")
def test_original_attributes_are_remembered_after_those_that_are_there() -> None:
    earlier: DataSet = {"04000563": {"vr": "LO", "Value": ["FIRST"]}}
    inner: DataSet = {"0040A160": {"vr": "UT", "BulkDataURI": "x"}, "00400007": TEXT}
    model: DataSet = {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]},
        "00110010": {"vr": "LO", "Value": ["ACME"]},
        "00111001": {"vr": "LO", "Value": ["old"]},
        "00400275": {"vr": "SQ", "Value": [inner, {}]},
        "04000561": {"vr": "SQ", "Value": [earlier]},
    }
    patch = Patch(
        (
            AttributeChange("00100010", NAME),
            AttributeChange("00100020", TEXT),
            AttributeChange("00111001", None),
            AttributeChange("00400275/2/00400007", TEXT),
        )
    )
    made = original_attributes(model, patch, Modification(WHEN, "GATEWAY", "COERCE", "SENDER"))
    assert made == {
        "04000550": {
            "vr": "SQ",
            "Value": [
                {
                    "00100010": model["00100010"],
                    "00100020": {"vr": "LO"},
                    "00110010": model["00110010"],
                    "00111001": model["00111001"],
                    "00400275": {"vr": "SQ", "Value": [{"0040A160": {"vr": "UT"}, "00400007": TEXT}, {}]},
                }
            ],
        },
        "04000562": {"vr": "DT", "Value": ["20240229123015.000000+0000"]},
        "04000563": {"vr": "LO", "Value": ["GATEWAY"]},
        "04000564": {"vr": "LO", "Value": ["SENDER"]},
        "04000565": {"vr": "CS", "Value": ["COERCE"]},
    }
    whole = apply_patch(model, Patch((*patch.changes, *remember_originals(model, made))))
    assert whole["04000561"]["Value"] == [earlier, made]


@pytest.mark.row("S-71")
def test_values_that_their_vr_cannot_hold_are_kept_as_octets() -> None:
    model: dict[str, Any] = {"00400275": {"vr": "SQ", "Value": [{}, {"00180050": {"vr": "DS"}}]}}
    patch = Patch((AttributeChange("00400275/2/00180050", {"vr": "DS", "Value": [1]}),))
    long = Nonconforming("00400275/2/00180050", "DS", b"0.12345678901234567")
    made = original_attributes(model, patch, Modification(WHEN, "GATEWAY", "CORRECT"), [long])
    ds = Dataset.from_json(made)
    (kept,) = ds.NonconformingModifiedAttributesSequence
    assert (kept.SelectorAttribute, kept.SelectorSequencePointer, kept.SelectorSequencePointerItems) == (
        0x00180050,
        0x00400275,
        2,
    )
    assert kept.NonconformingDataElementValue == long.value
    assert ds.ModifiedAttributesSequence[0][0x00400275].value[1].SliceThickness is None


def test_many_items_are_not_copied_for_each_change() -> None:
    found_tags = ("00080070", "00080080", "00080090")
    items = [{key: {"vr": "LO", "Value": ["x"]} for key in found_tags}] * 30_000
    model: DataSet = {"52009230": {"vr": "SQ", "Value": items}}
    patch = Patch(
        tuple(
            AttributeChange(f"52009230/{n}/{tag}", TEXT)
            for n in range(1, len(items) + 1)
            for tag in found_tags
        )
    )
    begin = time.process_time()
    found = apply_patch(model, patch)
    assert time.process_time() - begin < 2  # a tenth of it; with copies twice as much
    assert all(item == dict.fromkeys(found_tags, TEXT) for item in found["52009230"]["Value"])
    assert items[0] == {key: {"vr": "LO", "Value": ["x"]} for key in found_tags}
