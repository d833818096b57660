"""Garbage collection: rare, and never of the objects that a process keeps for ever."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# Thresholds of the three generations: new containers before the young ones are examined, and how many such
# passes before the next generation is. Python's own are 700, 10 and 10. Measured by tests/bench/pauses.py:
# one pause examines 50,000 containers, so that parsing a header of 200,000 elements pauses for 50 ms at most
# instead of 600; all containers are examined once for every 5 million that stay.
THRESHOLDS = (10_000, 5, 100)


@contextmanager
def freeze_startup_objects() -> Iterator[None]:
    """Exclude the objects that exist at the start from garbage collection, while the block lasts."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
