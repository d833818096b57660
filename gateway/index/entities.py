"""Studies, series and instances as searches show them.

They come from their own rows where the whole entity is visible, and from the visible instances where a scope
hides some of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import zstandard

from gateway.dicom import tags
from gateway.dicom.dataset import DataSet
from gateway.dicom.encoding import layoutbytes
from gateway.index import rows
from gateway.index.connection import Connection
from gateway.index.scoping import Cut, Visible, chunks, visible
from gateway.model import Level

KIND = "(SELECT l.kind FROM instance_layout l WHERE l.version = i.version) AS kind"


@dataclass(frozen=True, slots=True)
class Entity:
    """A study, series or instance: `answer` is in every search result, `attributes` are all of its level."""

    answer: DataSet
    attributes: DataSet


async def studies(db: Connection, cut: Cut, ids: Sequence[int]) -> dict[int, Entity]:
    """Return studies by row id."""
    if cut.inside:
        return await _read_seen_studies(db, cut, ids)
    found: dict[int, Entity] = {}
    for some in chunks(ids):
        for row in await db.fetch(
            "SELECT id, answer, attributes, modalities, sop_classes, series_count, instance_count FROM study "
            f"WHERE {db.dialect.among('id')}",
            db.dialect.listed(some),
        ):
            modalities, classes = rows.split_list(row["modalities"]), rows.split_list(row["sop_classes"])
            counted = rows.study_counted(modalities, classes, row["series_count"], row["instance_count"])
            answer = rows.load(row["answer"])
            found[row["id"]] = Entity(answer, rows.load(row["attributes"]) | counted | _pick_made(answer))
    return found


async def series(db: Connection, cut: Cut, ids: Sequence[int]) -> dict[int, Entity]:
    """Return series by row id."""
    if cut.inside:
        return await _read_seen_series(db, cut, ids)
    found: dict[int, Entity] = {}
    for some in chunks(ids):
        for row in await db.fetch(
            f"SELECT id, answer, attributes, instance_count FROM series WHERE {db.dialect.among('id')}",
            db.dialect.listed(some),
        ):
            answer, counted = rows.load(row["answer"]), rows.series_counted(row["instance_count"])
            found[row["id"]] = Entity(answer, rows.load(row["attributes"]) | counted | _pick_made(answer))
    return found


@dataclass(frozen=True, slots=True)
class Kept:
    """An instance with its compressed metadata: these are inflated one at a time, since they may be long."""

    answer: bytes
    body: bytes | None
    kind: str = ""

    def entity(self) -> Entity:
        """Return the parsed instance; `attributes` are complete only where there is a body."""
        answer = rows.load(self.answer)
        if self.body is None:
            return Entity(answer, answer)
        own = rows.load(zstandard.ZstdDecompressor().decompress(self.body))
        return Entity(answer, own | _pick_made(answer))


async def instances(db: Connection, versions: Sequence[str], *, whole: bool) -> dict[str, Kept]:
    """Return current instances by version, with their metadata where `whole` is set."""
    bodies = await _read_packed(db, versions) if whole else {}
    found: dict[str, Kept] = {}
    for some in chunks(versions):
        for row in await db.fetch(
            f"SELECT i.version, i.answer, {KIND} FROM version v JOIN instance i ON i.partition = v.partition "
            f"AND i.uid = v.instance_uid AND i.version = v.id WHERE {db.dialect.among('v.id')}",
            db.dialect.listed(some),
        ):
            kept = Kept(bytes(row["answer"]), bodies.get(row["version"]), row["kind"] or "")
            found[row["version"]] = kept
    missing = await kinds(db, [version for version, kept in found.items() if not kept.kind])
    return {version: replace(kept, kind=missing.get(version, kept.kind)) for version, kept in found.items()}


async def kinds(db: Connection, versions: Sequence[str]) -> dict[str, str]:
    """Compute the kinds of layout for versions stored before the index kept them, and not filled in yet."""
    found: dict[str, str] = {}
    for some in chunks(versions):
        for row in await db.fetch(
            f"SELECT version, layout FROM instance_layout WHERE {db.dialect.among('version')}",
            db.dialect.listed(some),
        ):
            found[row["version"]] = layoutbytes.kind_of(layoutbytes.decode(row["layout"]))
    return found


def _pick_made(answer: DataSet) -> DataSet:
    """Return the attributes that an answer has and no data set does, such as Retrieve URL."""
    return {
        tag: answer[tag]
        for tag in (tags.INSTANCE_AVAILABILITY, tags.RETRIEVE_URL, tags.AVAILABLE_TRANSFER_SYNTAX_UID)
        if tag in answer
    }


async def _bodies(db: Connection, versions: Sequence[str]) -> dict[str, bytes]:
    inflate = zstandard.ZstdDecompressor().decompress
    return {version: inflate(body) for version, body in (await _read_packed(db, versions)).items()}


async def _read_packed(db: Connection, versions: Sequence[str]) -> dict[str, bytes]:
    """Return compressed metadata by version."""
    found: dict[str, bytes] = {}
    for some in chunks(versions):
        for row in await db.fetch(
            f"SELECT version, body FROM instance_metadata WHERE {db.dialect.among('version')}",
            db.dialect.listed(some),
        ):
            found[row["version"]] = bytes(row["body"])
    return found


# -- entities seen in part --------------------------------------------------------------------------------


@dataclass(slots=True)
class _Seen:
    """A study or series, made up from those of its instances that the scope lets through."""

    shown: rows.Shown = field(default_factory=rows.Shown)
    series: dict[int, rows.Shown] = field(default_factory=dict)
    sop_classes: set[str] = field(default_factory=set)
    instances: int = 0


async def _read_seen_studies(db: Connection, cut: Cut, ids: Sequence[int]) -> dict[int, Entity]:
    uids = await _uids(db, "SELECT id, uid FROM study", ids)
    found = {}
    for id, seen in (await _read_seen(db, cut, Level.STUDY, ids)).items():
        modalities = {rows.text(shown.attributes, tags.MODALITY) for shown in seen.series.values()} - {""}
        counted = rows.study_counted(modalities, seen.sop_classes, len(seen.series), seen.instances)
        answer = rows.study_answer(uids[id][0], seen.shown.attributes, counted)
        found[id] = Entity(answer, seen.shown.attributes | counted | _pick_made(answer))
    return found


async def _read_seen_series(db: Connection, cut: Cut, ids: Sequence[int]) -> dict[int, Entity]:
    uids = await _uids(
        db, "SELECT x.id, x.uid, y.uid AS study FROM series x JOIN study y ON y.id = x.study", ids, "x.id"
    )
    found = {}
    for id, seen in (await _read_seen(db, cut, Level.SERIES, ids)).items():
        uid, study = uids[id]
        attributes = seen.series[id].attributes
        counted = rows.series_counted(seen.instances)
        answer = rows.series_answer(study, uid, attributes, counted)
        found[id] = Entity(answer, attributes | counted | _pick_made(answer))
    return found


async def _uids(
    db: Connection, select: str, ids: Sequence[int], column: str = "id"
) -> Mapping[int, tuple[str, str]]:
    found: dict[int, tuple[str, str]] = {}
    for some in chunks(ids):
        for row in await db.fetch(f"{select} WHERE {db.dialect.among(column)}", db.dialect.listed(some)):
            found[row["id"]] = (row["uid"], row["study"] if column != "id" else row["uid"])
    return found


async def _read_seen(db: Connection, cut: Cut, level: Level, ids: Sequence[int]) -> dict[int, _Seen]:
    found = await visible(db, cut, level, ids)
    first: dict[bytes, str] = {}
    for one in found:
        first.setdefault(one.parts, one.version)
    bodies = await _bodies(db, list(first.values()))
    parts = {mark: rows.split(bodies[version]) for mark, version in first.items()}
    seen: dict[int, _Seen] = {}
    for one in found:
        _add(
            seen.setdefault(one.study if level is Level.STUDY else one.series, _Seen()), one, parts[one.parts]
        )
    return seen


def _add(seen: _Seen, one: Visible, parts: rows.Split) -> None:
    seen.shown.merge(parts.study)
    seen.series.setdefault(one.series, rows.Shown()).merge(parts.series)
    seen.sop_classes.add(one.sop_class)
    seen.instances += 1
