"""Time that a request spent in each part, for `Server-Timing`, kept in a context variable of its task."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Timing:
    """Seconds by name: 'index', 'store' (to first byte), 'decode'."""

    __slots__ = ("seconds",)

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def header(self) -> str:
        """Return the value of a `Server-Timing` field; durations in milliseconds."""
        return ", ".join(f"{name};dur={seconds * 1000:.2f}" for name, seconds in self.seconds.items())


_current: ContextVar[Timing | None] = ContextVar("timing", default=None)


def start() -> Timing:
    """Begin a timing for the request that the calling task answers."""
    timing = Timing()
    _current.set(timing)
    return timing


def current() -> Timing:
    """Return the timing of this request, or one that nobody reads."""
    return _current.get() or Timing()


@contextmanager
def measure(name: str) -> Iterator[None]:
    """Add the time that the block takes to `name`."""
    began = time.perf_counter()
    try:
        yield
    finally:
        current().add(name, time.perf_counter() - began)
