"""Reads by path for retrieval: one statement each where the scope is the whole partition."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import zstandard

from gateway.dicom.encoding import layoutbytes
from gateway.dicom.encoding.layout import InstanceLayout
from gateway.errors import Gone, NotFound
from gateway.index import rows
from gateway.index.base import Conflicting, DescribedMetadata, Scope, StoredInstance, fingerprint_of
from gateway.index.changelog import identity_of, locator_of
from gateway.index.connection import Connection, Row
from gateway.index.scoping import Cut, cut_of, visible
from gateway.model import Level, ResourcePath, SeriesUID, VersionId

PAGE = 1000
SMALL_LAYOUT = 4096

# Default order: series by number, then UID; instances likewise; empty values last.
ORDER = "se.number NULLS LAST, se.uid, i.number NULLS LAST, i.uid"
VERSION = (
    "v.id, v.study_uid, v.series_uid, v.instance_uid, v.sop_class, v.transfer_syntax, v.store, v.key, "
    'v."offset", v.length, v.file_digest, v.content_digest, v.received, v.odd_meta, v.damage'
)
_FROM = (
    "FROM study st JOIN series se ON se.study = st.id JOIN instance i ON i.series = se.id "
    "JOIN version v ON v.id = i.version"
)


def make_stored(row: Row) -> StoredInstance:
    return StoredInstance(
        version=VersionId(row["id"]),
        identity=identity_of(row["study_uid"], row["series_uid"], row["instance_uid"], row["sop_class"]),
        transfer_syntax=row["transfer_syntax"],
        locator=locator_of(row),
        file_digest=row["file_digest"],
        content_digest=row["content_digest"],
        received=row["received"],
        odd_meta=bool(row["odd_meta"]),
        damage=row["damage"],
    )


def _where(cut: Cut, scope: Scope, path: ResourcePath) -> tuple[str, list[object]]:
    conditions, values = ["st.partition = ?", "st.uid = ?"], list[object]([scope.partition, path.study])
    if path.series is not None:
        conditions.append("se.uid = ?")
        values.append(path.series)
    if path.instance is not None:
        # The second condition is implied by the others; it lets the database find the row by its key.
        conditions.append("i.partition = ? AND i.uid = ?")
        values += [scope.partition, path.instance]
    return " AND ".join([*conditions, *cut.conditions]), [*values, *cut.values]


async def _rows(
    db: Connection, scope: Scope, path: ResourcePath, columns: str, more: str = ""
) -> Sequence[Row]:
    """Return rows that the scope lets through, in default order. Raises NotFound, Gone."""
    cut = cut_of(db.dialect, scope)
    where, values = _where(cut, scope, path)
    found = await db.fetch(f"SELECT {columns} {_FROM} {more} WHERE {where} ORDER BY {ORDER}", *values)
    if cut.left:
        seen = await visible(db, cut, Level.INSTANCE, [row["id"] for row in found])
        passing = {one.version for one in seen}
        found = [row for row in found if row["id"] in passing]
    if not found:
        raise await absent(db, scope, path)
    return found


async def instances(db: Connection, scope: Scope, path: ResourcePath) -> list[StoredInstance]:
    """Return current versions in default order. Raises NotFound, Gone."""
    return [make_stored(row) for row in await _rows(db, scope, path, VERSION)]


async def layout(db: Connection, scope: Scope, path: ResourcePath) -> tuple[StoredInstance, InstanceLayout]:
    """Return one instance with its layout. Raises NotFound, Gone."""
    (row,) = await _rows(
        *(db, scope, path, f"{VERSION}, l.layout", "JOIN instance_layout l ON l.version = v.id")
    )
    return make_stored(row), layoutbytes.decode(row["layout"])


async def layouts_after(
    db: Connection, scope: Scope, path: ResourcePath, limit: int
) -> list[tuple[StoredInstance, InstanceLayout]]:
    """Return the layouts of the instance and of the next ones in its series, small ones only.

    Raises NotFound, Gone.
    """
    series = ResourcePath(path.study, path.series)
    found = await _rows(db, scope, series, "v.id, v.instance_uid")
    uids = [row["instance_uid"] for row in found]
    first = uids.index(path.instance) if path.instance in uids else 0
    wanted = [row["id"] for row in found[first : first + limit]]
    marks = ", ".join("?" * len(wanted))
    sql = (
        f"SELECT {VERSION}, l.layout FROM version v JOIN instance_layout l ON l.version = v.id "
        f"WHERE v.id IN ({marks}) AND LENGTH(l.layout) <= {SMALL_LAYOUT}"
    )
    return [(make_stored(row), layoutbytes.decode(row["layout"])) for row in await db.fetch(sql, *wanted)]


async def metadata(db: Connection, scope: Scope, path: ResourcePath) -> list[bytes]:
    """Return metadata in default order. Raises NotFound, Gone."""
    inflate = zstandard.ZstdDecompressor().decompress
    more = "JOIN instance_metadata m ON m.version = v.id"
    found = await _rows(db, scope, path, "v.id, v.damage, m.body", more)
    return [_read_known(inflate(row["body"])) if row["damage"] else inflate(row["body"]) for row in found]


def _read_known(metadata: bytes) -> bytes:
    """Return the metadata, empty where only the journal line of a damaged version is left."""
    return b"" if rows.UNAVAILABLE in metadata else metadata


async def describe(db: Connection, scope: Scope, path: ResourcePath, at_once: int) -> DescribedMetadata:
    """Return the versions under `path`, their fingerprint, and all metadata up to `at_once` bytes.

    With more bytes the metadata are left out. Raises NotFound, Gone.
    """
    more = "JOIN instance_metadata m ON m.version = v.id"
    found = await _rows(db, scope, path, "v.id, v.damage, LENGTH(m.body) AS size", more)
    version_set = fingerprint_of(row["id"] for row in found)
    lost = await _find_lost(db, scope, [VersionId(row["id"]) for row in found if row["damage"]])
    found = [row for row in found if row["id"] not in lost]
    versions = [VersionId(row["id"]) for row in found]
    kept: list[bytes] | None = None
    if sum(int(row["size"]) for row in found) <= at_once:
        packed = await _read_packed(db, scope, versions)
        if sum(map(zstandard.frame_content_size, packed.values())) <= at_once:
            inflate = zstandard.ZstdDecompressor().decompress
            kept = [inflate(packed[version]) for version in versions]
    return DescribedMetadata(version_set, versions, kept, len(lost))


async def _find_lost(db: Connection, scope: Scope, damaged: Sequence[VersionId]) -> set[VersionId]:
    """Return the damaged versions for which only the journal line is left."""
    if not damaged:
        return set()
    inflate = zstandard.ZstdDecompressor().decompress
    packed = await _read_packed(db, scope, damaged)
    return {version for version, body in packed.items() if not _read_known(inflate(body))}


async def bodies(db: Connection, scope: Scope, versions: Sequence[VersionId], at_once: int) -> list[bytes]:
    """Return metadata of the first of these versions, at least one, up to `at_once` bytes.

    Raises NotFound.
    """
    sizes = await db.fetch(
        f"SELECT m.version, LENGTH(m.body) AS size FROM instance_metadata m WHERE {db.dialect.among('m.version')}",
        db.dialect.listed(versions),
    )
    size = {row["version"]: int(row["size"]) for row in sizes}
    # Metadata hardly shrink where they are dense: no more is fetched than would fit.
    totals = accumulate(size.get(version, 0) for version in versions)
    packed = await _read_packed(db, scope, versions[: max(1, bisect_right(list(totals), at_once))])
    inflate = zstandard.ZstdDecompressor().decompress
    found: list[bytes] = []
    for version in versions:
        body = packed.get(version)
        if body is None and not found:
            raise NotFound(f"version {version} is not kept any more")
        at_once -= 0 if body is None else zstandard.frame_content_size(body)
        if body is None or (found and at_once < 0):
            break
        found.append(inflate(body))
    return found


async def _read_packed(db: Connection, scope: Scope, versions: Sequence[VersionId]) -> dict[VersionId, bytes]:
    """Return compressed metadata by version, in whatever state the version is."""
    sql = (
        "SELECT m.version, m.body FROM instance_metadata m JOIN version v ON v.id = m.version "
        f"WHERE v.partition = ? AND {db.dialect.among('m.version')}"
    )
    found = await db.fetch(sql, scope.partition, db.dialect.listed(versions))
    return {VersionId(row["version"]): row["body"] for row in found}


async def layouts_of(
    db: Connection, scope: Scope, versions: Sequence[VersionId]
) -> dict[VersionId, InstanceLayout]:
    """Return layouts by version, in whatever state; reclaimed versions have none."""
    sql = (
        "SELECT l.version, l.layout FROM instance_layout l JOIN version v ON v.id = l.version "
        f"WHERE v.partition = ? AND {db.dialect.among('l.version')}"
    )
    found = await db.fetch(sql, scope.partition, db.dialect.listed(versions))
    return {VersionId(row["version"]): layoutbytes.decode(row["layout"]) for row in found}


async def series_of(db: Connection, scope: Scope, study: ResourcePath) -> list[ResourcePath]:
    """Return the series of a study in default order. Raises NotFound, Gone."""
    found = await _rows(db, scope, study, "v.id, se.uid")
    return [ResourcePath(study.study, SeriesUID(uid)) for uid in dict.fromkeys(row["uid"] for row in found)]


async def version_set(db: Connection, scope: Scope, path: ResourcePath) -> str:
    """Return the fingerprint of a study, series or instance, kept in the rows of studies and series.

    Where the scope hides instances it is computed from those that are visible. Raises NotFound, Gone.
    """
    cut = cut_of(db.dialect, scope)
    if path.level is Level.INSTANCE or cut.inside:
        return fingerprint_of(row["id"] for row in await _rows(db, scope, path, "v.id"))
    where, values = _where(cut, scope, path)
    if path.series is None:
        sql = f"SELECT st.version_set, st.instance_count FROM study st WHERE {where}"
    else:
        sql = (
            "SELECT se.version_set, se.instance_count FROM series se "
            f"JOIN study st ON st.id = se.study WHERE {where}"
        )
    kept = await db.first(sql, *values)
    if kept is None or not kept["instance_count"]:
        raise await absent(db, scope, path)
    return bytes(kept["version_set"]).hex()


async def absent(db: Connection, scope: Scope, path: ResourcePath) -> NotFound:
    """Return Gone where the path was there once and the scope may know, else NotFound."""
    uid = path.instance or path.series or path.study
    what = f"{path.level.value} {uid}"
    if scope.is_whole and await _was_there(db, scope, path):
        return Gone(f"{what} was deleted", uid=uid)
    return NotFound(f"{what} is not known here", uid=uid)


async def _was_there(db: Connection, scope: Scope, path: ResourcePath) -> bool:
    values: tuple[object, ...]
    if path.instance is not None:
        sql = "SELECT id FROM version WHERE partition = ? AND instance_uid = ? AND study_uid = ? AND series_uid = ?"
        values = (scope.partition, path.instance, path.study, path.series)
    elif path.series is not None:
        sql = (
            "SELECT se.id FROM series se JOIN study st ON st.id = se.study "
            "WHERE st.partition = ? AND st.uid = ? AND se.uid = ?"
        )
        values = (scope.partition, path.study, path.series)
    else:
        sql, values = "SELECT id FROM study WHERE partition = ? AND uid = ?", (scope.partition, path.study)
    return await db.first(f"{sql} LIMIT 1", *values) is not None


async def conflicts(db: Connection, scope: Scope, study: str | None) -> list[Conflicting]:
    cut = cut_of(db.dialect, scope)
    where, values = "st.partition = ?", list[object]([scope.partition])
    if study is not None:
        where += " AND st.uid = ?"
        values.append(study)
    where = " AND ".join([where, *cut.conditions])
    found = await db.fetch(
        "SELECT st.uid, c.tag, c.shown, c.differing, c.instance, c.version FROM conflict c "
        "JOIN study st ON st.id = c.study JOIN instance i ON i.partition = st.partition AND i.uid = c.instance "
        f"JOIN series se ON se.id = i.series WHERE {where} ORDER BY st.uid, c.tag, c.version",
        *(*values, *cut.values),
    )
    if cut.left:
        seen = await visible(db, cut, Level.INSTANCE, list({row["version"] for row in found}))
        passing = {one.version for one in seen}
        found = [row for row in found if row["version"] in passing]
    return [
        Conflicting(r["uid"], r["tag"], r["shown"], r["differing"], r["instance"], VersionId(r["version"]))
        for r in found
    ]


async def versions(db: Connection, after: str) -> list[tuple[StoredInstance, str]]:
    """Return a page of all versions ever admitted with their states, by id."""
    found = await db.fetch(
        f"SELECT {VERSION}, v.state FROM version v WHERE v.id > ? ORDER BY v.id LIMIT ?", after, PAGE
    )
    return [(make_stored(row), row["state"]) for row in found]


async def counts(db: Connection) -> dict[Level, int]:
    row = await db.first(
        "SELECT COUNT(*) AS studies, COALESCE(SUM(series_count), 0) AS series, "
        "COALESCE(SUM(instance_count), 0) AS instances FROM study WHERE instance_count > 0"
    )
    assert row is not None
    return {
        Level.STUDY: int(row["studies"]),
        Level.SERIES: int(row["series"]),
        Level.INSTANCE: int(row["instances"]),
    }
