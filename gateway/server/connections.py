"""All connections of one process: their number, the share of each peer, and the clock that ends slow ones."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Protocol

from gateway.server.bounds import Bounds

# Connections that were refused and are still read from, so that the refusal arrives.
MOST_LINGERING = 64


class ClientConnection(Protocol):
    """The part of a protocol object that Connections uses."""

    peer: str
    served: bool
    """Whether it has had an answer."""

    def check(self, now: float, elapsed: float) -> None:
        """End the connection if it has waited longer than allowed."""

    def give_way(self) -> None:
        """Close the connection: it waits for its client, and others need its place."""


class Connections:
    """The set of open connections, with a limit for all and one for each peer.

    Where there is no room, the connection that has waited longest for its client is closed, those that never
    had an answer first: a client can open an idle connection again.
    """

    def __init__(self, bounds: Bounds, loop: asyncio.AbstractEventLoop, *, every: float = 1.0) -> None:
        self.most = bounds.most()
        self.share = bounds.most_of_one(self.most)
        self.lingering = 0
        self._bounds = bounds
        self._loop = loop
        self._every = min(every, bounds.head_seconds / 2, bounds.stall / 2, bounds.idle / 2)
        self._all: dict[ClientConnection, None] = {}
        self._new: dict[ClientConnection, None] = {}
        self._idle: dict[ClientConnection, None] = {}
        self._peers: Counter[str] = Counter()
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def take(self, connection: ClientConnection) -> bool:
        """Add a connection; return whether there was room. Another one may be closed for it."""
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

    def drop(self, connection: ClientConnection) -> None:
        """Remove a closed connection. Does nothing where it was never added."""
        self.works(connection)
        if connection in self._all:
            del self._all[connection]
            self._peers[connection.peer] -= 1
            if not self._peers[connection.peer]:
                del self._peers[connection.peer]

    def waits(self, connection: ClientConnection) -> None:
        """Note that the connection waits for a request of its client from now on."""
        (self._idle if connection.served else self._new)[connection] = None

    def works(self, connection: ClientConnection) -> None:
        """Note that a request has come on the connection."""
        (self._idle if connection.served else self._new).pop(connection, None)

    def _greediest(self) -> str:
        return max(self._peers, key=self._peers.__getitem__)

    def _give_way(self, peer: str, *, only: bool) -> bool:
        """Close a waiting connection of this peer, or unless `only`, of any; return whether there was one."""
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
