"""What every index must do (gateway/index/base.py)."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace

import orjson
import pytest
from gateway.dicom.encoding.layout import BulkValue
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
from gateway.errors import Gone, NotFound
from gateway.index.base import Admitted, Index, ReceivedAgain, Refused, Scope
from gateway.model import Level, PartitionId, RepeatPolicy, ResourcePath, Source, StudyUID, VersionId
from tests.index.factories import LAYOUT, SCOPE, Maker, attribute, uids

QUERIES: tuple[tuple[Match, ...], ...] = (
    (),
    (Universal((0x00100010,)),),
    (Equals((0x00100010,), "PN", "muller^jurgen"),),
    (Equals((0x00100010,), "PN", "山田^太郎"),),
    (Wildcard((0x00100010,), "PN", "M*"),),
    (Wildcard((0x00100010,), "PN", "?i^*"),),
    (Wildcard((0x00100020,), "LO", "P?*"),),
    (Wildcard((0x00100020,), "LO", "P1*[*"),),
    (Equals((0x00100020,), "LO", "P1*[1"),),
    (Wildcard((0x00081030,), "LO", "Head*"),),
    (Range((0x00080020,), "DA", "20240301", "20240630"),),
    (Range((0x00080020,), "DA", None, "20240630"),),
    (Range((0x00080030,), "TM", "101500.000000", "101559.999999"),),
    (DateTimeRange((0x00080020,), (0x00080030,), "20240301100000.000000", "20240901090000.000000"),),
    (OneOf((0x0020000D,), "UI", ("1.1", "1.7", "1.99")),),
    (Empty((0x00080050,), "SH"),),
    (Fuzzy((0x00100010,), ("jan", "berg")),),
    (Fuzzy((0x00100010,), ("oneil",)),),
    (Fuzzy((0x00100010,), ("muller",)),),
)
SERIES_QUERIES: tuple[tuple[Match, ...], ...] = (
    (Equals((0x00080060,), "CS", "MR"),),
    (Wildcard((0x00080060,), "CS", "?R"), Equals((0x00200011,), "IS", "2")),
    (InItem((0x00400275,), (Equals((0x00400009,), "SH", "S1"), Equals((0x00401001,), "SH", "R2"))),),
    (InItem((0x00400275,), (Equals((0x00400009,), "SH", "other"), Equals((0x00401001,), "SH", "R2"))),),
)


class IndexContract:
    """Bound to a driver by an `index` fixture."""

    async def test_an_admitted_version_is_current_and_found(self, index: Index) -> None:
        new = Maker().version()
        (verdict,) = await index.admit([new])
        assert isinstance(verdict, Admitted)
        (stored,) = await index.instances(SCOPE, new.identity.path)
        assert (stored.version, stored.locator) == (new.version, new.locator)
        assert (await index.layout(SCOPE, new.identity.path))[1] == LAYOUT
        assert await index.metadata(SCOPE, new.identity.path) == [new.metadata]
        page = await index.search(SCOPE, Query(Level.INSTANCE))
        assert uids(page.rows, "00080018") == [new.identity.instance]
        assert b"\0/studies/1.1/series/1.1.1/instances/" in page.rows[0]

    async def test_what_was_listed_is_read_by_version_whatever_becomes_of_it(self, index: Index) -> None:
        maker = Maker()
        made = [maker.version(instance=f"1.1.1.{n}") for n in range(1, 6)]
        await index.admit(made)
        study = ResourcePath(StudyUID("1.1"))
        for path in (study, made[0].identity.path):
            held = await index.describe(SCOPE, path, 1 << 20)
            long = await index.describe(SCOPE, path, 0)
            assert held.rows == await index.metadata(SCOPE, path)
            assert long.rows is None
            assert list(held.versions) == list(long.versions)
            assert list(held.versions) == [one.version for one in await index.instances(SCOPE, path)]
            assert held.version_set == long.version_set == await index.version_set(SCOPE, path)
        held = await index.describe(SCOPE, study, 1 << 20)
        await index.remove(SCOPE, made[0].identity.path, Source("stow"), "")
        assert held.rows is not None
        assert await index.bodies(SCOPE, held.versions, 1 << 20) == list(held.rows)
        assert await index.bodies(SCOPE, held.versions, 0) == list(held.rows[:1])
        some = await index.bodies(SCOPE, held.versions, sum(map(len, held.rows[:2])))
        assert some == list(held.rows[:2])
        assert await index.layouts_of(SCOPE, held.versions) == dict.fromkeys(held.versions, LAYOUT)
        other = Scope(PartitionId(7))
        assert await index.layouts_of(other, held.versions) == {}
        with pytest.raises(NotFound):
            await index.bodies(other, held.versions, 1 << 20)
        with pytest.raises(NotFound):
            await index.describe(other, study, 1 << 20)

    async def test_layouts_of_what_follows_in_a_series(self, index: Index) -> None:
        made = Maker(31)
        news = [made.version("1.8", "1.8.1", t00200013=attribute("IS", n)) for n in (3, 1, 2)]
        large = made.version("1.8", "1.8.1", t00200013=attribute("IS", 4))
        many = {f"{tag:08X}": BulkValue("OB", secrets.randbits(40), 9) for tag in range(1000)}
        large = replace(large, layout=replace(LAYOUT, bulk=many))
        await index.admit([*news, large, made.version("1.8", "1.8.2")])
        second = news[2].identity.path
        found = await index.layouts_after(SCOPE, second, 10)
        assert {stored.identity.path for stored, _ in found} == {second, news[0].identity.path}
        assert all(layout == LAYOUT for _, layout in found)
        assert len(await index.layouts_after(SCOPE, news[1].identity.path, 2)) == 2
        with pytest.raises(NotFound):
            await index.layouts_after(SCOPE, replace(second, study=StudyUID("1.9")), 2)

    async def test_the_same_again_is_success_and_other_content_is_judged(self, index: Index) -> None:
        maker = Maker()
        first = maker.version(instance="1.9")
        other = maker.version(instance="1.9", t00100020=attribute("LO", "else"))
        await index.admit([first])
        again, refused = await index.admit([first, other])
        assert isinstance(again, ReceivedAgain)
        assert isinstance(refused, Refused)
        assert refused.reason == "duplicate"
        assert "PatientID" in refused.differing
        elsewhere = maker.version(study="1.2", series="1.2.1", instance="1.9")
        (misplaced,) = await index.admit([elsewhere])
        assert isinstance(misplaced, Refused)
        assert misplaced.reason == "misplaced"
        (replaced,) = await index.admit([replace(other, policy=RepeatPolicy.REPLACE)])
        assert isinstance(replaced, Admitted)
        assert replaced.change.version_before == first.version
        (kept,) = await index.admit([replace(first, policy=RepeatPolicy.KEEP_FIRST)])
        assert isinstance(kept, ReceivedAgain)
        states = {stored.version: state async for stored, state in index.all_versions()}
        assert states == {first.version: "superseded", other.version: "current"}
        assert [c.kind for c in await index.changes(0)] == ["store", "again", "store", "again"]

    async def test_twice_in_one_batch_has_one_winner(self, index: Index) -> None:
        maker = Maker()
        first = maker.version(instance="1.9")
        other = maker.version(instance="1.9", t00100020=attribute("LO", "else"))
        won, lost = await index.admit([first, other])
        assert isinstance(won, Admitted)
        assert isinstance(lost, Refused)

    async def test_parallel_admits_lose_no_count(self, index: Index) -> None:
        versions = [Maker(n).version(series=f"1.1.{n}", instance=f"1.5.{n}") for n in range(40)]
        versions = [replace(v, version=VersionId(f"{n:032x}")) for n, v in enumerate(versions, 1)]
        await asyncio.gather(*(index.admit([v]) for v in versions))
        (row,) = (await index.search(SCOPE, Query(Level.STUDY))).rows
        study = orjson.loads(row.replace(b"\0", b""))
        assert (study["00201206"]["Value"], study["00201208"]["Value"]) == ([40], [40])
        assert (await index.counts())[Level.INSTANCE] == 40

    async def test_the_earliest_value_is_shown_and_differing_ones_are_conflicts(self, index: Index) -> None:
        maker = Maker()
        first = maker.version(t00100020=attribute("LO", "A"))
        second = maker.version(t00100020=attribute("LO", "B"), t00081030=attribute("LO", "late"))
        await index.admit([first, second])
        page = await index.search(SCOPE, Query(Level.STUDY, include=((0x00081030,),)))
        assert uids(page.rows, "00100020") == ["A"]
        assert uids(page.rows, "00081030") == ["late"]
        (conflict,) = await index.conflicts(SCOPE)
        assert (conflict.tag, conflict.instance) == ("00100020", second.identity.instance)
        await index.remove(SCOPE, first.identity.path, Source("stow"), "")
        page = await index.search(SCOPE, Query(Level.STUDY))
        assert uids(page.rows, "00100020") == ["B"]
        assert await index.conflicts(SCOPE) == []

    async def test_removed_is_gone_and_may_come_back(self, index: Index) -> None:
        new = Maker().version()
        await index.admit([new])
        with pytest.raises(NotFound) as unknown:
            await index.version_set(SCOPE, ResourcePath(StudyUID("9.9")))
        assert not isinstance(unknown.value, Gone)
        before = await index.version_set(SCOPE, ResourcePath(new.identity.study))
        await index.remove(SCOPE, ResourcePath(new.identity.study), Source("stow"), "wrong patient")
        for path in (new.identity.path, ResourcePath(new.identity.study)):
            with pytest.raises(Gone):
                await index.instances(SCOPE, path)
            with pytest.raises(Gone):
                await index.version_set(SCOPE, path)
        assert (await index.search(SCOPE, Query(Level.STUDY))).rows == []
        (verdict,) = await index.admit([replace(new, version=VersionId("f" * 32))])
        assert isinstance(verdict, Admitted)
        assert await index.version_set(SCOPE, ResourcePath(new.identity.study)) != before

    async def test_changes_are_marked_as_journaled(self, index: Index) -> None:
        maker = Maker()
        (first,) = await index.admit([maker.version()])
        assert isinstance(first, Admitted)
        assert [c.revision for c in await index.find_unjournaled()] == [first.change.revision]
        await index.admit([maker.version()], journaled=[first.change.revision])
        left = await index.find_unjournaled()
        assert len(left) == 1
        await index.mark_journaled([left[0].revision])
        assert await index.find_unjournaled() == []

    @pytest.mark.parametrize("level", [Level.STUDY, Level.SERIES, Level.INSTANCE])
    async def test_columns_and_the_exact_matcher_agree(self, index: Index, level: Level) -> None:
        made = Maker(1).archive()
        await index.admit(made)
        tag = {Level.STUDY: "0020000D", Level.SERIES: "0020000E", Level.INSTANCE: "00080018"}[level]
        queries = QUERIES if level is Level.STUDY else QUERIES + SERIES_QUERIES
        for matches in queries:
            page = await index.search(SCOPE, Query(level, matches=matches, limit=5000))
            wanted = {
                orjson.loads(v.metadata)[tag]["Value"][0]
                for v in made
                if satisfies(orjson.loads(v.metadata), matches)
            }
            assert set(uids(page.rows, tag)) == wanted, matches
            assert len(page.rows) == len(wanted)

    async def test_pages_neither_repeat_nor_skip(self, index: Index) -> None:
        await index.admit(Maker(2).archive())
        whole = uids((await index.search(SCOPE, Query(Level.INSTANCE, limit=5000))).rows, "00080018")
        seen: list[str] = []
        while True:
            page = await index.search(SCOPE, Query(Level.INSTANCE, limit=7, offset=len(seen), count=True))
            seen += uids(page.rows, "00080018")
            assert page.remaining == len(whole) - len(seen)
            assert page.total == len(whole)
            if not page.rows or not page.remaining:
                break
        assert seen == whole

    async def test_a_page_says_what_is_left_without_a_count_of_all(self, index: Index) -> None:
        """At the start, in the middle, at the end and beyond it."""
        await index.admit(Maker(2).archive())
        whole = len((await index.search(SCOPE, Query(Level.INSTANCE, limit=5000))).rows)
        assert whole > 8
        for limit, offset in (
            (3, 0),
            (3, 2),
            (whole, 0),
            (whole - 1, 0),
            (3, whole - 3),
            (3, whole),
            (3, whole + 9),
        ):
            page = await index.search(SCOPE, Query(Level.INSTANCE, limit=limit, offset=offset))
            rows = max(0, min(limit, whole - offset))
            assert len(page.rows) == rows
            assert page.remaining == max(0, whole - offset - rows)
            assert page.total is None

    async def test_default_order(self, index: Index) -> None:
        maker = Maker()
        dated = {"t00080020": attribute("DA", "20240101"), "t00080030": attribute("TM", "10")}
        await index.admit(
            [
                maker.version("1.1", "1.1.1"),
                maker.version("1.2", "1.2.1", t00080020=attribute("DA", "20240101")),
                maker.version("1.3", "1.3.1", **dated),
                maker.version("1.4", "1.4.1", t00080020=attribute("DA", "20250101")),
            ]
        )
        page = await index.search(SCOPE, Query(Level.STUDY))
        assert uids(page.rows, "0020000D") == ["1.4", "1.3", "1.2", "1.1"]

    async def test_lower_keys_are_named_as_ignored(self, index: Index) -> None:
        await index.admit([Maker().version()])
        page = await index.search(SCOPE, Query(Level.STUDY, matches=(Equals((0x00200011,), "IS", "9"),)))
        assert len(page.rows) == 1
        assert page.ignored == ("SeriesNumber",)

    @pytest.mark.row("Q-120")
    async def test_a_cutting_scope_hides_and_recounts(self, index: Index) -> None:
        maker = Maker()
        ct = maker.version("1.1", "1.1.1")
        mr = maker.version("1.1", "1.1.2", t00080060=attribute("CS", "MR"))
        only = maker.version("1.2", "1.2.1", t00080060=attribute("CS", "MR"))
        await index.admit([ct, mr, only])
        cut = Scope(predicate=(Equals((0x00080060,), "CS", "CT"),))
        (row,) = (await index.search(cut, Query(Level.STUDY))).rows
        study = orjson.loads(row.replace(b"\0", b""))
        assert study["0020000D"]["Value"] == ["1.1"]
        assert study["00201208"]["Value"] == [1]
        assert study["00080061"]["Value"] == ["CT"]
        assert [s.version for s in await index.instances(cut, ResourcePath(StudyUID("1.1")))] == [ct.version]
        for hidden in (mr.identity.path, ResourcePath(StudyUID("1.2"))):
            with pytest.raises(NotFound):
                await index.instances(cut, hidden)
        assert await index.version_set(cut, ResourcePath(StudyUID("1.1"))) != await index.version_set(
            SCOPE, ResourcePath(StudyUID("1.1"))
        )

    async def test_an_unindexed_key_is_looked_up_among_few(self, index: Index) -> None:
        maker = Maker()
        rare = maker.version(t00181314=attribute("DS", 15))
        await index.admit([maker.version(), rare])
        page = await index.search(SCOPE, Query(Level.INSTANCE, matches=(Equals((0x00181314,), "DS", "15"),)))
        assert uids(page.rows, "00080018") == [rare.identity.instance]

    async def test_migrations_may_run_again(self, index: Index) -> None:
        await index.admit([Maker().version()])
        await index.migrate()
        await index.check_schema()
        assert (await index.counts())[Level.STUDY] == 1
