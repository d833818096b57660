"""The rows that one transaction changes, held in memory and written at once.

Study and series rows are read (and in PostgreSQL locked) once and written once, however
many instances there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

import zstandard

from gateway.dicom.encoding import layoutbytes
from gateway.errors import IndexFailure
from gateway.index import declaredkeys, rows
from gateway.index.base import Change, NewVersion
from gateway.index.connection import Connection
from gateway.index.projection import Projection, Said, Series, Study
from gateway.model import Level, PartitionId, VersionId

_VERSION_COLUMNS = (
    "id, partition, revision, state, study_uid, series_uid, instance_uid, sop_class, transfer_syntax, store, "
    'key, "offset", length, file_digest, content_digest, received, parts, reason, odd_meta, retired, damage'
)


@dataclass(slots=True)
class Current:
    """The current version of a SOP Instance UID, in whatever study it is."""

    version: VersionId
    study: str
    series: str
    sop_class: str
    file_digest: bytes
    content_digest: bytes
    transfer_syntax: str
    metadata: bytes | None = None
    damage: str = ""


@dataclass(slots=True)
class _Instance:
    """A row of `instance`: whether it is in the table, and the values that it will get."""

    exists: bool
    version: VersionId | None
    is_back: bool = False
    columns: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class UnitOfWork:
    """The changes of one transaction.

    First `hold` locks the rows that may change and `reserve` inserts studies and series; then `store`,
    `retire`, `restore` and `reclaim` collect changes; `write` and `finish` write them.
    """

    db: Connection
    _projection: Projection = field(init=False)
    _instances: dict[tuple[int, str], _Instance] = field(default_factory=dict)
    _current: dict[tuple[int, str], Current] = field(default_factory=dict)
    _versions: dict[VersionId, list[object]] = field(default_factory=dict)
    _states: dict[VersionId, tuple[str, str, int]] = field(default_factory=dict)
    _emptied: list[tuple[int, str, VersionId]] = field(default_factory=list)
    _layouts: list[tuple[str, bytes, str]] = field(default_factory=list)
    _bodies: list[tuple[str, bytes]] = field(default_factory=list)
    _values: declaredkeys.Values | None = None
    _compressor: zstandard.ZstdCompressor = field(default_factory=lambda: zstandard.ZstdCompressor(level=3))

    def __post_init__(self) -> None:
        self._projection = Projection(self.db)

    # -- locking and reading ----------------------------------------------------------------------------

    async def hold(self, partition: PartitionId, studies: Iterable[str], instances: Iterable[str]) -> None:
        """Read and lock these studies and instances: nobody else changes them before we commit."""
        dialect = self.db.dialect
        if self._values is None:
            keys = await declaredkeys.load_known(self.db)
            self._values, self._projection.keys = declaredkeys.Values(keys), keys
        await self._projection.hold(partition, studies)
        found = await self.db.fetch(
            f"SELECT uid, version FROM instance WHERE partition = ? AND {dialect.among('uid')} "
            f"ORDER BY uid{dialect.lock}",
            partition,
            dialect.listed(sorted(set(instances))),
        )
        for row in found:
            version = None if row["version"] is None else VersionId(row["version"])
            self._instances[partition, row["uid"]] = _Instance(True, version)
        # A second statement: it sees rows that were committed while we waited for the locks.
        await self._load_current([row["version"] for row in found if row["version"] is not None])

    async def _load_current(self, versions: Sequence[str]) -> None:
        dialect = self.db.dialect
        found = await self.db.fetch(
            "SELECT id, partition, instance_uid, study_uid, series_uid, sop_class, file_digest, content_digest, "
            f"transfer_syntax, damage FROM version WHERE {dialect.among('id')}",
            dialect.listed(versions),
        )
        for row in found:
            self._current[row["partition"], row["instance_uid"]] = Current(
                VersionId(row["id"]),
                row["study_uid"],
                row["series_uid"],
                row["sop_class"],
                bytes(row["file_digest"]),
                bytes(row["content_digest"]),
                row["transfer_syntax"],
                damage=row["damage"],
            )

    def current(self, partition: PartitionId, instance: str) -> Current | None:
        """Return the current version of a held instance; also one that is only expected."""
        return self._current.get((partition, instance))

    def expect(self, new: NewVersion) -> None:
        """Make later instances of this batch be judged as if `new` were current already."""
        identity = new.identity
        self._current[new.source.partition, identity.instance] = Current(
            new.version,
            identity.study,
            identity.series,
            identity.sop_class,
            new.file_digest,
            new.content_digest,
            new.transfer_syntax,
            new.metadata,
        )

    async def metadata(self, current: Current) -> bytes:
        if current.metadata is None:
            current.metadata = await self._projection.body(current.version)
        return current.metadata

    async def reserve(self, places: Iterable[tuple[PartitionId, str, str]]) -> None:
        """Insert rows for these (partition, study, series), so that instances can belong to them."""
        await self._projection.reserve(places)

    # -- new versions -----------------------------------------------------------------------------------

    def store(self, new: NewVersion, before: VersionId | None) -> None:
        """Make `new` current; `finish` gives it its revision."""
        partition, identity = new.source.partition, new.identity
        if before is not None:
            self.retire(partition, identity.study, identity.instance, before, "superseded")
        parts = rows.split(new.outline or new.metadata)
        study, series = self._projection.place(partition, identity.study, identity.series)
        self._instance(partition, identity.instance, new.version).columns = {
            "study": study.id,
            "series": series.id,
            "answer": rows.dump(
                rows.instance_answer(identity, new.transfer_syntax, parts.instance, damaged=bool(new.damage))
            ),
            **rows.instance_keys(identity.sop_class, parts.instance),
        }
        self._add_version(new, parts.mark)
        self._layouts.append((new.version, layoutbytes.encode(new.layout), layoutbytes.kind_of(new.layout)))
        self._bodies.append((new.version, self._compressor.compress(new.metadata)))
        if self._values is not None and self._values.wants(Level.INSTANCE):
            uids = (identity.study, identity.series, identity.instance)
            whole = rows.load(new.metadata) if new.outline else parts.instance
            self._values.add(Level.INSTANCE, declaredkeys.Owner(uids, version=new.version), whole)
        said = Said(new.version, identity.instance, identity.sop_class, parts)
        self._projection.merge(study, series, said)

    def store_nothing(self, change: Change) -> None:
        """Add a version with bytes that were reclaimed since: only its tombstone is kept."""
        assert change.locator is not None
        assert change.version_after is not None
        study, series = self._projection.place(
            change.partition, change.identity.study, change.identity.series
        )
        if change.version_before is not None:
            self.retire(
                *(change.partition, change.identity.study, change.identity.instance),
                *(change.version_before, "superseded"),
            )
        row = self._instance(change.partition, change.identity.instance, None)
        if not row.exists or row.columns:
            row.columns = _nothing(study, series, change)
        self._add_version(_describe_version(change, change.version_after), b"")

    def _instance(self, partition: int, uid: str, version: VersionId | None) -> _Instance:
        row = self._instances.setdefault((partition, uid), _Instance(False, None))
        row.version = version
        return row

    def _add_version(self, new: NewVersion, parts: bytes) -> None:
        identity, locator = new.identity, new.locator
        self._versions[new.version] = [
            *(new.version, new.source.partition, 0, "current"),
            *(identity.study, identity.series, identity.instance, identity.sop_class, new.transfer_syntax),
            *(locator.store, locator.key, locator.offset, locator.length),
            *(
                new.file_digest,
                new.content_digest,
                new.received,
                parts,
                "",
                int(new.layout.odd_meta),
                0,
                new.damage,
            ),
        ]

    # -- old versions -----------------------------------------------------------------------------------

    def retire(
        self,
        partition: PartitionId,
        study: str,
        instance: str,
        version: VersionId,
        state: str,
        reason: str = "",
        when: int = 0,
    ) -> None:
        """Make a version no longer current; its study is computed again from the versions that are left."""
        row = self._instances.get((partition, instance))
        if row is not None and row.version == version:
            row.version = None
        self._set_state(version, state, reason, when)
        self._projection.spoil(partition, study)

    def _set_state(self, version: VersionId, state: str, reason: str = "", when: int = 0) -> None:
        if version in self._versions:
            row = self._versions[version]
            row[3], row[17], row[19] = state, reason, when
        else:
            self._states[version] = (state, reason, when)

    def restore(self, partition: PartitionId, study: str, instance: str, version: VersionId) -> None:
        """Make a deleted version current again; the instance is held, and has no current version."""
        row = self._instances[partition, instance]
        row.version, row.is_back = version, True
        self._set_state(version, "current")
        self._projection.spoil(partition, study)

    def reclaim(self, partition: PartitionId, instance: str, version: VersionId, reason: str) -> None:
        """Delete all but the tombstone of a version: its layout, metadata and values."""
        self._set_state(version, "reclaimed", reason)
        self._emptied.append((partition, instance, version))

    # -- writing ----------------------------------------------------------------------------------------

    async def write(self) -> None:
        """Write all rows that need no revision; this is most of the work."""
        await self._write_instances()
        await self.db.many(
            "INSERT INTO instance_layout (version, layout, kind) VALUES (?, ?, ?)", self._layouts
        )
        await self.db.many("INSERT INTO instance_metadata (version, body) VALUES (?, ?)", self._bodies)
        if self._values is not None:
            await self._values.write(self.db)
        await self._projection.write()

    async def finish(self, revisions: Mapping[VersionId, int]) -> None:
        """Write the versions with their revisions, then compute studies and series again from them."""
        for version, columns in self._versions.items():
            columns[2] = revisions[version]
        marks = ",".join("?" * 21)
        await self.db.many(
            f"INSERT INTO version ({_VERSION_COLUMNS}) VALUES ({marks})", list(self._versions.values())
        )
        await self.db.many(
            "UPDATE version SET state = ?, reason = ?, retired = ? WHERE id = ?",
            [(*state, version) for version, state in self._states.items()],
        )
        await self._forget()
        await self._projection.finish()

    async def _forget(self) -> None:
        """Delete layout, metadata and values of reclaimed versions; only their tombstones are left."""
        versions = [(version,) for _, _, version in self._emptied]
        for table in ("instance_layout", "instance_metadata"):
            await self.db.many(f"DELETE FROM {table} WHERE version = ?", versions)
        await declaredkeys.forget(self.db, [version for (version,) in versions])
        nothing = rows.instance_keys("", {})
        await self.db.many(
            "UPDATE version SET parts = ?, damage = '' WHERE id = ?", [(b"", *v) for v in versions]
        )
        await self.db.many(
            "UPDATE instance SET answer = ?, number = ?, acquisition_datetime = ? "
            "WHERE partition = ? AND uid = ? AND version IS NULL AND NOT EXISTS (SELECT 1 FROM version v "
            "WHERE v.partition = instance.partition AND v.instance_uid = instance.uid AND v.state = 'deleted')",
            [
                (b"{}", nothing["number"], nothing["acquisition_datetime"], partition, instance)
                for partition, instance, _ in self._emptied
            ],
        )

    async def _write_instances(self) -> None:
        new: list[tuple[str, tuple[object, ...]]] = []
        changed: list[tuple[object, ...]] = []
        moved: list[tuple[VersionId | None, int, str]] = []
        for (partition, uid), row in self._instances.items():
            values = (row.version, *row.columns.values())
            if row.columns and not row.exists:
                new.append((uid, (partition, uid, rows.uid_hash(uid), *values)))
            elif row.columns:
                changed.append((*values, partition, uid))
            elif row.exists and (row.version is None or row.is_back):
                moved.append((row.version, partition, uid))
        names = ("version", "study", "series", "answer", "sop_class", "number", "acquisition_datetime")
        # By UID, so that two batches that race for the same instances meet in the same order. No 'on
        # conflict': the second one has judged without knowing the first, and has to judge again.
        await self.db.many(
            f"INSERT INTO instance (partition, uid, uid_hash, {', '.join(names)}) VALUES (?,?,?,?,?,?,?,?,?,?)",
            [values for _, values in sorted(new, key=itemgetter(0))],
        )
        sets = ", ".join(f"{name} = ?" for name in names)
        await self.db.many(f"UPDATE instance SET {sets} WHERE partition = ? AND uid = ?", changed)
        await self.db.many("UPDATE instance SET version = ? WHERE partition = ? AND uid = ?", moved)


def _nothing(study: Study, series: Series, change: Change) -> dict[str, object]:
    return {
        "study": study.id,
        "series": series.id,
        "answer": b"{}",
        **rows.instance_keys(change.identity.sop_class, {}),
    }


def _describe_version(change: Change, version: VersionId) -> NewVersion:
    """Return a version with the fields of its journal line; those from its bytes are empty."""
    if change.locator is None:
        raise IndexFailure(f"revision {change.revision} of the journal names no object")
    return NewVersion(
        version=version,
        identity=change.identity,
        transfer_syntax=change.transfer_syntax,
        locator=change.locator,
        file_digest=change.file_digest,
        content_digest=change.content_digest,
        received=change.time,
        metadata=b"{}",
        layout=layoutbytes.NOTHING,
        source=change.source,
    )
