"""The journal's objects in order of revision: segments, log objects, and objects of format 1."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from gateway.services.journal.format import MOST_ROWS
from gateway.services.objectkeys import JOURNAL_PREFIX, LOG_PREFIX, SEGMENT_PREFIX, log_key, old_key
from gateway.store.base import ObjectStore, Stored

Kind: TypeAlias = Literal["segment", "log", "old", "unknown"]

_NAMES: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("log", re.compile(r"journal/log/(\d{16})\.jsonl")),
    ("segment", re.compile(r"journal/segments/(\d{16})-(\d{16})\.jsonl")),
    ("old", re.compile(r"journal/(\d{16})-([0-9a-f]{32})\.jsonl")),
)


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """An object of the journal, as far as its name tells: `last` is 0 except for segments."""

    kind: Kind
    key: str
    first: int
    last: int
    length: int
    modified: float

    @property
    def written(self) -> str:
        """The UUIDv7 of an object of format 1, which sorts by time of writing."""
        return self.key[-38:-6] if self.kind == "old" else ""


def entry_of(stored: Stored) -> JournalEntry:
    """Return the entry of a journal object, from its name."""
    for kind, name in _NAMES:
        if found := name.fullmatch(stored.key):
            last = int(found[2]) if kind == "segment" else 0
            return JournalEntry(kind, stored.key, int(found[1]), last, stored.length, stored.modified)
    return JournalEntry("unknown", stored.key, 0, 0, stored.length, stored.modified)


def first_of(key: str) -> int:
    """Return the first revision of a log object, 0 for other keys."""
    found = _NAMES[0][1].fullmatch(key)
    return int(found[1]) if found else 0


async def log(store: ObjectStore, after: int = 0) -> AsyncIterator[JournalEntry]:
    """Yield the log objects that may hold revisions above `after`."""
    start = log_key(after - MOST_ROWS) if after > MOST_ROWS else ""
    async for stored in store.list(LOG_PREFIX, start):
        yield entry_of(stored)


async def segments(store: ObjectStore, after: int = 0) -> AsyncIterator[JournalEntry]:
    """Yield the segments that hold revisions above `after`."""
    async for stored in store.list(SEGMENT_PREFIX):
        entry = entry_of(stored)
        if entry.kind == "unknown" or entry.last > after:
            yield entry


async def old(store: ObjectStore, after: int = 0) -> AsyncIterator[JournalEntry]:
    """Yield the objects of format 1 that begin above `after`."""
    async for stored in store.list(JOURNAL_PREFIX, old_key(after) + "." if after else ""):
        if stored.key >= "journal/:":
            return
        yield entry_of(stored)


async def strays(store: ObjectStore) -> AsyncIterator[JournalEntry]:
    """Yield objects between the journal's folders that are not part of it."""
    for start, stop in (
        ("journal/:", LOG_PREFIX),
        ("journal/log0", SEGMENT_PREFIX),
        ("journal/segments0", "journal0"),
    ):
        async for stored in store.list(JOURNAL_PREFIX, start):
            if stored.key >= stop:
                break
            yield entry_of(stored)


async def merge(*streams: AsyncIterator[JournalEntry]) -> AsyncIterator[JournalEntry]:
    """Yield all entries in order of first revision; equal ones in the order of `streams`."""
    heads = [(stream, await anext(stream, None)) for stream in streams]
    while any(entry is not None for _, entry in heads):
        at = min((entry.first, n) for n, (_, entry) in enumerate(heads) if entry is not None)[1]
        stream, entry = heads[at]
        assert entry is not None
        heads[at] = (stream, await anext(stream, None))
        yield entry
