"""Admission of a batch: judge, number and write its instances in one transaction.

Also the removal of instances and the replay of the journal, which change the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from gateway.index import changelog, declaredkeys, retrieval, rows, tombstones
from gateway.index.base import (
    Admitted,
    Change,
    NewVersion,
    ReceivedAgain,
    Refused,
    Scope,
    Verdict,
)
from gateway.index.connection import Connection
from gateway.index.unitofwork import Current, UnitOfWork
from gateway.model import PartitionId, RepeatPolicy, ResourcePath, Source, VersionId


@dataclass(slots=True)
class _Decision:
    """The verdict on one new version, before it has a revision.

    With `refused` set nothing is written. With `current` set the version `current` stays and only a change of
    kind 'again' is logged. Otherwise the new version is stored and replaces `before`.
    """

    new: NewVersion
    refused: Refused | None = None
    current: VersionId | None = None
    before: VersionId | None = None
    differing: tuple[str, ...] = ()
    heals: bool = False

    @property
    def reason(self) -> str:
        if self.heals:
            return "in the place of a damaged object"
        if not self.differing:
            return ""
        kept = "; the first is kept" if self.current is not None else ""
        return f"other content{kept}; differing: {', '.join(self.differing)}"

    @property
    def is_stored(self) -> bool:
        return self.refused is None and self.current is None


async def admit(
    db: Connection, batch: Sequence[NewVersion], journaled: Sequence[int], now: int
) -> list[Verdict]:
    """Return one verdict for each instance of the batch, in order.

    `now` is the time of the changes, in microseconds since the epoch; `journaled` are revisions
    to mark as journaled.
    """
    await changelog.mark_journaled(db, journaled)
    ledger = UnitOfWork(db)
    await _hold(ledger, ((n.source.partition, n.identity.study, n.identity.instance) for n in batch))
    decisions = [await _decide(ledger, new) for new in batch]
    stored = [d.new for d in decisions if d.is_stored]
    await ledger.reserve((n.source.partition, n.identity.study, n.identity.series) for n in stored)
    for decision in decisions:
        if decision.is_stored:
            # The time of the change is the time that the journal keeps, so that a replay
            # writes the same value.
            ledger.store(replace(decision.new, received=now), decision.before)
    await ledger.write()
    count = sum(decision.refused is None for decision in decisions)
    numbers = iter(await db.revisions(count) if count else ())
    again = [d.new.identity.instance for d in decisions if d.current is not None]
    waiting = await changelog.waiting(db, again) if again else set()
    verdicts = [d.refused or _accept(d, next(numbers), now, waiting) for d in decisions]
    changes = [verdict.change for verdict in verdicts if not isinstance(verdict, Refused)]
    await ledger.finish(_revisions(changes))
    await changelog.append(db, changes)
    return verdicts


def _accept(decision: _Decision, revision: int, now: int, waiting: set[str]) -> Admitted | ReceivedAgain:
    change = _change(decision, revision, now)
    if decision.current is None:
        return Admitted(change, decision.differing)
    is_journaled = decision.new.identity.instance not in waiting
    return ReceivedAgain(change, decision.current, decision.differing, is_journaled)


def _revisions(changes: Iterable[Change]) -> dict[VersionId, int]:
    return {c.version_after: c.revision for c in changes if c.kind == "store" and c.version_after is not None}


async def _hold(ledger: UnitOfWork, places: Iterable[tuple[PartitionId, str, str]]) -> None:
    """Lock the studies and instances at these places: (partition, Study UID, SOP Instance UID)."""
    studies: dict[PartitionId, list[str]] = {}
    instances: dict[PartitionId, list[str]] = {}
    for partition, study, instance in places:
        studies.setdefault(partition, []).append(study)
        instances.setdefault(partition, []).append(instance)
    for partition in sorted(studies):
        await ledger.hold(partition, studies[partition], instances[partition])


async def _decide(ledger: UnitOfWork, new: NewVersion) -> _Decision:
    """Judge one instance by the rules for repeats of PS3.4 B.4.1 and the partition's policy."""
    known = ledger.current(new.source.partition, new.identity.instance)
    differing: tuple[str, ...] = ()
    if known is not None:
        if (known.study, known.series) != (new.identity.study, new.identity.series):
            return _Decision(new, Refused("misplaced", known.version))
        if known.sop_class != new.identity.sop_class:
            return _Decision(new, Refused("class", known.version))
        if known.damage:
            # The stored bytes of the first version are lost: new content under its UID is the
            # best that there is.
            ledger.expect(new)
            return _Decision(new, before=known.version, heals=True)
        if _is_same(new, known):
            return _Decision(new, current=known.version)
        differing = rows.differing_attributes(await ledger.metadata(known), new.metadata)
        if new.policy is RepeatPolicy.KEEP_FIRST:
            return _Decision(new, current=known.version, differing=differing)
        if new.policy is RepeatPolicy.REFUSE:
            return _Decision(new, Refused("duplicate", known.version, differing))
    ledger.expect(new)
    return _Decision(new, before=known.version if known is not None else None, differing=differing)


def _is_same(new: NewVersion, known: Current) -> bool:
    """Return whether the new instance is the known one, by file or by content and transfer syntax.

    The file digest is that of the bytes as they were received. An instance that we coerced may be sent back
    to us as the file that we hold; the digest of its content tells that it is the same.
    """
    if new.file_digest == known.file_digest:
        return True
    return (new.content_digest, new.transfer_syntax) == (known.content_digest, known.transfer_syntax)


def _change(decision: _Decision, revision: int, now: int) -> Change:
    new, current = decision.new, decision.current
    if current is not None:
        return Change(
            *(revision, now, "again", new.source.partition, new.identity),
            *(current, current, new.source, decision.reason),
        )
    return Change(
        revision=revision,
        time=now,
        kind="store",
        partition=new.source.partition,
        identity=new.identity,
        version_before=decision.before,
        version_after=new.version,
        source=new.source,
        reason=decision.reason,
        locator=new.locator,
        file_digest=new.file_digest,
        content_digest=new.content_digest,
        transfer_syntax=new.transfer_syntax,
    )


async def remove(
    db: Connection, scope: Scope, path: ResourcePath, source: Source, reason: str, now: int
) -> list[Change]:
    """Tombstone every current version under `path`. Raises NotFound, Gone."""
    ledger = UnitOfWork(db)
    await ledger.hold(scope.partition, [path.study], [])  # the locked study cannot change meanwhile
    found = await retrieval.instances(db, scope, path)
    await ledger.hold(scope.partition, [path.study], [stored.identity.instance for stored in found])
    for stored in found:
        identity = stored.identity
        ledger.retire(
            *(scope.partition, identity.study, identity.instance, stored.version, "deleted", reason, now)
        )
    await ledger.write()
    changes = [
        Change(
            *(revision, now, "delete", scope.partition, stored.identity),
            *(stored.version, None, source, reason, stored.locator),
            *(stored.file_digest, stored.content_digest, stored.transfer_syntax),
        )
        for stored, revision in zip(found, await db.revisions(len(found)), strict=True)
    ]
    await ledger.finish({})
    await changelog.append(db, changes)
    return changes


async def replay(db: Connection, changes: Sequence[Change], versions: dict[VersionId, NewVersion]) -> None:
    """Apply changes read from the journal, with the revisions and times that they have.

    Changes up to the last revision of the index are already there and are left out.
    """
    await db.order()
    last = await changelog.last_revision(db)
    changes = [change for change in changes if change.revision > last]
    if not changes:
        return
    ledger = UnitOfWork(db)
    await _hold(ledger, ((c.partition, c.identity.study, c.identity.instance) for c in changes))
    stores = [c for c in changes if c.kind == "store"]
    await ledger.reserve((c.partition, c.identity.study, c.identity.series) for c in stores)
    hollow = await tombstones.find_hollow(db, changes, versions)
    for change in changes:
        _apply(ledger, change, versions, hollow)
    await ledger.write()
    await ledger.finish(_revisions(changes))
    await declaredkeys.replay(db, changes)
    await changelog.append(db, changes)
    await changelog.mark_journaled(db, [change.revision for change in changes])


def _apply(
    ledger: UnitOfWork, change: Change, versions: dict[VersionId, NewVersion], hollow: set[VersionId]
) -> None:
    identity = change.identity
    if change.kind == "store" and change.version_after in versions:
        new = replace(versions[change.version_after], received=change.time)
        ledger.store(new, change.version_before)
    elif change.kind == "store":
        ledger.store_nothing(change)
    elif change.kind == "delete" and change.version_before is not None:
        ledger.retire(
            *(change.partition, identity.study, identity.instance, change.version_before),
            *("deleted", change.reason, change.time),
        )
    elif change.kind == "restore" and change.version_after is not None:
        if change.version_after not in hollow:
            ledger.restore(change.partition, identity.study, identity.instance, change.version_after)
    elif change.kind == "reclaim" and change.version_before is not None:
        ledger.reclaim(change.partition, identity.instance, change.version_before, change.reason)
