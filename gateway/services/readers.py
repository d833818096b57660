"""Whom an answer is for, and how it takes it: a context variable carries it through a request's task, and its jobs'."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from contextvars import ContextVar

from gateway.errors import Busy


class Reader:
    """The client of one request. `sent`: bytes it has taken; `since`: when it began to be waited for, else None."""

    __slots__ = ("_task", "gives_way", "peer", "sent", "since")

    def __init__(self, peer: str = "") -> None:
        self.peer = peer
        self.sent = 0
        self.since: float | None = None
        self.gives_way = False
        self._task: asyncio.Task[object] | None = None

    async def takes(self, sending: Awaitable[None], size: int) -> None:
        """Wait until `size` bytes are taken. Raises Busy where the answer was given up meanwhile, for others."""
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
        """Have `takes` raise Busy. Does nothing while there is work: then it is not the client that is slow."""
        if self.since is not None and self._task is not None and not self.gives_way:
            self.gives_way = True
            self._task.cancel()


_current: ContextVar[Reader | None] = ContextVar("reader", default=None)


def start() -> Reader:
    """A reader for the request that the calling task answers; who it is may be said later."""
    reader = Reader()
    _current.set(reader)
    return reader


def current() -> Reader | None:
    """That of this request; None outside of one."""
    return _current.get()
