"""What searches answer (PS3.18 10.6.3.3) and how they page and order."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from gateway.dicom.query.query import Empty, Equals, InItem, Match, Query, Universal, Wildcard
from gateway.errors import BadParameter
from gateway.index import searching
from gateway.index.base import NewVersion, Page
from gateway.index.driver import SqlIndex
from gateway.model import Level, ResourcePath, SeriesUID, Source, StudyUID
from tests.index.factories import SCOPE, Maker, attribute, only, parsed, person, uids

STUDY = ResourcePath(StudyUID("1.1"))
SERIES = ResourcePath(StudyUID("1.1"), SeriesUID("1.1.1"))
REQUEST = 0x00400275
STUDY_REQUIRED = {
    *("00080020", "00080030", "00080050", "00080056", "00080061", "00080090", "00081190", "00100010"),
    *("00100020", "00100030", "00100040", "0020000D", "00200010", "00201206", "00201208"),
}
SERIES_REQUIRED = {"00080060", "00081190", "0020000D", "0020000E", "00200011", "00201209"}
INSTANCE_REQUIRED = {
    *("00080016", "00080018", "00080056", "00081190", "00083002", "0020000D", "0020000E", "00200013")
}


def rich(maker: Maker, **more: dict[str, Any]) -> NewVersion:
    items = [
        {
            "00400009": attribute("SH", f"S{n}"),
            "00401001": attribute("SH", f"R{n}"),
            "00321060": attribute("LO", f"D{n}"),
        }
        for n in (1, 2)
    ]
    given = {
        "t00080005": attribute("CS", "ISO_IR 100"),
        "t00100010": person("Doe^Jane"),
        "t0008103E": attribute("LO", "Axial"),
        "t00081030": attribute("LO", "Head"),
        "t00280010": attribute("US", 512),
        "t00081140": attribute(
            "SQ", {"00081150": attribute("UI", "1.2"), "00081155": attribute("UI", "1.3")}
        ),
        "t00400275": attribute("SQ", *items),
        "t00080201": attribute("SH", "+0100"),
    }
    return maker.version(**(given | more))


async def row(index: SqlIndex, level: Level, **asked: Any) -> dict[str, Any]:
    return only((await index.search(SCOPE, Query(level, **asked))).rows)


@pytest.mark.parametrize(
    ("level", "within", "required"),
    [
        (Level.STUDY, None, STUDY_REQUIRED),
        (Level.SERIES, STUDY, SERIES_REQUIRED),
        (Level.SERIES, None, SERIES_REQUIRED | STUDY_REQUIRED),
        (Level.INSTANCE, SERIES, INSTANCE_REQUIRED),
        (Level.INSTANCE, STUDY, INSTANCE_REQUIRED | SERIES_REQUIRED),
        (Level.INSTANCE, None, INSTANCE_REQUIRED | SERIES_REQUIRED | STUDY_REQUIRED),
    ],
)
async def test_required_attributes_are_there_though_empty(
    index: SqlIndex, level: Level, within: ResourcePath | None, required: set[str]
) -> None:
    await index.admit([Maker().version()])
    found = await row(index, level, within=within)
    assert set(found) == required
    assert list(found) == sorted(found)
    if "00100010" in required:
        assert found["00100010"] == {"vr": "PN"}


async def test_values_are_those_of_the_study(index: SqlIndex) -> None:
    await index.admit([rich(Maker())])
    page = await index.search(SCOPE, Query(Level.STUDY))
    assert b'"00081190":{"vr":"UR","Value":["\0/studies/1.1"]}' in page.rows[0]
    study = parsed(page.rows[0])
    assert study["00100010"]["Value"] == [{"Alphabetic": "Doe^Jane"}]
    assert study["00080056"]["Value"] == ["ONLINE"]
    assert study["00080201"]["Value"] == ["+0100"]
    instance = await row(index, Level.INSTANCE)
    assert instance["00081190"]["Value"] == ["/studies/1.1/series/1.1.1/instances/1.1.1.1"]
    assert instance["00083002"] == {"vr": "UI", "Value": ["1.2.840.10008.1.2.1"]}
    assert instance["00280010"] == {"vr": "US", "Value": [512]}
    assert "00080005" not in instance


@pytest.mark.parametrize(
    ("level", "within", "tag", "shown"),
    [
        (Level.STUDY, None, 0x00081030, True),
        (Level.STUDY, None, 0x0008103E, False),
        (Level.STUDY, None, 0x00080062, True),
        (Level.SERIES, STUDY, 0x00081030, True),
        (Level.SERIES, STUDY, 0x00280010, False),
        (Level.SERIES, STUDY, 0x00080061, True),
        (Level.INSTANCE, SERIES, 0x00081030, True),
        (Level.INSTANCE, SERIES, 0x0008103E, True),
        (Level.INSTANCE, SERIES, 0x00081140, True),
        (Level.INSTANCE, SERIES, 0x00080005, False),
    ],
)
async def test_includefield_knows_levels(
    index: SqlIndex, level: Level, within: ResourcePath | None, tag: int, shown: bool
) -> None:
    await index.admit([rich(Maker())])
    found = await row(index, level, within=within, include=((tag,),))
    assert bool(found.get(f"{tag:08X}", {}).get("Value")) is shown


async def test_all_means_all_of_the_levels_shown(index: SqlIndex) -> None:
    await index.admit([rich(Maker())])
    study = await row(index, Level.STUDY, include_all=True)
    assert {"00081030", "00080062"} <= set(study)
    assert "0008103E" not in study
    series = await row(index, Level.SERIES, within=STUDY, include_all=True)
    assert "00100010" not in series
    assert len(series["00400275"]["Value"][0]) == 3
    instance = await row(index, Level.INSTANCE, include_all=True)
    assert {"00081030", "0008103E", "00081140"} <= set(instance)
    assert "00080005" not in instance
    assert list(instance) == sorted(instance)


async def test_what_was_matched_on_is_shown(index: SqlIndex) -> None:
    await index.admit([rich(Maker())])
    found = await row(index, Level.STUDY, matches=(Equals((0x00081030,), "LO", "Head"),))
    assert found["00081030"]["Value"] == ["Head"]
    found = await row(index, Level.STUDY, matches=(Empty((0x00081080,), "LO"), Universal((0x00104000,))))
    assert (found["00081080"], found["00104000"]) == ({"vr": "LO"}, {"vr": "LT"})


def in_item(step: str) -> Match:
    return InItem((REQUEST,), (Equals((0x00400009,), "SH", step), Universal((0x00321060,))))


@pytest.mark.parametrize(
    ("asked", "items"),
    [
        ({}, [{"00400009": "S1", "00401001": "R1"}, {"00400009": "S2", "00401001": "R2"}]),
        (
            {"include": ((REQUEST, 0x00321060),)},
            [
                {"00321060": "D1", "00400009": "S1", "00401001": "R1"},
                {"00321060": "D2", "00400009": "S2", "00401001": "R2"},
            ],
        ),
        ({"matches": (in_item("S2"),)}, [{"00321060": "D2", "00400009": "S2", "00401001": "R2"}]),
        (
            {"matches": (InItem((REQUEST,), (Equals((0x00400009,), "SH", "S1"),)),)},
            [{"00400009": "S1", "00401001": "R1"}],
        ),
        (
            {"matches": (Universal((REQUEST,)),)},
            [
                {"00321060": "D1", "00400009": "S1", "00401001": "R1"},
                {"00321060": "D2", "00400009": "S2", "00401001": "R2"},
            ],
        ),
    ],
)
async def test_items_of_a_sequence(
    index: SqlIndex, asked: dict[str, Any], items: list[dict[str, str]]
) -> None:
    await index.admit([rich(Maker())])
    found = await row(index, Level.SERIES, within=STUDY, **asked)
    shown = [{tag: a["Value"][0] for tag, a in item.items()} for item in found["00400275"]["Value"]]
    assert shown == items


async def test_a_dotted_field_is_shown_alone(index: SqlIndex) -> None:
    await index.admit([rich(Maker())])
    found = await row(index, Level.INSTANCE, within=SERIES, include=((0x00081140, 0x00081155),))
    assert found["00081140"]["Value"] == [{"00081155": attribute("UI", "1.3")}]
    found = await row(index, Level.INSTANCE, within=SERIES, include=((0x00081140, 0x00081155), (0x00081140,)))
    assert set(found["00081140"]["Value"][0]) == {"00081150", "00081155"}


async def test_counts_and_sets_follow_deletes(index: SqlIndex) -> None:
    maker = Maker()
    ct = [maker.version("1.1", "1.1.1") for _ in range(3)]
    mr = maker.version("1.1", "1.1.2", t00080060=attribute("CS", "MR"))
    await index.admit([*ct, mr])
    assert (await row(index, Level.STUDY))["00080061"]["Value"] == ["CT", "MR"]
    await index.remove(SCOPE, mr.identity.path, Source("stow"), "")
    await index.remove(SCOPE, ct[0].identity.path, Source("stow"), "")
    study = await row(index, Level.STUDY)
    assert study["00080061"]["Value"] == ["CT"]
    assert (study["00201206"]["Value"], study["00201208"]["Value"]) == ([1], [2])
    assert (await row(index, Level.SERIES))["00201209"]["Value"] == [2]


@pytest.mark.parametrize(
    ("match", "found"),
    [
        (Equals((0x00080061,), "CS", "MR"), ["1.2", "1.3"]),
        (Wildcard((0x00080061,), "CS", "?T"), ["1.1", "1.2"]),
        (Wildcard((0x00080061,), "CS", "C*R"), []),
        (Equals((0x00201208,), "IS", "2"), ["1.2"]),
        (Equals((0x00101010,), "AS", "045Y"), ["1.3"]),
    ],
)
async def test_matching_over_instances(index: SqlIndex, match: Match, found: list[str]) -> None:
    """Sets and counts of a study, and a study attribute without a column."""
    maker, mr = Maker(), attribute("CS", "MR")
    await index.admit(
        [
            maker.version("1.1", "1.1.1"),
            maker.version("1.2", "1.2.1"),
            maker.version("1.2", "1.2.2", t00080060=mr),
            maker.version("1.3", "1.3.1", t00080060=mr, t00101010=attribute("AS", "045Y")),
        ]
    )
    assert uids((await index.search(SCOPE, Query(Level.STUDY, matches=(match,)))).rows, "0020000D") == found


async def test_too_many_candidates_are_refused(index: SqlIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "MOST_CANDIDATES", 4)
    maker = Maker()
    await index.admit([maker.version("1.1", f"1.1.{n}", t00181314=attribute("DS", n)) for n in range(5)])
    angle = Equals((0x00181314,), "DS", "3")
    with pytest.raises(BadParameter) as error:
        await index.search(SCOPE, Query(Level.INSTANCE, matches=(angle,)))
    assert error.value.parameter == "FlipAngle"
    narrowed = (angle, Equals((0x0020000E,), "UI", "1.1.3"))
    assert len((await index.search(SCOPE, Query(Level.INSTANCE, matches=narrowed))).rows) == 1


@pytest.mark.parametrize(
    ("limit", "offset", "shown", "remaining"),
    [(10, 0, 5, 0), (2, 0, 2, 3), (2, 4, 1, 0), (0, 0, 0, 5), (5, 5, 0, 0), (5, 99, 0, 0)],
)
@pytest.mark.parametrize("match", [(), (Wildcard((0x00181030,), "LO", "a*"),), (Empty((0x00181314,), "DS"),)])
async def test_pages(
    index: SqlIndex, match: tuple[Match, ...], limit: int, offset: int, shown: int, remaining: int
) -> None:
    maker = Maker()
    await index.admit([maker.version(t00181030=attribute("LO", "abc")) for _ in range(5)])
    query = Query(Level.INSTANCE, matches=match, limit=limit, offset=offset, count=True)
    page = await index.search(SCOPE, query)
    assert (len(page.rows), page.remaining, page.total) == (shown, remaining, 5)


async def test_remaining_is_exact_up_to_a_bound(index: SqlIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "MOST_REMAINING", 3)
    maker = Maker()
    await index.admit([maker.version() for _ in range(9)])
    pages: list[Page] = [
        await index.search(SCOPE, Query(Level.INSTANCE, limit=2, offset=offset)) for offset in (0, 4, 6)
    ]
    assert [page.remaining for page in pages] == [3, 3, 1]


async def test_order_of_series_and_instances(index: SqlIndex) -> None:
    maker = Maker()
    number = "t00200011"
    await index.admit(
        [
            maker.version("1.1", "1.1.3"),
            maker.version("1.1", "1.1.2", **{number: attribute("IS", 10)}),
            maker.version("1.1", "1.1.1", **{number: attribute("IS", 9)}),
            maker.version("1.1", "1.1.1", t00200013=attribute("IS", 1), **{number: attribute("IS", 9)}),
            maker.version("1.1", "1.1.1", t00200013=attribute("IS"), **{number: attribute("IS", 9)}),
            maker.version("1.1", "1.1.10", **{number: attribute("IS", 9)}),
        ]
    )
    wanted = ["1.1.1", "1.1.10", "1.1.2", "1.1.3"]
    assert uids((await index.search(SCOPE, Query(Level.SERIES))).rows, "0020000E") == wanted
    assert [p.series for p in await index.series_of(SCOPE, STUDY)] == wanted
    instances = [s.identity.instance for s in await index.instances(SCOPE, STUDY)]
    assert instances == ["1.1.1.4", "1.1.1.3", "1.1.1.5", "1.1.10.6", "1.1.2.2", "1.1.3.1"]
    assert uids((await index.search(SCOPE, Query(Level.INSTANCE))).rows, "00080018") == instances
    bodies = await index.metadata(SCOPE, STUDY)
    assert [orjson.loads(body)["00080018"]["Value"][0] for body in bodies] == instances


async def test_hierarchical_lists_stay_within(index: SqlIndex) -> None:
    maker = Maker()
    await index.admit([maker.version(f"1.{n}", f"1.{n}.{s}") for n in (1, 2) for s in (1, 2)])
    for within, level, count in ((STUDY, Level.SERIES, 2), (SERIES, Level.INSTANCE, 1)):
        assert len((await index.search(SCOPE, Query(level, within=within))).rows) == count
    unknown = ResourcePath(StudyUID("9.9"))
    assert (await index.search(SCOPE, Query(Level.SERIES, within=unknown))).rows == []
    higher = (Equals((0x0020000D,), "UI", "1.2"),)
    assert (await index.search(SCOPE, Query(Level.SERIES, within=STUDY, matches=higher))).rows == []
