"""The journal read in order of revision: each change once, each damage named, a bounded window in memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from gateway.errors import ObjectMissing
from gateway.index.base import Change
from gateway.services.journal import listing
from gateway.services.journal.format import TAKEN_OVER, Block, Broken, blocks, lines_of, to_line
from gateway.services.journal.listing import JournalEntry
from gateway.services.journal.problems import Problem
from gateway.store.base import ObjectStore

Item: TypeAlias = Sequence[Change] | Problem

AT_ONCE = 8
HELD = 16 << 20
"""Bytes of objects that are read ahead."""
LARGEST = 256 << 20
"""The largest object that is read; no object of the journal is nearly as large."""
WINDOW = 20_000
"""How many revisions back a repeated line is compared with the first one."""


class _Moved(Exception):
    """Raised where a listed object is gone, or a gap showed: segments are being made, so list again."""


def serialize_told(change: Change) -> bytes:
    """Return a digest that is the same for equal changes, whatever their revisions."""
    return hashlib.blake2b(to_line(replace(change, revision=0)), digest_size=16).digest()


async def read_object(store: ObjectStore, key: str) -> bytes:
    """Return the object's bytes. Raises ObjectMissing."""
    async with store.read(key) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def load(
    store: ObjectStore, entries: AsyncIterator[JournalEntry]
) -> AsyncGenerator[tuple[JournalEntry, bytes | None], None]:
    """Yield entries and their bytes, with some objects read ahead; None where an object is gone meanwhile."""
    waiting: deque[tuple[JournalEntry, asyncio.Task[bytes | None]]] = deque()
    held = 0
    try:
        async for entry in entries:
            while waiting and (len(waiting) >= AT_ONCE or held + entry.length > HELD):
                first, task = waiting.popleft()
                held -= first.length
                yield first, await task
            waiting.append((entry, asyncio.create_task(_read(store, entry))))
            held += entry.length
        while waiting:
            first, task = waiting.popleft()
            yield first, await task
    finally:
        for _, task in waiting:
            task.cancel()
        await asyncio.gather(*(task for _, task in waiting), return_exceptions=True)


async def _read(store: ObjectStore, entry: JournalEntry) -> bytes | None:
    if entry.kind == "unknown" or entry.length > LARGEST:
        return b""
    try:
        return await read_object(store, entry.key)
    except ObjectMissing:
        return None


@dataclass(slots=True)
class _Chains:
    """The chain of each writer's blocks: each block holds the digest of the one before.

    `read` are digests of blocks that were read, `named` are digests that a later block
    gave for its predecessor.
    """

    read: OrderedDict[tuple[str, int], str] = field(default_factory=OrderedDict)
    named: OrderedDict[tuple[str, int], tuple[str, Problem]] = field(default_factory=OrderedDict)

    def check(self, block: Block, key: str) -> Problem | None:
        """Return a problem where a block and its neighbour in the chain do not fit, else None."""
        header = block.header
        mine, before = (header.writer, header.sequence), (header.writer, header.sequence - 1)
        digest, problem = block.digest, Problem("chain", key, header.first, header.last)
        self.read[mine] = digest
        if header.before:
            self.named[before] = (header.before, problem)
        found = None
        for place in (mine, before):
            if place in self.read and place in self.named:
                named, blamed = self.named.pop(place)
                found = found or (blamed if named != self.read[place] else None)
        for known in (self.read, self.named):
            while len(known) > WINDOW:
                known.popitem(last=False)
        return found


class Walk:
    """One reading of the journal from a revision on."""

    def __init__(self, store: ObjectStore, after: int, archive: str = "", *, with_old: bool = True) -> None:
        self._store = store
        self._after = after
        self._archive = archive
        self._with_old = with_old
        self._covered = after
        self._window: OrderedDict[int, bytes] = OrderedDict()
        self._chains = _Chains()
        self._pending: list[Problem] = []
        self._told: set[tuple[str, str]] = set()
        self._suspect = -1
        self._later = ""
        self._aside: list[JournalEntry] = []

    async def run(self) -> AsyncGenerator[Item, None]:
        """Yield changes in pieces, and problems, in order of revision."""
        if self._with_old and self._after and await anext(listing.old(self._store), None) is not None:
            self._covered = 0  # doubled revisions of format 1 can only be told apart from the start
        while True:
            try:
                async for item in self._pass():
                    if not isinstance(item, Problem):
                        item = [change for change in item if change.revision > self._after]
                    if item:
                        yield item
                return
            except _Moved:
                self._pending.clear()
                self._aside.clear()

    async def _pass(self) -> AsyncIterator[Item]:
        streams = [
            listing.segments(self._store, self._covered),
            listing.log(self._store, self._covered),
        ]
        if self._with_old:
            streams.insert(1, listing.old(self._store))
        async with aclosing(load(self._store, listing.merge(*streams))) as objects:
            async for entry, body in objects:
                if entry.kind != "old" and entry.kind != "unknown" and self._aside:
                    async for item in self._epochs():
                        yield item
                for item in self._old(entry, body) if entry.kind == "old" else self._new(entry, body):
                    yield item
        async for item in self._epochs():
            yield item
        async for entry in listing.strays(self._store):
            for item in self._once(Problem("unknown", entry.key, 0, 0)):
                yield item
        for item in self._settle(None):
            yield item

    # -- one object -------------------------------------------------------------------------------------

    def _new(self, entry: JournalEntry, body: bytes | None) -> Iterator[Item]:
        if body is None:
            raise _Moved
        if entry.kind == "unknown":
            yield from self._once(Problem("unknown", entry.key, 0, 0))
            return
        if entry.length > LARGEST:
            self._pending.append(Problem("foreign", entry.key, entry.first, 0))
            return
        is_first = True
        for block in blocks(body):
            yield from self._block(entry, block, is_first)
            is_first = False

    def _block(self, entry: JournalEntry, block: Block | Broken, is_first: bool) -> Iterator[Item]:
        if isinstance(block, Broken):
            yield from self._report_broken(entry, block, with_gaps=False)
            return
        header = block.header
        is_misplaced = (is_first or entry.kind == "log") and header.first != entry.first
        if is_misplaced or (self._archive and header.archive != self._archive):
            self._pending.append(Problem("foreign", entry.key, entry.first, 0))
            return
        problem = self._chains.check(block, entry.key)
        if problem is not None:
            yield from self._once(problem)
        yield from self._take(block.changes, entry.key, with_gaps=header.writer == TAKEN_OVER)

    def _report_broken(self, entry: JournalEntry, broken: Broken, *, with_gaps: bool) -> Iterator[Item]:
        if broken.changes:
            yield from self._take(broken.changes, entry.key, with_gaps=with_gaps)
        self._pending.append(Problem(broken.flaw, entry.key, entry.first, 0))

    def _old(self, entry: JournalEntry, body: bytes | None) -> Iterator[Item]:
        if body is None:
            raise _Moved
        if entry.length > LARGEST:
            self._pending.append(Problem("foreign", entry.key, entry.first, 0))
            return
        if self._later and entry.written >= self._later:
            self._aside.append(entry)
            return
        lines = lines_of(body)
        if isinstance(lines, Broken):
            yield from self._report_broken(entry, lines, with_gaps=True)
        elif self._differs(lines):
            # An index was lost, and its successor began to count again: these changes come after all others.
            self._later = entry.written
            self._aside.append(entry)
        else:
            yield from self._take(lines, entry.key, with_gaps=True)

    async def _epochs(self) -> AsyncIterator[Item]:
        """Yield changes written after the index had been lost, in order of writing, with new revisions.

        A second call yields nothing.
        """
        self._aside.sort(key=lambda entry: entry.written)
        seen = set(self._window.values())
        for entry in self._aside:
            try:
                lines = lines_of(await read_object(self._store, entry.key))
            except ObjectMissing as error:
                raise _Moved from error
            changes = lines.changes if isinstance(lines, Broken) else lines
            fresh = [change for change in changes if serialize_told(change) not in seen]
            seen.update(map(serialize_told, fresh))
            numbered = [replace(c, revision=self._covered + 1 + n) for n, c in enumerate(fresh)]
            if isinstance(lines, Broken):
                yield Problem(lines.flaw, entry.key, entry.first, 0)
            for item in self._take(numbered, entry.key, with_gaps=True):
                yield item
        if self._aside:
            self._with_old = False
        self._aside.clear()

    # -- revisions --------------------------------------------------------------------------------------

    def _differs(self, changes: Sequence[Change]) -> bool:
        return any(
            self._window.get(c.revision, serialize_told(c)) != serialize_told(c)
            for c in changes
            if c.revision <= self._covered
        )

    def _take(self, changes: Sequence[Change], key: str, *, with_gaps: bool) -> Iterator[Item]:
        if self._differs(changes):
            yield from self._once(Problem("forked", key, changes[0].revision, changes[-1].revision))
        if changes and changes[0].revision <= self._covered + 1:
            yield from self._settle(self._covered)
        fresh = [change for change in changes if change.revision > self._covered]
        if not fresh:
            return
        first = fresh[0].revision
        if first > self._covered + 1 and not with_gaps and not self._pending:
            if self._suspect != self._covered:
                self._suspect = self._covered
                raise _Moved
            yield from self._once(Problem("missing", "", self._covered + 1, first - 1))
        yield from self._settle(first - 1)
        self._covered = fresh[-1].revision
        self._window.update((change.revision, serialize_told(change)) for change in fresh)
        while len(self._window) > WINDOW:
            self._window.popitem(last=False)
        yield fresh

    def _settle(self, last: int | None) -> Iterator[Problem]:
        """Yield pending problems, now that the revisions are known that no other object holds.

        `last` is the last of these revisions; None means up to the end.
        """
        begin = self._covered + 1
        for problem in self._pending:
            if last is None:
                known = replace(problem, first=begin, last=0)
            elif last < begin:
                known = replace(problem, first=begin + 1, last=begin)
            else:
                known = replace(problem, first=begin, last=last)
            yield from self._once(known)
        self._pending.clear()

    def _once(self, problem: Problem) -> Iterator[Problem]:
        name = (problem.kind, problem.key or str(problem.first))
        if name not in self._told:
            self._told.add(name)
            yield problem
