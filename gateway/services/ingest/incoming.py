"""Receive one instance: parse its bytes as they come, count them, and stream them to the store.

The bytes are kept in memory until the UIDs are read (`_Unidentified`); from then on they go to the store
(`_Identified`). After the last byte the instance is a `ReceivedInstance`; it is a `FailedInstance` as soon as
anything is wrong with it.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.dicom import uids
from gateway.dicom.dataset import ReadOnlyDataSet
from gateway.dicom.encoding.part10 import Part10Reader, ReadInstance, ReadWarning
from gateway.errors import DicomError, GatewayError, LimitExceeded
from gateway.index.base import NewVersion
from gateway.model import Identity, Locator, Source, VersionId
from gateway.services.ingest.outcomes import (
    NOT_AUTHORISED,
    SOP_CLASS_UNSUPPORTED,
    TRANSFER_SYNTAX_UNSUPPORTED,
    WRONG_STUDY,
    Provenance,
    Rejected,
)
from gateway.services.ingest.pipe import Pipe
from gateway.services.ingest.policy import Action, Rule
from gateway.services.objectkeys import new_version, object_key
from gateway.store.base import ObjectStore

# The transfer syntaxes of PS3.5 that files have (Annex A), without MIME, XML and SMPTE streams. Private ones
# are not taken: it is not known how to read their data sets, let alone their pixels.
_STORABLE_SYNTAX = re.compile(re.escape(uids.IMPLICIT_VR_LITTLE_ENDIAN) + r"(\.[123458](\.[0-9.]+)?)?\Z")

# SOP classes that are not composite instances: Media Storage Directory and worklist models. Nothing of them
# can be retrieved.
NOT_STORABLE = frozenset(
    {
        uids.MEDIA_STORAGE_DIRECTORY_STORAGE,
        uids.MODALITY_WORKLIST_INFORMATION_MODEL_FIND,
        uids.GENERAL_PURPOSE_WORKLIST_INFORMATION_MODEL_FIND,
    }
)

# Bytes of a header that are parsed before other tasks have their turn: many tiny elements take time.
PIECE = 16 << 10

# Bytes of an instance in memory before its UIDs are read; an instance with more is refused.
MOST_BEFORE_IDENTITY = 32 << 20


@dataclass(slots=True)
class _Unidentified:
    """State before the UIDs are read: whether and where the instance is stored is not known yet."""

    held: list[bytes] = field(default_factory=list)
    size: int = 0

    def hold(self, chunk: bytes) -> None:
        self.held.append(chunk)
        self.size += len(chunk)


class _Identified:
    """State after the UIDs are accepted: bytes are counted and go to the store as they come."""

    def __init__(self, store: ObjectStore, identity: Identity, key: str) -> None:
        self.identity = identity
        self._locator = (store.id, key)
        self._digest = hashlib.sha256()
        self._length = 0
        self._pipe = Pipe()
        self._put: asyncio.Task[object] = asyncio.create_task(store.put(key, self._pipe))

    def push(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self._length += len(chunk)
        self._pipe.push(chunk)

    async def pass_on(self, chunk: bytes) -> None:
        """Push `chunk` and wait for room. Raises the store's error at once, before more is read in vain."""
        self.push(chunk)
        await self._pipe.room(self._put)
        if self._put.done():
            self._put.result()

    def end(self) -> None:
        self._pipe.end()

    async def abandon(self) -> None:
        """Stop the store's put, which then leaves nothing behind."""
        self._put.cancel()
        with suppress(asyncio.CancelledError, GatewayError):
            await self._put

    async def durable(self) -> tuple[Locator, bytes]:
        """Wait until the object is durable; return its locator and its SHA-256 digest. Raises StoreError."""
        await self._put
        return Locator(*self._locator, 0, self._length), self._digest.digest()


@dataclass(frozen=True, slots=True)
class FailedInstance:
    """An instance that is not stored, and the reason; none of its bytes is left in the store.

    `identity` is None where it failed before its UIDs were read.
    """

    identity: Identity | None
    error: GatewayError | Rejected


@dataclass(frozen=True, slots=True)
class ReceivedInstance:
    """An instance whose bytes have all come and were parsed; the store may still be syncing them."""

    version: VersionId
    read: ReadInstance
    source: Source
    before: Provenance
    rule: Rule
    is_long: bool
    stored: _Identified

    @property
    def identity(self) -> Identity:
        return self.stored.identity

    @property
    def warnings(self) -> tuple[ReadWarning, ...]:
        return (*self.before.warnings, *self.read.warnings)

    @property
    def original(self) -> ReadOnlyDataSet | None:
        return self.before.original

    async def durable(self) -> NewVersion:
        """Wait until the object is durable; return the version to offer to the index. Raises StoreError."""
        locator, file_digest = await self.stored.durable()
        read = self.read
        metadata, outline = await asyncio.to_thread(read.place_base) if self.is_long else read.place_base()
        return NewVersion(
            version=self.version,
            identity=read.identity,
            transfer_syntax=read.transfer_syntax,
            locator=locator,
            file_digest=file_digest,
            content_digest=self.before.content_digest or read.content_digest,
            received=time.time_ns() // 1000,
            metadata=metadata,
            outline=outline,
            layout=read.layout,
            source=self.source,
            policy=self.rule.repeat,
        )


_State: TypeAlias = _Unidentified | _Identified | FailedInstance


class IncomingInstance:
    """One instance that is being received; `consume` reads it, `abandon` stops it at any time.

    `study` is the only study that it may belong to, `named` the transfer syntax that the message names.
    """

    def __init__(
        self,
        store: ObjectStore,
        source: Source,
        study: str | None,
        named: str | None,
        before: Provenance,
        rule: Rule,
    ) -> None:
        self._store = store
        self._source = source
        self._study = study
        self._before = before
        self._rule = rule
        self._version = new_version()
        self._reader = Part10Reader(version=self._version, named_transfer_syntax=named)
        self._state: _State = _Unidentified()

    @property
    def is_held(self) -> bool:
        """Return whether its bytes are kept in memory, since its UIDs are not read yet."""
        return isinstance(self._state, _Unidentified)

    async def consume(self, body: AsyncIterator[bytes]) -> ReceivedInstance | FailedInstance:
        """Read all of `body`, also after a failure, so that the next part can be read.

        Raises only what `body` raises.
        """
        async for chunk in body:
            self._state = await self._take(self._state, chunk)
        if isinstance(self._state, FailedInstance):
            return self._state
        return await self._finish(self._state)

    async def abandon(self) -> None:
        """Stop receiving; none of the instance is left in the store."""
        if isinstance(self._state, _Identified):
            await self._state.abandon()

    # -- chunk by chunk ---------------------------------------------------------------------------------

    async def _take(self, state: _State, chunk: bytes) -> _State:
        """Parse a chunk and keep it or pass it on; return the next state."""
        if isinstance(state, FailedInstance):
            return state
        try:
            await self._parse(chunk)
            if isinstance(state, _Unidentified):
                return self._hold(state, chunk)
            await state.pass_on(chunk)
        except (GatewayError, Rejected) as error:
            return await self._give_up(state, error)
        return state

    async def _parse(self, chunk: bytes) -> None:
        at, size = 0, len(chunk)
        while size - at > PIECE and not self._reader.passing:
            self._reader.feed(chunk[at : at + PIECE])
            at += PIECE
            await asyncio.sleep(0)
            if self._reader.inflates:
                break
        rest = chunk[at:] if at else chunk
        if self._reader.inflates:
            await asyncio.to_thread(self._reader.feed, rest)
        else:
            self._reader.feed(rest)

    def _hold(self, state: _Unidentified, chunk: bytes) -> _State:
        """Keep a chunk in memory; return the next state.

        Raises LimitExceeded where it is too much without UIDs.
        """
        state.hold(chunk)
        identity = self._reader.identity
        if identity is not None:
            return self._identify(state, identity)
        if state.size > MOST_BEFORE_IDENTITY:
            raise LimitExceeded(f"no UIDs within the first {MOST_BEFORE_IDENTITY >> 20} MiB")
        return state

    async def _finish(self, state: _Unidentified | _Identified) -> ReceivedInstance | FailedInstance:
        """Read the end of the data set after the last byte, and tell the store."""
        is_long = self._reader.is_long
        try:
            finish = self._reader.finish
            read = await asyncio.to_thread(finish) if is_long else finish()
        except DicomError as error:
            self._state = failed = await self._give_up(state, error)
            return failed
        if isinstance(state, _Unidentified):
            self._state = identified = self._identify(state, read.identity)
            if isinstance(identified, FailedInstance):
                return identified
            state = identified
        state.end()
        return ReceivedInstance(
            self._version, read, self._source, self._before, self._rule, self._reader.is_long, state
        )

    # -- from one state to the next ---------------------------------------------------------------------

    def _identify(self, state: _Unidentified, identity: Identity) -> _Identified | FailedInstance:
        """Start to store the bytes that were kept, or fail where the instance is not accepted."""
        try:
            self._judge(identity)
        except Rejected as rejected:
            return self._fail(identity, rejected)
        key = object_key(self._source.partition, identity.study, self._version)
        identified = _Identified(self._store, identity, key)
        if self._reader.prefix:
            identified.push(self._reader.prefix)
        for piece in state.held:
            identified.push(piece)
        return identified

    def _judge(self, identity: Identity) -> None:
        """Check whether the instance is accepted. Raises Rejected with the reason."""
        if self._study is not None and identity.study != self._study:
            raise Rejected(
                WRONG_STUDY, f"the instance is of study {identity.study}, the URL of {self._study}"
            )
        if identity.sop_class in NOT_STORABLE:
            raise Rejected(SOP_CLASS_UNSUPPORTED, f"SOP class {identity.sop_class} is not storable")
        if self._rule.action is Action.REJECT:
            raise Rejected(NOT_AUTHORISED, self._rule.reason)
        syntax = self._reader.transfer_syntax
        if not _STORABLE_SYNTAX.match(syntax):
            raise Rejected(TRANSFER_SYNTAX_UNSUPPORTED, f"transfer syntax {syntax[:64]} is not supported")

    async def _give_up(
        self, state: _Unidentified | _Identified, error: GatewayError | Rejected
    ) -> FailedInstance:
        """Fail, with nothing left in the store."""
        if isinstance(state, _Unidentified):
            return self._fail(None, error)
        await state.abandon()
        return self._fail(state.identity, error)

    def _fail(self, identity: Identity | None, error: GatewayError | Rejected) -> FailedInstance:
        """Return the failure.

        A SOP class that is not storable is the first reason, whatever else is wrong.
        """
        claimed = self._reader.claimed_sop_class
        if claimed in NOT_STORABLE:
            error = Rejected(SOP_CLASS_UNSUPPORTED, f"SOP class {claimed} is not storable")
        return FailedInstance(identity, error)
