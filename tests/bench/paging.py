"""What a page costs by its number: by cursor and, for comparison, by offset.

    python -m tests.bench.paging --studies 1000000 [--limit 200] [--dated all|one|none] [--driver sqlite]

Rows are made within the database, as only the order and the key columns matter here.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.dicom.query.query import Query
from gateway.index.base import Page, Scope
from gateway.index.connection import Connection
from gateway.index.driver import SqlIndex
from gateway.index.postgres import PostgresIndex
from gateway.index.sqlite import SqliteIndex
from gateway.model import Level
from tests import servers

SCOPE = Scope()
WINDOW = 20

_COLUMNS = "partition, uid, uid_hash, answer, instance_count, study_date, study_time"
_SQLITE = (
    f"INSERT INTO study ({_COLUMNS}) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
    'SELECT 1, \'1.2.\' || i, x\'\', CAST(\'{{"0020000D":{{"vr":"UI","Value":["1.2.\' || i || \'"]}}}}\' AS BLOB), 1, '
    "{date}, printf('%06d.000000', (i * 7919) % 240000) FROM n"
)
_POSTGRES = (
    f"INSERT INTO study ({_COLUMNS}) "
    "SELECT 1, '1.2.' || i, ''::bytea, "
    'convert_to(\'{{"0020000D":{{"vr":"UI","Value":["1.2.\' || i || \'"]}}}}\', \'UTF8\'), 1, '
    "{date}, to_char((i * 7919::bigint) % 240000, 'FM000000') || '.000000' FROM generate_series(1, ?::int) i"
)
_DATES = {
    "all": {
        "sqlite": "replace(date('2015-01-01', '+' || (i * 31 % 3650) || ' days'), '-', '')",
        "postgres": "to_char(date '2015-01-01' + (i * 31::bigint % 3650)::int, 'YYYYMMDD')",
    },
    "one": {"sqlite": "'20240131'", "postgres": "'20240131'"},
    "none": {"sqlite": "''", "postgres": "''"},
}


async def filled(index: SqlIndex, studies: int, dated: str = "all") -> None:
    """An index with this many studies; `dated` says whether over ten years, on one day, or not at all."""

    async def work(db: Connection) -> None:
        name = db.dialect.name
        sql = _SQLITE if name == "sqlite" else _POSTGRES
        await db.execute(sql.format(date=_DATES[dated][name]), studies)

    await index.migrate()
    await index._commit(work)
    if isinstance(index, PostgresIndex):
        async with index._pool.acquire() as connection:
            await connection.execute("ANALYZE study")


@dataclass(frozen=True, slots=True)
class Walk:
    """Seconds of each page, and how many rows there were in all, each once."""

    seconds: list[float]
    rows: int

    def around(self, number: int) -> float:
        """The median of the pages around this one."""
        first = max(0, min(number - 1, len(self.seconds) - WINDOW))
        return statistics.median(self.seconds[first : first + WINDOW])


async def walked(index: SqlIndex, limit: int) -> Walk:
    """All pages, each from where the one before ended."""
    query, seconds, seen = Query(Level.STUDY, limit=limit), list[float](), set[bytes]()
    while True:
        page, spent = await _timed(index, query)
        seconds.append(spent)
        seen.update(page.rows)
        if not page.remaining:
            return Walk(seconds, len(seen))
        query = Query(Level.STUDY, limit=limit, after=page.last)


async def by_offset(index: SqlIndex, limit: int, number: int) -> float:
    """The median of a few times the same page."""
    query = Query(Level.STUDY, limit=limit, offset=(number - 1) * limit)
    return statistics.median([(await _timed(index, query))[1] for _ in range(3)])


async def _timed(index: SqlIndex, query: Query) -> tuple[Page, float]:
    begun = time.perf_counter()
    page = await index.search(SCOPE, query)
    return page, time.perf_counter() - begun


@asynccontextmanager
async def opened(driver: str, folder: Path) -> AsyncIterator[SqlIndex]:
    """A new database."""
    if driver == "sqlite":
        index: SqlIndex = await SqliteIndex.open(folder / "index.sqlite")
        try:
            yield index
        finally:
            await index.close()
    else:
        with servers.postgres() as uri:
            index = await PostgresIndex.open(uri)
            try:
                yield index
            finally:
                await index.close()


async def measured(driver: str, studies: int, limit: int, dated: str) -> None:
    """Prints one line."""
    with tempfile.TemporaryDirectory() as folder:
        async with opened(driver, Path(folder)) as index:
            await filled(index, studies, dated)
            walk = await walked(index, limit)
            last = len(walk.seconds)
            assert walk.rows == studies, "pages repeat or skip"
            first, middle, end = walk.around(2), walk.around(last // 2), walk.around(last)
            offset = await by_offset(index, limit, last)
            print(
                f"{driver:9} {studies:>8} studies, dates: {dated:4} | page 2: {first * 1e3:6.2f} ms | "
                f"page {last // 2}: {middle * 1e3:6.2f} ms | page {last}: {end * 1e3:6.2f} ms "
                f"(x{end / first:.2f}) | by offset: {offset * 1e3:7.2f} ms (x{offset / first:.1f})",
                flush=True,
            )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1_000_000)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--dated", choices=sorted(_DATES), nargs="*", default=["all", "one"])
    parser.add_argument("--driver", choices=("sqlite", "postgres"), nargs="*", default=["sqlite", "postgres"])
    options = parser.parse_args()
    for driver in options.driver:
        for dated in options.dated:
            await measured(driver, options.studies, options.limit, dated)


if __name__ == "__main__":
    asyncio.run(main())
