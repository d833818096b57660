"""Limit the instances that are received: slots bound the work, seats bound the waiting for clients.

An instance holds a slot while work is done for it, never while its client is waited for. It holds a seat from
its first byte to its last; the memory it needs meanwhile is small, and bounded by the number of seats. When
all seats are taken, one whose client is silent is given to the next instance: of the peer with most seats
first, and then the one that is silent longest.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator

from gateway.errors import Busy

WORKING = 32
SEATS = 128
# Bytes of all instances together that are kept in memory before their UIDs come.
HELD_AT_MOST = 256 << 20
# A client that was silent for less time keeps its seat.
SILENT_SECONDS = 5.0
_LOOK_AGAIN = 0.5


class Slots:
    """The slots and seats of one process."""

    def __init__(
        self,
        working: int = WORKING,
        seats: int = SEATS,
        *,
        held: int = HELD_AT_MOST,
        silent: float = SILENT_SECONDS,
    ) -> None:
        self.work = asyncio.Semaphore(working)
        self._seats = seats
        self._room = held
        self._silent = silent
        self._taken: dict[Seat, None] = {}
        self._peers: Counter[str] = Counter()
        self._freed = asyncio.Condition()

    async def seat(self, peer: str) -> Seat:
        """Return a seat with a slot for work; wait for both, in order. `peer` is the client's address."""
        async with self._freed:
            while len(self._taken) >= self._seats:
                self._unseat()
                try:
                    await asyncio.wait_for(self._freed.wait(), _LOOK_AGAIN)
                except TimeoutError:
                    continue
            found = Seat(self, peer)
            self._taken[found] = None
            self._peers[peer] += 1
        try:
            await found.resume()
        except BaseException:
            await found.leave()
            raise
        return found

    def _unseat(self) -> None:
        """Give up the seat whose client is silent longest, of the peer that has most seats."""
        latest = time.monotonic() - self._silent
        silent = [seat for seat in self._taken if seat.since is not None and seat.since < latest]
        if silent:
            min(silent, key=lambda seat: (-self._peers[seat.peer], seat.since)).give_up()

    async def free(self, seat: Seat) -> None:
        """Free a seat for others. Does nothing where it is free already."""
        if seat not in self._taken:
            return
        del self._taken[seat]
        self._peers[seat.peer] -= 1
        if not self._peers[seat.peer]:
            del self._peers[seat.peer]
        async with self._freed:
            self._freed.notify()

    def hold(self, size: int) -> None:
        """Count `size` bytes more in memory, fewer where negative.

        Raises Busy where there is no room for them.
        """
        if size > self._room:
            raise Busy("too many instances at once whose UIDs have not come yet; try again later")
        self._room -= size


class Seat:
    """The seat of one instance that is being received.

    `since` is the monotonic time at which it began to wait for its client, None while there is work.
    """

    __slots__ = ("_given_up", "_held", "_slots", "_task", "_works", "peer", "since")

    def __init__(self, slots: Slots, peer: str) -> None:
        self.peer = peer
        self.since: float | None = None
        self._slots = slots
        self._works = False
        self._held = 0
        self._given_up = False
        self._task: asyncio.Task[object] | None = None

    async def resume(self) -> None:
        """Take a slot: there is work."""
        await self._slots.work.acquire()
        self._works = True

    def rest(self) -> None:
        """Free the slot for others."""
        if self._works:
            self._works = False
            self._slots.work.release()

    def hold(self, size: int) -> None:
        """Set the bytes in memory for this instance to `size`. Raises Busy."""
        if size != self._held:
            self._slots.hold(size - self._held)
            self._held = size

    async def leave(self) -> None:
        """Free the seat, not the slot: the bytes have come, or nobody wants them."""
        self.hold(0)
        await self._slots.free(self)

    def give_up(self) -> None:
        """Make `resting` raise Busy, as others want the seat."""
        if self._task is not None and not self._given_up:
            self._given_up = True
            self._task.cancel()

    async def resting(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the chunks of `body`; free the slot while it waits for the next one.

        Raises Busy where the seat is given up.
        """
        chunks = aiter(body)
        self._task = asyncio.current_task()
        while True:
            self.rest()
            self.since = time.monotonic()
            try:
                chunk = await anext(chunks, None)
            except asyncio.CancelledError:
                if self._given_up and self._task is not None and self._task.uncancel() == 0:
                    raise Busy("the instance came too slowly while others waited; try again later") from None
                raise
            finally:
                self.since = None
            await self.resume()
            if chunk is None:
                return
            yield chunk
