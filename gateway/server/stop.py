"""A process that is told to stop ends, whatever hangs in it."""

from __future__ import annotations

import logging
import os
import signal
import threading
from types import FrameType

log = logging.getLogger("gateway.server")

# What closing store and index may take, once requests had their time.
CLOSING_SECONDS = 5.0


def end_when_told(grace: float) -> None:
    """Have this process end within `grace` seconds and CLOSING_SECONDS of SIGTERM or SIGINT.

    Called in the main thread, once there are handlers: they go on being called. What was acknowledged is durable, so
    that nothing is lost by it.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        _before(number, grace + CLOSING_SECONDS)


def _before(number: signal.Signals, wait: float) -> None:
    handler = signal.getsignal(number)
    told = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal told
        if not told:
            told = True
            _end_after(wait)
        if callable(handler):
            handler(number, frame)

    signal.signal(number, handle)


def _end_after(wait: float) -> None:
    """A thread ends the process and says so; should something hold the interpreter, the kernel's alarm does."""
    timer = threading.Timer(wait, _end)
    timer.daemon = True
    timer.start()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, wait + 1)


def _end() -> None:
    log.error("stopped with work unfinished: its time was up")
    os._exit(1)
