"""How much longer Starlette's routes take to find a resource than ours do (ADR 9): `python tests/bench/routing.py`."""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable
from functools import partial

from gateway.http.resources import TABLE
from gateway.http.routing import Router
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

INSTANCE = "/dicom-web/studies/1.2.3/series/1.2.3.4/instances/1.2.3.4.5"
PATHS = ("/livez", "/dicom-web/studies", f"{INSTANCE}/metadata", f"{INSTANCE}/frames/1")
TIMES = 5000


async def answer(request: Request) -> Response:
    """Answer nothing: it is only found."""
    return Response()


def measure(work: Callable[[], object]) -> float:
    """Return the seconds of processor time that the quickest of some rounds takes."""
    return min(timeit.repeat(work, timer=time.process_time, number=TIMES, repeat=9))


def main() -> None:
    """Print the ratio for each path."""
    ours = Router(TABLE)
    routes = [
        Route(resource.template.replace("...}", ":path}"), answer, methods=list(resource.methods))
        for resource in TABLE
    ]

    def find(path: str) -> Route:
        scope = {"type": "http", "path": path, "method": "GET", "root_path": ""}
        return next(route for route in routes if route.matches(scope)[0] is Match.FULL)

    for path in PATHS:
        theirs = measure(partial(find, path))
        own = measure(partial(ours.find, path))
        print(f"{theirs / own:5.1f}  {path}")


if __name__ == "__main__":
    main()
