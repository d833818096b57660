"""The journal alone gives back every answer, in either driver, whichever of them wrote it."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from gateway.dicom.query.query import Equals, Query
from gateway.errors import Conflict, NotFound
from gateway.index.base import Admitted, Change, NewVersion, ReceivedAgain
from gateway.index.driver import SqlIndex
from gateway.model import Level, RepeatPolicy, ResourcePath, Source, StudyUID, VersionId
from tests.index.conftest import Open, opening
from tests.index.factories import NAMES, SCOPE, Maker, again, attribute, person

CUT = replace(SCOPE, predicate=(Equals((0x00080060,), "CS", "CT"),))


@dataclass
class History:
    """Random changes to an index, with what the journal and the store would keep of them."""

    index: SqlIndex
    seed: int
    lines: list[Change] = field(default_factory=list)
    kept: dict[VersionId, NewVersion] = field(default_factory=dict)

    async def run(self, steps: int) -> None:
        r, maker = random.Random(self.seed), Maker(self.seed)
        for _ in range(steps):
            chance = r.random() if self.kept else 1
            if chance < 0.25:
                await self._remove(r)
            elif chance < 0.35:
                await self._restore(r)
            elif chance < 0.42:
                await self._reclaim()
            else:
                await self._admit([self._made(r, maker) for _ in range(r.randint(1, 4))])

    def _made(self, r: random.Random, maker: Maker) -> NewVersion:
        if self.kept and r.random() < 0.2:
            known = r.choice(list(self.kept.values()))
            return again(known, r.getrandbits(100), policy=r.choice(list(RepeatPolicy)))
        study = f"1.{r.randint(1, 3)}"
        series = f"{study}.{r.randint(1, 2)}"
        made = maker.version(
            *(study, series, f"{series}.{r.randint(1, 6)}" if r.random() < 0.9 else "1.9.9"),
            t00100010=person(r.choice(NAMES)),
            t00100020=attribute("LO", r.choice("AB")) if r.random() < 0.8 else attribute("LO"),
            t00080060=attribute("CS", r.choice(("CT", "MR"))),
            t00400275=attribute("SQ", {"00400009": attribute("SH", r.choice("ST"))}),
        )
        return replace(made, policy=r.choice(list(RepeatPolicy)))

    async def _admit(self, batch: list[NewVersion]) -> None:
        for new, verdict in zip(batch, await self.index.admit(batch), strict=True):
            if isinstance(verdict, Admitted):
                self.kept[new.version] = new
            if isinstance(verdict, Admitted | ReceivedAgain):
                self.lines.append(verdict.change)

    def _path(self, r: random.Random) -> ResourcePath:
        path = r.choice(list(self.kept.values())).identity.path
        return r.choice((path, ResourcePath(path.study, path.series), ResourcePath(path.study)))

    async def _remove(self, r: random.Random) -> None:
        with suppress(NotFound):
            removal = await self.index.remove(SCOPE, self._path(r), Source("stow"), "wrong")
            self.lines += removal.changes

    async def _restore(self, r: random.Random) -> None:
        with suppress(NotFound, Conflict):
            self.lines += await self.index.restore(SCOPE, self._path(r), Source("api"), "right")

    async def _reclaim(self) -> None:
        self.lines += await self.index.reclaim(1 << 60, Source("reclaim"), 3)

    async def replayed(self, index: SqlIndex, size: int) -> None:
        """With what the store still has."""
        gone = {change.version_before for change in self.lines if change.kind == "reclaim"}
        left = {version: new for version, new in self.kept.items() if version not in gone}
        for start in range(0, len(self.lines), size):
            await index.replay(self.lines[start : start + size], left)


async def answers(index: SqlIndex) -> list[object]:
    """All that can be asked."""
    seen: list[object] = []
    for scope in (SCOPE, CUT):
        for level in Level:
            page = await index.search(scope, Query(level, include_all=True, count=True, limit=500))
            seen.append((level, page))
        for n in range(1, 4):
            path = ResourcePath(StudyUID(f"1.{n}"))
            for ask in (index.version_set, index.instances, index.metadata, index.series_of):
                try:
                    seen.append(await ask(scope, path))
                except NotFound as error:
                    seen.append(type(error))
        seen += [await index.conflicts(scope), await index.list_deleted(scope)]
    seen += [await index.changes(0), await index.counts()]
    seen.append([found async for found in index.all_versions()])
    return seen


@pytest.mark.parametrize("seed", range(4))
async def test_a_replay_gives_back_every_answer(index: SqlIndex, seed: int) -> None:
    history = History(index, seed)
    await history.run(60)
    assert {line.kind for line in history.lines} >= {"store", "again", "delete", "restore", "reclaim"}
    assert await index.changes(0, 10_000) == history.lines
    before = await answers(index)
    for size in (1, 7, 1000):
        await index.reset()
        assert await index.counts() == dict.fromkeys(Level, 0)
        await history.replayed(index, size)
        assert await answers(index) == before
        assert await index.find_unjournaled() == []
    more = await index.admit([Maker(99).version("1.7", "1.7.1")])
    assert isinstance(more[0], Admitted)
    assert more[0].change.revision > history.lines[-1].revision


async def test_both_drivers_tell_the_same_from_one_journal(tmp_path: Path, postgres: str) -> None:
    async with (
        opening("sqlite", tmp_path, lambda: postgres) as file,
        opening("postgres", tmp_path, lambda: postgres) as server,
    ):
        one, other = await file(), await server()
        await one.migrate()
        await other.migrate()
        history = History(one, 5)
        await history.run(60)
        await history.replayed(other, 50)
        assert await answers(other) == await answers(one)


async def test_what_was_reclaimed_is_still_gone(index: SqlIndex) -> None:
    new = Maker().version()
    (verdict,) = await index.admit([new])
    assert isinstance(verdict, Admitted)
    (deleted,) = (await index.remove(SCOPE, new.identity.path, Source("stow"), "")).changes
    reclaim = replace(deleted, revision=deleted.revision + 1, kind="reclaim")
    lines = [verdict.change, deleted, reclaim]
    for size in (1, 3):
        await index.reset()
        for start in range(0, 3, size):
            await index.replay(lines[start : start + size], {})
        assert [state async for _, state in index.all_versions()] == ["reclaimed"]
        with pytest.raises(NotFound, match="was deleted"):
            await index.instances(SCOPE, new.identity.path)
    (verdict,) = await index.admit([again(new, 77)])
    assert isinstance(verdict, Admitted)
    assert verdict.change.revision > reclaim.revision


async def test_a_delete_names_the_bytes(open_index: Open) -> None:
    index = await open_index()
    await index.migrate()
    new = Maker().version()
    await index.admit([new])
    (change,) = (await index.remove(SCOPE, new.identity.path, Source("stow"), "wrong")).changes
    assert (change.kind, change.locator, change.reason) == ("delete", new.locator, "wrong")
    assert (change.version_before, change.version_after) == (new.version, None)
