"""The n-th call of store or index fails, for every n: nothing half visible, and a retry succeeds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from gateway.app import Gateway, open_index
from gateway.dicom.query import Query
from gateway.errors import GatewayError, IndexUnavailable, StoreUnavailable
from gateway.index.base import Scope
from gateway.model import Level, Source
from gateway.services.outcomes import PROCESSING_FAILURE
from gateway.services.verify import Verify
from gateway.settings import Settings
from gateway.store.filesystem import FilesystemStore
from tests import build

SCOPE = Scope()


class Failing:
    """A driver whose n-th changing call fails: before it does anything, or after, when the answer is lost."""

    def __init__(self, driver: Any, error: GatewayError, *, at: int, after: bool) -> None:
        self._driver = driver
        self._error = error
        self._left = at
        self._after = after
        self.failed = False

    def calm(self) -> None:
        """Fail no more."""
        self._left = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._driver, name)
        if name not in {"put", "delete", "admit", "mark_journaled"}:
            return found

        async def call(*given: Any, **named: Any) -> Any:
            self._left -= 1
            if self._left:
                return await found(*given, **named)
            self.failed = True
            if self._after:
                await found(*given, **named)
            raise self._error

        return call


async def one(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def stored(gateway: Gateway, files: list[bytes]) -> list[int | None]:
    failures = []
    for file in files:
        session = gateway.ingest.session(Source("stow"))
        await session.take(one(file))
        failures += [outcome.failure for outcome in await session.finish()]
    return failures


async def swept(tmp_path: Path, which: str, at: int, after: bool) -> bool:
    """One run with the n-th call failing; whether there was an n-th call."""
    index = await open_index(f"sqlite://{tmp_path / 'index.sqlite'}")
    await index.migrate()
    store = FilesystemStore(tmp_path / "objects")
    error: GatewayError = StoreUnavailable("gone") if which == "store" else IndexUnavailable("gone")
    failing = Failing(store if which == "store" else index, error, at=at, after=after)
    drivers = (failing, index) if which == "store" else (store, failing)
    gateway = Gateway(Settings(), *drivers)
    try:
        await gateway.start(follow=False)
    except GatewayError:
        await gateway.start(follow=False)
    files = [build.instance(InstanceNumber=n) for n in range(3)]
    first = await stored(gateway, files)
    assert set(first) <= {None, PROCESSING_FAILURE}
    failing.calm()
    await _nothing_is_half_there(gateway, sum(failure is None for failure in first))
    assert await stored(gateway, files) == [None] * 3, "a retry succeeds"
    failed = failing.failed
    await gateway.batcher.close()
    await gateway.ingest.close()
    await gateway.journal.catch_up(index)
    damage = [d async for d in Verify(store, index).differences() if d.is_damage]
    assert damage == []
    await index.close()
    await store.close()
    return failed


async def _nothing_is_half_there(gateway: Gateway, acknowledged: int) -> None:
    """Whatever is listed can be read; whatever was acknowledged is listed."""
    page = await gateway.index.search(SCOPE, Query(Level.INSTANCE))
    assert len(page.rows) >= acknowledged
    async for version, _ in gateway.index.all_versions():
        assert (await gateway.store.stat(version.locator.key)).length == version.locator.length


@pytest.mark.row("S-77", "S-78", "S-F-0110")
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("which", ["store", "index"])
async def test_every_call_may_fail_once(tmp_path: Path, which: str, after: bool) -> None:
    at = 1
    while await swept(tmp_path / str(at), which, at, after):
        at += 1
    assert at > 3, "hardly anything was called: the sweep proved nothing"
