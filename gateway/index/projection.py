"""The study and series rows of one transaction, merged from their instances in order of acceptance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import orjson
import zstandard

from gateway.dicom import tags
from gateway.dicom.dataset import Attribute, DataSet
from gateway.index import declaredkeys, rows
from gateway.index.base import version_mark
from gateway.index.connection import Connection, Row
from gateway.model import Level, PartitionId, VersionId

_STUDY = "id, uid, attributes, modalities, sop_classes, series_count, instance_count, version_set"
_SERIES = "id, uid, attributes, instance_count, version_set"
_AT_ONCE = 200


@dataclass(slots=True)
class Series:
    id: int
    uid: str
    shown: rows.Shown
    instance_count: int = 0
    version_set: int = 0
    before: DataSet = field(default_factory=dict)
    touched: bool = False


@dataclass(slots=True)
class Study:
    id: int
    uid: str
    shown: rows.Shown
    modalities: set[str] = field(default_factory=set)
    sop_classes: set[str] = field(default_factory=set)
    series_count: int = 0
    instance_count: int = 0
    version_set: int = 0
    before: DataSet = field(default_factory=dict)
    series: dict[str, Series] = field(default_factory=dict)
    stale: bool = False
    touched: bool = False
    conflicts: list[tuple[object, ...]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Said:
    """The attributes that one version has for its study and series."""

    version: VersionId
    instance: str
    sop_class: str
    parts: rows.Split


class Projection:
    """The studies of one transaction, by partition and UID."""

    def __init__(self, db: Connection) -> None:
        self._db = db
        self._studies: dict[tuple[int, str], Study] = {}
        self.keys: Sequence[declaredkeys.Known] = ()

    async def hold(self, partition: PartitionId, studies: Iterable[str]) -> None:
        """Read the studies that exist, and lock their rows."""
        wanted = sorted({uid for uid in studies if (partition, uid) not in self._studies})
        dialect = self._db.dialect
        found = await self._db.fetch(
            f"SELECT {_STUDY} FROM study WHERE partition = ? AND {dialect.among('uid')} ORDER BY uid{dialect.lock}",
            partition,
            dialect.listed(wanted),
        )
        for row in found:
            self._studies[partition, row["uid"]] = _study_of(row)

    async def reserve(self, places: Iterable[tuple[PartitionId, str, str]]) -> None:
        """Insert rows for studies and series that are new."""
        wanted: dict[tuple[PartitionId, str], set[str]] = {}
        for partition, uid, series in places:
            wanted.setdefault((partition, uid), set()).add(series)
        for partition, uid in sorted(wanted):
            study = await self._reserve_study(partition, uid)
            await self._reserve_series(partition, study, sorted(wanted[partition, uid] - study.series.keys()))

    async def _reserve_study(self, partition: PartitionId, uid: str) -> Study:
        study = self._studies.get((partition, uid))
        if study is not None:
            return study
        made = await self._db.first(
            "INSERT INTO study (partition, uid, uid_hash) VALUES (?, ?, ?) "
            "ON CONFLICT (partition, uid) DO NOTHING RETURNING id",
            *(partition, uid, rows.uid_hash(uid)),
        )
        if made is None:  # another process inserted it since we looked, and has committed by now
            await self.hold(partition, [uid])
        else:
            self._studies[partition, uid] = Study(made["id"], uid, rows.Shown(changed=True))
        return self._studies[partition, uid]

    async def _reserve_series(self, partition: PartitionId, study: Study, uids: Sequence[str]) -> None:
        if not uids:
            return
        dialect = self._db.dialect
        found = await self._db.fetch(
            f"SELECT {_SERIES} FROM series WHERE study = ? AND {dialect.among('uid')}",
            *(study.id, dialect.listed(uids)),
        )
        study.series.update((row["uid"], _series_of(row)) for row in found)
        for uid in uids:
            if uid not in study.series:
                made = await self._db.first(
                    "INSERT INTO series (study, partition, uid, uid_hash) VALUES (?, ?, ?, ?) RETURNING id",
                    *(study.id, partition, uid, rows.uid_hash(uid)),
                )
                assert made is not None
                study.series[uid] = Series(made["id"], uid, rows.Shown(changed=True))

    def place(self, partition: PartitionId, study: str, series: str) -> tuple[Study, Series]:
        """Return the study and its series; both were held and reserved before."""
        found = self._studies[partition, study]
        return found, found.series[series]

    def spoil(self, partition: PartitionId, study: str) -> None:
        """Mark a study from which a version was removed: `finish` computes it again."""
        self._studies[partition, study].stale = True

    def merge(self, study: Study, series: Series, said: Said) -> None:
        """Add a version that became current, unless the study will be computed again anyway."""
        if not study.stale:
            _merge(study, series, said)

    async def body(self, version: str) -> bytes:
        row = await self._db.first("SELECT body FROM instance_metadata WHERE version = ?", version)
        assert row is not None
        return zstandard.ZstdDecompressor().decompress(row["body"])

    # -- computing again --------------------------------------------------------------------------------

    async def _remake(self, study: Study) -> None:
        """Compute the study again from the instances that are left, in the order of their acceptance."""
        await self._forget(study)
        left = await self._db.fetch(
            "SELECT v.id, v.series_uid, v.instance_uid, v.sop_class, v.parts FROM instance i "
            "JOIN version v ON v.id = i.version WHERE i.study = ? ORDER BY v.revision",
            study.id,
        )
        # Most instances say the same of their study: one of each kind is read.
        first: dict[bytes, str] = {}
        for row in left:
            first.setdefault(bytes(row["parts"]), row["id"])
        parts = await self._splits(first)
        for row in left:
            said = Said(
                VersionId(row["id"]), row["instance_uid"], row["sop_class"], parts[bytes(row["parts"])]
            )
            _merge(study, study.series[row["series_uid"]], said)

    async def _forget(self, study: Study) -> None:
        await self._db.execute("DELETE FROM conflict WHERE study = ?", study.id)
        found = await self._db.fetch(f"SELECT {_SERIES} FROM series WHERE study = ?", study.id)
        study.series = {row["uid"]: _series_of(row) for row in found}
        parts: list[Study | Series] = [study, *study.series.values()]
        for part in parts:
            part.shown = rows.Shown(changed=True)
            part.instance_count = part.version_set = 0
            part.touched = True
        study.series_count = 0
        study.modalities, study.sop_classes, study.conflicts = set(), set(), []

    async def _splits(self, first: dict[bytes, str]) -> dict[bytes, rows.Split]:
        dialect = self._db.dialect
        marks = {version: mark for mark, version in first.items()}
        wanted, found = list(marks), dict[bytes, rows.Split]()
        inflate = zstandard.ZstdDecompressor().decompress
        for start in range(0, len(wanted), _AT_ONCE):
            bodies = await self._db.fetch(
                f"SELECT version, body FROM instance_metadata WHERE {dialect.among('version')}",
                dialect.listed(wanted[start : start + _AT_ONCE]),
            )
            found.update((marks[row["version"]], rows.split(inflate(row["body"]))) for row in bodies)
        return found

    # -- writing ----------------------------------------------------------------------------------------

    async def write(self) -> None:
        """Write studies that only gained versions, in an order that is the same for all transactions."""
        for _, study in sorted(self._studies.items(), key=itemgetter(0)):
            if study.touched and not study.stale:
                await self._write(study)

    async def finish(self) -> None:
        """Compute again, from versions that are written by now, the studies that lost a version."""
        for _, study in sorted(self._studies.items(), key=itemgetter(0)):
            if study.stale:
                await self._remake(study)
                await self._write(study)

    async def _write(self, study: Study) -> None:
        values = declaredkeys.Values(self.keys)
        for series in study.series.values():
            if series.touched:
                await self._write_series(study, series)
                if series.shown.changed:
                    owner = declaredkeys.Owner((study.uid, series.uid, ""), series.id)
                    values.add(Level.SERIES, owner, series.shown.attributes)
        await self._write_study(study)
        if study.shown.changed:
            values.add(Level.STUDY, declaredkeys.Owner((study.uid, "", ""), study.id), study.shown.attributes)
        await values.write(self._db)
        await self._db.many(
            "INSERT INTO conflict (study, tag, shown, differing, instance, version) VALUES (?,?,?,?,?,?) "
            "ON CONFLICT DO NOTHING",
            study.conflicts,
        )

    async def _write_study(self, study: Study) -> None:
        attributes, modalities = study.shown.attributes, sorted(study.modalities)
        counted = rows.study_counted(modalities, study.sop_classes, study.series_count, study.instance_count)
        answer = rows.study_answer(study.uid, attributes, counted)
        columns: dict[str, Any] = {
            "answer": rows.dump(answer),
            "modalities": rows.join_list(modalities),
            "sop_classes": rows.join_list(study.sop_classes),
            "series_count": study.series_count,
            "instance_count": study.instance_count,
            "version_set": study.version_set.to_bytes(16, "big"),
        }
        if study.shown.changed:
            made = rows.study_keys(attributes)
            columns |= {"attributes": rows.dump(attributes), **made}
            columns["shown_description"] = rows.show_description(attributes)
            before = rows.grams(rows.study_keys(study.before), rows.STUDY_GRAMS)
            after = rows.grams(made, rows.STUDY_GRAMS)
            columns |= await self._db.replace_grams("study", study.id, before, after)
        await self._update("study", study.id, columns)

    async def _write_series(self, study: Study, series: Series) -> None:
        attributes = series.shown.attributes
        counted = rows.series_counted(series.instance_count)
        answer = rows.series_answer(study.uid, series.uid, attributes, counted)
        columns: dict[str, Any] = {
            "answer": rows.dump(answer),
            "instance_count": series.instance_count,
            "version_set": series.version_set.to_bytes(16, "big"),
        }
        if series.shown.changed:
            made = rows.series_keys(attributes)
            columns |= {"attributes": rows.dump(attributes), **made}
            before = rows.grams(rows.series_keys(series.before), rows.SERIES_GRAMS)
            after = rows.grams(made, rows.SERIES_GRAMS)
            columns |= await self._db.replace_grams("series", series.id, before, after)
            await self._write_items(series)
        await self._update("series", series.id, columns)

    async def _write_items(self, series: Series) -> None:
        if tags.REQUEST_ATTRIBUTES_SEQUENCE in series.before:
            await self._db.execute("DELETE FROM request_item WHERE series = ?", series.id)
        items = rows.request_items(series.shown.attributes)
        await self._db.many(
            "INSERT INTO request_item (series, item, scheduled_procedure_step_id, requested_procedure_id) "
            "VALUES (?, ?, ?, ?)",
            [(series.id, *item) for item in items],
        )

    async def _update(self, table: str, id: int, columns: dict[str, Any]) -> None:
        sets = ", ".join(f"{name} = ?" for name in columns)
        await self._db.execute(f"UPDATE {table} SET {sets} WHERE id = ?", *columns.values(), id)


def _study_of(row: Row) -> Study:
    attributes = rows.load(row["attributes"])
    return Study(
        id=row["id"],
        uid=row["uid"],
        shown=rows.Shown(attributes),
        modalities=set(rows.split_list(row["modalities"])),
        sop_classes=set(rows.split_list(row["sop_classes"])),
        series_count=row["series_count"],
        instance_count=row["instance_count"],
        version_set=int.from_bytes(row["version_set"], "big"),
        before=dict(attributes),
    )


def _series_of(row: Row) -> Series:
    attributes = rows.load(row["attributes"])
    marks = int.from_bytes(row["version_set"], "big")
    return Series(
        row["id"], row["uid"], rows.Shown(attributes), row["instance_count"], marks, dict(attributes)
    )


def _merge(study: Study, series: Series, said: Said) -> None:
    study.touched = series.touched = True
    series.shown.merge(said.parts.series)
    for tag, shown, differing in study.shown.merge(said.parts.study):
        study.conflicts.append(
            (study.id, tag, _json(shown), _json(differing), said.instance, str(said.version))
        )
    study.series_count += series.instance_count == 0
    study.instance_count += 1
    series.instance_count += 1
    study.sop_classes.add(said.sop_class)
    if modality := rows.text(series.shown.attributes, tags.MODALITY):
        study.modalities.add(modality)
    mark = version_mark(said.version)
    study.version_set ^= mark
    series.version_set ^= mark


def _json(attribute: Attribute) -> str:
    return orjson.dumps(attribute.get("Value", [])).decode()
