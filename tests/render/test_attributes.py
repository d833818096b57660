"""One DICOM JSON object as rendering reads it (PS3.18 F.2)."""

from __future__ import annotations

from typing import Any

import pytest
from gateway.render.attributes import Attributes, bulk_wanted
from tests.render.factories import element
from tests.render.picture import source

MEMBERS: Any = {
    "00280010": element("US", 3),
    "00281050": element("DS", "40.5", 60),
    "00281051": element("DS", "1,5"),
    "00200013": element("IS", None),
    "00100010": element("PN", {"Ideographic": "山田^太郎"}),
    "00080060": {"vr": "CS"},
    "00283010": element("SQ", {"00283006": {"vr": "OW", "BulkDataURI": "/x"}}, None),
    "00281201": {"vr": "OW", "InlineBinary": "AQIDBA=="},
    "00281202": {"vr": "OW", "InlineBinary": "*"},
    "00281203": element("US", 1, 0x203),
    "00281221": element("UV", str(1 << 60)),
    "00181620": {"vr": "IS", "BulkDataURI": "/x"},
    "00282000": "nothing",
    "60003000": {"vr": "OB", "BulkDataURI": "/x"},
    "7FE00010": {"vr": "OW", "BulkDataURI": "/x"},
    "00880200": element("SQ", {"00281201": {"vr": "OW", "BulkDataURI": "/icon"}}),
}
BULK = {"00283010/1/00283006": b"\1\0\2\0", "00181620": b"1\\2\\3 "}
A = Attributes(MEMBERS, BULK)


@pytest.mark.parametrize(
    ("tag", "text", "number", "numbers"),
    [
        ("00280010", "3", 3, [3]),
        ("00281050", "40.5", 40.5, [40.5, 60]),
        ("00281051", "1,5", None, []),
        ("00200013", "", None, []),
        ("00080060", "", None, []),
        ("00282000", "", None, []),
        ("00100010", "山田^太郎", None, []),
        ("00181620", "", 1, [1, 2, 3]),
        ("00281221", str(1 << 60), 1 << 60, [1 << 60]),
        ("00281201", "", 0x201, [0x201, 0x403]),
        ("99999999", "", None, []),
    ],
)
def test_values_of_a_wrong_kind_read_as_absent(
    tag: str, text: str, number: float | None, numbers: list[float]
) -> None:
    assert (A.text(tag), A.number(tag), A.numbers(tag)) == (text, number, numbers)


@pytest.mark.parametrize(
    ("tag", "raw"),
    [
        ("00281201", b"\1\2\3\4"),
        ("00281202", b""),
        ("00281203", b"\1\0\3\2"),
        ("00280010", b"\3\0"),
        ("60003000", None),
        ("00080060", None),
        ("00282000", None),
    ],
)
def test_bytes_come_inline_by_reference_or_from_numbers(tag: str, raw: bytes | None) -> None:
    assert A.raw(tag) == raw


def test_items_know_their_path() -> None:
    first, second = A.items("00283010")
    assert first.raw("00283006") == b"\1\0\2\0"
    assert first.numbers("00283006") == [1, 2]
    assert list(second.tags()) == []
    assert A.item("00283000") is None


def test_what_is_wanted_by_reference_is_what_rendering_reads() -> None:
    """Not the pixels, nor the palette of an icon."""
    assert sorted(bulk_wanted(MEMBERS)) == ["00181620", "00283010/1/00283006", "60003000"]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("mlut_18.dcm", "00283000/1/00283006"),
        ("ovly_p01.dcm", "60043000"),
        ("sm_image.dcm", "00480105/1/00282000"),
    ],
)
def test_the_paths_are_those_of_the_layout(name: str, path: str) -> None:
    found = source(name)
    assert path in bulk_wanted(found.metadata)
    assert len(found.bulk()[path]) == found.layout.bulk[path].length


def test_changes_do_not_touch_the_original() -> None:
    changed = A.with_changes({"00280004": "RGB", "00280006": 1})
    assert (changed.text("00280004"), changed.integer("00280006")) == ("RGB", 1)
    assert changed.raw("00181620") == A.raw("00181620")
    assert "00280004" not in A
    assert "00280004" in changed
    assert "00080060" not in A
