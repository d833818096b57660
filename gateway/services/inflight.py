"""A bound on the bytes in memory that wait for clients, however slow these read.

There is one for each process. A frame counts from before it is read until it is written out. A request that
finds no room waits without holding any bytes, and gets 503 where that takes too long. So memory does not grow
with the number of readers.

No client stops the others. Of the waiting requests, that of the peer with the fewest bytes is next. While a
request waits, answers are cut short that are read too slowly, or whose peer holds more than its share; those
of the peer with the most bytes come first.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Hashable, Iterator
from contextlib import suppress

from gateway.errors import Busy
from gateway.services.clientpace import Reader, current

IN_FLIGHT_AT_MOST = 256 << 20
# Weights up to this have room of their own, so that a few large frames do not keep all others waiting.
SMALL = 4 << 20
# Weights up to this are not counted: the buffers of a connection are as large.
NOTHING = 256 << 10
# Seconds until a request that has sent nothing yet is refused, and until an answer that has
# begun is cut short.
PATIENCE = 15.0
PATIENCE_WITHIN = 120.0
# Seconds for which no answer is cut short. Less than PATIENCE, so that a waiting request gains by it.
GRACE = 5.0
# Seconds within which the held bytes have to be sent, at the client's pace, once others wait.
GONE_WITHIN = 60.0
# Bytes that are written at once: a reader's pace is seen in such steps.
STEP = 1 << 20
# Seconds between two looks for answers to cut short, while a request waits.
_LOOK_AGAIN = 0.25


class _Hold:
    """The bytes that one reader holds.

    The lane refers to it, and not to the `Held`, which must be collected when nobody uses it.
    """

    __slots__ = ("key", "peer", "reader", "sent", "since", "weight")

    def __init__(self, weight: int, key: Hashable | None) -> None:
        self.weight = weight
        self.key = key
        self.reader: Reader | None = current()
        self.peer = self.reader.peer if self.reader else ""
        self.since = 0.0
        self.sent = 0

    def begin(self) -> None:
        self.since = time.monotonic()
        self.sent = self.reader.sent if self.reader else 0

    def may_end(self, now: float) -> bool:
        """Return whether we wait for the client, and the grace is over."""
        return self.reader is not None and self.reader.since is not None and now - self.since > GRACE

    def is_slow(self, now: float) -> bool:
        """Return whether the client reads too slowly for all bytes to be sent in time.

        The present write counts, too: a socket takes the first step at once, whatever the client does.
        """
        if self.reader is None or self.reader.since is None:
            return False
        least = self.weight / GONE_WITHIN
        taken = self.reader.sent - self.sent
        return taken < least * (now - self.since) or least * (now - self.reader.since) > STEP


class Held:
    """Room for some bytes, until it is released; releasing it again does nothing."""

    __slots__ = ("_hold", "_lane")

    def __init__(self, lane: _Lane | None, hold: _Hold | None = None) -> None:
        self._lane = lane
        self._hold = hold

    def release(self) -> None:
        """Give the room back. In the event loop's thread only."""
        lane, self._lane = self._lane, None
        if lane is not None and self._hold is not None:
            lane.give(self._hold)

    def __del__(self) -> None:
        # An answer that was never begun is never ended either: a generator runs its `finally` only once it
        # has started. The collector runs in any thread, and between any two steps of the loop's.
        if self._lane is not None and self._hold is not None:
            self._lane.give_later(self._hold)


class _Turn:
    """A request that waits for room."""

    __slots__ = ("hold", "number", "ready")

    def __init__(self, hold: _Hold, number: int, ready: asyncio.Future[None]) -> None:
        self.hold = hold
        self.number = number
        self.ready = ready


class _Lane:
    """Room for `most` bytes and the requests that wait for it, in order, of each peer.

    A request that wants more than `most` gets all of it, and goes alone.
    """

    def __init__(self, most: int) -> None:
        self.most = self.free = most
        self._shared: dict[Hashable, int] = {}
        self._holds: dict[_Hold, None] = {}
        self._peers: Counter[str] = Counter()
        self._waiting: dict[str, deque[_Turn]] = {}
        self._number = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looks: asyncio.TimerHandle | None = None

    def attempt(self, hold: _Hold) -> bool:
        shared = hold.key is not None and hold.key in self._shared
        if not shared and (self._waiting or hold.weight > self.free):
            return False
        self._take(hold)
        return True

    async def take(self, hold: _Hold, patience: float) -> None:
        if self.attempt(hold):
            return
        loop = asyncio.get_running_loop()
        self._number += 1
        turn = _Turn(hold, self._number, loop.create_future())
        self._waiting.setdefault(hold.peer, deque()).append(turn)
        # One that fits may be next at once, as its peer holds less than the others that wait.
        self._serve()
        self._look_later(loop)
        try:
            async with asyncio.timeout(patience):
                await turn.ready
        except BaseException as error:
            # Its turn may have come at the same moment.
            if turn.ready.done() and not turn.ready.cancelled():
                self.give(hold)
            else:
                self._forget(turn)
            self._serve()
            if isinstance(error, TimeoutError):
                raise Busy("too many bytes are on their way to others; try again later") from error
            raise

    def give(self, hold: _Hold) -> None:
        del self._holds[hold]
        self._peers[hold.peer] -= hold.weight
        if not self._peers[hold.peer]:
            del self._peers[hold.peer]
        if hold.key is not None:
            self._shared[hold.key] -= 1
            if self._shared[hold.key]:
                return
            del self._shared[hold.key]
        self.free += hold.weight
        if self._waiting:
            self._serve()

    def give_later(self, hold: _Hold) -> None:
        """Give the room back as `give` does, from any thread and at any moment."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is over, and all that it held
                self._loop.call_soon_threadsafe(self.give, hold)

    def _take(self, hold: _Hold) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        if hold.key is None or hold.key not in self._shared:
            self.free -= hold.weight
        if hold.key is not None:
            self._shared[hold.key] = self._shared.get(hold.key, 0) + 1
        self._peers[hold.peer] += hold.weight
        hold.begin()
        self._holds[hold] = None

    # -- the next request -------------------------------------------------------------------------------

    def _next(self) -> _Turn | None:
        """Return the waiting request that is next: the first one of the peer that holds least."""
        heads = (turns[0] for turns in self._waiting.values())
        return min(heads, key=lambda turn: (self._peers[turn.hold.peer], turn.number), default=None)

    def _serve(self) -> None:
        while (turn := self._next()) is not None:
            key = turn.hold.key
            shared = key is not None and key in self._shared
            if not turn.ready.done() and not shared and turn.hold.weight > self.free:
                return
            self._forget(turn)
            if not turn.ready.done():
                self._take(turn.hold)
                turn.ready.set_result(None)

    def _forget(self, turn: _Turn) -> None:
        turns = self._waiting.get(turn.hold.peer)
        if turns is not None:
            with suppress(ValueError):
                turns.remove(turn)
            if not turns:
                del self._waiting[turn.hold.peer]

    # -- answers to cut short ---------------------------------------------------------------------------

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._looks is None and self._waiting:
            self._looks = loop.call_later(_LOOK_AGAIN, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._looks = None
        turn = self._next()
        if turn is not None:
            self._make_room(turn.hold)
            self._look_later(loop)

    def _make_room(self, wanted: _Hold) -> None:
        """Cut short as many answers as are needed for this one, besides those that are ending already."""
        leaving = sum(hold.weight for hold in self._holds if hold.reader and hold.reader.gives_way)
        needed = wanted.weight - self.free - leaving
        if needed <= 0:
            return
        for hold in self._dispensable(wanted):
            if hold.reader is not None:
                hold.reader.give_up()
            needed -= hold.weight
            if needed <= 0:
                return

    def _dispensable(self, wanted: _Hold) -> Iterator[_Hold]:
        """Yield holds to give up, from the peer with the most bytes on.

        A hold is given up where its reader is slow, or where its peer would still hold at least as much as
        the peer of `wanted` once that has its bytes.
        """
        now = time.monotonic()
        left = self._peers.copy()
        least = left[wanted.peer] + wanted.weight
        found = [hold for hold in self._holds if hold.may_end(now)]
        for hold in sorted(found, key=lambda hold: (-self._peers[hold.peer], hold.since)):
            greedy = hold.peer != wanted.peer and left[hold.peer] - hold.weight >= least
            if greedy or hold.is_slow(now):
                left[hold.peer] -= hold.weight
                yield hold


class InFlight:
    """The bound for one process. Bytes that several readers share have the same `key`: they count once."""

    def __init__(self, most: int = IN_FLIGHT_AT_MOST, patience: float = PATIENCE) -> None:
        self._large = _Lane(most)
        self._small = _Lane(most // 4)
        self._patience = patience

    @property
    def held(self) -> int:
        """Bytes that are counted now."""
        return sum(lane.most - lane.free for lane in (self._large, self._small))

    async def take(
        self, weight: int, key: Hashable | None = None, *, within: bool = False, patience: float | None = None
    ) -> Held:
        """Wait for room for so many bytes; `within` an answer that has begun.

        A caller that holds some must not ask for more. Raises Busy where there was no room in time.
        """
        if weight <= NOTHING:
            return Held(None)
        lane = self._lane(weight)
        hold = _Hold(min(weight, lane.most), key)
        wait = patience if patience is not None else PATIENCE_WITHIN if within else self._patience
        await lane.take(hold, wait)
        return Held(lane, hold)

    def attempt(self, weight: int, key: Hashable | None = None) -> Held | None:
        """Return room for so many bytes where it is free and no request waits for it, else None."""
        if weight <= NOTHING:
            return Held(None)
        lane = self._lane(weight)
        hold = _Hold(min(weight, lane.most), key)
        return Held(lane, hold) if lane.attempt(hold) else None

    def _lane(self, weight: int) -> _Lane:
        return self._small if weight <= SMALL else self._large
