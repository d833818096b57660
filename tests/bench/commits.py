"""Instances a second through ingest and the commit path, in process: `python tests/bench/commits.py [COUNT]`.

To compare two states of the code run it on both, in turns: only the ratio says anything.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from gateway.app import Gateway
from gateway.model import Source
from gateway.settings import Settings
from tests import build


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _rate(count: int) -> float:
    files = [build.instance(InstanceNumber=n) for n in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        gateway = await Gateway.open(Settings(data=str(Path(folder) / "data")))
        await gateway.start(follow=False)
        session = gateway.ingest.session(Source("stow"))
        start = time.perf_counter()
        for file in files:
            await session.take(_one(file))
        outcomes = await session.finish()
        seconds = time.perf_counter() - start
        await gateway.close()
    assert all(outcome.failure is None for outcome in outcomes)
    return count / seconds


if __name__ == "__main__":
    print(f"{asyncio.run(_rate(int((sys.argv[1:] or ['1000'])[0]))):.0f} instances a second")
