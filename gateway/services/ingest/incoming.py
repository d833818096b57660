"""One instance on its way in: parsed as it comes, counted, and fed to the store."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from gateway.dicom.encoding.part10 import Part10Reader, ReadInstance, ReadWarning
from gateway.errors import DicomError, GatewayError, LimitExceeded
from gateway.index.base import NewVersion
from gateway.model import Identity, Locator, Source
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

# Of PS3.5 those that files have (Annex A); not MIME, XML and SMPTE streams. Of private ones nobody could say how
# the bytes are to be read, let alone the pixels.
_STORABLE_SYNTAX = re.compile(r"1\.2\.840\.10008\.1\.2(\.[123458](\.[0-9.]+)?)?\Z")

# Objects that are no composite instances: directories, worklist and query models have nothing to retrieve.
NOT_STORABLE = frozenset({"1.2.840.10008.1.3.10", "1.2.840.10008.5.1.4.31", "1.2.840.10008.5.1.4.32.1"})

# Of a header so much is parsed before others have their turn: its elements may be tiny, and each takes its time.
PIECE = 16 << 10

# An instance whose UIDs do not come within this many bytes is refused: until then it is kept in memory.
MOST_BEFORE_IDENTITY = 32 << 20


class IncomingInstance:
    """One instance on its way in: parses, counts digests, feeds the store."""

    def __init__(
        self,
        store: ObjectStore,
        source: Source,
        study: str | None,
        named: str | None,
        before: Provenance,
        rule: Rule,
    ) -> None:
        self._before = before
        self.rule = rule
        self.key: str | None = None
        self.identity: Identity | None = None
        self._store = store
        self._source = source
        self._study = study
        self._version = new_version()
        self._reader = Part10Reader(version=self._version, named_transfer_syntax=named)
        self._digest = hashlib.sha256()
        self._length = 0
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._pipe: Pipe | None = None
        self._put: asyncio.Task[object] | None = None
        self._failure: GatewayError | Rejected | None = None
        self._read: ReadInstance | None = None

    @property
    def warnings(self) -> tuple[ReadWarning, ...]:
        return (*self._before.warnings, *(self._read.warnings if self._read is not None else ()))

    @property
    def original(self) -> Mapping[str, Any] | None:
        return self._before.original

    async def consume(self, body: AsyncIterator[bytes]) -> None:
        """Read all of `body`, also after a failure, so that what follows it can be read."""
        async for chunk in body:
            if self._failure is None:
                await self._attempt(chunk)
        if self._failure is None:
            try:
                finish = self._reader.finish
                self._read = await asyncio.to_thread(finish) if self._reader.is_long else finish()
                if self._pipe is None:
                    self._hold(b"")
            except (DicomError, Rejected) as error:
                self._fail(error)
        if self._failure is not None:
            await self.abandon()
        elif self._pipe is not None:
            self._pipe.end()

    async def _attempt(self, chunk: bytes) -> None:
        try:
            await self._parse(chunk)
            if self._pipe is None:
                self._hold(chunk)
            else:
                await self._pass_on(chunk)
        except (GatewayError, Rejected) as error:
            self._fail(error)
            await self.abandon()

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

    def _hold(self, chunk: bytes) -> None:
        self._held.append(chunk)
        self._held_bytes += len(chunk)
        identity = self._reader.identity
        if identity is None:
            if self._held_bytes > MOST_BEFORE_IDENTITY:
                raise LimitExceeded(f"no UIDs within the first {MOST_BEFORE_IDENTITY >> 20} MiB")
            return
        self._judge(identity)
        self.key = object_key(self._source.partition, identity.study, self._version)
        self._pipe = Pipe()
        self._put = asyncio.create_task(self._store.put(self.key, self._pipe))
        if self._reader.prefix:
            self._held.insert(0, self._reader.prefix)
        for piece in self._held:
            self._count(piece)
            self._pipe.push(piece)
        self._held = []

    def _judge(self, identity: Identity) -> None:
        self.identity = identity
        if self._study is not None and identity.study != self._study:
            raise Rejected(
                WRONG_STUDY, f"the instance is of study {identity.study}, the URL of {self._study}"
            )
        if identity.sop_class in NOT_STORABLE:
            raise Rejected(SOP_CLASS_UNSUPPORTED, f"SOP class {identity.sop_class} is not storable")
        if self.rule.action is Action.REJECT:
            raise Rejected(NOT_AUTHORISED, self.rule.reason)
        syntax = self._reader.transfer_syntax
        if not _STORABLE_SYNTAX.match(syntax):
            raise Rejected(TRANSFER_SYNTAX_UNSUPPORTED, f"transfer syntax {syntax[:64]} is not supported")

    async def _pass_on(self, chunk: bytes) -> None:
        assert self._pipe is not None
        assert self._put is not None
        self._count(chunk)
        self._pipe.push(chunk)
        await self._pipe.room(self._put)
        if self._put.done():
            self._put.result()  # raises what the store raised, before more is read in vain

    def _count(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self._length += len(chunk)

    def _fail(self, error: GatewayError | Rejected) -> None:
        claimed = self._reader.claimed_sop_class
        if claimed in NOT_STORABLE:
            error = Rejected(SOP_CLASS_UNSUPPORTED, f"SOP class {claimed} is not storable")
        self._failure = error
        self._held = []

    async def abandon(self) -> None:
        """Stop the store's put, which then leaves nothing behind."""
        put, self._put = self._put, None
        if put is None:
            return
        put.cancel()
        with suppress(asyncio.CancelledError, GatewayError):
            await put

    async def durable(self) -> NewVersion:
        """The version to offer to the index, its object durable. Raises why it cannot be."""
        if self._failure is not None:
            raise self._failure
        assert self._read is not None
        assert self._put is not None
        assert self.key is not None
        await self._put
        read = self._read
        metadata, outline = (
            await asyncio.to_thread(read.place_base) if self._reader.is_long else read.place_base()
        )
        return NewVersion(
            version=self._version,
            identity=read.identity,
            transfer_syntax=read.transfer_syntax,
            locator=Locator(self._store.id, self.key, 0, self._length),
            file_digest=self._digest.digest(),
            content_digest=self._before.content_digest or read.content_digest,
            received=time.time_ns() // 1000,
            metadata=metadata,
            outline=outline,
            layout=read.layout,
            source=self._source,
            policy=self.rule.repeat,
        )
