"""What runs in the background survives whatever one round of it raises, and so does the end of the process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gateway.app import Gateway
from gateway.services import freshness
from gateway.services.admin import querykeys, reclaim, sweep
from gateway.services.journal import segments
from gateway.settings import Settings

SECRET = "DOE^JANE"


class Failing:
    """Fails with something that is nobody's failure, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.twice = asyncio.Event()

    def fail(self) -> None:
        self.asked += 1
        if self.asked >= 2:
            self.twice.set()
        raise ValueError(SECRET)

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.fail()


STARTS: dict[str, Callable[[Gateway], None]] = {
    "keys": lambda gateway: gateway.keys.start(),
    "segments": lambda gateway: gateway.segments.start(),
    "sweep": lambda gateway: gateway.sweeper.start(),
    "reclaim": lambda gateway: gateway.reclaim.start(0.0),
    "freshness": lambda gateway: gateway.freshness.start(),
}


@pytest.mark.parametrize("name", STARTS)
async def test_each_goes_on_after_any_failure(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for module, interval in (
        *((querykeys, "POLL_SECONDS"), (segments, "EVERY_SECONDS"), (sweep, "LOOK_SECONDS")),
        *((reclaim, "EVERY_SECONDS"), (freshness, "AGAIN_SECONDS")),
    ):
        monkeypatch.setattr(module, interval, 0.01, raising=False)
    caplog.set_level(logging.INFO)
    gateway = await Gateway.open(Settings(data=str(tmp_path)))
    await gateway.start(follow=False)
    failing = Failing()
    for asked in ("work_on_keys", "take_lease", "reclaim"):
        monkeypatch.setattr(gateway.index, asked, failing)
    monkeypatch.setattr(gateway.index, "tail", failing.fail)
    STARTS[name](gateway)
    async with asyncio.timeout(30):
        await failing.twice.wait()
    await gateway.close()
    assert "ValueError in tests.services.test_background.fail, line " in caplog.text
    assert SECRET not in caplog.text


async def test_all_is_closed_whatever_a_part_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = await Gateway.open(Settings(data=str(tmp_path)))
    await gateway.start(follow=False)
    closed: list[str] = []
    parts = ("sweeper", "segments", "keys", "reclaim", "commits", "ingest", "freshness", "retrieve")
    for name in (*parts, "rendered", "zip_files", "pool", "index", "store"):
        part = getattr(gateway, name)

        def close(name: str = name, close: Callable[[], Any] = part.close) -> Any:
            closed.append(name)
            done = close()
            if name in parts or name in ("index", "store"):

                async def failing() -> None:
                    await done
                    raise ValueError(name)

                return failing()
            raise ValueError(name)

        monkeypatch.setattr(part, "close", close)
    with pytest.raises(ValueError, match="store"):
        await gateway.close()
    assert closed == [*parts, "rendered", "zip_files", "pool", "index", "store"]
