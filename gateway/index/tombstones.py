"""Deleted versions: listed, restored while their bytes are kept, and reclaimed after that."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.errors import Conflict, Gone, NotFound
from gateway.index import changelog, retrieval
from gateway.index.base import Change, Deleted, NewVersion, Scope, StoredInstance
from gateway.index.connection import Connection, Row
from gateway.index.unitofwork import UnitOfWork
from gateway.model import PartitionId, ResourcePath, SeriesUID, Source, StudyUID, VersionId

# A deleted version can be restored only where no other version is current since.
_DELETED = (
    "FROM version v JOIN instance i ON i.partition = v.partition AND i.uid = v.instance_uid "
    "AND i.version IS NULL WHERE v.state = 'deleted' AND v.partition = ?"
)


async def list_deleted(
    db: Connection, scope: Scope, study: str | None, after: tuple[str, str], limit: int
) -> list[Deleted]:
    """Return deleted instances that can be restored, by series.

    A narrowed scope gets none, since deleted versions are judged by partition only.
    """
    if not scope.is_whole:
        return []
    more, values = (" AND v.study_uid = ?", [study]) if study is not None else ("", [])
    found = await db.fetch(
        "SELECT v.study_uid, v.series_uid, COUNT(DISTINCT v.instance_uid) AS instances, "
        "SUM(v.length) AS bytes, MIN(v.retired) AS first, MAX(v.retired) AS last "
        f"{_DELETED} AND (v.study_uid, v.series_uid) > (?, ?){more} "
        "GROUP BY v.study_uid, v.series_uid ORDER BY v.study_uid, v.series_uid LIMIT ?",
        *(scope.partition, *after, *values, limit),
    )
    return [
        Deleted(
            *(StudyUID(r["study_uid"]), SeriesUID(r["series_uid"])),
            *(r["instances"], int(r["bytes"]), r["first"], r["last"]),
        )
        for r in found
    ]


async def restore(
    db: Connection, scope: Scope, path: ResourcePath, source: Source, reason: str, now: int
) -> list[Change]:
    """Make current again the versions deleted last under `path`. Raises NotFound, Gone, Conflict."""
    if not scope.is_whole:
        raise await retrieval.absent(db, scope, path)
    ledger = UnitOfWork(db)
    await ledger.hold(scope.partition, [path.study], [])  # the locked study cannot change meanwhile
    found = await _restorable(db, scope.partition, path)
    await ledger.hold(scope.partition, [path.study], [stored.identity.instance for stored in found])
    # An instance may have been stored in another study meanwhile.
    found = [s for s in found if ledger.current(scope.partition, s.identity.instance) is None]
    if not found:
        raise await _nothing_to_restore(db, scope, path)
    for stored in found:
        ledger.restore(scope.partition, path.study, stored.identity.instance, stored.version)
    await ledger.write()
    numbers = await db.revisions(len(found))
    changes = [
        _change(number, now, "restore", scope.partition, stored, source, reason)
        for stored, number in zip(found, numbers, strict=True)
    ]
    await ledger.finish({})
    await changelog.append(db, changes)
    return changes


async def _restorable(db: Connection, partition: PartitionId, path: ResourcePath) -> list[StoredInstance]:
    """Return for each instance the version that was deleted last."""
    conditions, values = ["v.study_uid = ?"], [path.study]
    for column, uid in (("series_uid", path.series), ("instance_uid", path.instance)):
        if uid is not None:
            conditions.append(f"v.{column} = ?")
            values.append(uid)  # type: ignore[arg-type]
    found = await db.fetch(
        f"SELECT {retrieval.VERSION} {_DELETED} AND {' AND '.join(conditions)} ORDER BY v.revision",
        *(partition, *values),
    )
    last = {row["instance_uid"]: row for row in found}
    return [retrieval.make_stored(row) for row in last.values()]


async def _nothing_to_restore(db: Connection, scope: Scope, path: ResourcePath) -> Exception:
    uid = path.instance or path.series or path.study
    try:
        await retrieval.instances(db, scope, path)
    except Gone:
        return Gone(f"{path.level.value} {uid} was deleted, and its bytes have been given up", uid=uid)
    except NotFound as error:
        return error
    return Conflict(f"{path.level.value} {uid} is there: nothing of it is to be restored", uid=uid)


async def take_back(db: Connection, taken: Sequence[Change], reason: str, now: int) -> list[Change]:
    """Undo deletions or restorations, for each instance that was not changed since."""
    if not taken:
        return []
    partition, dialect, ledger = taken[0].partition, db.dialect, UnitOfWork(db)
    places = [change.identity for change in taken]
    await ledger.hold(partition, {i.study for i in places}, {i.instance for i in places})
    touched = await changelog.find_touched(db, taken[-1].revision, [i.instance for i in places])
    versions = {
        change.version_before or change.version_after: change
        for change in taken
        if change.identity.instance not in touched
    }
    found = await db.fetch(
        f"SELECT {retrieval.VERSION}, v.state FROM version v WHERE {dialect.among('v.id')} ORDER BY v.id",
        dialect.listed([version for version in versions if version is not None]),
    )
    undone: list[tuple[str, StoredInstance, Source]] = []
    for row in found:
        stored, change = retrieval.make_stored(row), versions[VersionId(row["id"])]
        identity, current = stored.identity, ledger.current(partition, stored.identity.instance)
        if (change.kind, row["state"]) == ("delete", "deleted") and current is None:
            ledger.restore(partition, identity.study, identity.instance, stored.version)
            undone.append(("restore", stored, change.source))
        elif (change.kind, row["state"]) == ("restore", "current"):
            ledger.retire(
                *(partition, identity.study, identity.instance, stored.version, "deleted", reason, now)
            )
            undone.append(("delete", stored, change.source))
    await ledger.write()
    numbers = await db.revisions(len(undone))
    changes = [
        _change(number, now, kind, partition, stored, source, reason)
        for (kind, stored, source), number in zip(undone, numbers, strict=True)
    ]
    await ledger.finish({})
    await changelog.append(db, changes)
    return changes


async def reclaim(db: Connection, before: int, source: Source, limit: int, now: int) -> list[Change]:
    """Reclaim versions deleted at or before `before` (microseconds), and versions that they had replaced.

    Returns the changes; the objects that these name may be deleted once they are journaled.
    """
    due = (
        "SELECT id, partition, study_uid, instance_uid FROM version WHERE state = 'deleted' AND retired <= ?"
    )
    found = await db.fetch(f"{due} ORDER BY retired, id LIMIT ?", before, limit)
    ledger, dialect = UnitOfWork(db), db.dialect
    for partition in sorted({row["partition"] for row in found}):
        mine = [row for row in found if row["partition"] == partition]
        await ledger.hold(
            partition, {row["study_uid"] for row in mine}, {row["instance_uid"] for row in mine}
        )
    # Read again once they are locked: another process may have restored or reclaimed them since.
    ids = dialect.listed([row["id"] for row in found])
    rows = await db.fetch(
        f"SELECT v.partition, v.revision, {retrieval.VERSION} FROM version v "
        f"WHERE v.state = 'deleted' AND v.retired <= ? AND {dialect.among('v.id')} ORDER BY v.id",
        *(before, ids),
    )
    rows = [*rows, *await _find_replaced(db, rows)]
    stored = [(PartitionId(row["partition"]), retrieval.make_stored(row)) for row in rows]
    for partition, version in stored:
        ledger.reclaim(partition, version.identity.instance, version.version, "")
    if not stored:
        return []
    numbers = await db.revisions(len(stored))
    changes = [
        _change(number, now, "reclaim", partition, version, source, "")
        for (partition, version), number in zip(stored, numbers, strict=True)
    ]
    await ledger.finish({})
    await changelog.append(db, changes)
    return changes


async def _find_replaced(db: Connection, rows: Sequence[Row]) -> list[Row]:
    """Return versions that a deleted one had replaced: deleting an instance deletes its old versions too."""
    last: dict[tuple[int, str], int] = {}
    for row in rows:
        place = row["partition"], row["instance_uid"]
        last[place] = max(last.get(place, 0), row["revision"])
    found: list[Row] = []
    for partition in sorted({partition for partition, _ in last}):
        uids = sorted(uid for owner, uid in last if owner == partition)
        found += await db.fetch(
            f"SELECT v.partition, v.revision, {retrieval.VERSION} FROM version v "
            f"WHERE v.partition = ? AND v.state = 'superseded' AND {db.dialect.among('v.instance_uid')} "
            "ORDER BY v.id",
            *(partition, db.dialect.listed(uids)),
        )
    return [row for row in found if row["revision"] < last[row["partition"], row["instance_uid"]]]


def _change(
    revision: int,
    now: int,
    kind: str,
    partition: PartitionId,
    stored: StoredInstance,
    source: Source,
    reason: str,
) -> Change:
    version = stored.version
    before, after = (None, version) if kind == "restore" else (version, None)
    return Change(
        *(revision, now, kind, partition, stored.identity, before, after, source, reason, stored.locator),
        *(stored.file_digest, stored.content_digest, stored.transfer_syntax),
    )


async def find_hollow(
    db: Connection, changes: Sequence[Change], versions: dict[VersionId, NewVersion]
) -> set[VersionId]:
    """Return the versions that a replay must not restore, since their bytes were reclaimed later."""
    wanted = {c.version_after for c in changes if c.kind == "restore" and c.version_after is not None}
    if not wanted:
        return set()
    fresh = {c.version_after for c in changes if c.kind == "store"}
    found = await db.fetch(
        f"SELECT id FROM version WHERE {db.dialect.among('id')} AND parts = ?",
        *(db.dialect.listed(sorted(wanted)), b""),
    )
    return {VersionId(row["id"]) for row in found} | {v for v in wanted if v in fresh and v not in versions}
