"""What OHIF's study list costs beside the plain one: the same page, with what the viewer asks for.

    python -m tests.bench.ohif [--studies 2000] [--driver sqlite]

`compose` is how it was answered before Study Description was kept ready: by reading the attributes of each study.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from gateway.dicom.query.query import Query
from gateway.index import searchresults
from gateway.index.driver import SqlIndex
from gateway.model import Level
from tests.bench.paging import opened
from tests.index.factories import SCOPE, Maker, attribute, person

PLAIN = Query(Level.STUDY, limit=101)
OHIF = Query(Level.STUDY, limit=101, include=((0x00081030,), (0x00080060,)))
ROUNDS = 300


async def filled(index: SqlIndex, studies: int) -> None:
    """Studies with the attributes that modalities send."""
    await index.migrate()
    maker = Maker()
    more = {f"t0010{n:04X}": attribute("LO", f"value {n}") for n in range(0x2000, 0x2020)}
    for first in range(0, studies, 200):
        await index.admit(
            [
                maker.version(
                    f"1.{n}",
                    f"1.{n}.1",
                    t00080020=attribute("DA", f"2024{n % 12 + 1:02}{n % 28 + 1:02}"),
                    t00081030=attribute("LO", f"CT of the head {n}"),
                    t00100010=person(f"Name{n}^Any"),
                    **more,
                )
                for n in range(first + 1, min(first + 200, studies) + 1)
            ]
        )


async def median(index: SqlIndex, query: Query) -> float:
    """Seconds."""
    seconds: list[float] = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        await index.search(SCOPE, query)
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


async def measured(driver: str, studies: int) -> None:
    """Prints one line."""
    with tempfile.TemporaryDirectory() as folder:
        async with opened(driver, Path(folder)) as index:
            await filled(index, studies)
            await median(index, OHIF)
            plain, ready = await median(index, PLAIN), await median(index, OHIF)
            searchresults._BESIDE = frozenset()
            composed = await median(index, OHIF)
            print(
                f"{driver}: plain {plain * 1e3:.2f} ms | OHIF {ready * 1e3:.2f} ms (x{ready / plain:.2f}) | "
                f"composed {composed * 1e3:.2f} ms (x{composed / plain:.2f})"
            )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--driver", default="sqlite", choices=["sqlite", "postgres"])
    given = parser.parse_args()
    asyncio.run(measured(given.driver, given.studies))


if __name__ == "__main__":
    main()
