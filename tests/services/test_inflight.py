"""Bytes that wait for clients: counted once, in order, and refused rather than piled up."""

from __future__ import annotations

import asyncio

import pytest
from gateway.errors import Busy
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
    assert room.held == 0
