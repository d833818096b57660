"""Writing, on one SQLite connection within one transaction: versions in, versions out, rows kept true."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import zstandard

from gateway.dicom import layoutbytes
from gateway.index import rows
from gateway.index.base import Admitted, Change, NewVersion, ReceivedAgain, Refused, Verdict
from gateway.index.rows import Attributes
from gateway.model import (
    Identity,
    InstanceUID,
    Locator,
    PartitionId,
    RepeatPolicy,
    SeriesUID,
    Source,
    StudyUID,
    VersionId,
)

CHANGE_COLUMNS = (
    "revision, time, kind, partition, study, series, instance, sop_class, version_before, version_after, "
    'source_kind, source_peer, source_ae_title, principal, reason, store, key, "offset", length, '
    "file_digest, content_digest, transfer_syntax"
)


@dataclass(slots=True)
class _Study:
    id: int
    uid: str
    shown: rows.Shown
    modalities: set[str]
    sop_classes: set[str]
    series_count: int
    instance_count: int
    version_set: int
    new: bool


@dataclass(slots=True)
class _Series:
    id: int
    uid: str
    study: _Study
    shown: rows.Shown
    instance_count: int
    version_set: int
    new: bool


@dataclass(slots=True)
class Ledger:
    """One transaction's work. Study and series rows are read once and written once, by `flush`."""

    db: sqlite3.Connection
    _studies: dict[tuple[int, str], _Study] = field(default_factory=dict)
    _series: dict[tuple[int, str], _Series] = field(default_factory=dict)
    _stale: set[tuple[int, str]] = field(default_factory=set)

    # -- in ---------------------------------------------------------------------------------------------

    def admit(self, new: NewVersion, time: int) -> Verdict:
        """Judge and, where it may, make `new` the current version."""
        known = self._known(new)
        before: VersionId | None = None
        if known is not None:
            verdict = self._judge(new, known, time)
            if verdict is not None:
                return verdict
            before = VersionId(known["version"])
        change = self._change(
            Change(
                revision=0,
                time=time,
                kind="store",
                partition=new.source.partition,
                identity=new.identity,
                version_before=before,
                version_after=new.version,
                source=new.source,
                locator=new.locator,
                file_digest=new.file_digest,
                content_digest=new.content_digest,
                transfer_syntax=new.transfer_syntax,
            )
        )
        # The time of the change is the one that the journal keeps.
        self.store(replace(new, received=time), change.revision, before)
        return Admitted(change)

    def _known(self, new: NewVersion) -> sqlite3.Row | None:
        """The current version of this SOP Instance UID, wherever it is."""
        found: sqlite3.Row | None = self.db.execute(
            "SELECT v.id AS version, v.study_uid, v.series_uid, v.sop_class, v.content_digest, v.transfer_syntax "
            "FROM instance i JOIN version v ON v.id = i.version WHERE i.partition = ? AND i.uid = ?",
            (new.source.partition, new.identity.instance),
        ).fetchone()
        return found

    def _judge(self, new: NewVersion, known: sqlite3.Row, time: int) -> Verdict | None:
        """None where `new` is to replace what is known."""
        current = VersionId(known["version"])
        if (known["study_uid"], known["series_uid"]) != (new.identity.study, new.identity.series):
            return Refused("misplaced", current)
        if known["sop_class"] != new.identity.sop_class:
            return Refused("class", current)
        same = (
            known["content_digest"] == new.content_digest and known["transfer_syntax"] == new.transfer_syntax
        )
        if same or new.policy is RepeatPolicy.KEEP_FIRST:
            reason = "" if same else "other content; the first is kept"
            change = Change(
                0, time, "again", new.source.partition, new.identity, current, current, new.source, reason
            )
            return ReceivedAgain(self._change(change), current)
        if new.policy is RepeatPolicy.REPLACE:
            return None
        differing = rows.differing_attributes(self._metadata(current), new.metadata)
        return Refused("duplicate", current, differing)

    def store(self, new: NewVersion, revision: int, before: VersionId | None) -> None:
        """Make `new` current; also what replay does."""
        if before is not None:
            self._retire(before, "superseded")
        parts = rows.split(new)
        study = self._study(new, parts.study)
        series = self._series_of(new, study, parts.series)
        instance = self._instance(new, study, series, parts.instance)
        self.db.execute(
            "INSERT INTO version (id, instance, revision, state, study_uid, series_uid, instance_uid, sop_class, "
            'transfer_syntax, store, key, "offset", length, file_digest, content_digest, received) '
            "VALUES (?,?,?,'current',?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                new.version,
                instance,
                revision,
                *(new.identity.study, new.identity.series, new.identity.instance, new.identity.sop_class),
                *(new.transfer_syntax, new.locator.store, new.locator.key, new.locator.offset),
                *(new.locator.length, new.file_digest, new.content_digest, new.received),
            ),
        )
        layout = layoutbytes.encode(new.layout)
        self.db.execute("INSERT INTO instance_layout VALUES (?, ?)", (new.version, layout))
        body = zstandard.ZstdCompressor(level=3).compress(new.metadata)
        self.db.execute("INSERT INTO instance_metadata VALUES (?, ?)", (new.version, body))
        self._merge(new, study, series, parts)

    def _merge(self, new: NewVersion, study: _Study, series: _Series, parts: rows.Split) -> None:
        series.shown.merge(parts.series)
        for tag, shown, differing in study.shown.merge(parts.study):
            self.db.execute(
                "INSERT OR IGNORE INTO conflict VALUES (?,?,?,?,?,?)",
                (study.id, tag, _json(shown), _json(differing), new.identity.instance, new.version),
            )
        if series.instance_count == 0:
            study.series_count += 1
        study.instance_count += 1
        series.instance_count += 1
        study.sop_classes.add(new.identity.sop_class)
        if modality := rows.text(series.shown.attributes, "00080060"):
            study.modalities.add(modality)
        mark = rows.version_mark(new.version)
        study.version_set ^= mark
        series.version_set ^= mark

    def _study(self, new: NewVersion, attributes: Attributes) -> _Study:
        key = (new.source.partition, str(new.identity.study))
        study = self._studies.get(key) or self._load_study(*key)
        if study is None:
            cursor = self.db.execute(
                f"INSERT INTO study (partition, uid, uid_hash, attributes, answer, modalities, sop_classes, "
                f"series_count, instance_count, version_set, {', '.join(rows.study_keys({}))}) VALUES "
                f"(?,?,?,'{{}}','','','',0,0,?,{_marks(len(rows.study_keys({})))})",
                (*key, rows.uid_hash(key[1]), bytes(16), *rows.study_keys({}).values()),
            )
            study = _Study(_id(cursor), key[1], rows.Shown(), set(), set(), 0, 0, 0, new=True)
        self._studies[key] = study
        return study

    def _load_study(self, partition: int, uid: str) -> _Study | None:
        row = self.db.execute(
            "SELECT * FROM study WHERE partition = ? AND uid = ?", (partition, uid)
        ).fetchone()
        if row is None:
            return None
        return _Study(
            id=row["id"],
            uid=uid,
            shown=rows.Shown(rows.loaded(row["attributes"])),
            modalities=set(filter(None, row["modalities"].split("\\"))),
            sop_classes=set(filter(None, row["sop_classes"].split("\\"))),
            series_count=row["series_count"],
            instance_count=row["instance_count"],
            version_set=int.from_bytes(row["version_set"], "big"),
            new=False,
        )

    def _series_of(self, new: NewVersion, study: _Study, attributes: Attributes) -> _Series:
        key = (study.id, str(new.identity.series))
        series = self._series.get(key) or self._load_series(study, key[1])
        if series is None:
            cursor = self.db.execute(
                f"INSERT INTO series (study, partition, uid, uid_hash, attributes, answer, instance_count, "
                f"version_set, {', '.join(rows.series_keys({}))}) VALUES "
                f"(?,?,?,?,'{{}}','',0,?,{_marks(len(rows.series_keys({})))})",
                (
                    study.id,
                    new.source.partition,
                    key[1],
                    rows.uid_hash(key[1]),
                    bytes(16),
                    *rows.series_keys({}).values(),
                ),
            )
            series = _Series(_id(cursor), key[1], study, rows.Shown(), 0, 0, new=True)
        self._series[key] = series
        return series

    def _load_series(self, study: _Study, uid: str) -> _Series | None:
        row = self.db.execute("SELECT * FROM series WHERE study = ? AND uid = ?", (study.id, uid)).fetchone()
        if row is None:
            return None
        shown = rows.Shown(rows.loaded(row["attributes"]))
        marks = int.from_bytes(row["version_set"], "big")
        return _Series(row["id"], uid, study, shown, row["instance_count"], marks, new=False)

    def _instance(self, new: NewVersion, study: _Study, series: _Series, attributes: Attributes) -> int:
        columns = {
            "study": study.id,
            "series": series.id,
            "partition": new.source.partition,
            "uid": new.identity.instance,
            "uid_hash": rows.uid_hash(new.identity.instance),
            "version": new.version,
            "answer": rows.dumped(rows.instance_answer(new, attributes)),
            **rows.instance_keys(new, attributes),
        }
        names = ", ".join(columns)
        updates = ", ".join(f"{name} = excluded.{name}" for name in columns)
        row = self.db.execute(
            f"INSERT INTO instance ({names}) VALUES ({_marks(len(columns))}) "
            f"ON CONFLICT (partition, uid) DO UPDATE SET {updates} RETURNING id",
            tuple(columns.values()),
        ).fetchone()
        return int(row[0])

    # -- out --------------------------------------------------------------------------------------------

    def delete(self, versions: Sequence[VersionId]) -> None:
        """Tombstone these current versions; their studies and series are made up anew from what is left."""
        for version in versions:
            self._retire(version, "deleted")

    def reclaim(self, version: VersionId) -> None:
        self.db.execute("UPDATE version SET state = 'reclaimed' WHERE id = ?", (version,))

    def _retire(self, version: VersionId, state: str) -> None:
        row = self.db.execute(
            "SELECT i.id, s.uid AS study, s.partition FROM version v JOIN instance i ON i.id = v.instance "
            "JOIN study s ON s.id = i.study WHERE v.id = ?",
            (version,),
        ).fetchone()
        self.flush()
        self.db.execute("UPDATE version SET state = ? WHERE id = ?", (state, version))
        self.db.execute("UPDATE instance SET version = NULL WHERE id = ?", (row["id"],))
        key = (int(row["partition"]), str(row["study"]))
        self._studies.pop(key, None)
        self._stale.add(key)

    def _rebuild(self, partition: int, uid: str) -> None:
        """Study and series from their instances, in the order they were accepted."""
        study = self._load_study(partition, uid)
        assert study is not None
        fresh = _Study(study.id, uid, rows.Shown(), set(), set(), 0, 0, 0, new=False)
        self.db.execute("DELETE FROM conflict WHERE study = ?", (study.id,))
        self._studies[partition, uid] = fresh
        for row in self.db.execute("SELECT id, uid FROM series WHERE study = ?", (study.id,)).fetchall():
            self._series[study.id, row["uid"]] = _Series(
                row["id"], row["uid"], fresh, rows.Shown(), 0, 0, new=False
            )
        left = self.db.execute(
            "SELECT v.* FROM version v JOIN instance i ON i.version = v.id WHERE i.study = ? ORDER BY v.revision",
            (study.id,),
        ).fetchall()
        for row in left:
            new = _as_new(row, self._metadata(VersionId(row["id"])), PartitionId(partition))
            series = self._series[study.id, row["series_uid"]]
            self._merge(new, fresh, series, rows.split(new))

    # -- both -------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write the study and series rows that were touched."""
        stale, self._stale = self._stale, set()
        for partition, uid in stale:
            for key in [k for k, s in self._series.items() if s.study.uid == uid]:
                del self._series[key]
            self._rebuild(partition, uid)
        for series in self._series.values():
            self._write_series(series)
        for study in self._studies.values():
            self._write_study(study)
        self._series.clear()
        self._studies.clear()

    def _write_study(self, study: _Study) -> None:
        modalities = sorted(study.modalities)
        attributes = study.shown.attributes
        answer = rows.study_answer(
            study.uid, attributes, modalities, study.series_count, study.instance_count
        )
        columns = {
            "attributes": rows.dumped(attributes),
            "answer": rows.dumped(answer),
            "modalities": _list(modalities),
            "sop_classes": _list(sorted(study.sop_classes)),
            "series_count": study.series_count,
            "instance_count": study.instance_count,
            "version_set": study.version_set.to_bytes(16, "big"),
            **rows.study_keys(attributes),
        }
        self._update("study", study.id, columns)

    def _write_series(self, series: _Series) -> None:
        attributes = series.shown.attributes
        answer = rows.series_answer(series.study.uid, series.uid, attributes, series.instance_count)
        columns = {
            "attributes": rows.dumped(attributes),
            "answer": rows.dumped(answer),
            "instance_count": series.instance_count,
            "version_set": series.version_set.to_bytes(16, "big"),
            **rows.series_keys(attributes),
        }
        self._update("series", series.id, columns)
        self.db.execute("DELETE FROM request_item WHERE series = ?", (series.id,))
        items = attributes.get("00400275", {}).get("Value", ())
        self.db.executemany(
            "INSERT INTO request_item VALUES (?,?,?,?)",
            [
                (series.id, n, *(rows.text(item, tag) for tag in rows.REQUEST_KEYS))
                for n, item in enumerate(items)
            ],
        )

    def _update(self, table: str, id: int, columns: dict[str, Any]) -> None:
        sets = ", ".join(f"{name} = ?" for name in columns)
        self.db.execute(f"UPDATE {table} SET {sets} WHERE id = ?", (*columns.values(), id))

    def _metadata(self, version: VersionId) -> bytes:
        row = self.db.execute("SELECT body FROM instance_metadata WHERE version = ?", (version,)).fetchone()
        return zstandard.ZstdDecompressor().decompress(row[0])

    def _change(self, change: Change) -> Change:
        """Append to the log; the change with its revision (a given one is kept)."""
        return append(self.db, change)


def append(db: sqlite3.Connection, change: Change) -> Change:
    """Append to the log; the change with its revision (one that is not 0 is kept)."""
    locator, source, identity = change.locator, change.source, change.identity
    place = (locator.store, locator.key, locator.offset, locator.length) if locator else (None,) * 4
    cursor = db.execute(
        f"INSERT INTO change ({CHANGE_COLUMNS}) VALUES ({_marks(22)})",  # names are ours
        (
            *(change.revision or None, change.time, change.kind, change.partition),
            *(identity.study, identity.series, identity.instance, identity.sop_class),
            *(change.version_before, change.version_after),
            *(source.kind, source.peer, source.ae_title, source.principal, change.reason),
            *place,
            *(change.file_digest, change.content_digest, change.transfer_syntax),
        ),
    )
    return change if change.revision else replace(change, revision=_id(cursor))


def change_of(row: sqlite3.Row) -> Change:
    """A row of `change` as a value."""
    partition = PartitionId(row["partition"])
    locator = None
    if row["key"] is not None:
        locator = Locator(row["store"], row["key"], row["offset"], row["length"])
    return Change(
        revision=row["revision"],
        time=row["time"],
        kind=row["kind"],
        partition=partition,
        identity=Identity(
            StudyUID(row["study"]), SeriesUID(row["series"]), InstanceUID(row["instance"]), row["sop_class"]
        ),
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


def _as_new(row: sqlite3.Row, metadata: bytes, partition: PartitionId) -> NewVersion:
    """As much of a stored version as merging needs; the layout is not part of that."""
    identity = Identity(
        StudyUID(row["study_uid"]),
        SeriesUID(row["series_uid"]),
        InstanceUID(row["instance_uid"]),
        row["sop_class"],
    )
    return NewVersion(
        version=VersionId(row["id"]),
        identity=identity,
        transfer_syntax=row["transfer_syntax"],
        locator=Locator(row["store"], row["key"], row["offset"], row["length"]),
        file_digest=row["file_digest"],
        content_digest=row["content_digest"],
        received=row["received"],
        metadata=metadata,
        layout=layoutbytes.NOTHING,
        source=Source("index", partition=partition),
    )


def _marks(count: int) -> str:
    return ",".join("?" * count)


def _id(cursor: sqlite3.Cursor) -> int:
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def _list(values: Sequence[str]) -> str:
    return "\\" + "\\".join(values) + "\\" if values else ""


def _json(attribute: dict[str, Any]) -> str:
    return orjson.dumps(attribute.get("Value", [])).decode()
