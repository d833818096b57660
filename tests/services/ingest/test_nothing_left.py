"""Whatever goes wrong with an instance: once that is told, no write of it runs, no slot is held, nothing half is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from gateway.app import Gateway
from gateway.errors import IndexUnavailable, StoreUnavailable
from gateway.model import Source
from gateway.services.ingest.ingest import Ingest
from gateway.services.ingest.slots import Slots
from gateway.settings import Settings
from gateway.store.base import Stored
from gateway.store.filesystem import FilesystemStore
from tests import build

WORKING, SEATS = 2, 3
STEP = 4096


class HungUp(Exception):
    """Raised by a body whose client has gone."""


class FailingStore(FilesystemStore):
    """Counts the writes under way; fails at its beginning, within the bytes, or once the object is durable."""

    def __init__(self, root: Path, when: str) -> None:
        super().__init__(root)
        self.writing: set[str] = set()
        self._when = when

    async def put(self, key: str, body: AsyncIterator[bytes]) -> Stored:
        self.writing.add(key)
        try:
            if self._when == "begin":
                raise StoreUnavailable("the store is away")
            stored = await super().put(key, self._cut(body) if self._when == "within" else body)
            if self._when == "end":
                raise StoreUnavailable("the answer of the store was lost")
            return stored
        finally:
            self.writing.discard(key)

    async def _cut(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in body:
            yield chunk
            size += len(chunk)
            if size > 4 * STEP:
                raise StoreUnavailable("the store went away")


async def steps(data: bytes, hangs_up_at: int | None = None) -> AsyncIterator[bytes]:
    for at in range(0, len(data), STEP):
        if hangs_up_at is not None and at >= hangs_up_at:
            raise HungUp
        yield data[at : at + STEP]
        await asyncio.sleep(0)  # as from a socket: the store has its turn


class Place:
    """A gateway whose ingest has few slots, over a store that fails."""

    def __init__(self, gateway: Gateway, store: FailingStore) -> None:
        self.slots = Slots(WORKING, SEATS)
        self.ingest = Ingest(store, gateway.commits, slots=self.slots)
        self._store = store

    def check_nothing_under_way(self) -> None:
        assert self._store.writing == set()
        assert self.slots.work._value == WORKING
        assert not self.slots._taken

    def list_files(self, root: Path) -> tuple[int, int]:
        """Return how many objects there are, and how many unfinished ones."""
        return len(list(root.glob("objects/*/**/*.dcm"))), len(list((root / "objects" / ".tmp").iterdir()))


async def open_gateway(root: Path, when: str) -> tuple[Gateway, Place]:
    gateway = await Gateway.open(Settings(data=str(root)))
    await gateway.start(follow=False)
    return gateway, Place(gateway, FailingStore(root / "objects", when))


@pytest.mark.parametrize(
    ("when", "kept", "objects"),
    [
        ("begin", slice(None), 0),
        ("within", slice(None), 0),
        # What the store made durable stays until the sweep: perhaps only the answer was lost.
        ("end", slice(None), 1),
        # The bytes end within the pixels, while the store waits for more.
        ("never", slice(-100), 0),
        # They are no DICOM file from the start on.
        ("never", slice(200, None), 0),
    ],
)
async def test_a_failure_is_told_once_nothing_runs(
    tmp_path: Path, when: str, kept: slice, objects: int
) -> None:
    data = build.instance(PixelData=bytes(1 << 16), Rows=256, Columns=128)
    gateway, place = await open_gateway(tmp_path, when)
    try:
        for _ in range(2 * SEATS):
            session = place.ingest.session(Source("stow"))
            await session.take(steps(data[kept]))
            (outcome,) = await session.finish()
            assert outcome.failure is not None
            place.check_nothing_under_way()
        assert place.list_files(tmp_path) == (2 * SEATS * objects, 0)
    finally:
        await gateway.close()


@pytest.mark.parametrize("at", [0, STEP, 8 * STEP, 16 * STEP])
async def test_who_hangs_up_leaves_nothing(tmp_path: Path, at: int) -> None:
    data = build.instance(PixelData=bytes(1 << 16), Rows=256, Columns=128)
    gateway, place = await open_gateway(tmp_path, "never")
    try:
        for _ in range(2 * SEATS):
            with pytest.raises(HungUp):
                await place.ingest.session(Source("stow")).take(steps(data, at))
            place.check_nothing_under_way()
        assert place.list_files(tmp_path) == (0, 0)
    finally:
        await gateway.close()


async def test_an_index_that_fails_holds_no_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise IndexUnavailable("the index is away")

    data = build.instance()
    gateway, place = await open_gateway(tmp_path, "never")
    monkeypatch.setattr(gateway.commits, "admit", away)
    try:
        for _ in range(2 * SEATS):
            session = place.ingest.session(Source("stow"))
            await session.take(steps(data))
            (outcome,) = await session.finish()
            assert outcome.failure is not None
            place.check_nothing_under_way()
        # It may have committed: the objects are for the sweep to judge.
        assert place.list_files(tmp_path) == (2 * SEATS, 0)
    finally:
        await gateway.close()
