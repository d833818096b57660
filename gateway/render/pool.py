"""Run codec work off the event loop: a bounded pool of threads, one job for requests of the same result."""

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


# Bytes of native frames that may be rendered or encoded at the same time: two of 4096 x 4096 in 16 bits.
WORKED_ON_AT_MOST = 64 << 20


class Budget:
    """A limit on the bytes that are worked on at the same time; a job waits for its share before it reads.

    A job keeps its input in memory while it waits for a worker, so without this limit memory would grow with
    the number of requests. A job that wants more than the whole budget runs alone; a job that wants next to
    nothing (at most 1/64 of the budget) never waits.
    """

    def __init__(self, most: int) -> None:
        self._most = self._free = most
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()

    @contextlib.asynccontextmanager
    async def hold(self, weight: int) -> AsyncIterator[None]:
        """Hold `weight` bytes of the budget while the context is open; wait for them first.

        Do not enter it again inside the context: that could wait forever.
        """
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
            # The turn may have been granted at the moment of the cancellation: give the bytes back.
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
    """A pool of threads that runs at most `workers` jobs at once; the other jobs wait in order.

    Codecs release the GIL, so threads are enough. Callers hold `budget` while they read the input of a job.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.budget = Budget(WORKED_ON_AT_MOST)
        self._executor = ThreadPoolExecutor(workers or os.cpu_count() or 1, thread_name_prefix="codec")

    async def run(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the result of `fn`, or raise its exception.

        A job that is cancelled before it began never runs.
        """
        future = self._executor.submit(lambda: fn(*args, **kwargs))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Drop the jobs that wait; the running jobs end by themselves."""
        self._executor.shutdown(wait=False, cancel_futures=True)


class SingleFlight(Generic[T]):
    """A guard against doubled work: requests for the same key share one job, its result and its exception."""

    def __init__(self) -> None:
        self._jobs: dict[Hashable, asyncio.Task[T]] = {}
        self._waiting: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    async def run(self, key: Hashable, job: Callable[[], Awaitable[T]]) -> T:
        """Return the result of the job of `key`; start `job` if none is running.

        A cancelled caller stops waiting without ending the job; the job is cancelled when its last waiting
        caller is.
        """
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
            # Forget the job at once: a new caller must not join a job that is being cancelled.
            self._forget(key, task)
            task.cancel()

    def _forget(self, key: Hashable, task: asyncio.Task[T]) -> None:
        if self._jobs.get(key) is task:
            del self._jobs[key], self._waiting[key]
        if task.done() and not task.cancelled():
            # Mark the exception as retrieved, since every waiting caller may have gone.
            with contextlib.suppress(BaseException):
                task.exception()


async def _start(job: Callable[[], Awaitable[T]]) -> T:
    return await job()
