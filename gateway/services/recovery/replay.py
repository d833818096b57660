"""Replay of journal lines, and of the objects that they name, into an index."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from gateway.index.base import Change, Index, NewVersion
from gateway.model import VersionId
from gateway.services.recovery.reread import Reread
from gateway.store.base import ObjectStore

BATCH = 200

Read = tuple[Sequence[Change], dict[VersionId, NewVersion]]


@dataclass(frozen=True, slots=True)
class Damage:
    """A version whose object cannot be read whole, and why. The index holds it, with the reason."""

    change: Change
    detail: str


@dataclass(slots=True)
class Replayed:
    """The tally of a replay so far: changes, objects and their bytes; `damages` of the last batch.

    A missing object may be named by a later 'reclaim': then it was given up, and is no damage.
    """

    changes: int = 0
    objects: int = 0
    length: int = 0
    restored: int = 0
    last: int = 0
    damages: list[Damage] = field(default_factory=list)


async def replay(
    store: ObjectStore,
    index: Index,
    changes: AsyncIterator[Sequence[Change]],
    reread: Reread | None = None,
) -> AsyncIterator[Replayed]:
    """Replay `changes` into `index`, batch by batch; yield the tally after each.

    While a batch is written the objects of the next one are read. Raises what the journal raises,
    StoreUnavailable, IndexFailure.
    """
    reread = reread or Reread(store, index.find_known_versions)
    tally = Replayed()
    reading = _read(reread, _batches(changes))
    ahead = asyncio.ensure_future(anext(reading, None))
    try:
        while (found := await ahead) is not None:
            ahead = asyncio.ensure_future(anext(reading, None))
            batch, versions = found
            await index.replay(batch, versions)
            tally.damages = [
                Damage(c, versions[v].damage) for c in batch if (v := _find_damaged(c, versions))
            ]
            tally.changes += len(batch)
            tally.last = batch[-1].revision
            read = reread.tally
            tally.objects, tally.length, tally.restored = read.objects, read.length, read.restored
            yield tally
    finally:
        ahead.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await ahead
        await reading.aclose()


def _find_damaged(change: Change, versions: dict[VersionId, NewVersion]) -> VersionId | None:
    version = change.version_after
    stored = change.kind == "store" and version is not None and version in versions
    return version if stored and version is not None and versions[version].damage else None


async def _read(reread: Reread, batches: AsyncIterator[Sequence[Change]]) -> AsyncGenerator[Read, None]:
    async for batch in batches:
        yield batch, await reread.versions(batch)


async def _batches(changes: AsyncIterator[Sequence[Change]]) -> AsyncIterator[Sequence[Change]]:
    """Yield batches of one size, however small the journal's objects are: each is a transaction."""
    held: list[Change] = []
    async for page in changes:
        held += page
        while len(held) >= BATCH:
            yield held[:BATCH]
            del held[:BATCH]
    if held:
        yield held
