"""When Python looks for garbage that refers to itself: rarely, and never through what a process keeps for ever."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# New containers before the young are looked at, and so often before the next generation is. A request makes some
# hundreds, almost all of which go by themselves; Python's own 700, 10, 10 look at a parsed header time and again
# while it is built.
THRESHOLDS = (20_000, 20, 20)


@contextmanager
def settled() -> Iterator[None]:
    """For as long as a process serves: what is there at its start is never looked at again."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
