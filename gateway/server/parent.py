"""The end of a worker whose parent was killed, so that it does not hold the port."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
EVERY_SECONDS = 1.0


def end_with(parent: int) -> None:
    """Make this process get SIGTERM when `parent` ends, also if it has ended already.

    Linux sends the signal at once. Elsewhere a thread watches, and on Linux too, since the kernel forgets the
    request for set-user-id programs.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    threading.Thread(target=_watch, args=(parent,), name="parent", daemon=True).start()


def _watch(parent: int) -> None:
    # The first look is after the request to the kernel, so that a parent that ended in
    # between is noticed too.
    while os.getppid() == parent:
        time.sleep(EVERY_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
