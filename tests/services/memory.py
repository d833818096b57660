"""An object store in memory, for tests that run thousands of histories."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.errors import ObjectExists, ObjectMissing, StoreUnavailable
from gateway.model import Span
from gateway.store.base import Stored


class Crash(StoreUnavailable):
    """The process ends here."""


class Memory:
    """`crash_at` is the changing call that fails: before it does anything, or `after`, when its answer is lost."""

    id = "memory"

    def __init__(self, objects: dict[str, bytes] | None = None) -> None:
        self.objects = {} if objects is None else objects
        self.crash_at = 0
        self.after = False
        self.calls = 0
        self.reads = 0

    @asynccontextmanager
    async def read(self, key: str, span: Span | None = None) -> AsyncIterator[AsyncIterator[bytes]]:
        self.reads += 1
        if key not in self.objects:
            raise ObjectMissing(f"no object {key}")
        data = self.objects[key]

        async def chunks() -> AsyncIterator[bytes]:
            yield data if span is None else data[span.start : span.stop]

        yield chunks()

    def read_now(self, key: str, span: Span) -> bytes | None:
        return None

    async def put(self, key: str, body: AsyncIterator[bytes]) -> Stored:
        data = b"".join([chunk async for chunk in body])
        self._count(before=True)
        if key in self.objects:
            raise ObjectExists(f"object {key} is there already")
        self.objects[key] = data
        self._count(before=False)
        return Stored(key, len(data), 0.0)

    async def stat(self, key: str) -> Stored:
        if key not in self.objects:
            raise ObjectMissing(f"no object {key}")
        return Stored(key, len(self.objects[key]), 0.0)

    async def delete(self, key: str) -> None:
        self._count(before=True)
        self.objects.pop(key, None)
        self._count(before=False)

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[Stored]:
        for key in sorted(self.objects):
            if key.startswith(prefix) and key > after and key in self.objects:
                yield Stored(key, len(self.objects[key]), 0.0)

    async def close(self) -> None:
        """Nothing to let go of."""

    def _count(self, *, before: bool) -> None:
        if before:
            self.calls += 1
        if self.calls == self.crash_at and before != self.after:
            self.crash_at = 0
            raise Crash("gone")
