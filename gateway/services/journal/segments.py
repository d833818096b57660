"""Compaction: quiet log objects become large segments, word for word, so that listings stay short.

A segment is put and read back; only then those of its blocks that were found in it are deleted from the log.
A crash at any step leaves blocks twice, with the same bytes; so do two processes that compact at once.
Damaged objects are left where they are, and so are all that follow them.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from gateway.errors import GatewayError, ObjectExists
from gateway.index.base import Change, Index
from gateway.services.background import Background
from gateway.services.journal import listing
from gateway.services.journal.format import MOST_ROWS, TAKEN_OVER, Block, blocks, lines_of, pack_block
from gateway.services.journal.journal import Journal
from gateway.services.journal.listing import JournalEntry
from gateway.services.journal.reading import load, read_object
from gateway.services.objectkeys import segment_key
from gateway.store.base import ObjectStore

log = logging.getLogger("gateway.journal")

QUIET_SECONDS = 3600.0
"""Younger log objects stay: a writer must find what others wrote.

See LOOK_SECONDS in services/journal/journal.py.
"""
EVERY_SECONDS = 600.0
LEASE = "segments"
LEASE_SECONDS = 3600.0
SEGMENT_BYTES = 16 << 20
SEGMENT_ROWS = 20_000
LEAST_OBJECTS = 1000
"""So many quiet log objects are worth a segment that is not full."""


@dataclass(slots=True)
class _Group:
    """Log objects in order, and their blocks."""

    entries: list[tuple[JournalEntry, Block]] = field(default_factory=list)
    length: int = 0
    rows: int = 0

    def add(self, entry: JournalEntry, block: Block) -> None:
        self.entries.append((entry, block))
        self.length += len(block.data)
        self.rows += len(block.changes)

    @property
    def is_full(self) -> bool:
        return self.length >= SEGMENT_BYTES or self.rows >= SEGMENT_ROWS

    @property
    def key(self) -> str:
        headers = [block.header for _, block in self.entries]
        return segment_key(min(h.first for h in headers), max(h.last for h in headers))


class Segments:
    """Maker of segments, in the background in the process that holds the lease; two at once do no harm."""

    def __init__(self, store: ObjectStore, journal: Journal, index: Index | None = None) -> None:
        """Take store and journal; `index` keeps the lease, and is needed only to `start`."""
        self._store = store
        self._journal = journal
        self._index = index
        self._holder = uuid.uuid4().hex
        self._left = b""
        """Digest of the listing of format 1 that was found damaged."""
        self._background = Background(log, "journal: segments wait")

    def start(self) -> None:
        self._background.start(self._work, lambda: asyncio.sleep(EVERY_SECONDS))

    async def close(self) -> None:
        await self._background.close()

    async def _work(self) -> None:
        made = await self._run_leased()
        if made:
            log.info("journal: %d segments made", made)

    async def _run_leased(self) -> int:
        """Compact where no other process does, or has just done so."""
        assert self._index is not None
        if not await self._index.take_lease(LEASE, self._holder, LEASE_SECONDS, EVERY_SECONDS / 2):
            return 0
        try:
            return await self.compact()
        finally:
            with suppress(GatewayError):
                await self._index.give_back_lease(LEASE, self._holder, is_done=True)

    async def compact(self, *, quiet: float = QUIET_SECONDS, least: int = LEAST_OBJECTS) -> int:
        """Make all segments possible from objects older than `quiet` seconds; return how many."""
        before = time.time() - quiet
        made = await self._take_over(before)
        await self._finish()
        async with aclosing(self._groups(before, least)) as groups:
            async for group in groups:
                await self._join(group)
                made += 1
        return made

    # -- the log ----------------------------------------------------------------------------------------

    async def _finish(self) -> None:
        """Delete from the log the blocks that a segment holds already: its maker was interrupted."""
        made = [entry async for entry in listing.segments(self._store) if entry.kind == "segment"]
        held: set[str] = set()
        at = -1
        async with aclosing(load(self._store, self._below(max((e.last for e in made), default=0)))) as found:
            async for entry, body in found:
                where = next((n for n, e in enumerate(made) if e.first <= entry.first <= e.last), None)
                if where is None or body is None:
                    continue
                if where != at:
                    at, held = where, _digests(await read_object(self._store, made[where].key))
                if hashlib.sha256(body).hexdigest() in held:
                    await self._store.delete(entry.key)

    async def _below(self, last: int) -> AsyncIterator[JournalEntry]:
        async for entry in listing.log(self._store):
            if entry.first > last:
                return
            if entry.kind == "log":
                yield entry

    async def _groups(self, before: float, least: int) -> AsyncGenerator[_Group, None]:
        group = _Group()
        async with aclosing(load(self._store, self._quiet(before))) as found:
            async for entry, body in found:
                block = _only_block(body or b"", self._journal.archive)
                if block is None or block.header.first != entry.first:
                    break
                group.add(entry, block)
                if group.is_full:
                    yield group
                    group = _Group()
        if len(group.entries) >= least:
            yield group

    async def _quiet(self, before: float) -> AsyncIterator[JournalEntry]:
        """Yield the log up to the first object that is not quiet; the last object of all stays."""
        held: JournalEntry | None = None
        async for entry in listing.log(self._store):
            if entry.kind != "log" or entry.modified >= before:
                break
            if held is not None:
                yield held
            held = entry
        else:
            return
        if held is not None:
            yield held

    async def _join(self, group: _Group) -> None:
        await self._put(group.key, b"".join(block.data for _, block in group.entries))
        held = _digests(await read_object(self._store, group.key))
        for entry, block in group.entries:
            if block.digest in held:
                await self._store.delete(entry.key)

    async def _put(self, key: str, body: bytes) -> None:
        async def once() -> AsyncIterator[bytes]:
            yield body

        with suppress(ObjectExists):  # made before, and the log not cleared
            await self._store.put(key, once())

    # -- format 1 ---------------------------------------------------------------------------------------

    async def _take_over(self, before: float) -> int:
        """Make segments from objects of format 1; return how many.

        It is done only where none is damaged and no revision has two different lines. The objects are deleted
        only once all their lines are in segments, and were read back.
        """
        if await anext(listing.old(self._store), None) is None or not await self._is_taken(before):
            return 0
        made = 0
        async with aclosing(self._old_bodies()) as bodies:
            async for changes in bodies:
                body = b"".join(_pack_blocks(self._journal.archive, changes))
                key = segment_key(changes[0].revision, changes[-1].revision)
                await self._put(key, body)
                if await read_object(self._store, key) != body:
                    return 0
                made += 1
        if not made or self._is_odd:  # damaged since the check
            return 0
        async for entry in listing.old(self._store):
            if entry.modified < before:
                await self._store.delete(entry.key)
        return made

    async def _is_taken(self, before: float) -> bool:
        """Return whether all objects of format 1 are quiet and whole.

        Damaged ones are not read again until one of the objects changes.
        """
        digest = hashlib.sha256()
        async for entry in listing.old(self._store):
            if entry.modified >= before:
                return False
            digest.update(f"{entry.key} {entry.length} {entry.modified}\n".encode())
        if digest.digest() == self._left:
            return False
        async for _ in self._old_changes():
            pass
        if self._is_odd:
            self._left = digest.digest()
            log.warning(
                "journal: objects of its first format are damaged, and left as they are: see 'verify'"
            )
        return not self._is_odd

    async def _old_bodies(self) -> AsyncGenerator[list[Change], None]:
        """Yield the changes of each segment to be made."""
        held: list[Change] = []
        async for changes in self._old_changes():
            held += changes
            if len(held) >= SEGMENT_ROWS:
                yield held
                held = []
        if held:
            yield held

    _is_odd = False

    async def _old_changes(self) -> AsyncIterator[Sequence[Change]]:
        """Yield the changes of format 1, once for each revision, in order.

        `_is_odd` is set where an object is damaged, or a revision has two different lines.
        """
        covered, self._is_odd = 0, False
        recent: OrderedDict[int, Change] = OrderedDict()
        async with aclosing(load(self._store, listing.old(self._store))) as found:
            async for entry, body in found:
                lines = lines_of(body or b"")
                if entry.kind != "old" or not isinstance(lines, list):
                    self._is_odd = True
                    return
                if any(recent.get(change.revision, change) != change for change in lines):
                    self._is_odd = True
                    return
                fresh = [change for change in lines if change.revision > covered]
                if fresh:
                    covered = fresh[-1].revision
                    recent.update((change.revision, change) for change in fresh)
                    while len(recent) > SEGMENT_ROWS:
                        recent.popitem(last=False)
                    yield fresh


def _pack_blocks(archive: str, changes: Sequence[Change]) -> list[bytes]:
    """Return blocks of contiguous revisions; every process makes the same bytes."""
    packs: list[bytes] = []
    start = 0
    for n in range(1, len(changes) + 1):
        is_over = n == len(changes) or changes[n].revision != changes[n - 1].revision + 1
        if is_over or n - start == MOST_ROWS:
            packs.append(pack_block(archive, TAKEN_OVER, 0, "", changes[start:n]))
            start = n
    return packs


def _only_block(body: bytes, archive: str) -> Block | None:
    found = list(blocks(body))
    block = found[0]
    if len(found) != 1 or not isinstance(block, Block) or block.header.archive != archive:
        return None
    return block


def _digests(body: bytes) -> set[str]:
    return {block.digest for block in blocks(body) if isinstance(block, Block)}
