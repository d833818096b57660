"""The n-th call of store or index fails, for every n: nothing half visible, nothing lost, and a retry succeeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gateway.app import Gateway, open_index
from gateway.errors import GatewayError, IndexUnavailable, StoreFull, StoreUnavailable
from gateway.services import lostanswers
from gateway.services.admin.sweep import Sweeper
from gateway.services.objectkeys import new_version
from gateway.store.filesystem import FilesystemStore
from tests.faults.after import Parts, check
from tests.faults.histories import History, made, one, stored

CHANGING = {
    "put",
    "delete",
    "move",
    "admit",
    "remove",
    "restore",
    "reclaim",
    "take_back",
    "declare_key",
    "mark_journaled",
    "find_stored",
    "find_committed",
    "find_unjournaled",
}


class Failing:
    """A driver whose n-th changing call fails, or all from the n-th on: before anything is done, or after, when the
    answer is lost.
    """

    def __init__(self, driver: Any, error: GatewayError, *, at: int, after: bool, stays: bool) -> None:
        self._driver = driver
        self._error = error
        self._left = at
        self._after = after
        self._stays = stays
        self.failed = False

    def calm(self) -> None:
        """Fail no more."""
        self._stays, self._left = False, 0

    def arm(self, at: int, *, stays: bool) -> None:
        """From the n-th call from now on."""
        self._stays, self._left, self.failed = stays, at, False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._driver, name)
        if name not in CHANGING:
            return found

        async def call(*given: Any, **named: Any) -> Any:
            self._left -= 1
            if self._left and not (self._left < 0 and self._stays):
                return await found(*given, **named)
            self.failed = True
            if self._after:
                await found(*given, **named)
            raise self._error

        return call


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lostanswers, "PATIENCE_SECONDS", 0.05)


async def lived(folder: Path, which: str, at: int, *, after: bool, stays: bool, error: GatewayError) -> bool:
    """One history with a failure from the n-th call; whether there was an n-th call."""
    parts = Parts((folder / "objects").as_uri(), f"sqlite://{folder / 'index.sqlite'}")
    folder.mkdir()
    index = await open_index(parts.index_url)
    await index.migrate()
    store = FilesystemStore(folder / "objects")
    failing = Failing(store if which == "store" else index, error, at=at, after=after, stays=stays)
    gateway = Gateway(parts.settings(), *((failing, index) if which == "store" else (store, failing)))
    failing.calm()
    await gateway.start(follow=False)
    failing.arm(at, stays=stays)
    history = History(gateway)
    await history.live()
    failed = failing.failed
    # What took effect though its answer was lost may be looked up and called done; `check` tells whether it was.
    assert history.failures or after or not (stays and failed), "what was not done cannot be called done"
    if at % 2:  # else the process ends before anything works again
        failing.calm()
        new = made()
        assert await stored(gateway, new[0]) == [None], "a retry succeeds"
        history.known.is_now(new[1], "present")
    await gateway.close()
    failing.calm()
    await check(parts, history.known)
    return failed


@pytest.mark.row("S-77", "S-78", "S-F-0110")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("stays", [False, True])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("which", "error"),
    [
        ("store", StoreUnavailable("gone")),
        ("store", StoreFull("full")),
        ("index", IndexUnavailable("gone")),
    ],
)
async def test_every_call_may_fail(
    tmp_path: Path, which: str, error: GatewayError, after: bool, stays: bool
) -> None:
    if after and isinstance(error, StoreFull):
        pytest.skip("a store that is full has written nothing")
    at = 1
    while await lived(tmp_path / str(at), which, at, after=after, stays=stays, error=error):
        at += 1
    assert at > 12, "hardly anything was called: the sweep proved nothing"


@pytest.mark.parametrize("after", [False, True])
async def test_every_move_of_a_sweep_may_fail(tmp_path: Path, after: bool) -> None:
    """Each orphan is whole, where it was or in the trash; the next sweep ends what this one began."""
    index = await open_index(f"sqlite://{tmp_path / 'index.sqlite'}")
    await index.migrate()
    store = FilesystemStore(tmp_path / "objects")
    at, failed = 1, True
    while failed:
        versions = sorted(new_version() for _ in range(3))
        keys = [f"aa/1/1.2.{at}/{version}.dcm" for version in versions]
        for key in keys:
            await store.put(key, one(key.encode()))
        failing = Failing(store, StoreUnavailable("gone"), at=at, after=after, stays=False)
        gateway = Gateway(Parts("", "").settings(), failing, index)
        sweeper = Sweeper(failing, index, gateway.journal, gateway.counters, undo_seconds=None, grace=-1)
        with_failure = await sweeper.look() if at == 1 else await _run(sweeper)
        failed = failing.failed
        assert (with_failure is None) == failed
        here = {found.key async for found in store.list("")}
        for key in keys:
            assert (key in here) + sum(one.endswith(key) and one != key for one in here) == 1
        await sweeper.run(confirmed=False)
        left = [found.key async for found in store.list("") if not found.key.startswith("trash/")]
        assert left == []
        at += 1
    assert at == 5
    await index.close()
    await store.close()


async def _run(sweeper: Sweeper) -> object:
    try:
        return await sweeper.run(confirmed=False)
    except StoreUnavailable:
        return None
