"""A short life of some instances, in which something may fail; what a client knows after each step."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Any

from gateway.app import Gateway
from gateway.dicom.query.declaredkeys import parse_definition
from gateway.errors import GatewayError, IndexFailure
from gateway.model import ResourcePath, Source
from tests import build
from tests.faults.after import GONE, PRESENT, SCOPE, UNKNOWN, Known

SOURCE = Source("stow")


async def one(data: bytes) -> AsyncIterator[bytes]:
    yield data


def made() -> tuple[bytes, ResourcePath]:
    ds = build.dataset()
    path = ResourcePath(ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)
    return build.part10(ds), path


async def stored(gateway: Gateway, *files: bytes) -> list[int | None]:
    session = gateway.ingest.session(SOURCE)
    for file in files:
        await session.take(one(file))
    return [outcome.failure for outcome in await session.finish()]


async def tried(work: Awaitable[Any]) -> GatewayError | None:
    """How it failed."""
    try:
        await work
    except GatewayError as error:
        return error
    return None


class History:
    """Six instances: three are only stored; of the others one is deleted, one comes back, one is reclaimed."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.known = Known()
        self.failures = 0
        self.made = [made() for _ in range(6)]

    async def live(self) -> None:
        """All of it, whatever fails."""
        for number in range(0, len(self.made), 2):
            await self._store(*self.made[number : number + 2])
        await self._store(self.made[0])
        paths = [path for _, path in self.made]
        for path in paths[3:6]:
            await self._delete(path)
        await self._restore(paths[4])
        await self._told(self.gateway.keys.declare(parse_definition("00181030"), SOURCE))
        await self._restore(paths[3])
        await self._delete(paths[3])
        await self._told(self.gateway.reclaim.run(3600))

    async def _told(self, work: Awaitable[Any]) -> GatewayError | None:
        error = await tried(work)
        self.failures += error is not None
        return error

    async def _store(self, *made: tuple[bytes, ResourcePath]) -> None:
        for (_, path), failure in zip(
            made, await stored(self.gateway, *(data for data, _ in made)), strict=True
        ):
            before = self.known.states.get(path, {UNKNOWN})
            self.failures += failure is not None
            self.known.is_now(path, *({PRESENT} if failure is None else before | {PRESENT}))

    async def _delete(self, path: ResourcePath) -> None:
        before = self.known.states[path]
        error = await self._told(self.gateway.remove.remove(SCOPE, path, SOURCE))
        self._changed(path, before, error, {GONE})

    async def _restore(self, path: ResourcePath) -> None:
        before = self.known.states[path]
        error = await self._told(self.gateway.remove.restore(SCOPE, path, SOURCE))
        self._changed(path, before, error, {PRESENT})

    def _changed(
        self, path: ResourcePath, before: set[str], error: GatewayError | None, after: set[str]
    ) -> None:
        """A failure of the index leaves open what was done; any other says that nothing was."""
        if error is None:
            self.known.is_now(path, *after)
        elif isinstance(error, IndexFailure):
            self.known.is_now(path, *before, *after)
        else:
            self.known.is_now(path, *before)
