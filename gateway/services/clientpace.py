"""The client of each request and its pace, in a context variable of the request's task and its jobs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from contextvars import ContextVar

from gateway.errors import Busy


class Reader:
    """The client of one request.

    `sent` is how many bytes it has taken; `since` is when the present write began, None between writes.
    """

    __slots__ = ("_task", "gives_way", "peer", "sent", "since")

    def __init__(self, peer: str = "") -> None:
        self.peer = peer
        self.sent = 0
        self.since: float | None = None
        self.gives_way = False
        self._task: asyncio.Task[object] | None = None

    async def takes(self, sending: Awaitable[None], size: int) -> None:
        """Wait until `size` bytes are sent.

        Raises Busy where this answer was cut short for others meanwhile.
        """
        self._task = asyncio.current_task()
        self.since = time.monotonic()
        try:
            await sending
        except asyncio.CancelledError:
            if self.gives_way and self._task is not None and self._task.uncancel() == 0:
                raise Busy("the answer was read too slowly while others waited; try again later") from None
            raise
        finally:
            self.since = None
        self.sent += size

    def give_up(self) -> None:
        """Make `takes` raise Busy. Does nothing between writes: then it is not the client that is slow."""
        if self.since is not None and self._task is not None and not self.gives_way:
            self.gives_way = True
            self._task.cancel()


_current: ContextVar[Reader | None] = ContextVar("reader", default=None)


def start() -> Reader:
    """Begin a reader for the request that the calling task answers; its `peer` may be set later."""
    reader = Reader()
    _current.set(reader)
    return reader


def current() -> Reader | None:
    """Return the reader of this request; None outside of one."""
    return _current.get()
