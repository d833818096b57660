"""Objects named by the journal, read again: whole, with their digests, or their headers only.

A missing or altered object does not stop the work: its version is indexed as damaged, with the reason.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from dataclasses import dataclass, replace

import orjson

from gateway.dicom import tags
from gateway.dicom.encoding.layout import InstanceLayout
from gateway.dicom.encoding.part10 import Part10Reader, ReadInstance
from gateway.errors import (
    DicomError,
    ObjectChanged,
    ObjectExists,
    ObjectMissing,
    ShortRead,
    StoreUnavailable,
)
from gateway.index.base import Change, NewVersion
from gateway.model import Identity, Span, VersionId
from gateway.services.bytestream import all_made
from gateway.services.trash import Trash
from gateway.store.base import ObjectStore

AT_ONCE = 16
# A header is seldom longer; the bytes after it are read in growing pieces.
FIRST_READ, MOST_READ, AFTER_GAP = 64 << 10, 1 << 20, 8 << 10
# Shorter gaps are read rather than jumped over: a request costs more.
GAP = 256 << 10
_ALIVE = "readyz"

Known = Callable[[Sequence[Change]], Awaitable[dict[VersionId, NewVersion]]]


@dataclass(slots=True)
class RereadTally:
    """The tally so far: objects, bytes of them that were read, and objects brought back from the trash."""

    objects: int = 0
    length: int = 0
    restored: int = 0


class _Damaged(Exception):
    """Raised with the reason where the object is not what was stored."""


class Reread:
    """Reader of several objects at once; memory is bounded by their headers."""

    def __init__(
        self,
        store: ObjectStore,
        known: Known | None = None,
        *,
        headers: bool = False,
        doubted: AbstractSet[VersionId] = frozenset(),
    ) -> None:
        """Take the store, and `known`, which returns what another index still holds of damaged versions.

        With `headers` objects are read up to the pixels only, except those of `doubted`: a header does not
        show whether the rest was repaired.
        """
        self._doubted = doubted
        self._store = store
        self._known = known
        self._headers = headers
        self._trash = Trash(store)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self.tally = RereadTally()

    async def versions(self, changes: Sequence[Change]) -> dict[VersionId, NewVersion]:
        """Read the versions of these 'store' changes from their objects.

        Raises StoreUnavailable where the store does not answer.
        """
        stored = [c for c in changes if c.kind == "store" and c.locator is not None]
        made = await all_made([self._one(change) for change in stored])
        return {version.version: version for version in made}

    async def _one(self, change: Change) -> NewVersion:
        async with self._slots:
            try:
                try:
                    return _version(change, await self._read(change))
                except _Damaged:
                    if not await self._bring_back(change):
                        raise
                return _version(change, await self._read(change))
            except _Damaged as damage:
                return await self._make_damaged(change, str(damage))

    async def _bring_back(self, change: Change) -> bool:
        """Move a swept object back from the trash to its key; return whether it was there and whole."""
        assert change.locator is not None
        try:
            found = await self._trash.find(change.locator.key)
            if found is None or await self._digest(found) != change.file_digest:
                return False
            await self._store.move(found, change.locator.key)
        except (ObjectMissing, ObjectExists, ShortRead):
            return False
        self.tally.restored += 1
        return True

    async def _make_damaged(self, change: Change, reason: str) -> NewVersion:
        assert change.version_after is not None
        known = await self._known([change]) if self._known is not None else {}
        found = known.get(change.version_after)
        if found is not None and found.file_digest == change.file_digest:
            return replace(found, damage=reason)
        return as_damaged(change, reason)

    # -- reading objects --------------------------------------------------------------------------------

    async def _read(self, change: Change) -> ReadInstance:
        """Read the object of a change. Raises _Damaged, StoreUnavailable."""
        assert change.locator is not None
        key = change.locator.key
        try:
            is_short = self._headers and change.version_after not in self._doubted
            return await (self._header(change) if is_short else self._whole(change))
        except ObjectMissing as error:
            raise _Damaged(f"object {key} is missing") from error
        except ObjectChanged as error:
            raise _Damaged("the file was indexed in place and has changed since") from error
        except ShortRead as error:
            raise _Damaged(f"object {key} is cut off") from error
        except DicomError as error:
            raise _Damaged(f"object {key} cannot be read: {error.detail}") from error
        except StoreUnavailable as error:
            await self._check_alive()
            raise _Damaged(f"object {key} cannot be read: {error.detail}") from error

    async def _check_alive(self) -> None:
        """Raise StoreUnavailable where no object can be read at all, and not just one of them."""
        try:
            await self._store.stat(_ALIVE)
        except ObjectMissing:
            return

    async def _whole(self, change: Change) -> ReadInstance:
        assert change.locator is not None
        assert change.version_after is not None
        reader, digest, failed = Part10Reader(version=change.version_after), hashlib.sha256(), None
        async for chunk in self._bytes(change.locator.key):
            digest.update(chunk)
            self.tally.length += len(chunk)
            if failed is None:
                try:
                    reader.feed(chunk)
                except DicomError as error:
                    failed = error
        self.tally.objects += 1
        if digest.digest() != change.file_digest:
            raise _Damaged(f"object {change.locator.key} is not what was stored: its digest differs")
        if failed is not None:
            raise failed
        return reader.finish()

    async def _header(self, change: Change) -> ReadInstance:
        """Read the header only.

        Length, identity and transfer syntax are checked; the digests are taken as recorded.
        """
        assert change.locator is not None
        assert change.version_after is not None
        key, offset, length = change.locator.key, change.locator.offset, change.locator.length
        found = await self._store.stat(key)
        if found.length != offset + length:
            raise _Damaged(f"object {key} has {found.length} bytes, not {offset + length} as stored")
        reader, at, size = Part10Reader(version=change.version_after), 0, FIRST_READ
        while at < length:
            stop = min(length, at + size)
            async with aclosing(self._bytes(key, Span(offset + at, offset + stop))) as chunks:
                async for chunk in chunks:
                    reader.feed(chunk)
            self.tally.length += stop - at
            at, size = stop, min(2 * size, MOST_READ)
            passable = min(reader.passable, length - at)
            if passable and (passable >= GAP or passable == length - at):
                reader.pass_over(passable)
                at, size = at + passable, AFTER_GAP
        self.tally.objects += 1
        read = reader.finish()
        if (read.identity, read.transfer_syntax) != (change.identity, change.transfer_syntax):
            raise _Damaged(f"object {key} is of another instance, or in another transfer syntax")
        return read

    async def _digest(self, key: str) -> bytes:
        digest = hashlib.sha256()
        async for chunk in self._bytes(key):
            digest.update(chunk)
        return digest.digest()

    async def _bytes(self, key: str, span: Span | None = None) -> AsyncGenerator[bytes, None]:
        async with self._store.read(key, span) as chunks:
            async for chunk in chunks:
                yield chunk


def _version(change: Change, read: ReadInstance) -> NewVersion:
    metadata, outline = read.place_base()
    return replace(
        _from_line(change, metadata, read.layout),
        identity=read.identity,
        transfer_syntax=read.transfer_syntax,
        outline=outline,
    )


def as_damaged(change: Change, reason: str) -> NewVersion:
    """Return a version made from its journal line alone. Searches show it as UNAVAILABLE."""
    assert change.locator is not None
    layout = InstanceLayout(
        transfer_syntax=change.transfer_syntax,
        implicit=False,
        big_endian=False,
        inflated=False,
        dataset_offset=0,
        length=change.locator.length,
        pixels=None,
        bulk={},
    )
    return replace(_from_line(change, _make_metadata(change.identity), layout), damage=reason)


def _from_line(change: Change, metadata: bytes, layout: InstanceLayout) -> NewVersion:
    """Return the version with all that its journal line says."""
    assert change.locator is not None
    assert change.version_after is not None
    return NewVersion(
        version=change.version_after,
        identity=change.identity,
        transfer_syntax=change.transfer_syntax,
        locator=change.locator,
        file_digest=change.file_digest,
        content_digest=change.content_digest,
        received=change.time,
        metadata=metadata,
        layout=layout,
        source=change.source,
    )


def _make_metadata(identity: Identity) -> bytes:
    values = {
        tags.SOP_CLASS_UID: ("UI", identity.sop_class),
        tags.SOP_INSTANCE_UID: ("UI", identity.instance),
        tags.INSTANCE_AVAILABILITY: ("CS", "UNAVAILABLE"),
        tags.STUDY_INSTANCE_UID: ("UI", identity.study),
        tags.SERIES_INSTANCE_UID: ("UI", identity.series),
    }
    return orjson.dumps({tag: {"vr": vr, "Value": [value]} for tag, (vr, value) in values.items()})
