"""Reading by path, on one SQLite connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import zstandard

from gateway.dicom import layoutbytes
from gateway.dicom.layout import InstanceLayout
from gateway.dicom.match import satisfies
from gateway.errors import Gone, NotFound
from gateway.index import rows
from gateway.index.base import Conflicting, Scope, StoredInstance
from gateway.model import (
    Identity,
    InstanceUID,
    Level,
    Locator,
    ResourcePath,
    SeriesUID,
    StudyUID,
    VersionId,
)

PAGE = 1000

# Studies' instances in default order: series by number, then UID; instances likewise; empty values last.
ORDER = "se.number IS NULL, se.number, se.uid, i.number IS NULL, i.number, i.uid"
_FROM = (
    "FROM study st JOIN series se ON se.study = st.id JOIN instance i ON i.series = se.id "
    "JOIN version v ON v.id = i.version "
)


def stored_of(row: sqlite3.Row) -> StoredInstance:
    return StoredInstance(
        version=VersionId(row["id"]),
        identity=Identity(
            StudyUID(row["study_uid"]),
            SeriesUID(row["series_uid"]),
            InstanceUID(row["instance_uid"]),
            row["sop_class"],
        ),
        transfer_syntax=row["transfer_syntax"],
        locator=Locator(row["store"], row["key"], row["offset"], row["length"]),
        file_digest=row["file_digest"],
        content_digest=row["content_digest"],
        received=row["received"],
    )


def _where(scope: Scope, path: ResourcePath) -> tuple[str, list[object]]:
    conditions, values = ["st.partition = ?", "st.uid = ?"], [scope.partition, path.study]
    if path.series is not None:
        conditions.append("se.uid = ?")
        values.append(path.series)
    if path.instance is not None:
        conditions.append("i.uid = ?")
        values.append(path.instance)
    return " AND ".join(conditions), list[object](values)


def instances(db: sqlite3.Connection, scope: Scope, path: ResourcePath) -> list[StoredInstance]:
    """Raises NotFound, Gone."""
    where, values = _where(scope, path)
    found = db.execute(f"SELECT v.* {_FROM} WHERE {where} ORDER BY {ORDER}", values).fetchall()
    if not scope.is_whole:
        found = [row for row in found if passes(db, scope, row["id"])]
    if not found:
        raise absent(db, scope, path)
    return [stored_of(row) for row in found]


def passes(db: sqlite3.Connection, scope: Scope, version: str) -> bool:
    """Whether an instance is within a scope that cuts inside the partition."""
    return satisfies(rows.loaded(body_of(db, version)), scope.predicate)


def absent(db: sqlite3.Connection, scope: Scope, path: ResourcePath) -> NotFound:
    """Gone where there was something once, and the scope does not keep that from being known."""
    values: list[object] = [scope.partition, path.study]
    condition = "c.partition = ? AND v.study_uid = ?"
    if path.series is not None:
        condition += " AND v.series_uid = ?"
        values.append(path.series)
    if path.instance is not None:
        condition += " AND v.instance_uid = ?"
        values.append(path.instance)
    row = db.execute(
        "SELECT 1 FROM version v JOIN change c ON c.revision = v.revision "
        f"JOIN instance i ON i.id = v.instance JOIN study st ON st.id = i.study WHERE {condition} LIMIT 1",
        values,
    ).fetchone()
    what = f"{path.level.value} {path.instance or path.series or path.study}"
    if row is not None and scope.is_whole:
        return Gone(f"{what} was deleted", uid=path.instance or path.series or path.study)
    return NotFound(f"{what} is not known here", uid=path.instance or path.series or path.study)


def layout(db: sqlite3.Connection, scope: Scope, path: ResourcePath) -> tuple[StoredInstance, InstanceLayout]:
    """Of one instance. Raises NotFound, Gone."""
    stored = instances(db, scope, path)[0]
    row = db.execute("SELECT layout FROM instance_layout WHERE version = ?", (stored.version,)).fetchone()
    return stored, layoutbytes.decode(row[0])


def version_set(db: sqlite3.Connection, scope: Scope, path: ResourcePath) -> str:
    """Kept with the rows of study and series; made from what passes where the scope cuts."""
    if path.level is Level.INSTANCE or not scope.is_whole:
        mark = 0
        for stored in instances(db, scope, path):
            mark ^= rows.version_mark(stored.version)
        return f"{mark:032x}"
    if path.series is None:
        sql = "SELECT version_set, instance_count FROM study st WHERE st.partition = ? AND st.uid = ?"
    else:
        sql = (
            "SELECT se.version_set, se.instance_count FROM series se JOIN study st ON st.id = se.study "
            "WHERE st.partition = ? AND st.uid = ? AND se.uid = ?"
        )
    row = db.execute(sql, _where(scope, path)[1]).fetchone()
    if row is None or not row[1]:
        raise absent(db, scope, path)
    return bytes(row[0]).hex()


def metadata(db: sqlite3.Connection, scope: Scope, path: ResourcePath) -> list[bytes]:
    """In default order. Raises NotFound, Gone."""
    where, values = _where(scope, path)
    found = db.execute(
        f"SELECT m.body {_FROM} JOIN instance_metadata m ON m.version = v.id WHERE {where} ORDER BY {ORDER}",
        values,
    ).fetchall()
    inflate = zstandard.ZstdDecompressor().decompress
    bodies = [inflate(row[0]) for row in found]
    if not scope.is_whole:
        bodies = [body for body in bodies if satisfies(rows.loaded(body), scope.predicate)]
    if not bodies:
        raise absent(db, scope, path)
    return bodies


def body_of(db: sqlite3.Connection, version: str) -> bytes:
    row = db.execute("SELECT body FROM instance_metadata WHERE version = ?", (version,)).fetchone()
    return zstandard.ZstdDecompressor().decompress(row[0])


def conflicts(db: sqlite3.Connection, scope: Scope, study: str | None) -> list[Conflicting]:
    condition, values = "st.partition = ?", list[object]([scope.partition])
    if study is not None:
        condition += " AND st.uid = ?"
        values.append(study)
    found = db.execute(
        "SELECT st.uid, c.* FROM conflict c JOIN study st ON st.id = c.study "
        f"WHERE {condition} ORDER BY st.uid, c.tag, c.version",
        values,
    )
    return [
        Conflicting(r["uid"], r["tag"], r["shown"], r["differing"], r["instance"], VersionId(r["version"]))
        for r in found
        if scope.is_whole or passes(db, scope, r["version"])
    ]


def versions(db: sqlite3.Connection, after: str) -> Sequence[tuple[StoredInstance, str]]:
    """A page of every version ever admitted, by id."""
    found = db.execute("SELECT * FROM version WHERE id > ? ORDER BY id LIMIT ?", (after, PAGE))
    return [(stored_of(row), row["state"]) for row in found]


def counts(db: sqlite3.Connection) -> dict[Level, int]:
    row = db.execute(
        "SELECT COUNT(*), COALESCE(SUM(series_count), 0), COALESCE(SUM(instance_count), 0) "
        "FROM study WHERE instance_count > 0"
    ).fetchone()
    return {Level.STUDY: row[0], Level.SERIES: row[1], Level.INSTANCE: row[2]}
