"""How an instance gets in: bytes → parsed as they come → durable object → index batch → journal → outcome.

STOW, import and DIMSE are callers of it. A bad instance fails alone and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.dicom.part10 import Part10Reader, ReadInstance, ReadWarning
from gateway.errors import (
    DicomError,
    GatewayError,
    LimitExceeded,
    NotDicom,
    ObjectMissing,
    StoreError,
    StoreFull,
    Truncated,
)
from gateway.index.base import Admitted, NewVersion, ReceivedAgain, Refused, Verdict
from gateway.model import Identity, Locator, Source, quarantine_of
from gateway.services.batcher import Batcher
from gateway.services.coercion import Coerced, coerced
from gateway.services.naming import new_version, object_key
from gateway.services.pipe import Pipe
from gateway.services.policy import Action, Policies, Rule
from gateway.store.base import ObjectStore

# PS3.18 Table I.2-2, PS3.7 Annex C. A901 is ours: the study is not the one of the URL.
OUT_OF_RESOURCES = 0xA700
DATA_SET_MISMATCH = 0xA900
WRONG_STUDY = 0xA901
CANNOT_UNDERSTAND = 0xC000
PROCESSING_FAILURE = 0x0110
DUPLICATE = 0x0111
CLASS_CONFLICT = 0x0119
NOT_AUTHORISED = 0x0124
SOP_CLASS_UNSUPPORTED = 0x0122
TRANSFER_SYNTAX_UNSUPPORTED = 0xC122

# Of PS3.5 those that files have (Annex A); not MIME, XML and SMPTE streams. Of private ones nobody could say how
# the bytes are to be read, let alone the pixels.
_STORABLE_SYNTAX = re.compile(r"1\.2\.840\.10008\.1\.2(\.[123458](\.[0-9.]+)?)?\Z")

# Objects that are no composite instances: directories, worklist and query models have nothing to retrieve.
NOT_STORABLE = frozenset({"1.2.840.10008.1.3.10", "1.2.840.10008.5.1.4.31", "1.2.840.10008.5.1.4.32.1"})

UID_TAGS = frozenset({"00080016", "00080018", "0020000D", "0020000E"})

# An instance whose UIDs do not come within this many bytes is refused: until then it is kept in memory.
MOST_BEFORE_IDENTITY = 32 << 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one instance. `failure` is a Failure Reason (0008,1197), None where it is stored.

    `warnings` are Warning Reasons (0008,1196); `fresh` is false where nothing new is stored; `quarantined` where it
    is set aside. `detail` is there for a success, too, where other content is known under the UID: `differing` names
    the first attributes.
    """

    identity: Identity | None
    failure: int | None = None
    detail: str = ""
    warnings: tuple[int, ...] = ()
    warning_details: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    fresh: bool = True
    quarantined: bool = False
    original: Mapping[str, Any] | None = None
    """The item of Original Attributes Sequence that was added, for what was coerced."""


@dataclass(frozen=True, slots=True)
class Before:
    """What happened to an instance before it came here: warnings, and what was coerced.

    `content_digest` is of the content as it was sent, where that is not what arrives: what was coerced says when.
    """

    warnings: tuple[ReadWarning, ...] = ()
    original: Mapping[str, Any] | None = None
    content_digest: bytes | None = None


NOTHING_BEFORE: Final = Before()


class Rejected(Exception):
    """Why an instance is not taken."""

    def __init__(self, failure: int, detail: str, differing: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.failure = failure
        self.detail = detail
        self.differing = differing


class Ingest:
    """Takes instances in; one for the whole process."""

    def __init__(
        self,
        store: ObjectStore,
        batcher: Batcher,
        *,
        policies: Policies | None = None,
        in_flight: int = 32,
    ) -> None:
        self._store = store
        self._batcher = batcher
        self._policies = policies or Policies()
        self._slots = asyncio.Semaphore(in_flight)
        self._leftovers: set[asyncio.Task[None]] = set()

    def session(self, source: Source, *, study: str | None = None, rule: Rule | None = None) -> IngestSession:
        """Instances that came together; `study` is the only study they may belong to.

        `rule` says what becomes of them, where it is not the site's rules that do.
        """
        return IngestSession(self, source, study, rule or self._policies.rule(source))

    async def close(self) -> None:
        """Wait for objects that are being taken away again."""
        if self._leftovers:
            await asyncio.wait(self._leftovers)

    async def receive(
        self,
        body: AsyncIterator[bytes],
        source: Source,
        study: str | None,
        named: str | None,
        rule: Rule,
        before: Before = NOTHING_BEFORE,
    ) -> asyncio.Task[Outcome]:
        """Consume the bytes of one instance; the task ends with its outcome, once durable.

        Raises only what `body` raises: then nothing of the instance is left.
        """
        await self._slots.acquire()
        if rule.action is Action.QUARANTINE:
            source = replace(source, partition=quarantine_of(source.partition))
        arrival = _Arrival(self._store, source, study, named, before, rule)
        try:
            await arrival.consume(body)
        except BaseException:
            self._slots.release()
            await arrival.abandon()
            raise
        return asyncio.create_task(self._conclude(arrival))

    async def _conclude(self, arrival: _Arrival) -> Outcome:
        try:
            try:
                version = await arrival.durable()
                arrival, version = await self._coerced(arrival, version)
                verdict = await self._batcher.admit(version)
            except GatewayError as error:
                # The object stays where it may be: an index that did not answer may have committed. What no
                # version names is swept later.
                await arrival.abandon()
                raise rejection(error) from error
            return self._judged(arrival, version, verdict)
        except Rejected as rejected:
            return Outcome(arrival.identity, rejected.failure, rejected.detail, differing=rejected.differing)
        finally:
            self._slots.release()

    async def _coerced(self, arrival: _Arrival, version: NewVersion) -> tuple[_Arrival, NewVersion]:
        """What the rule makes of it, in an object of its own. What was received is still what makes a repeat."""
        if not arrival.rule.edits:
            return arrival, version
        received = version.locator.key
        try:
            made = await coerced(self._store, version, arrival.rule)
            if made is None:
                return arrival, version
            return await self._rewritten(arrival, version, made)
        except BaseException:
            self._discard(received)
            raise

    async def _rewritten(
        self, arrival: _Arrival, version: NewVersion, made: Coerced
    ) -> tuple[_Arrival, NewVersion]:
        changed = ReadWarning("B000", "", f"coerced by a rule for its source: {', '.join(made.changed)}")
        before = Before((*arrival.warnings, changed), made.original)
        other = _Arrival(self._store, version.source, None, None, before, arrival.rule)
        try:
            async with aclosing(made.chunks):
                await other.consume(made.chunks)
            written = await other.durable()
        except BaseException:
            await other.abandon()
            raise
        self._discard(version.locator.key)
        return other, replace(written, content_digest=version.content_digest)

    def _judged(self, arrival: _Arrival, version: NewVersion, verdict: Verdict) -> Outcome:
        if not isinstance(verdict, Admitted):
            self._discard(version.locator.key)
        if isinstance(verdict, Refused):
            raise refusal(verdict)
        warnings = arrival.warnings
        return Outcome(
            version.identity,
            detail=_remark(verdict, arrival.rule),
            differing=verdict.differing,
            warnings=tuple(sorted({int(w.code, 16) for w in warnings})),
            warning_details=tuple(dict.fromkeys(w.message for w in warnings)),
            fresh=not isinstance(verdict, ReceivedAgain),
            quarantined=arrival.rule.action is Action.QUARANTINE,
            original=arrival.original,
        )

    def _discard(self, key: str) -> None:
        """Take an object away that no journal names; if that fails it is an orphan, swept later."""
        task = asyncio.create_task(self._delete(key))
        self._leftovers.add(task)
        task.add_done_callback(self._leftovers.discard)

    async def _delete(self, key: str) -> None:
        with suppress(StoreError):
            await self._store.delete(key)


class IngestSession:
    """Instances of one request, in order."""

    def __init__(self, ingest: Ingest, source: Source, study: str | None, rule: Rule) -> None:
        self._ingest = ingest
        self._source = source
        self._study = study
        self._rule = rule
        self._tasks: list[asyncio.Task[Outcome]] = []

    async def take(
        self,
        body: AsyncIterator[bytes],
        *,
        named_transfer_syntax: str | None = None,
        before: Before = NOTHING_BEFORE,
    ) -> None:
        """Consume one instance; returns when its bytes are read, while the store may still be syncing.

        Raises only what `body` raises.
        """
        task = await self._ingest.receive(
            body, self._source, self._study, named_transfer_syntax, self._rule, before
        )
        self._tasks.append(task)

    async def finish(self) -> list[Outcome]:
        """The outcomes, in the order taken; whatever is stored is durable by now."""
        try:
            # Not by `gather`, which takes most of a second for a hundred thousand that are done.
            return [await task for task in self._tasks]
        except BaseException:
            for task in self._tasks:
                task.cancel()
            raise


class _Arrival:
    """One instance on its way in: parses, counts digests, feeds the store."""

    def __init__(
        self,
        store: ObjectStore,
        source: Source,
        study: str | None,
        named: str | None,
        before: Before,
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
                self._read = self._reader.finish()
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
            self._reader.feed(chunk)
            if self._pipe is None:
                self._hold(chunk)
            else:
                await self._pass_on(chunk)
        except (GatewayError, Rejected) as error:
            self._fail(error)
            await self.abandon()

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
        metadata, outline = read.placed()
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


def _remark(verdict: Admitted | ReceivedAgain, rule: Rule) -> str:
    """What the sender is to be told beside success."""
    remarks = []
    if verdict.differing:
        what = "the first is kept" if isinstance(verdict, ReceivedAgain) else "it is replaced"
        names = ", ".join(verdict.differing)
        remarks.append(f"other content was stored under this SOP Instance UID, {what}; differing: {names}")
    if rule.action is Action.QUARANTINE:
        remarks.append(f"held in quarantine{': ' if rule.reason else ''}{rule.reason}")
    return "; ".join(remarks)


def refusal(verdict: Refused) -> Rejected:
    known = f"version {verdict.current} is stored"
    if verdict.reason == "class":
        return Rejected(CLASS_CONFLICT, f"the SOP Instance UID is known with another SOP class ({known})")
    if verdict.reason == "misplaced":
        return Rejected(DUPLICATE, f"the SOP Instance UID is known in another study or series ({known})")
    differing = ", ".join(verdict.differing) or "the pixel data or its encoding"
    return Rejected(
        DUPLICATE,
        f"other content is stored under this SOP Instance UID; differing: {differing}",
        verdict.differing,
    )


def rejection(error: GatewayError) -> Rejected:
    """The Failure Reason that fits (PS3.18 Table I.2-2)."""
    if isinstance(error, StoreFull):
        return Rejected(OUT_OF_RESOURCES, "the store is full")
    if isinstance(error, Truncated | NotDicom | LimitExceeded):
        return Rejected(CANNOT_UNDERSTAND, error.detail)
    if isinstance(error, DicomError):
        wrong_uid = error.tag is not None and error.tag in UID_TAGS
        return Rejected(DATA_SET_MISMATCH if wrong_uid else CANNOT_UNDERSTAND, error.detail)
    if isinstance(error, ObjectMissing):
        return Rejected(PROCESSING_FAILURE, "the object vanished while it was stored")
    return Rejected(PROCESSING_FAILURE, "the store or the index failed; send the instance again")
