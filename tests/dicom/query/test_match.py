"""The exact matcher (PS3.4 C.2.2.2)."""

from __future__ import annotations

import fnmatch
import time
from typing import Any

import pytest
from gateway.dicom.model.private import PrivateTag
from gateway.dicom.query.match import _is_like, satisfies
from gateway.dicom.query.query import (
    DateTimeRange,
    Empty,
    Equals,
    InItem,
    Match,
    OneOf,
    Range,
    Universal,
    Wildcard,
)
from hypothesis import given
from hypothesis import strategies as st

NAME, ID, DATE, TIME, NUMBER = (0x00100010,), (0x00100020,), (0x00080020,), (0x00080030,), (0x00200011,)
REQUEST = (0x00400275,)


def named(**groups: str) -> dict[str, Any]:
    return {"00100010": {"vr": "PN", "Value": [groups]}}


SMITH = named(Alphabetic="Smith^John^^^")
YAMADA = named(Alphabetic="Yamada^Tarou", Ideographic="山田^太郎", Phonetic="やまだ^たろう")
DATED = {
    "00080020": {"vr": "DA", "Value": ["20240131"]},
    "00080030": {"vr": "TM", "Value": ["1015"]},
    "00200011": {"vr": "IS", "Value": ["007"]},
    "00100020": {"vr": "LO", "Value": ["P*[1]", None, "second"]},
    "00081030": {"vr": "LO"},
    "00400275": {
        "vr": "SQ",
        "Value": [
            {"00400009": {"vr": "SH", "Value": ["A"]}, "00401001": {"vr": "SH", "Value": ["1"]}},
            {"00400009": {"vr": "SH", "Value": ["B"]}, "00401001": {"vr": "SH", "Value": ["2"]}},
        ],
    },
}


def item(step: str, procedure: str) -> InItem:
    return InItem(REQUEST, (Equals((0x00400009,), "SH", step), Equals((0x00401001,), "SH", procedure)))


@pytest.mark.parametrize(
    ("dataset", "match", "holds"),
    [
        (SMITH, Equals(NAME, "PN", "smith^john"), True),
        (SMITH, Equals(NAME, "PN", "SMÍTH^JOHN^"), True),
        (SMITH, Equals(NAME, "PN", "smith"), False),
        (SMITH, Equals(NAME, "PN", "^"), False),
        (SMITH, Wildcard(NAME, "PN", "smith^*"), True),
        (SMITH, Wildcard(NAME, "PN", "smith^john^*"), True),
        (SMITH, Wildcard(NAME, "PN", "sm?th*"), True),
        (SMITH, Wildcard(NAME, "PN", "*=*"), True),
        (named(Alphabetic="Smith"), Wildcard(NAME, "PN", "Smith^*"), True),
        (named(Alphabetic="Smithers"), Wildcard(NAME, "PN", "Smith^*"), False),
        (YAMADA, Equals(NAME, "PN", "山田^太郎"), True),
        (YAMADA, Equals(NAME, "PN", "=山田^太郎"), True),
        (YAMADA, Equals(NAME, "PN", "yamada^tarou=山田^太郎"), True),
        (YAMADA, Equals(NAME, "PN", "山田^太郎="), False),
        (YAMADA, Wildcard(NAME, "PN", "山*"), True),
        (YAMADA, Wildcard(NAME, "PN", "ya*=*郎"), True),
        (YAMADA, Wildcard(NAME, "PN", "yamada*郎"), False),
        (YAMADA, Equals(NAME, "PN", "a=b=c=d"), False),
        (DATED, Equals(ID, "LO", "P*[1]"), True),
        (DATED, Equals(ID, "LO", "p*[1]"), False),
        (DATED, Equals(ID, "LO", "second"), True),
        (DATED, Wildcard(ID, "LO", "sec*"), True),
        (DATED, Wildcard(ID, "LO", "P?[*"), True),
        (DATED, Equals(NUMBER, "IS", "7"), True),
        (DATED, Equals(TIME, "TM", "101500"), True),
        (DATED, Equals(DATE, "DA", "20240131"), True),
        (DATED, Range(DATE, "DA", "20240131", "20240131"), True),
        (DATED, Range(DATE, "DA", None, "20240130"), False),
        (DATED, Range(TIME, "TM", "101500.000000", None), True),
        (DATED, DateTimeRange(DATE, TIME, "20240131101500.000000", None), True),
        (DATED, DateTimeRange(DATE, TIME, "20240131101501.000000", "20240201000000.000000"), False),
        (DATED, OneOf(ID, "LO", ("x", "second")), True),
        (DATED, Empty((0x00081030,), "LO"), True),
        (DATED, Empty((0x00080050,), "SH"), True),
        (DATED, Empty(ID, "LO"), False),
        (named(Alphabetic="^^^^"), Empty(NAME, "PN"), True),
        (DATED, Universal((0x00080050,)), True),
        (DATED, item("A", "1"), True),
        (DATED, item("A", "2"), False),
        (DATED, Equals((0x00400275, 0x00400009), "SH", "B"), True),
        ({}, Equals(ID, "LO", "x"), False),
        ({"00080020": {"vr": "DA", "Value": ["soon"]}}, Range(DATE, "DA", None, "20240131"), False),
    ],
)
def test_matching(dataset: dict[str, Any], match: Match, holds: bool) -> None:
    assert satisfies(dataset, (match,)) is holds


LATE = {
    "00080020": {"vr": "DA", "Value": ["20240131"]},
    "00080030": {"vr": "TM", "Value": ["2330"]},
    "0008002A": {"vr": "DT", "Value": ["20240131233000"]},
}
BOSTON = LATE | {"00080201": {"vr": "SH", "Value": ["-0500"]}}


def february(zone: str) -> DateTimeRange:
    return DateTimeRange(DATE, TIME, "20240201000000.000000", "20240201235959.999999", zone)


@pytest.mark.row("Q-32", "Q-53")
@pytest.mark.parametrize(
    ("dataset", "match", "holds"),
    [
        # 23:30 in Boston is 04:30 in UTC and 05:30 in Berlin, on the next day
        (BOSTON, february("+0000"), True),
        (BOSTON, february("-0500"), False),
        (BOSTON, Range(TIME, "TM", "053000.000000", "053059.999999", "+0100"), True),
        (BOSTON, Range(TIME, "TM", "233000.000000", "233059.999999", "+0100"), False),
        (BOSTON, Range((0x0008002A,), "DT", "20240201043000.000000", "20240201043000.000000"), True),
        # whose zone is not known is compared as it is
        (LATE, february("+0000"), False),
        (LATE, Range(TIME, "TM", "233000.000000", "233059.999999", "+0100"), True),
        (LATE, Range((0x0008002A,), "DT", "20240131233000.000000", "20240131233000.000000"), True),
        # items are in the zone of their data set
        (
            {"00400275": {"vr": "SQ", "Value": [LATE]}, "00080201": BOSTON["00080201"]},
            InItem(REQUEST, (february("+0000"),)),
            True,
        ),
        (LATE | {"00080201": {"vr": "SH", "Value": ["Boston"]}}, february("+0000"), False),
    ],
)
def test_zones(dataset: dict[str, Any], match: Match, holds: bool) -> None:
    assert satisfies(dataset, (match,)) is holds


def acme(block: str, value: str, creator: str = "Acme ") -> dict[str, Any]:
    return {
        f"002300{block}": {"vr": "LO", "Value": [creator]},
        f"0023{block}01": {"vr": "LO", "Value": [value]},
    }


@pytest.mark.row("Q-27")
@pytest.mark.parametrize(
    ("dataset", "holds"),
    [
        *((acme("10", "red"), True), (acme("FE", "red"), True), (acme("10", "blue"), False)),
        (acme("10", "red", "Other"), False),
        (acme("10", "red", "Other") | acme("11", "blue"), False),
        (acme("10", "blue", "Other") | acme("11", "red"), True),
        *(({"00231001": {"vr": "LO", "Value": ["red"]}}, False), ({"00230010": {"vr": "LO"}}, False)),
    ],
)
def test_private_elements_by_creator(dataset: dict[str, Any], holds: bool) -> None:
    tag = PrivateTag(0x00231001, "Acme")
    assert satisfies(dataset, (Equals((tag,), "LO", "red"),)) is holds
    assert satisfies(dataset, (Wildcard((tag,), "LO", "r?d"),)) is holds


@given(st.text("ab", max_size=6), st.text("ab*?", max_size=6))
def test_wildcards_are_those_of_the_shell(text: str, pattern: str) -> None:
    assert _is_like(text, pattern) == fnmatch.fnmatchcase(text, pattern)


def test_no_pattern_takes_for_ever() -> None:
    began = time.monotonic()
    assert not _is_like("a" * 5000, "*a" * 60 + "b")
    assert time.monotonic() - began < 1
