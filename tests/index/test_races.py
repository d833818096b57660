"""Several drivers on one database: unique keys and locks decide, and no count is lost."""

from __future__ import annotations

import asyncio
from collections import Counter

from gateway.dicom.query.query import Query
from gateway.errors import Gone
from gateway.index.base import Admitted, Change, NewVersion, ReceivedAgain, Refused
from gateway.index.driver import SqlIndex
from gateway.model import Level, ResourcePath, Source, StudyUID
from tests.index.conftest import Open
from tests.index.factories import SCOPE, Maker, again, attribute, only

STUDY = ResourcePath(StudyUID("1.1"))


async def several(open_index: Open, count: int = 3) -> list[SqlIndex]:
    drivers = [await open_index() for _ in range(count)]
    await asyncio.gather(*(driver.migrate() for driver in drivers))
    return drivers


async def test_parallel_batches_lose_no_count(open_index: Open) -> None:
    drivers = await several(open_index)
    made = [
        [Maker(n).version(series=f"1.1.{n % 4}", instance=f"1.5.{n}.{i}") for i in range(3)]
        for n in range(30)
    ]
    batches = [[again(v, n * 10 + i) for i, v in enumerate(batch)] for n, batch in enumerate(made, 1)]
    await asyncio.gather(*(drivers[n % 3].admit(batch) for n, batch in enumerate(batches)))
    study = only((await drivers[0].search(SCOPE, Query(Level.STUDY))).rows)
    assert (study["00201206"]["Value"], study["00201208"]["Value"]) == ([4], [90])
    assert [len(await d.instances(SCOPE, STUDY)) for d in drivers] == [90, 90, 90]
    kept = await drivers[1].version_set(SCOPE, STUDY)
    await drivers[0].remove(SCOPE, batches[0][0].identity.path, Source("stow"), "")
    await drivers[0].admit([again(batches[0][0], 5000)])
    assert await drivers[1].version_set(SCOPE, STUDY) != kept


async def test_one_uid_has_one_winner(open_index: Open) -> None:
    drivers = await several(open_index)
    for round in range(5):
        rivals = [
            again(Maker(n).version(instance=f"1.9.{round}", t00100020=attribute("LO", str(n))), round * 9 + n)
            for n in range(6)
        ]
        verdicts = await asyncio.gather(*(drivers[n % 3].admit([v]) for n, v in enumerate(rivals)))
        kinds = Counter(type(v) for (v,) in verdicts)
        assert kinds == {Admitted: 1, Refused: 5}
    assert (await drivers[0].counts())[Level.INSTANCE] == 5


async def test_one_uid_in_two_studies_has_one_winner(open_index: Open) -> None:
    drivers = await several(open_index, 2)
    first = Maker().version("1.3", "1.3.1", "1.9")
    await drivers[0].admit([first])
    for round in range(6):
        await drivers[0].remove(SCOPE, (await _place(drivers[0])), Source("stow"), "")
        rivals = [again(Maker().version(f"1.{n}", f"1.{n}.1", "1.9"), 100 + round * 2 + n) for n in range(2)]
        verdicts = await asyncio.gather(*(d.admit([v]) for d, v in zip(drivers, rivals, strict=True)))
        reasons = sorted(v.reason if isinstance(v, Refused) else "" for (v,) in verdicts)
        assert reasons == ["", "misplaced"]
        assert (await drivers[1].counts())[Level.INSTANCE] == 1


async def _place(index: SqlIndex) -> ResourcePath:
    row = only((await index.search(SCOPE, Query(Level.INSTANCE))).rows)
    return ResourcePath(row["0020000D"]["Value"][0], row["0020000E"]["Value"][0], row["00080018"]["Value"][0])


async def test_deleting_while_storing_keeps_rows_true(open_index: Open) -> None:
    drivers = await several(open_index, 2)

    async def store(n: int) -> None:
        batch = [again(Maker(n).version(instance=f"1.5.{n}.{i}"), n * 10 + i) for i in range(3)]
        await drivers[n % 2].admit(batch)

    async def delete() -> None:
        for _ in range(8):
            try:
                await drivers[1].remove(SCOPE, STUDY, Source("stow"), "")
            except Gone:
                await asyncio.sleep(0)

    await store(1)
    await asyncio.gather(*(store(n) for n in range(2, 20)), delete())
    await store(20)
    there = await drivers[0].instances(SCOPE, STUDY)
    study = only((await drivers[0].search(SCOPE, Query(Level.STUDY))).rows)
    assert study["00201208"]["Value"] == [len(there)]
    states = Counter([state async for _, state in drivers[0].all_versions()])
    assert states == {"current": len(there), "deleted": 60 - len(there)}


async def test_crossing_batches_all_get_through(open_index: Open) -> None:
    """The same instances in opposite order: whoever would wait in a circle begins anew."""
    drivers = await several(open_index, 2)
    made = [Maker(7).version(f"1.{n}", f"1.{n}.1", f"1.{n}.1.1") for n in range(12)]

    async def offer(n: int) -> list[NewVersion]:
        batch = [again(v, n * 100 + i) for i, v in enumerate(made)]
        batch = batch if n % 2 else batch[::-1]
        verdicts = await drivers[n % 2].admit(batch)
        assert all(isinstance(v, Admitted | ReceivedAgain) for v in verdicts)
        return [new for new, v in zip(batch, verdicts, strict=True) if isinstance(v, Admitted)]

    won = [new for part in await asyncio.gather(*map(offer, range(1, 9))) for new in part]
    assert len(won) == 12
    assert len({new.identity.instance for new in won}) == 12


async def test_the_log_has_no_gap_that_is_filled_later(open_index: Open) -> None:
    drivers = await several(open_index)
    writing = [
        asyncio.create_task(drivers[n % 2].admit([again(Maker(n).version(f"1.{n % 5}", f"1.{n % 5}.1"), n)]))
        for n in range(1, 61)
    ]
    seen: list[Change] = []
    async with asyncio.timeout(30):
        while len(seen) < 60:
            seen += await drivers[2].changes(seen[-1].revision if seen else 0, 7)
        await asyncio.gather(*writing)
    assert [c.revision for c in seen] == sorted({c.revision for c in seen})
    assert {c.version_after for c in seen} == {f"{n:032x}" for n in range(1, 61)}
