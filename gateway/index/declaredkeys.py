"""Declared query keys: their definitions, their values, and how the values are indexed.

Values of studies and series are the values that these show; values of instances belong to a version, so that
they are right whichever version is current. A key answers searches once it is filled. New instances are
indexed from the moment of the declaration, older ones in the background, a few hundred rows a transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import zstandard

from gateway.dicom.dataset import DataSet
from gateway.dicom.query.declaredkeys import Definition, KeyValue, parse_definition, values
from gateway.errors import Conflict, NotFound
from gateway.index import changelog, rows
from gateway.index.base import Change, ExtraKey, KeyFailure
from gateway.index.connection import Connection, Row
from gateway.index.retrieval import counts
from gateway.model import DEFAULT_PARTITION, Identity, InstanceUID, Level, SeriesUID, Source, StudyUID

DECLARED, DROPPED = "key", "unkey"
_NOBODY = Identity(StudyUID(""), SeriesUID(""), InstanceUID(""), "")
_SELECT = "SELECT id, definition, state, place, done, declared FROM extra_key"
_VALUE = "key, owner, version, item, ordinal, instance, text, ideographic, phonetic, words"


@dataclass(frozen=True, slots=True)
class Known:
    """A declared key for which values are kept."""

    id: int
    definition: Definition
    is_ready: bool


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of values: a study, a series, or a version of an instance."""

    identity: tuple[str, str, str]
    id: int = 0
    version: str = ""


# -- definitions ------------------------------------------------------------------------------------------


async def load_known(db: Connection) -> list[Known]:
    """Return all keys except those being dropped. No key can be declared before this transaction commits."""
    found = await db.fetch(f"{_SELECT} WHERE state != 'dropping' ORDER BY id")
    return [Known(row["id"], parse_definition(row["definition"]), row["state"] == "ready") for row in found]


async def declare(db: Connection, definition: Definition, source: Source, now: int) -> Change | None:
    """Declare a key; return None where it is declared with this VR already.

    Raises Conflict where it is declared with another VR.
    """
    await db.exclude("extra_key")
    for key in await load_known(db):
        if key.definition == definition:
            return None
        if key.definition.path == definition.path:
            raise Conflict(f"the key is declared with VR {key.definition.vr}: delete it first")
    (revision,) = await db.revisions(1)
    change = _change(DECLARED, revision, now, source, str(definition))
    await _insert(db, revision, definition, now)
    await changelog.append(db, [change])
    return change


async def drop(db: Connection, id: int, source: Source, now: int) -> Change:
    """Mark a key as dropped; its values are deleted in the background. Raises NotFound."""
    await db.exclude("extra_key")
    found = [key for key in await load_known(db) if key.id == id]
    if not found:
        raise NotFound(f"there is no query key {id}")
    (revision,) = await db.revisions(1)
    change = _change(DROPPED, revision, now, source, str(found[0].definition))
    await db.execute("UPDATE extra_key SET state = 'dropping' WHERE id = ?", id)
    await changelog.append(db, [change])
    return change


async def replay(db: Connection, changes: Iterable[Change]) -> None:
    """Apply the changes of kind 'key' and 'unkey' among these, read from the journal."""
    for change in changes:
        if change.kind == DECLARED:
            await _insert(db, change.revision, parse_definition(change.reason), change.time)
        elif change.kind == DROPPED:
            await db.execute("UPDATE extra_key SET state = 'dropping' WHERE definition = ?", change.reason)


async def _insert(db: Connection, id: int, definition: Definition, now: int) -> None:
    await db.execute(
        "INSERT INTO extra_key (id, definition, level, state, declared) VALUES (?, ?, ?, 'filling', ?)",
        *(id, str(definition), definition.level.value, now),
    )


def _change(kind: str, revision: int, now: int, source: Source, reason: str) -> Change:
    return Change(revision, now, kind, DEFAULT_PARTITION, _NOBODY, None, None, source, reason)


async def list_keys(db: Connection) -> list[ExtraKey]:
    """Return all keys with their progress."""
    found = await db.fetch(f"{_SELECT} WHERE state != 'dropping' ORDER BY id")
    totals = await counts(db) if found else {}
    failed = await db.fetch("SELECT key, COUNT(*) AS failed FROM extra_failure GROUP BY key")
    failures = {row["key"]: row["failed"] for row in failed}
    return [_make_key(row, totals, failures.get(row["id"], 0)) for row in found]


def _make_key(row: Row, totals: dict[Level, int], failed: int) -> ExtraKey:
    definition = parse_definition(row["definition"])
    total = totals[definition.level]
    done = total if row["state"] == "ready" else min(row["done"], total)
    return ExtraKey(
        *(row["id"], definition.path, definition.vr, definition.level, row["state"]),
        *(done, total, failed, row["declared"]),
    )


async def failures(db: Connection, id: int, after: str, limit: int) -> list[KeyFailure]:
    """Return entities with values that could not be indexed, by version or row id, from `after`."""
    found = await db.fetch(
        "SELECT study_uid, series_uid, instance_uid, version, owner, reason FROM extra_failure "
        "WHERE key = ? AND (version > ? OR (version = ? AND owner > ?)) ORDER BY version, owner LIMIT ?",
        *(id, *_place(after), limit),
    )
    return [
        KeyFailure(
            r["study_uid"], r["series_uid"], r["instance_uid"], r["reason"], f"{r['version']}:{r['owner']}"
        )
        for r in found
    ]


def _place(after: str) -> tuple[str, str, int]:
    version, _, owner = after.partition(":")
    return version, version, int(owner) if owner.isdecimal() else 0


# -- values -----------------------------------------------------------------------------------------------


class Values:
    """Rows of `extra_value` to rewrite: for each owner, all values of the changed keys."""

    def __init__(self, keys: Sequence[Known]) -> None:
        self._keys = keys
        self._owners: list[tuple[int, int, str]] = []
        self._values: list[tuple[object, ...]] = []
        self._failures: list[tuple[object, ...]] = []

    def wants(self, level: Level) -> bool:
        """Return whether there is a key of this level."""
        return any(key.definition.level is level for key in self._keys)

    def add(self, level: Level, owner: Owner, attributes: DataSet) -> None:
        """Add the values of one owner for all keys of this level."""
        for key in self._keys:
            if key.definition.level is level:
                found, reason = values(attributes, key.definition)
                self._owners.append((key.id, owner.id, owner.version))
                self._values += [_row(key.id, owner, value) for value in found]
                if reason:
                    self._failures.append((key.id, owner.id, owner.version, *owner.identity, reason))

    async def write(self, db: Connection) -> None:
        for table in ("extra_value", "extra_failure"):
            await db.many(f"DELETE FROM {table} WHERE key = ? AND owner = ? AND version = ?", self._owners)
        await db.many(f"INSERT INTO extra_value ({_VALUE}) VALUES (?,?,?,?,?,?,?,?,?,?)", self._values)
        await db.many(
            "INSERT INTO extra_failure (key, owner, version, study_uid, series_uid, instance_uid, reason) "
            "VALUES (?,?,?,?,?,?,?)",
            self._failures,
        )


async def forget(db: Connection, versions: Sequence[str]) -> None:
    """Delete the values of instances whose bytes were reclaimed."""
    owners = [
        (key.id, Owner(("", "", "")).id, version) for key in await load_known(db) for version in versions
    ]
    for table in ("extra_value", "extra_failure"):
        await db.many(f"DELETE FROM {table} WHERE key = ? AND owner = ? AND version = ?", owners)


def _row(key: int, owner: Owner, value: KeyValue) -> tuple[object, ...]:
    return (
        *(key, owner.id, owner.version, value.item, value.ordinal, owner.identity[2]),
        *(value.text, value.ideographic, value.phonetic, value.words),
    )


# -- in the background ------------------------------------------------------------------------------------


async def work(db: Connection, limit: int) -> bool:
    """Do one bounded step for the first key that is not ready; return whether there was anything to do."""
    row = await db.first(f"{_SELECT} WHERE state != 'ready' ORDER BY id LIMIT 1{db.dialect.lock}")
    if row is None:
        return False
    if row["state"] == "dropping":
        await _clear(db, row["id"], limit)
        return True
    key = Known(row["id"], parse_definition(row["definition"]), is_ready=False)
    made = Values([key])
    step = _instances if key.definition.level is Level.INSTANCE else _parts
    place, done = await step(db, key, row["place"], limit, made)
    await made.write(db)
    await db.execute(
        "UPDATE extra_key SET place = ?, done = done + ?, state = ? WHERE id = ?",
        *(place, done, "filling" if done == limit else "ready", key.id),
    )
    return True


async def _clear(db: Connection, id: int, limit: int) -> None:
    """Delete some values of a dropped key; with the last of them, delete the key itself."""
    found = await db.fetch(
        "SELECT owner, version, item, ordinal FROM extra_value WHERE key = ? LIMIT ?", id, limit
    )
    await db.many(
        "DELETE FROM extra_value WHERE key = ? AND owner = ? AND version = ? AND item = ? AND ordinal = ?",
        [(id, row["owner"], row["version"], row["item"], row["ordinal"]) for row in found],
    )
    if len(found) < limit:
        await db.execute("DELETE FROM extra_failure WHERE key = ?", id)
        await db.execute("DELETE FROM extra_key WHERE id = ?", id)


async def _instances(db: Connection, key: Known, place: str, limit: int, made: Values) -> tuple[str, int]:
    """Add the values of a page of versions, current or not: a version restored later needs them too."""
    found = await db.fetch(
        "SELECT v.id, v.study_uid, v.series_uid, v.instance_uid, m.body FROM instance_metadata m "
        "JOIN version v ON v.id = m.version WHERE m.version > ? ORDER BY m.version LIMIT ?",
        *(place, limit),
    )
    inflate = zstandard.ZstdDecompressor().decompress
    for row in found:
        uids = (row["study_uid"], row["series_uid"], row["instance_uid"])
        made.add(Level.INSTANCE, Owner(uids, version=row["id"]), rows.load(inflate(row["body"])))
    return (found[-1]["id"] if found else place), len(found)


async def _parts(db: Connection, key: Known, place: str, limit: int, made: Values) -> tuple[str, int]:
    """Add the values of a page of studies or series, by id.

    Their studies are locked, so that the attributes that they show stay the same until we commit.
    """
    level = key.definition.level
    table = level.value
    ids = await db.fetch(f"SELECT id FROM {table} WHERE id > ? ORDER BY id LIMIT ?", int(place or 0), limit)
    wanted = db.dialect.listed([row["id"] for row in ids])
    among = db.dialect.among("id")
    studies = f"SELECT study FROM series WHERE {among}" if level is Level.SERIES else None
    held = f"id IN ({studies})" if studies else among
    await db.fetch(f"SELECT id FROM study WHERE {held} ORDER BY uid{db.dialect.lock}", wanted)
    sql = (
        f"SELECT se.id, st.uid AS study, se.uid AS series, se.attributes FROM series se JOIN study st ON st.id = se.study "
        f"WHERE {db.dialect.among('se.id')}"
        if level is Level.SERIES
        else f"SELECT id, uid AS study, '' AS series, attributes FROM study WHERE {among}"
    )
    for row in await db.fetch(sql, wanted):
        owner = Owner((row["study"], row["series"], ""), row["id"])
        made.add(level, owner, rows.load(row["attributes"]))
    return (str(ids[-1]["id"]) if ids else place), len(ids)
