"""The journal: each committed batch of change rows as one small immutable object in the store.

Objects first, then the index transaction, then the journal object, then the status line: what the journal
does not name was never acknowledged.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import orjson

from gateway.errors import StoreError
from gateway.index.base import Change, Index
from gateway.model import Identity, InstanceUID, Locator, PartitionId, SeriesUID, Source, StudyUID, VersionId
from gateway.services.journalproblems import Problem
from gateway.services.naming import JOURNAL_PREFIX, journal_key
from gateway.store.base import ObjectStore


def to_line(change: Change) -> bytes:
    """One change as a line of JSON."""
    locator = change.locator
    identity = change.identity
    source = change.source
    return orjson.dumps(
        {
            "revision": change.revision,
            "time": change.time,
            "kind": change.kind,
            "partition": change.partition,
            "uids": [identity.study, identity.series, identity.instance, identity.sop_class],
            "before": change.version_before,
            "after": change.version_after,
            "source": [source.kind, source.peer, source.ae_title, source.principal],
            "reason": change.reason,
            "locator": [locator.store, locator.key, locator.offset, locator.length] if locator else None,
            "file_digest": change.file_digest.hex(),
            "content_digest": change.content_digest.hex(),
            "transfer_syntax": change.transfer_syntax,
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def from_line(line: bytes) -> Change:
    """The change a line tells of. Raises StoreError when the line is not one of ours."""
    try:
        return _change(orjson.loads(line))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise StoreError("the journal has a line that is not one of ours") from error


def _change(entry: dict[str, Any]) -> Change:
    study, series, instance, sop_class = entry["uids"]
    kind, peer, ae_title, principal = entry["source"]
    partition = PartitionId(entry["partition"])
    return Change(
        revision=entry["revision"],
        time=entry["time"],
        kind=entry["kind"],
        partition=partition,
        identity=Identity(StudyUID(study), SeriesUID(series), InstanceUID(instance), sop_class),
        version_before=VersionId(entry["before"]) if entry["before"] else None,
        version_after=VersionId(entry["after"]) if entry["after"] else None,
        source=Source(kind, peer, ae_title, principal, partition),
        reason=entry["reason"],
        locator=Locator(*entry["locator"]) if entry["locator"] else None,
        file_digest=bytes.fromhex(entry["file_digest"]),
        content_digest=bytes.fromhex(entry["content_digest"]),
        transfer_syntax=entry["transfer_syntax"],
    )


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


class Journal:
    """Writes and reads journal objects."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def write(self, changes: Iterable[Change]) -> None:
        """One object for the batch, durable when this returns."""
        batch = list(changes)
        if batch:
            await self._store.put(journal_key(batch[0].revision), _once(b"".join(map(to_line, batch))))

    async def catch_up(self, index: Index) -> int:
        """Journal what was committed and not yet journaled (a crash came between); how many changes."""
        written = 0
        while changes := await index.unjournaled():
            await self.write(changes)
            await index.mark_journaled([change.revision for change in changes])
            written += len(changes)
        return written

    async def changes(self, after: int = 0, *, accept_gaps: bool = False) -> AsyncIterator[Sequence[Change]]:
        """Every change above revision `after`, once, in order of revision, in pieces of bounded size.

        Raises JournalDamaged at the first damage, naming it; with `accept_gaps` yields what there is. Journal
        first what an index holds unjournaled (`catch_up`): what is on its way looks like a gap.
        """
        seen: dict[int, Change] = {}
        async for changes in self.read():
            seen.update((change.revision, change) for change in changes if change.revision > after)
        ordered = [seen[revision] for revision in sorted(seen)]
        for start in range(0, len(ordered), 1000):
            yield ordered[start : start + 1000]

    async def problems(self, after: int = 0) -> AsyncIterator[Problem]:
        """Every damage of what is told above revision `after`, in order of revision."""
        return
        yield

    async def read(self) -> AsyncIterator[Sequence[Change]]:
        """The changes of each journal object, by first revision; rows may come twice."""
        keys = [stored.key async for stored in self._store.list(JOURNAL_PREFIX)]
        for key in keys:
            async with self._store.read(key) as chunks:
                body = b"".join([chunk async for chunk in chunks])
            yield [from_line(line) for line in body.splitlines()]

    async def all_changes(self) -> list[Change]:
        """Every change once, by revision."""
        seen: dict[int, Change] = {}
        async for changes in self.read():
            seen.update((change.revision, change) for change in changes)
        return [seen[revision] for revision in sorted(seen)]
