"""Codec work off the event loop: a bounded pool of threads, and one job for all who ask the same."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


# Native bytes of frames that are drawn or encoded at once: two of 4096 x 4096 in 16 bits.
WORKED_ON_AT_MOST = 64 << 20


class Budget:
    """So many bytes are worked on at once; who wants more waits in order, before anything is read.

    A job has what it read in memory while it waits for a worker, too: without this, memory grows with the number
    of requests. What wants more than all there is goes alone; what wants next to nothing never waits.
    """

    def __init__(self, most: int) -> None:
        self._most = self._free = most
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()

    @contextlib.asynccontextmanager
    async def hold(self, weight: int) -> AsyncIterator[None]:
        """Must not be entered again within."""
        weight = min(weight, self._most) if weight > self._most // 64 else 0
        await self._take(weight)
        try:
            yield
        finally:
            self._give(weight)

    async def _take(self, weight: int) -> None:
        if not weight or (weight <= self._free and not self._waiting):
            self._free -= weight
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, weight))
        try:
            await turn
        except asyncio.CancelledError:
            # Its turn may have come at the same moment.
            self._give(0 if turn.cancelled() else weight)
            raise

    def _give(self, weight: int) -> None:
        self._free += weight
        while self._waiting and (self._waiting[0][0].done() or self._waiting[0][1] <= self._free):
            turn, wanted = self._waiting.popleft()
            if not turn.done():
                self._free -= wanted
                turn.set_result(None)


class CodecPool:
    """At most `workers` jobs at once, the rest wait in order; codecs release the GIL, so threads do.

    `budget` is for who reads what jobs work on.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.budget = Budget(WORKED_ON_AT_MOST)
        self._executor = ThreadPoolExecutor(workers or os.cpu_count() or 1, thread_name_prefix="codec")

    async def run(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `fn` or its exception. A job that is cancelled before it began never runs."""
        future = self._executor.submit(lambda: fn(*args, **kwargs))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Drop what waits; what runs ends by itself."""
        self._executor.shutdown(wait=False, cancel_futures=True)


class SingleFlight(Generic[T]):
    """Requests for the same key that come while one is under way share its job, result and exception."""

    def __init__(self) -> None:
        self._jobs: dict[Hashable, asyncio.Task[T]] = {}
        self._waiting: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    async def run(self, key: Hashable, job: Callable[[], Awaitable[T]]) -> T:
        """Whoever is cancelled leaves alone; the job is cancelled with the last who waits for it."""
        task = self._jobs.get(key)
        if task is None:
            task = asyncio.ensure_future(_start(job))
            self._jobs[key] = task
            self._waiting[key] = 0
            task.add_done_callback(lambda done: self._forget(key, done))
        self._waiting[key] += 1
        try:
            return await asyncio.shield(task)
        finally:
            self._leave(key, task)

    def _leave(self, key: Hashable, task: asyncio.Task[T]) -> None:
        if self._jobs.get(key) is not task:
            return
        self._waiting[key] -= 1
        if not self._waiting[key] and not task.done():
            # Forgotten at once: who comes now must not join a job that is being cancelled.
            self._forget(key, task)
            task.cancel()

    def _forget(self, key: Hashable, task: asyncio.Task[T]) -> None:
        if self._jobs.get(key) is task:
            del self._jobs[key], self._waiting[key]
        if task.done() and not task.cancelled():
            # Mark an exception as seen: every waiter may have gone.
            with contextlib.suppress(BaseException):
                task.exception()


async def _start(job: Callable[[], Awaitable[T]]) -> T:
    return await job()
