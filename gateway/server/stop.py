"""The end of a process after SIGTERM or SIGINT, whatever hangs in it."""

from __future__ import annotations

import logging
import os
import signal
import threading
from types import FrameType

log = logging.getLogger("gateway.server")

# How long closing store and index may take, once requests had their time.
CLOSING_SECONDS = 5.0


def end_when_told(grace: float) -> None:
    """Make this process end within `grace` seconds and CLOSING_SECONDS of SIGTERM or SIGINT.

    Called in the main thread, once there are handlers: they are still called. Acknowledged instances are
    durable, so that nothing is lost.
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
    """End the process after `wait` seconds, in a thread that logs it.

    Should something hold the interpreter, the kernel's alarm ends the process a second later.
    """
    timer = threading.Timer(wait, _end)
    timer.daemon = True
    timer.start()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, wait + 1)


def _end() -> None:
    log.error("stopped with work unfinished: its time was up")
    os._exit(1)
