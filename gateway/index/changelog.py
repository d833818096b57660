"""The append-only log of changes: table `change`."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.index.base import Change
from gateway.index.connection import Connection, Row
from gateway.model import Identity, InstanceUID, Locator, PartitionId, SeriesUID, Source, StudyUID, VersionId

COLUMNS = (
    "revision, time, kind, partition, study, series, instance, sop_class, version_before, version_after, "
    'source_kind, source_peer, source_ae_title, principal, reason, store, key, "offset", length, '
    "file_digest, content_digest, transfer_syntax"
)
_MARKS = ",".join("?" * 22)


async def append(db: Connection, changes: Sequence[Change]) -> None:
    """Write changes that have their revisions, and wake the followers of the log."""
    if changes:
        await db.many(f"INSERT INTO change ({COLUMNS}) VALUES ({_MARKS})", [_values(c) for c in changes])
        await db.announce()


def _values(change: Change) -> tuple[object, ...]:
    locator, source, identity = change.locator, change.source, change.identity
    place = (locator.store, locator.key, locator.offset, locator.length) if locator else (None,) * 4
    return (
        *(change.revision, change.time, change.kind, change.partition),
        *(identity.study, identity.series, identity.instance, identity.sop_class),
        *(change.version_before, change.version_after),
        *(source.kind, source.peer, source.ae_title, source.principal, change.reason),
        *place,
        *(change.file_digest, change.content_digest, change.transfer_syntax),
    )


def change_of(row: Row) -> Change:
    """Return a row of `change` as a Change."""
    partition = PartitionId(row["partition"])
    locator = None
    if row["key"] is not None:
        locator = Locator(row["store"], row["key"], row["offset"], row["length"])
    return Change(
        revision=row["revision"],
        time=row["time"],
        kind=row["kind"],
        partition=partition,
        identity=identity_of(row["study"], row["series"], row["instance"], row["sop_class"]),
        version_before=row["version_before"],
        version_after=row["version_after"],
        source=Source(
            row["source_kind"], row["source_peer"], row["source_ae_title"], row["principal"], partition
        ),
        reason=row["reason"],
        locator=locator,
        file_digest=row["file_digest"],
        content_digest=row["content_digest"],
        transfer_syntax=row["transfer_syntax"],
    )


def identity_of(study: str, series: str, instance: str, sop_class: str) -> Identity:
    return Identity(StudyUID(study), SeriesUID(series), InstanceUID(instance), sop_class)


def locator_of(row: Row) -> Locator:
    return Locator(row["store"], row["key"], row["offset"], row["length"])


def version_of(row: Row, column: str) -> VersionId | None:
    return None if row[column] is None else VersionId(row[column])


async def after(db: Connection, revision: int, limit: int) -> list[Change]:
    """Return the changes above `revision`, ascending, even where there are gaps between them."""
    found = await db.fetch(
        f"SELECT {COLUMNS} FROM change WHERE revision > ? ORDER BY revision LIMIT ?", revision, limit
    )
    return [change_of(row) for row in found]


async def between(db: Connection, first: int, last: int) -> list[Change]:
    """Return the changes from revision `first` to `last`, ascending."""
    found = await db.fetch(
        f"SELECT {COLUMNS} FROM change WHERE revision BETWEEN ? AND ? ORDER BY revision", first, last
    )
    return [change_of(row) for row in found]


async def load_changes(db: Connection, revisions: Sequence[int]) -> list[Change]:
    """Return the changes with these revisions, ascending."""
    among, listed = db.dialect.among, db.dialect.listed
    found = await db.fetch(
        f"SELECT {COLUMNS} FROM change WHERE {among('revision')} ORDER BY revision", listed(revisions)
    )
    return [change_of(row) for row in found]


async def waiting(db: Connection, instances: Sequence[str]) -> set[str]:
    """Return the SOP Instance UIDs, out of these, with changes that are not marked as journaled."""
    found = await db.fetch(
        f"SELECT instance FROM change WHERE journaled = 0 AND {db.dialect.among('instance')}",
        db.dialect.listed(instances),
    )
    return {row["instance"] for row in found}


async def find_touched(db: Connection, after: int, instances: Sequence[str]) -> set[str]:
    """Return the SOP Instance UIDs, out of these, with a change above revision `after`."""
    found = await db.fetch(
        f"SELECT instance FROM change WHERE revision > ? AND {db.dialect.among('instance')}",
        *(after, db.dialect.listed(instances)),
    )
    return {row["instance"] for row in found}


async def find_unjournaled(db: Connection, limit: int) -> list[Change]:
    found = await db.fetch(
        f"SELECT {COLUMNS} FROM change WHERE journaled = 0 ORDER BY revision LIMIT ?", limit
    )
    return [change_of(row) for row in found]


async def mark_journaled(db: Connection, revisions: Sequence[int]) -> None:
    if revisions:
        among, listed = db.dialect.among, db.dialect.listed
        await db.execute(f"UPDATE change SET journaled = 1 WHERE {among('revision')}", listed(revisions))


async def mark_unjournaled(db: Connection, revisions: Sequence[int]) -> None:
    """Mark changes as not journaled.

    They are then journaled again: writing the same line twice does no harm.
    """
    if revisions:
        among, listed = db.dialect.among, db.dialect.listed
        await db.execute(f"UPDATE change SET journaled = 0 WHERE {among('revision')}", listed(revisions))


async def last_revision(db: Connection) -> int:
    row = await db.first("SELECT COALESCE(MAX(revision), 0) AS revision FROM change")
    assert row is not None
    return int(row["revision"])
