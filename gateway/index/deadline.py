"""How long a read of the index may take: looked at by the database, between its steps, and by our own loops."""

from __future__ import annotations

import time

from gateway.errors import Overdue


class Deadline:
    """`seconds` from now, waiting included; or when it is cancelled, by any thread."""

    __slots__ = ("_at", "_is_search", "_seconds", "cancelled")

    def __init__(self, seconds: float, *, is_search: bool = False) -> None:
        self._is_search = is_search
        self._seconds = seconds
        self._at = time.monotonic() + seconds
        self.cancelled = False

    def cancel(self) -> None:
        """Nobody waits for the answer any more."""
        self.cancelled = True

    def is_over(self) -> bool:
        """Cheap enough to be asked for every row."""
        return self.cancelled or time.monotonic() > self._at

    @property
    def left(self) -> float:
        """Seconds, none where it is over."""
        return 0.0 if self.cancelled else max(0.0, self._at - time.monotonic())

    def check(self) -> None:
        """Raises Overdue."""
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
