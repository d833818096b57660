"""The pool is bounded; one job serves all who ask, and outlives those who leave."""

from __future__ import annotations

import asyncio
import threading

import pytest
from gateway.errors import CodecError
from gateway.render.pool import Budget, CodecPool, SingleFlight


async def test_no_more_jobs_run_at_once_than_there_are_workers() -> None:
    pool = CodecPool(2)
    running, release = threading.Semaphore(0), threading.Event()
    begun: list[int] = []

    def job(number: int) -> int:
        begun.append(number)
        running.release()
        release.wait(10)
        return number

    tasks = [asyncio.create_task(pool.run(job, n)) for n in range(3)]
    for _ in range(2):
        await asyncio.to_thread(running.acquire, timeout=10)
    assert begun == [0, 1]
    release.set()
    assert await asyncio.gather(*tasks) == [0, 1, 2]
    pool.close()


async def test_a_failure_comes_through() -> None:
    pool = CodecPool(1)

    def job() -> None:
        raise CodecError("broken")

    with pytest.raises(CodecError, match="broken"):
        await pool.run(job)
    pool.close()


async def test_a_job_cancelled_before_it_began_never_runs() -> None:
    pool = CodecPool(1)
    ran: list[object] = []
    started, release = threading.Event(), threading.Event()

    def blocks() -> None:
        started.set()
        release.wait(10)

    first = asyncio.create_task(pool.run(blocks))
    await asyncio.to_thread(started.wait, 10)
    second = asyncio.create_task(pool.run(ran.append, 1))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    release.set()
    await first
    await pool.run(lambda: None)
    assert ran == []
    pool.close()


class Job:
    """Counts its runs and ends when told to."""

    def __init__(self) -> None:
        self.runs = 0
        self.cancelled = False
        self.result: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def __call__(self) -> int:
        self.runs += 1
        try:
            return await asyncio.shield(self.result)
        except asyncio.CancelledError:
            self.cancelled = True
            raise


async def begin(flight: SingleFlight[int], job: Job, count: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(flight.run("key", job)) for _ in range(count)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_who_asks_for_the_same_shares_one_job() -> None:
    flight, job = SingleFlight[int](), Job()
    tasks = await begin(flight, job, 5)
    job.result.set_result(7)
    assert await asyncio.gather(*tasks) == [7] * 5
    assert (job.runs, len(flight)) == (1, 0)


async def test_other_keys_run_on_their_own() -> None:
    flight, job = SingleFlight[int](), Job()
    job.result.set_result(1)
    await asyncio.gather(flight.run("a", job), flight.run("b", job))
    await flight.run("a", job)
    assert job.runs == 3


async def test_a_failure_is_shared_and_not_kept() -> None:
    flight, job = SingleFlight[int](), Job()
    tasks = await begin(flight, job, 3)
    job.result.set_exception(CodecError("broken"))
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(r) for r in results] == ["broken"] * 3
    assert len(flight) == 0


async def test_one_who_leaves_does_not_take_the_job_along() -> None:
    flight, job = SingleFlight[int](), Job()
    first, second, third = await begin(flight, job, 3)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    job.result.set_result(3)
    assert list(await asyncio.gather(second, third)) == [3, 3]
    assert not job.cancelled


async def test_the_last_who_leaves_ends_the_job_and_the_next_begins_anew() -> None:
    flight, job = SingleFlight[int](), Job()
    tasks = await begin(flight, job, 2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    again = Job()
    again.result.set_result(4)
    assert await flight.run("key", again) == 4
    assert (job.cancelled, len(flight)) == (True, 0)


async def test_a_budget_lets_in_what_fits_in_order() -> None:
    budget = Budget(64)
    begun: list[str] = []
    release = asyncio.Event()

    async def works(name: str, weight: int) -> None:
        async with budget.hold(weight):
            begun.append(name)
            await release.wait()

    tasks = [asyncio.create_task(works(f"{n}", 40)) for n in range(3)]
    tasks.append(asyncio.create_task(works("small", 1)))
    tasks.append(asyncio.create_task(works("beyond all", 1000)))
    await asyncio.sleep(0)
    assert begun == ["0", "small"]
    tasks[1].cancel()
    release.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert begun == ["0", "small", "2", "beyond all"]


async def test_a_budget_gets_back_what_a_cancelled_job_was_given() -> None:
    budget = Budget(64)
    held = asyncio.Event()

    async def works() -> None:
        async with budget.hold(64):
            held.set()
            await asyncio.sleep(60)

    first, second = asyncio.create_task(works()), asyncio.create_task(works())
    await held.wait()
    # The turn of the second comes while it is cancelled.
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    async with asyncio.timeout(5), budget.hold(64):
        pass
