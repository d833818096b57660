"""Prepare parts shortly before they are sent, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

# Pictures that are prepared while one is sent.
AHEAD = 2

Job = Callable[[], Awaitable[bytes]]


class Lookahead:
    """Runs jobs in order, up to `AHEAD` of them beyond the one that is taken; later ones have not begun."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._running: dict[int, asyncio.Future[bytes]] = {}
        self._dropped: set[int] = set()

    async def take(self, index: int) -> bytes:
        """Return the result of a job, or raise its exception."""
        for number in range(index, min(index + AHEAD + 1, len(self._jobs))):
            if number not in self._running and number not in self._dropped:
                self._running[number] = asyncio.ensure_future(self._jobs[number]())
        self._dropped.add(index)
        return await self._running.pop(index)

    def drop(self, index: int) -> None:
        """Give up a job whose result nobody wants any more."""
        self._dropped.add(index)
        job = self._running.pop(index, None)
        if job is not None:
            job.cancel()
            job.add_done_callback(_consume_result)


def _consume_result(job: asyncio.Future[bytes]) -> None:
    if not job.cancelled():
        with suppress(Exception):
            job.exception()


class Chunk(AsyncGenerator[bytes, None]):
    """The result of one job as the only chunk of a part; closing it gives up the job."""

    def __init__(self, ahead: Lookahead, index: int) -> None:
        self._ahead = ahead
        self._index = index
        self._over = False

    async def asend(self, value: None) -> bytes:
        if self._over:
            raise StopAsyncIteration
        self._over = True
        return await self._ahead.take(self._index)

    async def athrow(self, *error: Any) -> bytes:
        self._over = True
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._over = True
        self._ahead.drop(self._index)
