"""All connections of one process: how many there may be, whose, and the clock that ends those that wait too long."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Protocol

from gateway.server.bounds import Bounds

# Connections that were refused and are still read from, so that the refusal arrives.
MOST_LINGERING = 64


class Connection(Protocol):
    """What is known of one here."""

    peer: str
    served: bool
    """Whether it has had an answer."""

    def check(self, now: float, elapsed: float) -> None:
        """End it if it waits longer than is granted."""

    def give_way(self) -> None:
        """Close it: it waits for its client, and others want its place."""


class Connections:
    """Takes connections in, up to a number for all and one for each peer.

    Where there is no room, who has waited longest for its client gives way, those that never had an answer first: an
    idle connection can be made again.
    """

    def __init__(self, bounds: Bounds, loop: asyncio.AbstractEventLoop, *, every: float = 1.0) -> None:
        self.most = bounds.most()
        self.share = bounds.most_of_one(self.most)
        self.lingering = 0
        self._bounds = bounds
        self._loop = loop
        self._every = min(every, bounds.head_seconds / 2, bounds.stall / 2, bounds.idle / 2)
        self._all: dict[Connection, None] = {}
        self._new: dict[Connection, None] = {}
        self._idle: dict[Connection, None] = {}
        self._peers: Counter[str] = Counter()
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def take(self, connection: Connection) -> bool:
        """Whether there is room for it; another may have to give way."""
        if self._bounds.is_proxy(connection.peer):
            connection.peer = ""
        peer = connection.peer
        if peer and self._peers[peer] >= self.share and not self._give_way(peer, only=True):
            return False
        if len(self._all) >= self.most and not self._give_way(self._greediest(), only=False):
            return False
        self._all[connection] = None
        self._peers[peer] += 1
        if self._timer is None:
            self._last = time.monotonic()
            self._timer = self._loop.call_later(self._every, self._tick)
        return True

    def drop(self, connection: Connection) -> None:
        """It is closed. Does nothing where it was not taken."""
        self.works(connection)
        if connection in self._all:
            del self._all[connection]
            self._peers[connection.peer] -= 1
            if not self._peers[connection.peer]:
                del self._peers[connection.peer]

    def waits(self, connection: Connection) -> None:
        """It waits for a request of its client from now on."""
        (self._idle if connection.served else self._new)[connection] = None

    def works(self, connection: Connection) -> None:
        """A request of it has come."""
        (self._idle if connection.served else self._new).pop(connection, None)

    def _greediest(self) -> str:
        return max(self._peers, key=self._peers.__getitem__)

    def _give_way(self, peer: str, *, only: bool) -> bool:
        """Whether one that waits was closed: of this peer, or where it has none of any, unless `only`."""
        waiting = [self._new, self._idle]
        found = next((one for some in waiting for one in some if one.peer == peer), None)
        if found is None and not only:
            found = next((one for some in waiting for one in some), None)
        if found is None:
            return False
        found.give_way()
        self.drop(found)
        return True

    def _tick(self) -> None:
        self._timer = None
        now = time.monotonic()
        elapsed, self._last = now - self._last, now
        # A loop that was held up must not make its clients look slow.
        elapsed = min(elapsed, 2 * self._every)
        for connection in list(self._all):
            connection.check(now, elapsed)
        if self._all:
            self._timer = self._loop.call_later(self._every, self._tick)
