"""Take instances in: bytes → parsed as they come → durable object → index batch → journal → outcome.

STOW, import and DIMSE call it. A bad instance fails alone and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import replace

from gateway.dicom.encoding.part10 import ReadWarning
from gateway.errors import GatewayError, IndexFailure, StoreError
from gateway.index.base import Admitted, NewVersion, ReceivedAgain, Refused, Verdict
from gateway.model import Source, quarantine_of
from gateway.services.commits import Commits
from gateway.services.ingest.coercion import Coerced, coerce
from gateway.services.ingest.incoming import FailedInstance, IncomingInstance, ReceivedInstance
from gateway.services.ingest.outcomes import NOTHING_BEFORE, Outcome, Provenance, Rejected, refusal, rejection
from gateway.services.ingest.policy import Action, Policies, Rule
from gateway.services.ingest.slots import Seat, Slots
from gateway.store.base import ObjectStore

log = logging.getLogger("gateway.services")


class Ingest:
    """Takes instances in; one for the whole process."""

    def __init__(
        self,
        store: ObjectStore,
        commits: Commits,
        *,
        policies: Policies | None = None,
        slots: Slots | None = None,
    ) -> None:
        self._store = store
        self._commits = commits
        self._policies = policies or Policies()
        self._slots = slots or Slots()
        self._leftovers: set[asyncio.Task[None]] = set()

    def session(self, source: Source, *, study: str | None = None, rule: Rule | None = None) -> IngestSession:
        """Return a session for instances that come together; `study` is the only study they may belong to.

        `rule` replaces the rules of the site.
        """
        return IngestSession(self, source, study, rule or self._policies.rule(source))

    async def close(self) -> None:
        """Wait until objects that are being deleted again are gone."""
        if self._leftovers:
            await asyncio.wait(self._leftovers)

    async def watch_body(self, body: AsyncIterator[bytes], peer: str) -> AsyncGenerator[bytes, None]:
        """Yield the chunks of a body that has to be complete before there are instances. Raises Busy.

        It takes a seat as an instance does.
        """
        seat = await self._slots.seat(peer)
        try:
            async for chunk in seat.resting(body):
                yield chunk
        finally:
            seat.rest()
            await seat.leave()

    async def receive(
        self,
        body: AsyncIterator[bytes],
        source: Source,
        study: str | None,
        named: str | None,
        rule: Rule,
        before: Provenance = NOTHING_BEFORE,
    ) -> asyncio.Task[Outcome]:
        """Consume the bytes of one instance; return a task that ends with its outcome, once durable.

        Raises only what `body` raises: then nothing of the instance is left.
        """
        seat = await self._slots.seat(source.peer)
        if rule.action is Action.QUARANTINE:
            source = replace(source, partition=quarantine_of(source.partition))
        incoming = IncomingInstance(self._store, source, study, named, before, rule)
        try:
            arrived = await incoming.consume(_count(seat.resting(body), seat, incoming))
            await seat.leave()
        except BaseException:  # also where it is cancelled while it leaves
            seat.rest()
            await incoming.abandon()
            raise
        finally:
            await seat.leave()
        return asyncio.create_task(self._conclude(arrived, seat))

    async def _conclude(self, arrived: ReceivedInstance | FailedInstance, seat: Seat) -> Outcome:
        """Return the outcome of an instance whose bytes have come, and free its slot."""
        try:
            return await self._admit(arrived)
        except Rejected as rejected:
            return Outcome(arrived.identity, rejected.failure, rejected.detail, differing=rejected.differing)
        finally:
            seat.rest()

    async def _admit(self, arrived: ReceivedInstance | FailedInstance) -> Outcome:
        """Make the object durable, coerce it where a rule says so, and add it to the index.

        Raises Rejected.
        """
        try:
            received = _require(arrived)
            version = await received.durable()
            received, version = await self._coerce(received, version)
            verdict = await self._commits.admit(version)
        except GatewayError as error:
            # The object stays where it may be in use: an index that did not answer may have committed. A
            # later sweep deletes objects that no version names.
            if isinstance(error, StoreError | IndexFailure):
                log.warning("an instance could not be stored", exc_info=error)
            raise rejection(error) from error
        return self._judge(received, version, verdict)

    async def _coerce(
        self, received: ReceivedInstance, version: NewVersion
    ) -> tuple[ReceivedInstance, NewVersion]:
        """Return the instance as the rule changes it, in an object of its own; else what was given.

        The content digest stays the one of the received instance: it decides what is a repeat.
        """
        if not received.rule.edits:
            return received, version
        key = version.locator.key
        try:
            made = await coerce(self._store, version, received.rule)
            if made is None:
                return received, version
            changed = await self._store_coerced(received, version, made)
        except BaseException:
            self._discard(key)
            raise
        self._discard(key)
        return changed

    async def _store_coerced(
        self, received: ReceivedInstance, version: NewVersion, made: Coerced
    ) -> tuple[ReceivedInstance, NewVersion]:
        """Return the coerced instance once it is durable; if that fails, nothing of it is left."""
        changed = ReadWarning("B000", "", f"coerced by a rule for its source: {', '.join(made.changed)}")
        before = Provenance((*received.warnings, changed), made.original)
        incoming = IncomingInstance(self._store, version.source, None, None, before, received.rule)
        try:
            async with aclosing(made.chunks):
                coerced = _require(await incoming.consume(made.chunks))
            written = await coerced.durable()
        except BaseException:
            await incoming.abandon()
            raise
        return coerced, replace(written, content_digest=version.content_digest)

    def _judge(self, received: ReceivedInstance, version: NewVersion, verdict: Verdict) -> Outcome:
        """Return the outcome, and delete an object that is not kept.

        Raises Rejected where the index refused it.
        """
        if not isinstance(verdict, Admitted) and verdict.current != version.version:
            self._discard(version.locator.key)
        if isinstance(verdict, Refused):
            raise refusal(verdict)
        warnings = received.warnings
        return Outcome(
            version.identity,
            detail=_remark(verdict, received.rule),
            differing=verdict.differing,
            warnings=tuple(sorted({int(w.code, 16) for w in warnings})),
            warning_details=tuple(dict.fromkeys(w.message for w in warnings)),
            fresh=not isinstance(verdict, ReceivedAgain),
            quarantined=received.rule.action is Action.QUARANTINE,
            original=received.original,
        )

    def _discard(self, key: str) -> None:
        """Start to delete an object that no journal names; if that fails, a later sweep deletes it."""
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
        before: Provenance = NOTHING_BEFORE,
    ) -> None:
        """Consume one instance; return when its bytes are read, while the store may still be syncing.

        Raises only what `body` raises.
        """
        task = await self._ingest.receive(
            body, self._source, self._study, named_transfer_syntax, self._rule, before
        )
        self._tasks.append(task)

    async def finish(self) -> list[Outcome]:
        """Return the outcomes, in the order taken; whatever is stored is durable by now."""
        try:
            # Not by `gather`, which takes most of a second for a hundred thousand finished tasks.
            return [await task for task in self._tasks]
        except BaseException:
            for task in self._tasks:
                task.cancel()
            raise


def _require(arrived: ReceivedInstance | FailedInstance) -> ReceivedInstance:
    """Return the received instance. Raises the error of a failed one."""
    if isinstance(arrived, FailedInstance):
        raise arrived.error
    return arrived


async def _count(body: AsyncIterator[bytes], seat: Seat, incoming: IncomingInstance) -> AsyncIterator[bytes]:
    """Yield the chunks; count the bytes that are kept in memory until the UIDs come. Raises Busy."""
    size = 0
    async for chunk in body:
        if incoming.is_held:
            size += len(chunk)
            seat.hold(size)
        elif size:
            size = 0
            seat.hold(0)
        yield chunk


def _remark(verdict: Admitted | ReceivedAgain, rule: Rule) -> str:
    """Return the remarks that the sender gets together with success."""
    remarks = []
    if verdict.differing:
        what = "the first is kept" if isinstance(verdict, ReceivedAgain) else "it is replaced"
        names = ", ".join(verdict.differing)
        remarks.append(f"other content was stored under this SOP Instance UID, {what}; differing: {names}")
    if rule.action is Action.QUARANTINE:
        remarks.append(f"held in quarantine{': ' if rule.reason else ''}{rule.reason}")
    return "; ".join(remarks)
