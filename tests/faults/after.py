"""What is there after a fault: once the process has started again, and once its index was lost and rebuilt."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from gateway.app import Gateway, open_index
from gateway.errors import Gone, NotFound
from gateway.index.base import Scope
from gateway.index.driver import SqlIndex
from gateway.model import ResourcePath
from gateway.services.recovery.reindex import Reindex
from gateway.settings import Settings
from gateway.store.inplace import WithPlaces
from gateway.store.open import open_place, open_store

SCOPE = Scope()
PRESENT, GONE, UNKNOWN = "present", "gone", "unknown"


@dataclass(frozen=True, slots=True)
class Parts:
    """Where an archive is, without anything between that could fail."""

    store_url: str
    index_url: str
    endpoint: str = ""

    def settings(self, **given: str) -> Settings:
        """For a gateway there; `given` leads it over something that may fail."""
        of = {"store": self.store_url, "index": self.index_url, "s3_endpoint": self.endpoint}
        return Settings(**(of | given))  # type: ignore[arg-type]

    @asynccontextmanager
    async def gateway(self, *, empty: bool = False) -> AsyncIterator[Gateway]:
        """`empty`: its index has lost everything, and was built again from journal and objects."""
        endpoint = self.endpoint or None
        store = WithPlaces(
            open_store(self.store_url, endpoint=endpoint), partial(open_place, endpoint=endpoint)
        )
        index = await open_index(self.index_url)
        await index.migrate()
        if empty:
            assert isinstance(index, SqlIndex)
            await index.reset()
            await Reindex(store, index).run()
        gateway = Gateway(self.settings(), store, index)
        await gateway.start(follow=False)
        try:
            yield gateway
        finally:
            await gateway.close()


@dataclass(slots=True)
class Known:
    """What a client knows of instances: the states that each may be in."""

    states: dict[ResourcePath, set[str]] = field(default_factory=dict)

    def is_now(self, path: ResourcePath, *states: str) -> None:
        self.states[path] = set(states)


async def state(gateway: Gateway, path: ResourcePath) -> str:
    """Of what is there the bytes, too."""
    try:
        (stored,) = await gateway.index.instances(SCOPE, path)
    except Gone:
        return GONE
    except NotFound:
        return UNKNOWN
    found = await gateway.store.stat(stored.locator.key)
    assert found.length == stored.locator.length
    assert len(await gateway.index.metadata(SCOPE, path)) == 1
    return PRESENT


async def states(gateway: Gateway, known: Known) -> Mapping[ResourcePath, str]:
    """Of all, each of them checked against what the client knows."""
    found = {path: await state(gateway, path) for path in known.states}
    for path, seen in found.items():
        assert seen in known.states[path], f"{path}: {seen}, though a client knows {known.states[path]}"
    return found


async def check(parts: Parts, known: Known) -> None:
    """After a plain restart, and with the index lost after and before it."""
    async with parts.gateway() as gateway:
        restarted = await states(gateway, known)
        assert await gateway.index.find_unjournaled() == []
    async with parts.gateway(empty=True) as gateway:
        assert await states(gateway, known) == restarted
