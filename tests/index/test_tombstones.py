"""What is deleted can be had back, until it is reclaimed: the same in both drivers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gateway.dicom.query.query import Equals, Query
from gateway.errors import Conflict, Gone, NotFound
from gateway.index.base import Admitted, NewVersion, Scope
from gateway.index.driver import SqlIndex
from gateway.model import Level, RepeatPolicy, ResourcePath, Source, StudyUID
from tests.index.factories import SCOPE, Maker, again, attribute

SOURCE = Source("api")
EVER = 1 << 60


async def shown(index: SqlIndex) -> list[object]:
    found: list[object] = [await index.search(SCOPE, Query(level, include_all=True)) for level in Level]
    return [*found, await index.counts(), await index.conflicts(SCOPE)]


async def admitted(index: SqlIndex, *new: NewVersion) -> None:
    assert all(isinstance(verdict, Admitted) for verdict in await index.admit(new))


def study_of(new: NewVersion) -> ResourcePath:
    return ResourcePath(new.identity.study)


@pytest.mark.parametrize("level", list(Level))
async def test_a_restored_study_is_as_it_was(index: SqlIndex, level: Level) -> None:
    maker = Maker()
    news = [maker.version("1.1", f"1.1.{n % 2}", t00100020=attribute("LO", f"P{n}")) for n in range(4)]
    await admitted(index, *news)
    path = news[0].identity.path
    path = {
        Level.STUDY: ResourcePath(path.study),
        Level.SERIES: ResourcePath(path.study, path.series),
        Level.INSTANCE: path,
    }[level]
    before, marks = await shown(index), await index.version_set(SCOPE, study_of(news[0]))
    removal = await index.remove(SCOPE, path, SOURCE, "wrong")
    found = await index.list_deleted(SCOPE)
    assert (
        sum(one.instances for one in found)
        == len(removal.changes)
        == {"s": 4, "e": 2, "i": 1}["s" if level is Level.STUDY else "e" if level is Level.SERIES else "i"]
    )
    assert all(one.first == one.last == removal.changes[0].time for one in found)
    changes = await index.restore(SCOPE, path, SOURCE, "right")
    assert {c.version_after for c in changes} == {c.version_before for c in removal.changes}
    assert {(c.kind, c.reason) for c in changes} == {("restore", "right")}
    assert await shown(index) == before
    assert await index.version_set(SCOPE, study_of(news[0])) == marks
    assert await index.list_deleted(SCOPE) == []
    with pytest.raises(Conflict, match="is there"):
        await index.restore(SCOPE, path, SOURCE, "")


async def test_what_was_stored_anew_stays(index: SqlIndex) -> None:
    new = Maker().version()
    await admitted(index, new)
    await index.remove(SCOPE, study_of(new), SOURCE, "")
    await admitted(index, again(new, 77))
    assert await index.list_deleted(SCOPE) == []
    with pytest.raises(Conflict):
        await index.restore(SCOPE, study_of(new), SOURCE, "")
    await index.remove(SCOPE, study_of(new), SOURCE, "")
    (change,) = await index.restore(SCOPE, study_of(new), SOURCE, "")
    assert change.version_after == again(new, 77).version, "the one that was deleted last"
    states = {str(stored.version): state async for stored, state in index.all_versions()}
    assert states == {str(new.version): "deleted", str(change.version_after): "current"}


async def test_what_is_unknown_or_out_of_scope_is_not_restored(index: SqlIndex) -> None:
    new = Maker().version()
    with pytest.raises(NotFound) as error:
        await index.restore(SCOPE, study_of(new), SOURCE, "")
    assert not isinstance(error.value, Gone)
    await admitted(index, new)
    await index.remove(SCOPE, study_of(new), SOURCE, "")
    cut = Scope(predicate=(Equals((0x00080060,), "CS", "CT"),))
    for scope in (cut, Scope(partition=replace(new.source, partition=2).partition)):  # type: ignore[arg-type]
        with pytest.raises(NotFound):
            await index.restore(scope, study_of(new), SOURCE, "")
        assert await index.list_deleted(scope) == []


async def test_pages_of_what_was_deleted(index: SqlIndex) -> None:
    maker = Maker()
    news = [maker.version(f"1.{n}", f"1.{n}.{s}") for n in range(3) for s in range(2)]
    await admitted(index, *news)
    for n in range(3):
        await index.remove(SCOPE, ResourcePath(StudyUID(f"1.{n}")), SOURCE, "")
    seen, after = [], ("", "")
    while page := await index.list_deleted(SCOPE, None, after, 4):
        seen += [(one.study, one.series) for one in page]
        after = page[-1].study, page[-1].series
    assert seen == sorted((n.identity.study, n.identity.series) for n in news)
    assert {one.study for one in await index.list_deleted(SCOPE, "1.1")} == {"1.1"}


async def test_reclaimed_versions_leave_their_tombstones_only(index: SqlIndex) -> None:
    maker = Maker()
    first = maker.version(instance="1.9", t00100010=attribute("PN", {"Alphabetic": "Secret^Name"}))
    second = again(first, 78, content_digest=b"other", policy=RepeatPolicy.REPLACE)
    other = maker.version()
    await admitted(index, first, second, other)
    (deleted,) = (await index.remove(SCOPE, first.identity.path, SOURCE, "")).changes
    assert await index.reclaim(deleted.time - 1, SOURCE) == []
    changes = await index.reclaim(deleted.time, SOURCE)
    assert {c.version_before for c in changes} == {first.version, second.version}
    assert {c.locator for c in changes} == {first.locator, second.locator}
    assert {c.kind for c in changes} == {"reclaim"}
    assert await index.reclaim(EVER, SOURCE) == []
    assert await index.list_deleted(SCOPE) == []
    with pytest.raises(Gone, match="given up"):
        await index.restore(SCOPE, first.identity.path, SOURCE, "")
    with pytest.raises(Gone):
        await index.instances(SCOPE, first.identity.path)
    assert [s.version for s in await index.instances(SCOPE, study_of(other))] == [other.version]
    await admitted(index, again(first, 79))


async def test_what_is_reclaimed_later_can_be_restored_until_then(index: SqlIndex) -> None:
    """An earlier version of the same instance goes first, and takes nothing along."""
    first = Maker().version(t00280010=attribute("US", 7))
    await admitted(index, first)
    (earlier,) = (await index.remove(SCOPE, study_of(first), SOURCE, "")).changes
    await admitted(index, again(first, 77))
    before = await shown(index)
    await index.remove(SCOPE, study_of(first), SOURCE, "")
    (reclaimed,) = await index.reclaim(earlier.time, SOURCE)
    assert reclaimed.version_before == first.version
    await index.restore(SCOPE, study_of(first), SOURCE, "")
    assert await shown(index) == before


async def test_reclaiming_goes_in_steps(index: SqlIndex) -> None:
    maker = Maker()
    news = [maker.version() for _ in range(5)]
    await admitted(index, *news)
    await index.remove(SCOPE, study_of(news[0]), SOURCE, "")
    assert [len(await index.reclaim(EVER, SOURCE, 2)) for _ in range(4)] == [2, 2, 1, 0]
    assert [state async for _, state in index.all_versions()] == ["reclaimed"] * 5
