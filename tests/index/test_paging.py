"""Cursors: every row once in the default order, whatever is stored meanwhile, at the same cost on every page."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from gateway.dicom.query.query import Empty, Match, Query, Wildcard
from gateway.errors import BadParameter
from gateway.index.base import Scope
from gateway.index.driver import SqlIndex
from gateway.model import Level
from tests.bench import paging
from tests.index.factories import SCOPE, Maker, attribute, uids

TAGS = {Level.STUDY: "0020000D", Level.SERIES: "0020000E", Level.INSTANCE: "00080018"}
NAMED: tuple[Match, ...] = (Wildcard((0x00100010,), "PN", "*a*"),)
UNINDEXED: tuple[Match, ...] = (Empty((0x00081080,), "LO"),)


async def walked(index: SqlIndex, query: Query, scope: Scope = SCOPE) -> list[str]:
    """By cursor, to the end; what is told of the rest is true on every page."""
    seen: list[str] = []
    whole = (await index.search(scope, replace(query, limit=5000))).rows
    while True:
        page = await index.search(scope, query)
        seen += uids(page.rows, TAGS[query.level])
        assert page.remaining == len(whole) - len(seen)
        if not page.remaining:
            return seen
        query = replace(query, after=page.last)


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("matches", [(), NAMED, UNINDEXED])
async def test_every_row_once(index: SqlIndex, level: Level, matches: tuple[Match, ...]) -> None:
    r = random.Random(1)
    made = Maker(21).archive(25)
    odd = [
        Maker(40 + n).version(
            *(f"9.{n}", f"9.{n}.1"),
            t00200011=attribute("IS", *r.choice(((), (1,), (2,)))),
            t00200013=attribute("IS", *r.choice(((), (1,)))),
            t00080020=attribute("DA", *r.choice(((), ("soon",), ("20240131",)))),
        )
        for n in range(20)
    ]
    await index.admit([*made, *odd])
    query = Query(level, matches=matches)
    whole = uids((await index.search(SCOPE, replace(query, limit=5000))).rows, TAGS[level])
    assert len(whole) > 10
    for limit in (1, 3, 7):
        assert await walked(index, replace(query, limit=limit)) == whole
    counted = await index.search(SCOPE, replace(query, limit=3, count=True))
    later = await index.search(SCOPE, replace(query, limit=3, count=True, after=counted.last))
    assert counted.total == later.total == len(whole)


async def test_a_scope_that_cuts(index: SqlIndex) -> None:
    await index.admit(Maker(22).archive(20))
    cut = Scope(predicate=(Wildcard((0x00080060,), "CS", "C?"),))
    for level in Level:
        whole = uids((await index.search(cut, Query(level, limit=5000))).rows, TAGS[level])
        assert await walked(index, Query(level, limit=2), cut) == whole


async def test_what_comes_and_goes_meanwhile(index: SqlIndex) -> None:
    maker = Maker(23)
    dated = [
        maker.version(f"1.{n}", f"1.{n}.1", t00080020=attribute("DA", f"202401{n:02}")) for n in range(10, 30)
    ]
    await index.admit(dated)
    first = await index.search(SCOPE, Query(Level.STUDY, limit=5))
    new = [maker.version(f"2.{n}", f"2.{n}.1", t00080020=attribute("DA", f"20240{n}01")) for n in range(1, 5)]
    await index.admit(new)
    await index.remove(SCOPE, dated[-1].identity.path, new[0].source, "")
    await index.remove(SCOPE, dated[15].identity.path, new[0].source, "")  # the row the cursor stands on
    rest = await index.search(SCOPE, Query(Level.STUDY, limit=100, after=first.last))
    assert uids(rest.rows, "0020000D") == [f"1.{n}" for n in range(24, 9, -1)] + ["2.1"]


@pytest.mark.parametrize(
    "after", [(), ("20240131",), ("a", "b", 3), ("a", "b", None), (1, 2, 3), ("a", "b", "c", "d")]
)
async def test_positions_of_another_level(index: SqlIndex, after: tuple[str | int | None, ...]) -> None:
    with pytest.raises(BadParameter):
        await index.search(SCOPE, Query(Level.STUDY, after=after))


@pytest.mark.long
@pytest.mark.parametrize("dated", ["all", "one"])
async def test_page_5000_costs_what_page_1_does(index: SqlIndex, dated: str) -> None:
    """Of 110,000 studies, so that there is as much to count behind page 5,000 as behind the first."""
    await paging.filled(index, 110_000, dated)
    walk = await paging.walked(index, 20)
    assert walk.rows == 110_000
    first, last = walk.around(2), walk.around(5000)
    print(f"page 2: {first * 1e3:.2f} ms, page 5000: {last * 1e3:.2f} ms, x{last / first:.2f}")
    assert last < 2 * first
