"""Random archives and random queries: both drivers answer byte for byte alike, and as the exact matcher does."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
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
    Universal,
    Wildcard,
)
from gateway.index.base import NewVersion, Page
from gateway.index.driver import SqlIndex
from gateway.model import Level, ResourcePath, SeriesUID, StudyUID
from tests.index.conftest import opening
from tests.index.factories import NAMES, SCOPE, Maker, attribute, parsed, person

ROUNDS = 400
TEXTS = ("Head", "head", "Hüfte", "a_b", "100%", "x[1]", "*", "山", "Knee  left", "H\\d")
TAGS = {Level.STUDY: "0020000D", Level.SERIES: "0020000E", Level.INSTANCE: "00080018"}
DATES = ("20240131", "20240201", "2024.02.01", "20231231", "soon")
TIMES = ("10", "1015", "101500", "235959.5", "10:15:01", "late")


def maybe(r: random.Random, vr: str, *values: Any) -> Any:
    """One of the values, or empty."""
    return attribute(vr) if r.random() < 0.2 else attribute(vr, r.choice(values))


class Archive:
    """Instances of one seed with what a searcher is told of each: its own, its series' and its study's."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.versions: list[NewVersion] = []
        self.told: list[dict[str, Any]] = []
        maker = Maker(seed)
        for n in range(25):
            self._study(maker, f"1.{n}")
        self.r.shuffle(self.versions)

    def _study(self, maker: Maker, uid: str) -> None:
        r = self.r
        study = {
            "t00080020": maybe(r, "DA", *DATES),
            "t00080030": maybe(r, "TM", *TIMES),
            "t00080050": maybe(r, "SH", "A1", "a1", "A*"),
            "t00080090": maybe(r, "PN", *(person(name)["Value"][0] for name in NAMES)),
            "t00100010": maybe(r, "PN", *(person(name)["Value"][0] for name in NAMES)),
            "t00100020": maybe(r, "LO", *TEXTS),
            "t00100021": maybe(r, "LO", "H1", "H2"),
            "t00100030": maybe(r, "DA", *DATES),
            "t00100040": maybe(r, "CS", "F", "M"),
            "t00101010": maybe(r, "AS", "045Y", "001D"),
            "t00200010": maybe(r, "SH", "1", "01"),
            "t00081030": maybe(r, "LO", *TEXTS),
        }
        modalities: set[str] = set()
        begun, instances, count = len(self.told), 0, r.randint(1, 3)
        for n in range(count):
            series = self._series_keys()
            modalities |= set(series["t00080060"].get("Value", ()))
            for _ in range(r.randint(1, 3)):
                own = {
                    "t00200013": maybe(r, "IS", 1, 2, 10, "x"),
                    "t0008002A": maybe(r, "DT", "20240131101500", "202401", "20240131101500+0100", "?"),
                    "t00181314": maybe(r, "DS", 15, 15.5, 90),
                }
                made = maker.version(uid, f"{uid}.{n}", **(study | series | own))
                self.versions.append(made)
                self.told.append(parsed(made.metadata))
                instances += 1
        counted = {
            "00080061": attribute("CS", *sorted(modalities)),
            "00201206": attribute("IS", count),
            "00201208": attribute("IS", instances),
        }
        for told in self.told[begun:]:
            told.update(counted)

    def _series_keys(self) -> dict[str, Any]:
        r = self.r
        item = {"00400009": maybe(r, "SH", "S1", "S2"), "00401001": maybe(r, "SH", "R1", "R2")}
        other = {"00400009": maybe(r, "SH", "S1", "S2"), "00401001": maybe(r, "SH", "R1", "R2")}
        return {
            "t00080060": maybe(r, "CS", "CT", "MR", "SR"),
            "t00200011": maybe(r, "IS", 1, 2, 10, -1),
            "t0008103E": maybe(r, "LO", *TEXTS),
            "t00181030": maybe(r, "LO", *TEXTS),
            "t00081010": maybe(r, "SH", "st1", "st2"),
            "t00200052": maybe(r, "UI", "1.5.1", "1.5.2"),
            "t00400244": maybe(r, "DA", *DATES),
            "t00400245": maybe(r, "TM", *TIMES),
            "t00400275": r.choice((attribute("SQ"), attribute("SQ", item), attribute("SQ", item, other))),
        }

    def wanted(self, query: Query, matches: tuple[Match, ...]) -> set[str]:
        found = set()
        for told in self.told:
            study, series = told["0020000D"]["Value"][0], told["0020000E"]["Value"][0]
            if query.within is not None and query.within.study != study:
                continue
            if query.within is not None and query.within.series not in (None, series):
                continue
            if satisfies(told, matches):
                found.add(told[TAGS[query.level]]["Value"][0])
        return found


TEXT_KEYS = ((0x00080050, "SH"), (0x00100020, "LO"), (0x00081030, "LO"), (0x00200010, "SH"))
SERIES_KEYS = ((0x0008103E, "LO"), (0x00181030, "LO"), (0x00081010, "SH"), (0x00080060, "CS"))
PATTERNS = (
    "*",
    "?",
    "H*",
    "*d",
    "*e*",
    "?ead",
    "a?b",
    "*%",
    "x[*",
    "*\\*",
    "山*",
    "A?",
    "C?",
    "st?",
    "**",
    "*  *",
)
NAME_PATTERNS = ("M*", "*ü*", "?i^*", "*^j*", "山田*", "*=*郎", "van*", "o'n*", "*a*", "li^*")
WORDS = (("jan",), ("muller",), ("mueller", "jur"), ("oneil",), ("neil",), ("li",), ("山田",), ("berg", "v"))


def some_match(r: random.Random, level: Level) -> Match:
    """A key of this level or above."""
    makers = [_text, _name, _date, _set, _plain]
    if level is not Level.STUDY:
        makers += [_series_text, _item, _number]
    if level is Level.INSTANCE:
        makers += [_instance]
    return r.choice(makers)(r)


def _pattern(r: random.Random, tag: int, vr: str) -> Match:
    kind = r.random()
    if kind < 0.5:
        return Wildcard((tag,), vr, r.choice(PATTERNS))
    return Equals((tag,), vr, r.choice((*TEXTS, "A1", "CT", "st1", "1"))) if kind < 0.8 else Empty((tag,), vr)


def _text(r: random.Random) -> Match:
    return _pattern(r, *r.choice(TEXT_KEYS))


def _series_text(r: random.Random) -> Match:
    return _pattern(r, *r.choice(SERIES_KEYS))


def _name(r: random.Random) -> Match:
    path = (r.choice((0x00100010, 0x00080090)),)
    return r.choice(
        (
            Equals(path, "PN", r.choice(NAMES)),
            Equals(path, "PN", "山田^太郎"),
            Wildcard(path, "PN", r.choice(NAME_PATTERNS)),
            Fuzzy(path, r.choice(WORDS)),
            Empty(path, "PN"),
        )
    )


def _date(r: random.Random) -> Match:
    low, high = r.choice((None, "20240101", "20240131")), r.choice((None, "20240131", "20240201"))
    day = r.choice((0x00080020, 0x00100030))
    return r.choice(
        (
            Equals((day,), "DA", "20240201"),
            Range((day,), "DA", low, high),
            Range((0x00080030,), "TM", "101500.000000", "101559.999999"),
            Range((0x00080030,), "TM", None, "101500.000000"),
            DateTimeRange(
                (0x00080020,), (0x00080030,), low and f"{low}101500.000000", high and f"{high}101500.000000"
            ),
            Empty((day,), "DA"),
        )
    )


def _set(r: random.Random) -> Match:
    return r.choice(
        (
            Equals((0x00080061,), "CS", "CT"),
            OneOf((0x00080061,), "CS", ("CT", "MR")),
            Wildcard((0x00080061,), "CS", r.choice(("?R", "C*", "*"))),
            Equals((0x00201208,), "IS", str(r.randint(1, 6))),
            OneOf((0x0020000D,), "UI", ("1.1", "1.2", "1.99")),
        )
    )


def _plain(r: random.Random) -> Match:
    return r.choice(
        (
            Universal((0x00100010,)),
            Equals((0x00100040,), "CS", "F"),
            Equals((0x00101010,), "AS", "045Y"),
            Equals((0x00100021,), "LO", "H1"),
        )
    )


def _number(r: random.Random) -> Match:
    return r.choice(
        (
            Equals((0x00200011,), "IS", r.choice(("1", "10", "-1", "007"))),
            OneOf((0x00200052,), "UI", ("1.5.1",)),
            Equals((0x00400244,), "DA", "20240131"),
            Range((0x00400245,), "TM", "101500.000000", None),
        )
    )


def _item(r: random.Random) -> Match:
    keys: list[Match] = [Equals((0x00400009,), "SH", "S1"), Equals((0x00401001,), "SH", "R2")]
    return InItem((0x00400275,), tuple(r.sample(keys, r.randint(1, 2))))


def _instance(r: random.Random) -> Match:
    return r.choice(
        (
            Equals((0x00200013,), "IS", "2"),
            Range((0x0008002A,), "DT", "20240131000000.000000", "20240131235959.999999"),
            Equals((0x00181314,), "DS", "15"),
            Equals((0x00080016,), "UI", "1.2.840.10008.5.1.4.1.1.2"),
        )
    )


def some_query(r: random.Random) -> Query:
    level = r.choice(list(Level))
    study = StudyUID(f"1.{r.randint(0, 25)}")
    series = SeriesUID(f"{study}.0") if level is Level.INSTANCE and r.random() < 0.5 else None
    within = ResourcePath(study, series) if level is not Level.STUDY and r.random() < 0.3 else None
    fields = (
        (0x00081030,),
        (0x0008103E,),
        (0x00080062,),
        (0x00400275,),
        (0x00400275, 0x00400009),
        (0x00181314,),
    )
    return Query(
        level=level,
        within=within,
        matches=tuple(some_match(r, level) for _ in range(r.choice((0, 1, 1, 1, 2, 2, 3)))),
        include=tuple(r.sample(fields, r.randint(0, 2))),
        include_all=r.random() < 0.15,
        limit=r.choice((1, 3, 10, 500)),
        offset=r.choice((0, 0, 0, 2)),
        count=r.random() < 0.5,
    )


def order(told: dict[str, Any]) -> tuple[Any, ...]:
    """The default order, told anew: dates descending, numbers ascending, empty and unreadable values last."""

    def clock(tag: str, digits: int) -> int:
        text = str(told.get(tag, {}).get("Value", [""])[0]).replace(":", "").partition(".")
        whole = (text[0] if digits == 6 else "".join(text)).replace(".", "")
        if not text[0]:
            return 2  # empty
        if not whole.isdigit():
            return 1  # there, and unreadable
        return -int(f"{whole:0<{digits}}" + (f"{text[2]:0<6}" if digits == 6 else ""))

    def number(tag: str) -> tuple[bool, int]:
        value = told.get(tag, {}).get("Value", [None])[0]
        return (not isinstance(value, int), value if isinstance(value, int) else 0)

    uids = (told[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
    study, series, instance = uids
    return (
        *(clock("00080020", 8), clock("00080030", 6), study),
        *(number("00200011"), series, number("00200013"), instance),
    )


@pytest.fixture
async def drivers(tmp_path: Path, postgres: str) -> AsyncIterator[list[SqlIndex]]:
    async with (
        opening("sqlite", tmp_path, lambda: postgres) as file,
        opening("postgres", tmp_path, lambda: postgres) as server,
    ):
        made = [await file(), await server()]
        for driver in made:
            await driver.migrate()
        yield made


@pytest.mark.parametrize("seed", range(2))
async def test_drivers_and_matcher_agree(drivers: list[SqlIndex], seed: int) -> None:
    archive = Archive(seed)
    for driver in drivers:
        for start in range(0, len(archive.versions), 20):
            await driver.admit(archive.versions[start : start + 20])
    ordered = sorted(archive.told, key=order)
    r, hits = random.Random(seed), 0
    for _ in range(ROUNDS):
        query = some_query(r)
        pages = [await driver.search(SCOPE, query) for driver in drivers]
        assert pages[0] == pages[1], query
        hits += assert_right(archive, ordered, query, pages[0])
    assert hits > ROUNDS / 3, "hardly anything was found: it proved nothing"


def assert_right(archive: Archive, ordered: list[dict[str, Any]], query: Query, page: Page) -> bool:
    wanted = archive.wanted(query, query.matches)
    tag = TAGS[query.level]
    listed = [uid for uid in dict.fromkeys(told[tag]["Value"][0] for told in ordered) if uid in wanted]
    shown = listed[query.offset : query.offset + query.limit]
    assert [parsed(row)[tag]["Value"][0] for row in page.rows] == shown, query
    assert page.remaining == max(0, len(listed) - query.offset - len(shown)), query
    assert page.total in (None, len(listed))
    for row in page.rows:
        assert list(parsed(row)) == sorted(parsed(row))
    return bool(shown)
