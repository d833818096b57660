"""What is there when a process begins to serve is not looked through for garbage again; what it leaves is found."""

from __future__ import annotations

import gc
import weakref

from gateway.garbagecollection import THRESHOLDS, freeze_startup_objects


class Knot:
    def __init__(self) -> None:
        self.itself = self


def test_what_is_there_at_the_start_is_left_alone() -> None:
    kept = [[n] for n in range(100_000)]
    thresholds = gc.get_threshold()
    with freeze_startup_objects():
        assert gc.get_freeze_count() > len(kept)
        assert len(gc.get_objects()) < len(kept)
        assert gc.get_threshold() == THRESHOLDS
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == thresholds
    assert kept


def test_what_refers_to_itself_is_still_taken_away() -> None:
    with freeze_startup_objects():
        knots = [weakref.ref(Knot()) for _ in range(3 * THRESHOLDS[0])]
        assert sum(knot() is not None for knot in knots) <= THRESHOLDS[0] + 1000
