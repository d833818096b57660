"""The time limit of a read of the index, checked by the database between its steps and by our own loops."""

from __future__ import annotations

import time

from gateway.errors import Overdue


class Deadline:
    """A time limit of `seconds` from now, waiting included; it also ends when any thread cancels it."""

    __slots__ = ("_at", "_is_search", "_seconds", "cancelled")

    def __init__(self, seconds: float, *, is_search: bool = False) -> None:
        self._is_search = is_search
        self._seconds = seconds
        self._at = time.monotonic() + seconds
        self.cancelled = False

    def cancel(self) -> None:
        """End the work early: no client waits for the answer any more."""
        self.cancelled = True

    def is_over(self) -> bool:
        """Return whether the time is over. Cheap enough to be called for every row."""
        return self.cancelled or time.monotonic() > self._at

    @property
    def left(self) -> float:
        """The seconds left; 0 where the time is over."""
        return 0.0 if self.cancelled else max(0.0, self._at - time.monotonic())

    def check(self) -> None:
        """Raise Overdue where the time is over."""
        if self.is_over():
            raise self.failure()

    def failure(self) -> Overdue:
        if not self._is_search:
            return Overdue(
                f"reading the index took longer than {self._seconds:g} s and was given up; try again later"
            )
        return Overdue(
            f"the search took longer than the {self._seconds:g} s that it may and was given up; ask for less, or name "
            "an indexed key such as StudyDate or PatientID",
            expected="a narrower search, or more time by the setting search_timeout",
        )


NEVER = Deadline(float("inf"))
