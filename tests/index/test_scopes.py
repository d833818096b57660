"""What is outside a scope is not there: not in lists, counts, attributes, fingerprints or failures."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gateway.dicom.query.query import Equals, Match, Query
from gateway.errors import Gone, NotFound
from gateway.index.base import Admitted, Scope
from gateway.index.driver import SqlIndex
from gateway.model import Level, PartitionId, ResourcePath, SeriesUID, Source, StudyUID
from tests.index.factories import SCOPE, Maker, again, attribute, only, parsed, uids

CT: Match = Equals((0x00080060,), "CS", "CT")
SLICE: Match = Equals((0x00181314,), "DS", "15")  # has no column
CUTS = {
    "by column": Scope(predicate=(CT,)),
    "by the exact matcher": Scope(predicate=(SLICE,)),
    "by both": Scope(predicate=(CT, SLICE)),
}
STUDY = ResourcePath(StudyUID("1.1"))
FLIP = {"t00181314": attribute("DS", 15)}
HIDDEN = {"t00080060": attribute("CS", "MR"), "t00100020": attribute("LO", "H")}


@pytest.fixture(params=list(CUTS))
def cut(request: pytest.FixtureRequest) -> Scope:
    return CUTS[request.param]


async def filled(index: SqlIndex) -> None:
    """Study 1.1 is seen in part, 1.2 not at all; what is hidden of 1.1 was there first."""
    maker = Maker()
    await index.admit(
        [
            maker.version("1.1", "1.1.9", t00081030=attribute("LO", "hidden"), **HIDDEN),
            maker.version("1.1", "1.1.1", t00100020=attribute("LO", "P"), **FLIP),
            maker.version("1.1", "1.1.1", t00100020=attribute("LO", "P"), **FLIP),
            maker.version("1.1", "1.1.2", t00100020=attribute("LO", "Q"), **FLIP),
            maker.version("1.2", "1.2.1", **HIDDEN),
        ]
    )


async def test_studies_are_told_by_what_is_seen(index: SqlIndex, cut: Scope) -> None:
    await filled(index)
    study = only((await index.search(cut, Query(Level.STUDY, include_all=True))).rows)
    assert study["0020000D"]["Value"] == ["1.1"]
    assert study["00080061"]["Value"] == ["CT"]
    assert study["00100020"]["Value"] == ["P"]
    assert "00081030" not in study
    assert (study["00201206"]["Value"], study["00201208"]["Value"]) == ([2], [3])


async def test_series_and_instances_likewise(index: SqlIndex, cut: Scope) -> None:
    await filled(index)
    rows = (await index.search(cut, Query(Level.SERIES))).rows
    assert uids(rows, "0020000E") == ["1.1.1", "1.1.2"]
    assert [parsed(row)["00201209"]["Value"] for row in rows] == [[2], [1]]
    assert {parsed(row)["00201208"]["Value"][0] for row in rows} == {3}
    page = await index.search(cut, Query(Level.INSTANCE, limit=2, count=True))
    assert (len(page.rows), page.remaining, page.total) == (2, 1, 3)
    assert {parsed(row)["00080061"]["Value"][0] for row in page.rows} == {"CT"}


@pytest.mark.parametrize(
    ("match", "found"),
    [
        (Equals((0x00080061,), "CS", "MR"), 0),
        (Equals((0x00080061,), "CS", "CT"), 1),
        (Equals((0x00201208,), "IS", "3"), 1),
        (Equals((0x00201208,), "IS", "4"), 0),
    ],
)
async def test_what_is_counted_is_matched_as_seen(
    index: SqlIndex, cut: Scope, match: Match, found: int
) -> None:
    await filled(index)
    for level in (Level.STUDY, Level.INSTANCE):
        rows = (await index.search(cut, Query(level, matches=(match,)))).rows
        assert len({parsed(row)["0020000D"]["Value"][0] for row in rows}) == found


async def test_paths_outside_are_not_found(index: SqlIndex, cut: Scope) -> None:
    await filled(index)
    assert len(await index.instances(cut, STUDY)) == len(await index.metadata(cut, STUDY)) == 3
    assert [p.series for p in await index.series_of(cut, STUDY)] == ["1.1.1", "1.1.2"]
    hidden = (ResourcePath(StudyUID("1.2")), ResourcePath(StudyUID("1.1"), SeriesUID("1.1.9")))
    for path in hidden:
        for ask in (index.instances, index.metadata, index.version_set, index.series_of):
            with pytest.raises(NotFound) as error:
                await ask(cut, path)
            assert not isinstance(error.value, Gone)
        with pytest.raises(NotFound):
            await index.remove(cut, path, Source("stow"), "")
    assert (await index.counts())[Level.INSTANCE] == 5


async def test_the_fingerprint_is_of_what_is_seen(index: SqlIndex, cut: Scope) -> None:
    await filled(index)
    before, whole = await index.version_set(cut, STUDY), await index.version_set(SCOPE, STUDY)
    assert before != whole
    await index.remove(SCOPE, ResourcePath(StudyUID("1.1"), SeriesUID("1.1.9")), Source("stow"), "")
    assert await index.version_set(cut, STUDY) == before == await index.version_set(SCOPE, STUDY)


async def test_only_what_is_seen_is_removed(index: SqlIndex, cut: Scope) -> None:
    await filled(index)
    assert len((await index.remove(cut, STUDY, Source("stow"), "")).changes) == 3
    with pytest.raises(NotFound) as error:
        await index.instances(cut, STUDY)
    assert not isinstance(error.value, Gone), "that there was something is not told"
    assert len(await index.instances(SCOPE, STUDY)) == 1


async def test_conflicts_outside_are_not_told(index: SqlIndex, cut: Scope) -> None:
    await filled(index)
    seen = {(c.tag, c.shown, c.differing) for c in await index.conflicts(cut)}
    assert seen == {("00100020", '["H"]', '["P"]'), ("00100020", '["H"]', '["Q"]')}
    assert await index.conflicts(cut, "1.2") == []


async def test_a_scope_of_whole_studies_keeps_ready_answers(index: SqlIndex) -> None:
    await filled(index)
    cut = Scope(predicate=(Equals((0x00100020,), "LO", "H"),))
    assert (await index.search(cut, Query(Level.STUDY))).rows == (
        await index.search(SCOPE, Query(Level.STUDY))
    ).rows
    assert await index.version_set(cut, STUDY) == await index.version_set(SCOPE, STUDY)
    other = Scope(predicate=(Equals((0x00100020,), "LO", "P"),))
    with pytest.raises(NotFound):
        await index.version_set(other, STUDY)
    assert (await index.search(other, Query(Level.INSTANCE))).rows == []


async def test_partitions_are_worlds_of_their_own(index: SqlIndex) -> None:
    second = replace(SCOPE, partition=PartitionId(2))
    new = Maker().version(instance="1.9")
    twin = again(Maker(1).version(instance="1.9", partition=2, t00100020=attribute("LO", "x")), 5)
    verdicts = await index.admit([new, twin])
    assert all(isinstance(v, Admitted) for v in verdicts)
    assert [s.version for s in await index.instances(second, STUDY)] == [twin.version]
    assert uids((await index.search(second, Query(Level.STUDY))).rows, "00100020") == ["x"]
    await index.remove(second, STUDY, Source("stow"), "")
    assert [s.version for s in await index.instances(SCOPE, STUDY)] == [new.version]
    with pytest.raises(Gone):
        await index.instances(second, STUDY)
    (verdict,) = await index.admit([again(new, 8, policy=new.policy)])
    assert not isinstance(verdict, Admitted)
