"""Journal lines and the objects that they name, brought into an index."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from gateway.dicom.part10 import Part10Reader
from gateway.errors import DicomError, ObjectMissing, ShortRead, StoreError
from gateway.index.base import Change, Index, NewVersion
from gateway.model import VersionId
from gateway.store.base import ObjectStore

BATCH = 200


@dataclass(frozen=True, slots=True)
class Damage:
    """A version whose object cannot be had whole: `kind` is 'missing', 'altered' or 'unreadable'."""

    change: Change
    kind: str
    detail: str


@dataclass(slots=True)
class Replayed:
    """What was read so far: changes, objects and their bytes; `damages` since the last batch."""

    changes: int = 0
    objects: int = 0
    length: int = 0
    last: int = 0
    damages: list[Damage] = field(default_factory=list)


async def read_version(store: ObjectStore, change: Change) -> NewVersion | Damage:
    """What the object of a 'store' change says, or why it cannot be told. Raises StoreUnavailable."""
    assert change.locator is not None
    assert change.version_after is not None
    key, reader, digest = change.locator.key, Part10Reader(version=change.version_after), hashlib.sha256()
    try:
        async with store.read(key) as chunks:
            async for chunk in chunks:
                digest.update(chunk)
                reader.feed(chunk)
        if digest.digest() != change.file_digest:
            return Damage(change, "altered", f"object {key} is not what was stored: its digest differs")
        read = reader.finish()
    except ObjectMissing:
        return Damage(change, "missing", f"object {key} is named by the journal and not in the store")
    except (DicomError, ShortRead) as error:
        return Damage(change, "unreadable", f"object {key}: {error.detail}")
    metadata, outline = read.placed()
    return NewVersion(
        version=change.version_after,
        identity=read.identity,
        transfer_syntax=read.transfer_syntax,
        locator=change.locator,
        file_digest=change.file_digest,
        content_digest=change.content_digest,
        received=change.time,
        metadata=metadata,
        outline=outline,
        layout=read.layout,
        source=change.source,
    )


async def replay(
    store: ObjectStore, index: Index, changes: AsyncIterator[Sequence[Change]]
) -> AsyncIterator[Replayed]:
    """Bring `changes` into `index`, batch by batch; the tally after each. Raises what the journal raises.

    A version whose object is damaged is named in `damages` and has, for now, no bytes in the index. What is
    missing may be named by a 'reclaim' that comes later: then it was given up, and is no damage.
    """
    tally = Replayed()
    async for page in changes:
        for start in range(0, len(page), BATCH):
            batch = page[start : start + BATCH]
            tally.damages.clear()
            versions: dict[VersionId, NewVersion] = {}
            for change in batch:
                if change.kind == "store":
                    await _take(store, change, versions, tally)
            await index.replay(batch, versions)
            tally.changes += len(batch)
            tally.last = batch[-1].revision
            yield tally


async def _take(
    store: ObjectStore, change: Change, versions: dict[VersionId, NewVersion], tally: Replayed
) -> None:
    try:
        found = await read_version(store, change)
    except StoreError:
        raise
    if isinstance(found, Damage):
        tally.damages.append(found)
        return
    versions[found.version] = found
    tally.objects += 1
    tally.length += found.locator.length
