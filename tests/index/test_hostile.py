"""Values that nobody meant: no file breaks a batch, and no query the server."""

from __future__ import annotations

from typing import Any

import pytest
from gateway.dicom.query.query import Empty, Equals, Fuzzy, InItem, Match, OneOf, Query, Range, Wildcard
from gateway.index.base import Admitted, Refused
from gateway.index.driver import SqlIndex
from gateway.model import Level
from tests.index.factories import SCOPE, Maker, again, attribute, uids

ODD: dict[str, dict[str, Any]] = {
    "NUL in an identifier": {"t00100020": attribute("LO", "a\0b")},
    "NUL in a name": {"t00100010": attribute("PN", {"Alphabetic": "a\0b"})},
    "a name that is none": {"t00100010": attribute("PN", "Doe^Jane")},
    "a name of nothing": {"t00100010": attribute("PN", {})},
    "a null value": {"t00100020": attribute("LO", None, "b")},
    "a very long identifier": {"t00100020": attribute("LO", "ä" * 100_000)},
    "a very long name": {"t00100010": attribute("PN", {"Alphabetic": "ab " * 50_000})},
    "a number beyond any": {"t00200011": attribute("IS", 10**40), "t00200013": attribute("IS", -(10**30))},
    "no number at all": {"t00200011": attribute("IS", "NaN"), "t00200013": attribute("IS", "x")},
    "a date that is none": {"t00080020": attribute("DA", "soon"), "t00080030": attribute("TM", "noon")},
    "a date-time before the first": {"t0008002A": attribute("DT", "00010101000000+1400")},
    "a sequence that is none": {"t00400275": attribute("LO", "x"), "t00100010": attribute("SQ", {})},
    "an item that is none": {"t00400275": attribute("SQ", "x", {"00400009": attribute("SH", {"a": 1})})},
    "wild characters": {"t00100020": attribute("LO", "%_*?[]\\'\""), "t00080060": attribute("CS", "C\\T")},
    "no plane is too high": {"t00100010": attribute("PN", {"Ideographic": "𠮷田^𝒳"})},
}


@pytest.mark.parametrize("odd", ODD)
async def test_an_odd_instance_is_taken_and_found(index: SqlIndex, odd: str) -> None:
    maker = Maker()
    batch = [maker.version(), maker.version("1.2", "1.2.1", **ODD[odd]), maker.version()]
    assert all(isinstance(v, Admitted) for v in await index.admit(batch))
    for level in Level:
        assert (await index.search(SCOPE, Query(level, include_all=True))).rows
    changed = again(maker.version("1.2", "1.2.1", batch[1].identity.instance), 99)
    (verdict,) = await index.admit([changed])
    assert isinstance(verdict, Refused)
    assert verdict.differing


QUERIES: tuple[Match, ...] = (
    Equals((0x00100020,), "LO", "a\0b"),
    Wildcard((0x00100020,), "LO", "a\0*"),
    Wildcard((0x00100010,), "PN", "*\0*"),
    Fuzzy((0x00100010,), ("\0", "'", "^")),
    Equals((0x00100010,), "PN", "="),
    Equals((0x00100010,), "PN", "a=b=c=d=e"),
    Equals((0x00200011,), "IS", str(10**40)),
    Equals((0x00200011,), "IS", "²"),
    Wildcard((0x00200011,), "IS", "1*"),
    OneOf((0x0020000D,), "UI", tuple(f"1.{n}" for n in range(1000))),
    OneOf((0x00080062,), "UI", tuple(f"1.{n}" for n in range(3000))),
    Fuzzy((0x00100010,), tuple(f"word{n}" for n in range(96))),
    OneOf((0x00080061,), "CS", ("*", "[A-Z]", "%")),
    Wildcard((0x00100020,), "LO", "*" * 600),
    Wildcard((0x00100020,), "LO", "*a" * 200),
    Range((0x00080020,), "DA", None, None),
    Empty((0x00100010,), "PN"),
    InItem((0x00400275,), ()),
    InItem((0x00081140,), (Equals((0x00081155,), "UI", "1"),)),
)


async def test_odd_queries_are_answered(index: SqlIndex) -> None:
    await index.admit([Maker().version("1.1", "1.1.1")])
    for match in QUERIES:
        for level in Level:
            await index.search(SCOPE, Query(level, matches=(match,)))


async def test_only_star_and_question_mark_are_wild(index: SqlIndex) -> None:
    maker = Maker()
    values = ("100%x", "[a-z]", "x", "a\\b", "a_b", "𠮷田", "a-b")
    await index.admit(
        [
            maker.version(f"1.{n}", f"1.{n}.1", t00100020=attribute("LO", value))
            for n, value in enumerate(values, 1)
        ]
    )
    for pattern, found in (
        ("%", []),
        ("_", []),
        ("100%*", ["1.1"]),
        ("*[a-z]*", ["1.2"]),
        ("?", ["1.3"]),
        ("*\\*", ["1.4"]),
        ("*_*", ["1.5"]),
        ("𠮷?", ["1.6"]),
        ("a-*", ["1.7"]),
    ):
        match = Wildcard((0x00100020,), "LO", pattern)
        page = await index.search(SCOPE, Query(Level.STUDY, matches=(match,)))
        assert uids(page.rows, "0020000D") == found, pattern


async def test_differing_attributes_are_named_by_their_place(index: SqlIndex) -> None:
    maker = Maker()

    def item(uid: str) -> Any:
        return attribute("SQ", {"00081155": attribute("UI", uid)}, {"00081155": attribute("UI", "2.2")})

    first = maker.version(instance="1.9", t00081140=item("1.1"), t00100020=attribute("LO", "A"))
    other = maker.version(
        instance="1.9", t00081140=item("1.2"), t00091001=attribute("LO", "p"), t00200013=attribute("IS", 7)
    )
    pixels = again(first, 50, content_digest=b"other")
    await index.admit([first])
    verdicts = await index.admit([other, pixels])
    assert [v.differing for v in verdicts if isinstance(v, Refused)] == [
        ("ReferencedImageSequence[1].ReferencedSOPInstanceUID", "(0009,1001)", "PatientID", "InstanceNumber"),
        ("PixelData",),
    ]


async def test_ten_differences_are_enough(index: SqlIndex) -> None:
    maker = Maker()
    many = {f"t001000{n:02}": attribute("LO", "x") for n in range(50, 70)}
    await index.admit([maker.version(instance="1.9")])
    (verdict,) = await index.admit([maker.version(instance="1.9", **many)])
    assert isinstance(verdict, Refused)
    assert len(verdict.differing) == 10
