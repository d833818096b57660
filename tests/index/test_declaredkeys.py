"""Declared keys on both drivers: what they answer is what the exact matcher finds, filled whenever it was."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Any

import orjson
import pytest
from gateway.dicom.model.private import PrivateTag
from gateway.dicom.query.declaredkeys import parse_definition
from gateway.dicom.query.match import satisfies
from gateway.dicom.query.query import (
    DateTimeRange,
    Empty,
    Equals,
    Fuzzy,
    InItem,
    Match,
    OneOf,
    Query,
    Range,
    Wildcard,
)
from gateway.errors import BadParameter, Conflict, NotFound
from gateway.index import searching
from gateway.index.base import Index, NewVersion
from gateway.index.driver import SqlIndex
from gateway.model import Level, ResourcePath, Source, StudyUID
from tests.index.factories import SCOPE, Maker, attribute, person, uids

SOURCE = Source("test")
ACME = PrivateTag(0x00231001, "Acme 1.0")
DEVICE = (0x00181000,)
PHYSICIAN = (0x00081050,)
ITEM = 0x00081140
KEYS = (
    *("DeviceSerialNumber", "PerformingPhysicianName", "MedicalAlerts", "SliceThickness", "ContentDate"),
    *(
        "ContentTime",
        "FrameAcquisitionDateTime",
        "ImageType",
        "PatientWeight",
        "LongitudinalTemporalOffsetFromEvent",
    ),
    *("00231001[Acme 1.0]:LO", "00081140.00081150", "00081140.00081155", "00081140.00081199.00080100"),
)
NAMES = ("Müller^Jürgen", "Mueller^J", "O'Neil^Pat", "Yamada^Tarou=山田^太郎=やまだ^たろう")
MATCHES: tuple[Match, ...] = (
    Equals(DEVICE, "LO", "D1"),
    Wildcard(DEVICE, "LO", "?1"),
    Wildcard(DEVICE, "LO", "D*"),
    Empty(DEVICE, "LO"),
    Equals(PHYSICIAN, "PN", "muller^jurgen"),
    Wildcard(PHYSICIAN, "PN", "*=山田*"),
    Wildcard(PHYSICIAN, "PN", "m*"),
    Fuzzy(PHYSICIAN, ("oneil",)),
    Empty(PHYSICIAN, "PN"),
    Equals((0x00102000,), "LO", "b"),
    Equals((0x00180050,), "DS", "2.5"),
    Empty((0x00180050,), "DS"),
    Equals((0x00080023,), "DA", "20240131"),
    Range((0x00080023,), "DA", "20240101", "20240201"),
    Range((0x00080023,), "DA", None, "20240201"),
    Range((0x00080033,), "TM", "101500.000000", "101559.999999"),
    Range((0x00189074,), "DT", "20240131100000.000000", "20240131105959.999999"),
    Equals((0x00080008,), "CS", "PRIMARY"),
    Equals((0x00101030,), "DS", "70"),
    Equals((ACME,), "LO", "red"),
    Wildcard((ACME,), "LO", "?e*"),
    InItem((ITEM,), (Equals((0x00081150,), "UI", "1.1"), Equals((0x00081155,), "UI", "2.1"))),
    InItem((ITEM,), (OneOf((0x00081150,), "UI", ("1.1", "1.2")), Equals((0x00081155,), "UI", "2.2"))),
    InItem((ITEM,), (InItem((0x00081199,), (Equals((0x00080100,), "SH", "C1"),)),)),
)


def some(r: random.Random, vr: str, *values: Any) -> Any:
    chosen = r.choice((*values, None))
    return attribute(vr) if chosen is None else attribute(vr, chosen)


def reference(r: random.Random) -> dict[str, Any]:
    code = attribute("SQ", {"00080100": some(r, "SH", "C1", "C2")}, {"00080100": some(r, "SH", "C1")})
    return {
        "00081150": some(r, "UI", "1.1", "1.2"),
        "00081155": some(r, "UI", "2.1", "2.2"),
        "00081199": code,
    }


def archive(seed: int, studies: int = 12) -> list[NewVersion]:
    r, maker, made = random.Random(seed), Maker(seed + 1), list[NewVersion]()
    for n in range(studies):
        study = {
            "t00102000": r.choice((attribute("LO", "a", "b"), attribute("LO"))),
            "t00101030": some(r, "DS", 70, 71.5),
        }
        for s in range(2):
            name = r.choice((*NAMES, None))
            series = study | {
                "t00081050": person(name) if name else attribute("PN"),
                "t00181000": some(r, "LO", "D1", "D2", "d1"),
            }
            for _ in range(2):
                block = r.choice(("10", "11"))
                own = {
                    "t00180050": some(r, "DS", 2.5, 3),
                    "t00080023": some(r, "DA", "20240131", "2024.02.01", "soon"),
                    "t00080033": some(r, "TM", "1015", "10:15:01", "late"),
                    "t00189074": some(r, "DT", "20240131101500", "20240131111500+0100"),
                    "t00080008": r.choice(
                        (attribute("CS", "ORIGINAL", "PRIMARY"), attribute("CS", "DERIVED"))
                    ),
                    f"t002300{block}": some(r, "LO", "Acme 1.0", "Other"),
                    f"t0023{block}01": some(r, "LO", "red", "blue"),
                    "t00081140": attribute("SQ", *(reference(r) for _ in range(r.randint(0, 2)))),
                }
                made.append(maker.version(f"{seed}.{n}", f"{seed}.{n}.{s}", **series | own))
    return made


async def filled(index: Index, limit: int = 7) -> None:
    while await index.work_on_keys(limit):
        pass


def wanted(made: list[NewVersion], match: Match, level: Level) -> set[str]:
    """By the exact matcher; all instances of a series say the same of it."""
    tag = {Level.STUDY: "0020000D", Level.SERIES: "0020000E", Level.INSTANCE: "00080018"}[level]
    told = [orjson.loads(version.metadata) for version in made]
    return {one[tag]["Value"][0] for one in told if satisfies(one, (match,))}


async def found(index: Index, match: Match, level: Level) -> set[str]:
    tag = {Level.STUDY: "0020000D", Level.SERIES: "0020000E", Level.INSTANCE: "00080018"}[level]
    return set(uids((await index.search(SCOPE, Query(level, matches=(match,), limit=5000))).rows, tag))


async def test_keys_answer_as_the_exact_matcher(index: SqlIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = archive(1), archive(2)
    await index.admit(before)
    for text in KEYS:
        assert await index.declare_key(parse_definition(text), SOURCE) is not None
    await index.admit(after[:20])
    await filled(index)
    await index.admit(after[20:])
    assert {key.state for key in await index.keys()} == {"ready"}
    # No look into candidates: only what keys answer is answered at all.
    monkeypatch.setattr(searching, "MOST_CANDIDATES", 0)
    hits = 0
    for match in MATCHES:
        level = parsed_level(match)
        expected = wanted([*before, *after], match, level)
        assert await found(index, match, level) == expected, match
        hits += bool(expected)
    assert hits > len(MATCHES) * 0.8, "hardly anything was found: it proved nothing"
    with pytest.raises(BadParameter, match="/api/v1/keys"):
        await found(index, Equals((0x00181314,), "DS", "15"), Level.INSTANCE)


def parsed_level(match: Match) -> Level:
    from gateway.dicom.query.levels import level_of
    from gateway.index.sql import first_tags

    return level_of(first_tags(match)[0])


async def test_a_declared_date_narrows_an_interval_down(
    index: SqlIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = Maker(12)
    made = [
        maker.version(t00080023=attribute("DA", f"202401{n:02}"), t00080033=attribute("TM", f"{n % 24:02}30"))
        for n in range(1, 31)
    ]
    await index.admit(made)
    await index.declare_key(parse_definition("ContentDate"), SOURCE)
    await filled(index)
    monkeypatch.setattr(searching, "MOST_CANDIDATES", 4)
    date, time = (0x00080023,), (0x00080033,)
    for zone, most in ((None, "20240108"), ("+0100", "20240107")):
        match = DateTimeRange(date, time, "20240106070000.000000", f"{most}080000.000000", zone)
        expected = wanted(made, match, Level.INSTANCE)
        assert len(expected) >= 1
        assert await found(index, match, Level.INSTANCE) == expected


async def test_what_is_removed_or_replaced_is_not_found(index: SqlIndex) -> None:
    await index.declare_key(parse_definition("DeviceSerialNumber"), SOURCE)
    await index.declare_key(parse_definition("SliceThickness"), SOURCE)
    await filled(index)
    maker = Maker(9)
    first = maker.version(t00181000=attribute("LO", "D1"), t00180050=attribute("DS", 1))
    second = maker.version(t00181000=attribute("LO", "D2"), t00180050=attribute("DS", 2))
    await index.admit([first, second])
    await index.remove(SCOPE, first.identity.path, SOURCE, "")
    assert await found(index, Equals(DEVICE, "LO", "D1"), Level.SERIES) == set()
    assert await found(index, Equals(DEVICE, "LO", "D2"), Level.SERIES) == {"1.1.1"}
    assert await found(index, Equals((0x00180050,), "DS", "1"), Level.INSTANCE) == set()
    await index.remove(SCOPE, ResourcePath(StudyUID("1.1")), SOURCE, "")
    assert await found(index, Empty((0x00180050,), "DS"), Level.INSTANCE) == set()


async def test_declaring_while_others_store(index: SqlIndex) -> None:
    """Whatever was not seen by the one is indexed by the other."""
    made = archive(3, 20)

    async def store() -> None:
        for start in range(0, len(made), 4):
            await index.admit(made[start : start + 4])

    async def declare() -> None:
        for text in KEYS:
            await index.declare_key(parse_definition(text), SOURCE)
            await index.work_on_keys(5)

    await asyncio.gather(store(), declare(), filled(index, 3))
    await filled(index)
    assert {key.state for key in await index.keys()} == {"ready"}
    for match in MATCHES:
        level = parsed_level(match)
        assert await found(index, match, level) == wanted(made, match, level), match


async def test_progress_and_what_could_not_be_indexed(index: SqlIndex) -> None:
    maker = Maker(5)
    bulk: dict[str, Any] = {"vr": "LO", "BulkDataURI": "x"}
    bad = [
        maker.version(t00080023=attribute("DA", "soon")),
        maker.version(t00080023=attribute("DA", "20240131", "later")),
        maker.version(t00080023=bulk),
    ]
    good = [maker.version(t00080023=attribute("DA", "20240131")) for _ in range(4)]
    await index.admit([*bad, *good])
    await index.declare_key(parse_definition("ContentDate"), SOURCE)
    (key,) = await index.keys()
    assert (key.state, key.done, key.total, key.failed) == ("filling", 0, 7, 0)
    assert await index.work_on_keys(5)
    (key,) = await index.keys()
    assert (key.state, key.done) == ("filling", 5)
    await filled(index)
    (key,) = await index.keys()
    assert (key.state, key.done, key.total, key.failed) == ("ready", 7, 7, 3)
    listed = await index.key_failures(key.id)
    assert {failure.instance for failure in listed} == {version.identity.instance for version in bad}
    assert {failure.reason for failure in listed} == {"the value is no DA", "the value is bulk data"}
    assert await index.key_failures(key.id, listed[0].place, 1) == [listed[1]]
    for instance in (bad[0], bad[2]):
        assert instance.identity.instance not in await found(
            index, Empty((0x00080023,), "DA"), Level.INSTANCE
        )


async def test_dropping_takes_the_values_away(index: SqlIndex) -> None:
    await index.admit(archive(4, 3))
    await index.declare_key(parse_definition("SliceThickness"), SOURCE)
    assert await index.declare_key(parse_definition("SliceThickness"), SOURCE) is None
    await index.declare_key(parse_definition("00231001[Acme 1.0]:LO"), SOURCE)
    with pytest.raises(Conflict):
        await index.declare_key(parse_definition("00231001[Acme 1.0]:SH"), SOURCE)
    await filled(index)
    first, second = await index.keys()
    await index.drop_key(first.id, SOURCE)
    assert await index.keys() == [second]
    with pytest.raises(NotFound):
        await index.drop_key(first.id, SOURCE)
    await index.declare_key(parse_definition("SliceThickness"), SOURCE)
    await filled(index, 3)
    assert [key.state for key in await index.keys()] == ["ready", "ready"]
    kinds = [change.kind for change in await index.changes(0) if change.kind != "store"]
    assert kinds == ["key", "key", "unkey", "key"]


async def test_a_replay_gives_definitions_and_values_back(index: SqlIndex) -> None:
    made = archive(6, 4)
    await index.admit(made[:8])
    await index.declare_key(parse_definition("SliceThickness"), SOURCE)
    await index.declare_key(parse_definition("ContentDate"), SOURCE)
    await filled(index)
    await index.admit(made[8:])
    await index.drop_key((await index.keys())[1].id, SOURCE)
    await filled(index)
    keys, changes = await index.keys(), await index.changes(0)
    await index.reset()
    assert await index.keys() == []
    await index.replay(changes, {version.version: version for version in made})
    await filled(index)
    assert await index.keys() == keys
    match = Equals((0x00180050,), "DS", "2.5")
    assert await found(index, match, Level.INSTANCE) == wanted(made, match, Level.INSTANCE)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        *(("Nonsense", "data element"), ("PatientNam", "data element"), ("00020010", "data element")),
        *(("PixelData", "compared"), ("00081140", "compared"), ("", "keyword"), ("00181030:lo", "keyword")),
        *(("00181030:DS", "VR LO"), ("PatientID.StudyDate", "sequences"), ("00231001:LO", "creator")),
        *(
            ("00230010[Acme]:LO", "private element"),
            ("00231001[Acme]", "a VR"),
            ("00181030[Acme]", "no creator"),
        ),
        *(
            (".".join(["00081140"] * 17), "at most"),
            ("00231001[Acme]:OB", "compared"),
            ("00181030 ", "keyword"),
        ),
    ],
)
def test_what_is_no_key(text: str, wanted: str) -> None:
    with pytest.raises(BadParameter) as raised:
        parse_definition(text)
    assert wanted in str(raised.value.expected)


@pytest.mark.parametrize("text", [*KEYS, "00231001[A%2CB, %5Dx]:DS", "00400275.00231001[X]:PN"])
def test_definitions_are_read_back(text: str) -> None:
    assert parse_definition(str(parse_definition(text))) == parse_definition(text)


async def test_a_key_within_what_the_outline_leaves_out(index: SqlIndex) -> None:
    """Only what is searched is read of metadata that is long; a key that is declared may be anywhere in it."""
    maker = Maker()
    members = {
        "t00081140": attribute("SQ", {"00081150": attribute("UI", "1.2.99")}),
        "t00181000": attribute("LO", "D1"),
    }
    whole, short = maker.version(**members), maker.version(t00181000=attribute("LO", "D1"))
    long = replace(whole, outline=short.metadata)
    await index.declare_key(parse_definition("00081140.00081150"), SOURCE)
    await index.admit([long])
    found = await index.search(
        SCOPE, Query(Level.INSTANCE, matches=(Equals((0x00081140, 0x00081150), "UI", "1.2.99"),))
    )
    assert uids(found.rows, "00080018") == [whole.identity.instance]
