"""What viewers ask for beside what every search shows is as ready as that, and says the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from gateway.dicom.encoding import layoutbytes
from gateway.dicom.query.query import Query, Wildcard
from gateway.index import entities, filling, rows, searchresults
from gateway.index.connection import Connection
from gateway.index.driver import SqlIndex
from gateway.model import Level
from gateway.services.availablesyntaxes import Available
from tests.index.factories import LAYOUT, SCOPE, Maker, attribute

DESCRIPTION = (0x00081030,)
OHIF = Query(Level.STUDY, include=(DESCRIPTION, (0x00080060,)), limit=101)
SHOWN: dict[str, Any] = {
    "plain": attribute("LO", "Head & neck"),
    "none": attribute("LO"),
    "several": attribute("LO", "a", None, "b"),
    "odd": attribute("LO", 'quo"te \\ \x01 \u2028 "00081190":', "ä" * 3000),
    "another VR": {"vr": "UN", "InlineBinary": "AAAA"},
    "our own mark": attribute("LO", rows.BASE),
}


async def filled(index: SqlIndex) -> None:
    maker = Maker()
    batch = [
        maker.version(f"1.{n}", f"1.{n}.1", t00081030=shown) for n, shown in enumerate(SHOWN.values(), 1)
    ]
    await index.admit([*batch, maker.version("1.99", "1.99.1")])


async def forget(db: Connection) -> None:
    await db.execute("UPDATE study SET shown_description = NULL WHERE uid != ?", "1.2")
    await db.execute("UPDATE instance_layout SET kind = NULL")


@pytest.mark.parametrize("matches", [(), (Wildcard(DESCRIPTION, "LO", "H*"),)])
async def test_ready_answers_are_those_that_are_composed(
    index: SqlIndex, monkeypatch: pytest.MonkeyPatch, matches: tuple[Wildcard, ...]
) -> None:
    await filled(index)
    query = replace(OHIF, matches=matches)
    ready = await index.search(SCOPE, query)
    monkeypatch.setattr(searchresults, "_BESIDE", frozenset())
    assert await index.search(SCOPE, query) == ready
    assert len(ready.rows) == (1 if matches else len(SHOWN) + 1)


async def test_no_study_is_parsed_for_a_list_of_studies(
    index: SqlIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(index)

    def parse(data: bytes) -> Any:
        raise AssertionError("parsed")

    monkeypatch.setattr(rows, "load", parse)
    assert len((await index.search(SCOPE, OHIF)).rows) == len(SHOWN) + 1


async def test_an_index_from_before_says_the_same_and_is_filled_in(index: SqlIndex) -> None:
    await filled(index)
    instances = Query(Level.INSTANCE)
    before = await index.search(SCOPE, OHIF), await index.search(SCOPE, instances)
    await index._commit(forget)
    assert (await index.search(SCOPE, OHIF), await index.search(SCOPE, instances)) == before
    # One step at a time, so that it can be interrupted.
    assert await index._commit(lambda db: filling.studies(db, 2))
    assert (await index.search(SCOPE, OHIF)) == before[0]
    await index.migrate()
    while await index.work_on_keys():
        pass
    left = (
        "SELECT (SELECT COUNT(*) FROM study WHERE shown_description IS NULL) + "
        "(SELECT COUNT(*) FROM instance_layout WHERE kind IS NULL) AS n"
    )

    async def unfilled(db: Connection) -> Any:
        row = await db.first(left)
        return None if row is None else row["n"]

    assert await index._query(unfilled) == 0
    assert (await index.search(SCOPE, OHIF), await index.search(SCOPE, instances)) == before


async def test_kinds_come_with_instances(index: SqlIndex) -> None:
    await index.admit([Maker().version()])
    for query in (Query(Level.INSTANCE), Query(Level.INSTANCE, include_all=True)):
        assert (await index.search(SCOPE, query)).kinds == (layoutbytes.kind_of(LAYOUT),)
    for level in (Level.STUDY, Level.SERIES):
        assert not (await index.search(SCOPE, Query(level, include_all=True))).kinds
    assert entities.KIND


def test_the_list_goes_to_the_instance_itself() -> None:
    """Not to an instance that an item of a sequence tells of."""
    available = Available(lambda located, syntax: "" if syntax.endswith(("2.1", "2.5")) else "no")
    kind = layoutbytes.kind_of(LAYOUT)
    own = b'"00083002":{"vr":"UI","Value":["1.2.840.10008.1.2.1"]}'
    longer = b'"00083002":{"vr":"UI","Value":["1.2.840.10008.1.2.1","1.2.840.10008.1.2.5"]}'
    inner = b'"00081115":{"vr":"SQ","Value":[{' + own + b"}]}"
    url = b'"00081190":{"vr":"UR","Value":["\0/studies/1"]}'
    assert available.complete([b"{" + own + b"}"], [kind]) == [b"{" + longer + b"}"]
    row = b"{" + inner + b"," + url + b"," + own + b"}"
    assert available.complete([row], [kind]) == [b"{" + inner + b"," + url + b"," + longer + b"}"]
    assert available.complete([row], [""]) == [row]
