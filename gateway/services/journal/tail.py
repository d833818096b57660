"""The end of the journal, found by a listing and two of its objects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from gateway.errors import ObjectMissing
from gateway.index.base import Change
from gateway.services.journal import listing
from gateway.services.journal.format import Block, blocks, headers, lines_of
from gateway.services.journal.listing import JournalEntry
from gateway.services.journal.reading import read_object
from gateway.store.base import ObjectStore

_SLACK = 20_000
"""Overlap of the listing: an object of format 1 may have been as large as a study that was deleted."""
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of the journal.

    `last` is its last revision, `archive` the archive of that object (empty in format 1). `change` is the
    change at the revision asked for, or at `last` where that is less; None where it cannot be read.
    """

    last: int = 0
    archive: str = ""
    change: Change | None = None


async def tail(store: ObjectStore, at: int) -> Tail:
    """Return the end of the journal, with the change at revision `at`, the last one of the index."""
    for left in range(_TRIES, 0, -1):
        try:
            return await _tail(store, at)
        except ObjectMissing:
            if left == 1:  # segments were being made: listed, and gone
                raise
    raise AssertionError("unreachable")


async def _tail(store: ObjectStore, at: int) -> Tail:
    near, last = await _ends(listing.log(store, at), at)
    segments = [entry async for entry in listing.segments(store) if entry.kind == "segment"]
    if last is None:  # the index is far ahead, or all is in segments
        near, last = await _ends(listing.log(store, segments[-1].last if segments else 0), at)
    if segments and (last is None or last.first <= segments[-1].last):
        last = max(segments, key=lambda entry: entry.last)
    if last is None:
        return await _old_tail(store, at)
    head = await _block_at(store, last, None)
    revision = max(head.header.last if head else last.first, last.last)
    wanted = min(at, revision)
    within = [entry for entry in segments if entry.first <= wanted <= entry.last]
    block = None
    for entry in (near, *within):
        if entry is not None and block is None:
            block = await _block_at(store, entry, wanted)
    if block is None and wanted == revision:
        block = head
    change = _change(block.changes, wanted) if block else None
    return Tail(revision, head.header.archive if head else "", change)


async def _ends(
    entries: AsyncIterator[JournalEntry], at: int
) -> tuple[JournalEntry | None, JournalEntry | None]:
    """Return the last entry that begins at or below `at`, and the last of all."""
    near = last = None
    async for entry in entries:
        if entry.kind in ("log", "old"):
            near, last = (entry if entry.first <= at else near), entry
    return near, last


async def _block_at(store: ObjectStore, entry: JournalEntry, revision: int | None) -> Block | None:
    """Return the block with this revision, or the last block; None where it is damaged."""
    body = await read_object(store, entry.key)
    found = [
        at for header, at in headers(body) if revision is None or header.first <= revision <= header.last
    ]
    if not found:
        return None
    block = next(blocks(body[found[-1] :]))
    return block if isinstance(block, Block) else None


async def _old_tail(store: ObjectStore, at: int) -> Tail:
    """Return the end of a journal that is still wholly in format 1."""
    near, last = await _ends(listing.old(store, max(0, at - _SLACK)), at)
    if last is None:
        near, last = await _ends(listing.old(store), at)
    if last is None:
        return Tail()
    lines = lines_of(await read_object(store, last.key))
    told = list(lines) if isinstance(lines, list) else []
    revision = told[-1].revision if told else last.first
    wanted = min(at, revision)
    if near is not None and near is not last:
        more = lines_of(await read_object(store, near.key))
        told += more if isinstance(more, list) else []
    return Tail(revision, "", _change(told, wanted))


def _change(changes: object, revision: int) -> Change | None:
    assert isinstance(changes, list | tuple)
    return next((change for change in changes if change.revision == revision), None)
