"""The instances that a scope lets through: SQL conditions on columns, and a rest for the exact matcher.

Attributes of study and series are judged by the values that the study or series shows, all others
by the instance itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import zstandard

from gateway.dicom.dataset import DataSet
from gateway.dicom.query.levels import level_of
from gateway.dicom.query.match import satisfies
from gateway.dicom.query.query import Match
from gateway.index import rows
from gateway.index.base import Scope
from gateway.index.connection import Connection, Dialect
from gateway.index.sql import Compiled, compile_matches, first_tags
from gateway.model import Level

T = TypeVar("T")
AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Cut:
    """A scope, compiled: SQL conditions over st, se and i, and the matches `left` for the exact matcher.

    The matcher takes the instance together with the attributes of its study and series. `inside` is set when
    only a part of a study may be visible: then ready answers and stored counts do not hold.
    """

    conditions: tuple[str, ...]
    values: tuple[object, ...]
    left: tuple[Match, ...]
    inside: bool

    def add_to(self, asked: Compiled, level: Level) -> None:
        """Restrict a search to rows with something that the scope lets through, as far as columns tell."""
        if not self.conditions:
            return
        if not self.inside or level is Level.INSTANCE:
            asked.add(" AND ".join(self.conditions), *self.values)
            return
        under = {
            Level.STUDY: "instance i JOIN series se ON se.id = i.series WHERE i.study = st.id",
            Level.SERIES: "instance i WHERE i.series = se.id",
        }
        where = " AND ".join([under[level], "i.version IS NOT NULL", *self.conditions])
        asked.add(f"EXISTS (SELECT 1 FROM {where})", *self.values)


def cut_of(dialect: Dialect, scope: Scope) -> Cut:
    """Compile the scope's predicate."""
    found = compile_matches(dialect, scope.predicate, Level.INSTANCE)
    below = any(level_of(tag) is not Level.STUDY for match in scope.predicate for tag in first_tags(match))
    return Cut(tuple(found.conditions), tuple(found.values), tuple(found.left), below or bool(found.left))


def groups(values: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), most):
        yield values[start : start + most]


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    return groups(values, AT_ONCE)


@dataclass(frozen=True, slots=True)
class Visible:
    """An instance that a scope lets through, with the ids of its study and series.

    `parts` is the digest of its study and series attributes.
    """

    version: str
    study: int
    series: int
    sop_class: str
    parts: bytes


async def visible(
    db: Connection, cut: Cut, level: Level, ids: Sequence[int] | Sequence[str]
) -> list[Visible]:
    """Return the instances under these rows that a scope lets through, in the order of acceptance.

    `ids` are row ids of studies or series; for instances they are version ids.
    """
    column = {Level.STUDY: "i.study", Level.SERIES: "i.series", Level.INSTANCE: "i.version"}[level]
    found: list[Visible] = []
    for some in chunks(list[int | str](ids)):
        where = " AND ".join([db.dialect.among(column), "i.version IS NOT NULL", *cut.conditions])
        got = await db.fetch(
            "SELECT i.version, i.study, i.series, i.sop_class, v.parts FROM instance i "
            "JOIN series se ON se.id = i.series JOIN study st ON st.id = i.study "
            f"JOIN version v ON v.id = i.version WHERE {where} ORDER BY v.revision",
            *(db.dialect.listed(some), *cut.values),
        )
        found += [
            Visible(r["version"], r["study"], r["series"], r["sop_class"], bytes(r["parts"])) for r in got
        ]
    if not cut.left:
        return found
    passing: set[str] = set()
    for each in chunks([one.version for one in found]):
        passing |= {v for v, said in (await _load_told(db, each)).items() if satisfies(said, cut.left)}
    return [one for one in found if one.version in passing]


async def _load_told(db: Connection, versions: Sequence[str]) -> dict[str, DataSet]:
    """Return the attributes of instances together with those that their study and series show."""
    found = await db.fetch(
        "SELECT m.version, m.body, se.attributes AS series_attributes, st.attributes AS study_attributes "
        "FROM instance_metadata m JOIN version v ON v.id = m.version "
        "JOIN instance i ON i.partition = v.partition AND i.uid = v.instance_uid "
        f"JOIN series se ON se.id = i.series JOIN study st ON st.id = i.study WHERE {db.dialect.among('v.id')}",
        db.dialect.listed(versions),
    )
    inflate = zstandard.ZstdDecompressor().decompress
    return {
        row["version"]: rows.load(inflate(row["body"]))
        | rows.load(row["series_attributes"])
        | rows.load(row["study_attributes"])
        for row in found
    }
