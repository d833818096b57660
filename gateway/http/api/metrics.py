"""`/metrics` in Prometheus' text format: counters of this process, and the size of the index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.http.message.request import Request
from gateway.http.message.responses import Response
from gateway.services.counters import Counters
from gateway.services.search import Search

PREFIX = "dicomweb_gateway_"
TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Handler of `/metrics`. Numbers only: no UID, no name of a patient, no path."""

    def __init__(self, search: Search, counters: Counters) -> None:
        self._search = search
        self._counters = counters

    async def metrics(self, request: Request) -> Response:
        """Return the metrics of this process.

        With several workers, each returns its own: scrape them separately, or run one worker a process.
        """
        held = await self._search.counts()
        gauges = {f"{level.value}_count": count for level, count in held.items()}
        lines = [*_lines(self._counters.all(), "counter"), *_lines(gauges, "gauge")]
        return Response(200, {"content-type": TEXT, "cache-control": "no-store"}, ["".join(lines).encode()])


def _lines(values: Mapping[str, int], kind: str) -> Iterator[str]:
    seen: set[str] = set()
    for name, value in values.items():
        family = PREFIX + name.partition("{")[0]
        if family not in seen:
            seen.add(family)
            yield f"# TYPE {family} {kind}\n"
        yield f"{PREFIX}{name} {value}\n"
