"""Plain named counters of one process, shown in its metrics."""

from __future__ import annotations

from collections import Counter


class Counters:
    """Counters by name; names are those of a metric without prefix, such as `transcode_frames_total`."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, name: str, by: int = 1) -> None:
        self._counts[name] += by

    def __getitem__(self, name: str) -> int:
        return self._counts[name]

    def all(self) -> dict[str, int]:
        """Return every counter that was ever added to, by name."""
        return dict(sorted(self._counts.items()))
