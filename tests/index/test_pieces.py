"""Answers that are long are made in pieces, and are the same as those that are made at once."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from gateway.dicom.query.query import Equals, Query
from gateway.index import entities, searching
from gateway.index.base import Page
from gateway.index.driver import SqlIndex
from gateway.model import Level, ResourcePath, Source, StudyUID
from gateway.services.search import Search
from tests.index.factories import SCOPE, Maker, attribute

LONG = attribute("UT", "x" * 30_000)
SOURCE = Source("stow")


async def filled(index: SqlIndex) -> None:
    maker = Maker()
    await index.admit([maker.version("1.1", "1.1.1", t00209228=LONG) for _ in range(12)])
    await index.admit([maker.version(f"1.{n}", f"1.{n}.1", t00324000=LONG) for n in range(2, 8)])


async def read(index: SqlIndex, query: Query) -> tuple[Page, list[list[bytes]]]:
    search = Search(index)
    page = await search.search(SCOPE, query)
    return page, [list(piece) async for piece in search.pages(SCOPE, query, page)]


@pytest.mark.parametrize("level", Level)
async def test_pieces_make_up_the_whole(
    index: SqlIndex, monkeypatch: pytest.MonkeyPatch, level: Level
) -> None:
    await filled(index)
    query = Query(level, include_all=True)
    whole = await index.search(SCOPE, query)
    assert not whole.rest
    monkeypatch.setattr(searching, "PIECE", 70_000)
    page, pieces = await read(index, query)
    assert page.rest
    assert [row for piece in pieces for row in piece] == list(whole.rows)
    assert (page.remaining, page.last) == (whole.remaining, whole.last)
    assert max(sum(map(len, piece)) for piece in pieces) < 70_000 + 40_000
    assert len(pieces) >= 2


async def test_what_goes_meanwhile_is_left_out(index: SqlIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled(index)
    monkeypatch.setattr(searching, "PIECE", 70_000)
    page = await index.search(SCOPE, Query(Level.INSTANCE, include_all=True))
    await index.remove(SCOPE, ResourcePath(StudyUID("1.1")), SOURCE, "")
    seen = list(page.rows)
    while page.rest:
        page = await index.read_on(SCOPE, Query(Level.INSTANCE, include_all=True), page.rest)
        seen += page.rows
    assert 6 <= len(seen) < 18


async def test_long_ones_are_read_one_at_a_time(index: SqlIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an answer nor the look into candidates holds the data sets of many instances at once."""
    await filled(index)
    held, most = 0, 0
    real = entities.Kept.entity

    class Counted(dict[str, Any]):
        def __del__(self) -> None:
            nonlocal held
            held -= 1

    def entity(kept: entities.Kept) -> entities.Entity:
        nonlocal held, most
        made = real(kept)
        held += 1
        most = max(most, held)
        return entities.Entity(made.answer, Counted(made.attributes))

    monkeypatch.setattr(entities.Kept, "entity", entity)
    left = Equals((0x00324000,), "LT", "nobody says so")
    await index.search(SCOPE, Query(Level.INSTANCE, include_all=True))
    await index.search(SCOPE, Query(Level.INSTANCE, matches=(left,)))
    await asyncio.sleep(0)
    gc.collect()
    assert (held, most) == (0, 2)  # one, and the one before it until its name is given to the next
