"""The longest pause of garbage collection while headers of many elements are read: `python tests/bench/pauses.py`.

Once as Python collects by itself, once as a process that serves does.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import gateway.asgi  # noqa: F401  all that a process holds from its start
import orjson
from gateway.dicom.model.jsonread import datasets
from gateway.garbagecollection import freeze_startup_objects


def pauses(settle: Callable[[], AbstractContextManager[None]], work: Callable[[], object]) -> list[float]:
    """Milliseconds of each collection, in which nothing else runs."""
    found: list[float] = []
    began = 0.0

    def seen(phase: str, _: dict[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = time.perf_counter()
        else:
            found.append((time.perf_counter() - began) * 1000)

    with settle():
        gc.callbacks.append(seen)
        try:
            work()
        finally:
            gc.callbacks.remove(seen)
    return found


def reading(document: bytes) -> Callable[[], object]:
    return lambda: [
        orjson.loads(document) if len(document) < 10_000 else datasets(document) for _ in range(3)
    ]


def main() -> None:
    one = {"vr": "SH", "Value": ["a"]}
    small = {f"{0x00310000 + n:08X}": one for n in range(100)}
    kept = [
        {key: [n] for key in list(small)[:10]} for n in range(20_000)
    ]  # caches of a process that has served a while
    print(f"{'elements':>9} {'collects':9} {'pauses':>6} {'longest ms':>10} {'all ms':>8}")
    for count in (100, 10_000, 200_000):
        document = orjson.dumps([{f"{0x00310000 + n:08X}": one for n in range(count)}])
        for name, settle in (("by itself", contextlib.nullcontext), ("settled", freeze_startup_objects)):
            found = pauses(settle, reading(document))
            print(f"{count:9} {name:9} {len(found):6} {max(found, default=0.0):10.1f} {sum(found):8.1f}")
    assert kept


if __name__ == "__main__":
    main()
