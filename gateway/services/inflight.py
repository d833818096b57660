"""How many bytes wait for clients at once: what is in memory for a reader, however slow, is counted here.

One for a process. A frame counts from before it is read until it is written out; who finds no room waits, holding
nothing, and is told to come again where that takes too long. So memory does not grow with the number of readers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable

from gateway.errors import Busy

IN_FLIGHT_AT_MOST = 256 << 20
# What is this small has room of its own, so that a few large frames do not keep everybody else waiting.
SMALL = 4 << 20
# Below that nothing is counted: the buffers of a connection are as large.
NOTHING = 256 << 10
# Seconds until a request that has sent nothing yet is refused, and until an answer that has begun is cut short.
PATIENCE = 15.0
PATIENCE_WITHIN = 120.0


class Held:
    """So many bytes, until they are released; once is enough."""

    __slots__ = ("_key", "_lane", "_weight")

    def __init__(self, lane: _Lane | None, weight: int = 0, key: Hashable | None = None) -> None:
        self._lane = lane
        self._weight = weight
        self._key = key

    def release(self) -> None:
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.give(self._weight, self._key)

    # An answer that was never begun is never ended either: a generator runs its `finally` only once it has started.
    __del__ = release


class _Lane:
    """Who wants more than all there is goes alone; the others in order."""

    def __init__(self, most: int) -> None:
        self.most = self.free = most
        self._shared: dict[Hashable, int] = {}
        self._waiting: deque[tuple[asyncio.Future[None], int, Hashable | None]] = deque()

    def attempt(self, weight: int, key: Hashable | None) -> bool:
        if key is not None and key in self._shared:
            self._shared[key] += 1
            return True
        if self._waiting or weight > self.free:
            return False
        self._taken(weight, key)
        return True

    async def take(self, weight: int, key: Hashable | None, patience: float) -> None:
        if self.attempt(weight, key):
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, weight, key))
        try:
            async with asyncio.timeout(patience):
                await turn
        except BaseException as error:
            # Its turn may have come at the same moment.
            if turn.done() and not turn.cancelled():
                self.give(weight, key)
            self._serve()
            if isinstance(error, TimeoutError):
                raise Busy("too many bytes are on their way to others; try again later") from error
            raise

    def give(self, weight: int, key: Hashable | None) -> None:
        if key is not None:
            self._shared[key] -= 1
            if self._shared[key]:
                return
            del self._shared[key]
        self.free += weight
        self._serve()

    def _taken(self, weight: int, key: Hashable | None) -> None:
        self.free -= weight
        if key is not None:
            self._shared[key] = 1

    def _serve(self) -> None:
        while self._waiting:
            turn, weight, key = self._waiting[0]
            shared = key is not None and key in self._shared
            if not turn.done() and not shared and weight > self.free:
                return
            self._waiting.popleft()
            if turn.done():
                continue
            if shared:
                self._shared[key] += 1
            else:
                self._taken(weight, key)
            turn.set_result(None)


class InFlight:
    """`key` names bytes that several hold at once: they count once."""

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
        """Room for so many bytes; `within` an answer that has begun. Nobody who holds some may ask for more.

        Raises Busy where there was none in time.
        """
        if weight <= NOTHING:
            return Held(None)
        lane = self._lane(weight)
        weight = min(weight, lane.most)
        wait = patience if patience is not None else PATIENCE_WITHIN if within else self._patience
        await lane.take(weight, key, wait)
        return Held(lane, weight, key)

    def attempt(self, weight: int, key: Hashable | None = None) -> Held | None:
        """Room for so many bytes where there is some at once and nobody waits for it, else None."""
        if weight <= NOTHING:
            return Held(None)
        lane = self._lane(weight)
        weight = min(weight, lane.most)
        return Held(lane, weight, key) if lane.attempt(weight, key) else None

    def _lane(self, weight: int) -> _Lane:
        return self._small if weight <= SMALL else self._large
