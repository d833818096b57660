"""Bytes that wait for clients: counted once, in order, and refused rather than piled up."""

from __future__ import annotations

import asyncio
import threading

import pytest
from gateway.errors import Busy
from gateway.services import clientpace, inflight
from gateway.services.inflight import NOTHING, SMALL, InFlight

LARGE = SMALL * 2


async def test_who_finds_no_room_waits_in_order() -> None:
    room = InFlight(LARGE * 2)
    first, second = await room.take(LARGE), await room.take(LARGE)
    waiting = [asyncio.ensure_future(room.take(LARGE)) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    assert room.attempt(LARGE) is None
    first.release()
    first.release()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [task.done() for task in waiting] == [True, False]
    second.release()
    for task in waiting:
        (await task).release()
    assert room.held == 0


async def test_who_waits_too_long_is_told_to_come_again() -> None:
    room = InFlight(LARGE, patience=0.01)
    held = await room.take(LARGE)
    with pytest.raises(Busy):
        await room.take(LARGE)
    held.release()
    (await room.take(LARGE)).release()
    assert room.held == 0


async def test_who_gives_up_waiting_leaves_nothing_behind() -> None:
    room = InFlight(LARGE)
    held = await room.take(LARGE)
    task = asyncio.ensure_future(room.take(LARGE))
    await asyncio.sleep(0)
    task.cancel()
    held.release()  # its turn comes at the same moment
    with pytest.raises(asyncio.CancelledError):
        await task
    assert room.held == 0
    (await room.take(LARGE)).release()


async def test_the_same_bytes_count_once() -> None:
    room = InFlight(LARGE)
    held = [await room.take(LARGE, "a") for _ in range(5)]
    assert room.held == LARGE
    for one in held[:4]:
        one.release()
    assert room.held == LARGE
    held[4].release()
    assert room.held == 0


async def test_small_ones_pass_large_ones_and_tiny_ones_are_not_counted() -> None:
    room = InFlight(LARGE * 4)
    large = await room.take(LARGE * 10)
    small = await room.take(SMALL)
    tiny = await room.take(NOTHING)
    assert room.held == LARGE * 4 + SMALL
    for one in (large, small, tiny):
        one.release()
    assert room.held == 0


async def test_what_is_forgotten_is_given_back() -> None:
    room = InFlight(LARGE)
    held = await room.take(LARGE)
    del held
    await asyncio.sleep(0)
    assert room.held == 0


async def test_what_is_forgotten_in_another_thread_is_given_back_in_the_loops() -> None:
    """The collector of cycles comes in any thread, and who waits may be told in the loop's only."""
    room = InFlight(LARGE)
    held = [await room.take(LARGE)]
    waiting = asyncio.ensure_future(room.take(LARGE))
    await asyncio.sleep(0)
    thread = threading.Thread(target=held.clear)
    thread.start()
    thread.join()
    assert not waiting._fut_waiter.done()  # type: ignore[attr-defined]
    async with asyncio.timeout(30):
        (await waiting).release()
    assert room.held == 0


class Sent:
    """Answers of one peer that hold bytes, and are not read."""

    def __init__(self, room: InFlight, peer: str) -> None:
        self.room = room
        self.peer = peer
        self.torn = 0
        self.all: list[asyncio.Task[None]] = []

    async def begin(self, weight: int, *, works: bool = False, takes: int = 0) -> None:
        begun = asyncio.Event()
        self.all.append(asyncio.create_task(self._answer(weight, begun, works, takes)))
        await begun.wait()

    async def _answer(self, weight: int, begun: asyncio.Event, works: bool, takes: int) -> None:
        reader = clientpace.start()
        reader.peer = self.peer
        held = await self.room.take(weight)
        reader.sent += takes
        begun.set()
        try:
            if works:
                await asyncio.Event().wait()
            await reader.takes(_never(), 1)
        except Busy:
            self.torn += 1
        finally:
            held.release()

    async def end(self) -> None:
        for task in self.all:
            task.cancel()
        await asyncio.gather(*self.all, return_exceptions=True)


async def _never() -> None:
    await asyncio.Event().wait()


async def taken(room: InFlight, peer: str, weight: int) -> None:
    """In a task of its own, as a request is."""
    clientpace.start().peer = peer
    (await room.take(weight)).release()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflight, "GRACE", 0.05)
    monkeypatch.setattr(inflight, "_LOOK_AGAIN", 0.01)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("peer", ["a", "b"])
async def test_who_takes_nothing_gives_way_to_who_waits(peer: str) -> None:
    """As many as are needed, and of the peer that holds most; a peer with as much as it asks for keeps it."""
    room = InFlight(LARGE * 8, patience=30)
    greedy, modest = Sent(room, "a"), Sent(room, "c")
    await modest.begin(LARGE)
    for _ in range(7):
        await greedy.begin(LARGE)
    await asyncio.create_task(taken(room, peer, LARGE * 2))
    assert (greedy.torn, modest.torn) == (2, 0)
    await greedy.end()
    await modest.end()
    assert room.held == 0


@pytest.mark.usefixtures("impatient")
async def test_who_is_fast_gives_way_only_to_a_peer_that_holds_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflight, "GONE_WITHIN", 1e9)
    room = InFlight(LARGE * 4, patience=0.5)
    greedy = Sent(room, "a")
    for _ in range(4):
        await greedy.begin(LARGE, takes=LARGE - 1)
    with pytest.raises(Busy):
        await asyncio.create_task(taken(room, "a", LARGE))
    assert greedy.torn == 0
    await asyncio.create_task(taken(room, "b", LARGE))
    assert greedy.torn == 1
    # More than the other would keep is nobody's share.
    with pytest.raises(Busy):
        await asyncio.create_task(taken(room, "b", LARGE * 4))
    assert greedy.torn == 1
    await greedy.end()


@pytest.mark.usefixtures("impatient")
async def test_who_is_worked_for_does_not_give_way() -> None:
    room = InFlight(LARGE * 2, patience=0.5)
    busy = Sent(room, "a")
    for _ in range(2):
        await busy.begin(LARGE, works=True)
    with pytest.raises(Busy):
        await asyncio.create_task(taken(room, "b", LARGE))
    assert (busy.torn, room.held) == (0, LARGE * 2)
    await busy.end()
    assert room.held == 0


@pytest.mark.usefixtures("impatient")
async def test_who_is_worked_for_is_passed_over_for_who_is_slow() -> None:
    room = InFlight(LARGE * 2, patience=30)
    busy = Sent(room, "a")
    await busy.begin(LARGE, works=True)
    await busy.begin(LARGE)
    await asyncio.create_task(taken(room, "b", LARGE))
    assert (busy.torn, room.held) == (1, LARGE)
    await busy.end()


async def test_nobody_gives_way_while_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflight, "GRACE", 0.0)
    monkeypatch.setattr(inflight, "_LOOK_AGAIN", 0.001)
    room = InFlight(LARGE * 2)
    slow = Sent(room, "a")
    await slow.begin(LARGE * 2)
    await asyncio.sleep(0.05)
    assert (slow.torn, room.held) == (0, LARGE * 2)
    await slow.end()


async def test_the_peer_that_holds_least_is_next() -> None:
    room = InFlight(LARGE * 2)
    first = await room.take(LARGE)
    greedy = Sent(room, "a")
    await greedy.begin(LARGE)
    order: list[str] = []

    async def waits(peer: str) -> None:
        await taken(room, peer, LARGE)
        order.append(peer)

    waiting = [asyncio.create_task(waits(peer)) for peer in ("a", "a", "b", "c", "b")]
    await asyncio.sleep(0)
    first.release()
    await asyncio.gather(*waiting)
    assert order == ["b", "c", "b", "a", "a"]
    await greedy.end()
    assert room.held == 0
