"""Cancel the work for a client that disconnects before its answer begins.

The server goes on with a request even when the connection is closed, so pictures would be drawn for nobody
while other clients wait. Short requests end before they are watched.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.types import Receive

# Seconds; a request that takes longer is watched.
UNWATCHED_SECONDS = 0.5


class CancelOnDisconnect:
    """Cancels the task that created it when the client disconnects.

    `gone` is true for this cancellation, false for any other.
    """

    __slots__ = ("_handle", "_receive", "_task", "_watch", "gone")

    def __init__(self, receive: Receive) -> None:
        self.gone = False
        self._receive = receive
        self._task = asyncio.current_task()
        self._watch: asyncio.Task[None] | None = None
        self._handle = asyncio.get_running_loop().call_later(UNWATCHED_SECONDS, self._begin)

    def close(self) -> None:
        """Stop watching: the task is not cancelled from now on."""
        self._handle.cancel()
        if self._watch is not None:
            self._watch.remove_done_callback(self._note_left)
            self._watch.cancel()

    def _begin(self) -> None:
        self._watch = asyncio.create_task(hang_up(self._receive))
        self._watch.add_done_callback(self._note_left)

    def _note_left(self, watch: asyncio.Task[None]) -> None:
        if self._task is not None and not watch.cancelled():
            self.gone = True
            self._task.cancel()


async def hang_up(receive: Receive) -> None:
    """Return when the client has disconnected."""
    with suppress(asyncio.CancelledError):
        while (await receive())["type"] != "http.disconnect":
            pass
