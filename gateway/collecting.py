"""When Python looks for garbage that refers to itself: rarely, and never through what a process keeps for ever."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# New containers before the young are looked at, and so often before the next generation is. Python's own are 700, 10
# and 10. Measured by tests/bench/pauses.py: what is looked at in one pause is 50,000 containers, where a header of
# 200,000 elements is parsed 50 ms at most and not 600; all there is is looked at for every 5 million that stay.
THRESHOLDS = (10_000, 5, 100)


@contextmanager
def freeze_startup_objects() -> Iterator[None]:
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
