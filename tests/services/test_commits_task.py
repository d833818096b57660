"""Whatever goes wrong while it looks after others' changes, the one task that commits lives on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from gateway.app import Gateway
from gateway.model import Source
from gateway.settings import Settings
from tests import build


async def test_an_unexpected_failure_does_not_stop_every_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver's own exception ended the task, and whoever stored waited for ever."""
    gateway = await Gateway.open(Settings(data=str(tmp_path)))
    looked = asyncio.Event()

    async def odd(limit: int = 1000) -> Any:
        looked.set()
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(gateway.commits, "_look_seconds", 0.01)
    await gateway.start(follow=False)
    try:
        monkeypatch.setattr(gateway.index, "find_unjournaled", odd)
        await asyncio.wait_for(looked.wait(), 10)
        await asyncio.sleep(0.05)
        session = gateway.ingest.session(Source("stow"))

        async def body() -> Any:
            yield build.part10(build.dataset())

        await session.take(body())
        (outcome,) = await asyncio.wait_for(session.finish(), 20)
        assert outcome.failure is None
    finally:
        monkeypatch.undo()
        await gateway.close()
