"""Slots are held for work only, seats are few, and who is silent gives way (issue B1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from gateway.app import Gateway
from gateway.errors import Busy
from gateway.model import Source
from gateway.services.ingest.ingest import Ingest
from gateway.services.ingest.outcomes import CANNOT_UNDERSTAND
from gateway.services.ingest.slots import Seat, Slots
from gateway.settings import Settings
from tests import build


class Client:
    """Sends what is put; `silence` never comes."""

    def __init__(self) -> None:
        self.chunks: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def body(self) -> AsyncIterator[bytes]:
        while (chunk := await self.chunks.get()) is not None:
            yield chunk


async def read(seat: Seat, client: Client) -> bytes:
    try:
        return b"".join([chunk async for chunk in seat.resting(client.body())])
    finally:
        seat.rest()
        await seat.leave()


async def begun(slots: Slots, peer: str, count: int) -> tuple[list[asyncio.Task[bytes]], list[Client]]:
    """Uploads that have sent a byte and are silent now."""
    clients = [Client() for _ in range(count)]
    tasks = [asyncio.create_task(read(await slots.seat(peer), client)) for client in clients]
    for client in clients:
        client.chunks.put_nowait(b"a")
    await asyncio.sleep(0)
    return tasks, clients


async def given_up(tasks: list[asyncio.Task[bytes]]) -> list[asyncio.Task[bytes]]:
    await asyncio.sleep(0)
    return [task for task in tasks if task.done() and isinstance(task.exception(), Busy)]


async def test_waiting_for_clients_holds_no_slot() -> None:
    slots = Slots(working=2, seats=100)
    tasks, clients = await begun(slots, "a", 50)
    seat = await asyncio.wait_for(slots.seat("b"), 20)
    seat.rest()
    await seat.leave()
    for client in clients:
        client.chunks.put_nowait(b"b")
        client.chunks.put_nowait(None)
    assert await asyncio.gather(*tasks) == [b"ab"] * 50
    assert not slots.work.locked()


async def test_work_is_bounded() -> None:
    slots = Slots(working=2)
    first, second = await slots.seat("a"), await slots.seat("a")
    third = asyncio.create_task(slots.seat("a"))
    await asyncio.sleep(0.05)
    assert not third.done()
    first.rest()
    (await asyncio.wait_for(third, 20)).rest()
    second.rest()


async def test_the_silent_give_way_of_the_peer_that_has_most() -> None:
    slots = Slots(seats=4, silent=0.05)
    few, _ = await begun(slots, "few", 1)
    many, _ = await begun(slots, "many", 3)
    await asyncio.sleep(0.1)
    seat = await asyncio.wait_for(slots.seat("other"), 20)
    assert (await given_up(few), len(await given_up(many))) == ([], 1)
    seat.rest()
    for task in (*few, *many):
        task.cancel()
    await asyncio.gather(*few, *many, return_exceptions=True)


async def test_who_is_not_silent_for_long_keeps_its_seat() -> None:
    slots = Slots(seats=1, silent=60)
    tasks, clients = await begun(slots, "a", 1)
    waiting = asyncio.create_task(slots.seat("b"))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    clients[0].chunks.put_nowait(None)
    assert await tasks[0] == b"a"
    (await asyncio.wait_for(waiting, 20)).rest()


async def test_a_client_that_hangs_up_frees_its_seat() -> None:
    slots = Slots(working=1, seats=1)
    tasks, _ = await begun(slots, "a", 1)
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    (await asyncio.wait_for(slots.seat("b"), 20)).rest()
    assert not slots.work.locked()


async def test_what_is_held_before_the_uids_come_is_bounded_for_all() -> None:
    slots = Slots(held=100)
    first, second = await slots.seat("a"), await slots.seat("a")
    first.hold(60)
    with pytest.raises(Busy, match="UIDs have not come"):
        second.hold(60)
    await first.leave()
    second.hold(60)
    second.hold(0)
    second.hold(100)


async def test_who_is_cancelled_while_leaving_keeps_no_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All bytes had come, and the seat was about to be given back: the slot was lost for good."""
    gateway = await Gateway.open(Settings(data=str(tmp_path)))
    await gateway.start(follow=False)
    ingest = Ingest(
        gateway.store, gateway.commits, policies=gateway.policies, slots=Slots(working=1, seats=1)
    )
    leave, leaving = Seat.leave, asyncio.Event()

    async def slow(seat: Seat) -> None:
        leaving.set()
        await asyncio.sleep(0.05)
        await leave(seat)

    async def body() -> AsyncIterator[bytes]:
        yield build.part10(build.dataset())

    monkeypatch.setattr(Seat, "leave", slow)
    task = asyncio.create_task(ingest.session(Source("stow")).take(body()))
    await leaving.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    session = ingest.session(Source("stow"))
    async with asyncio.timeout(10):
        await session.take(body())
        assert [outcome.failure for outcome in await session.finish()] == [None]
    await gateway.close()


async def test_what_is_not_taken_is_not_counted_as_held(tmp_path: Path) -> None:
    """A long instance that is refused took the room of those whose UIDs were due, and ended its request."""
    gateway = await Gateway.open(Settings(data=str(tmp_path)))
    await gateway.start(follow=False)
    slots = Slots(held=1000)
    ingest = Ingest(gateway.store, gateway.commits, policies=gateway.policies, slots=slots)

    async def no_dicom() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"no DICOM " * 20

    session = ingest.session(Source("stow"))
    await session.take(no_dicom())
    (outcome,) = await session.finish()
    assert outcome.failure == CANNOT_UNDERSTAND
    slots.hold(1000)
    await gateway.close()
