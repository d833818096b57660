"""A client that hangs up is noticed before the answer begins, and between slow pieces of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from gateway.http.gate import Gate
from gateway.http.message import disconnect, responses
from gateway.http.message.responses import StreamResponse
from gateway.index.base import ExtraKey
from tests.http.fakes import MemoryKeys, Rooms
from tests.http.message.test_responses import application
from tests.http.wire import exchange, get, listening


class SlowKeys(MemoryKeys):
    """Query keys that are never told; remembers what became of who asked."""

    def __init__(self, seconds: float = 60) -> None:
        self.begun, self.left, self.told = asyncio.Event(), asyncio.Event(), False
        self._seconds = seconds

    async def all(self) -> list[ExtraKey]:
        self.begun.set()
        try:
            await asyncio.sleep(self._seconds)
        except asyncio.CancelledError:
            self.left.set()
            raise
        self.told = True
        return []


def served(keys: SlowKeys) -> Gate:
    return Rooms(keys=keys).application()


async def test_who_hangs_up_before_the_answer_is_not_worked_for() -> None:
    keys = SlowKeys()
    async with listening(served(keys)) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get("/api/v1/keys"))
        await asyncio.wait_for(keys.begun.wait(), 20)
        writer.transport.abort()
        await asyncio.wait_for(keys.left.wait(), 20)


async def test_who_waits_is_answered_however_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disconnect, "UNWATCHED_SECONDS", 0.01)
    keys = SlowKeys(0.2)
    async with listening(served(keys)) as port:
        head, body = await exchange(port, get("/api/v1/keys"))
    assert head.startswith(b"HTTP/1.1 200")
    assert body == b'{"keys":[]}'
    assert keys.told


async def test_slow_pieces_end_when_nobody_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "UNWATCHED_SECONDS", 0.05)
    closed = asyncio.Event()

    async def drops() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"x"
                await asyncio.sleep(0.02)
        finally:
            closed.set()

    async with listening(application(StreamResponse(200, {}, chunks=drops()))) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get())
        await reader.readuntil(b"x")
        writer.transport.abort()
        await asyncio.wait_for(closed.wait(), 5)
