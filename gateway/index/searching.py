"""Search on one SQLite connection: conditions by column, the rest by the exact matcher, ready answers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.dicom.dictionary import name_of, vr_of
from gateway.dicom.levels import level_of
from gateway.dicom.match import satisfies
from gateway.dicom.query import DateTimeRange, InItem, Match, Path, Query
from gateway.errors import BadParameter
from gateway.index import reading, rows
from gateway.index.base import Page, Scope
from gateway.index.compile import Compiled, compiled
from gateway.index.rows import Attributes
from gateway.model import Level

MOST_REMAINING = 10_000
MOST_CANDIDATES = 10_000

_STUDIES = "st.study_date = '', st.study_date DESC, st.study_time = '', st.study_time DESC, st.uid"
_SERIES = "se.number IS NULL, se.number, se.uid"
_INSTANCES = "i.number IS NULL, i.number, i.uid"
_RANK = {Level.STUDY: 0, Level.SERIES: 1, Level.INSTANCE: 2}


@dataclass(frozen=True, slots=True)
class _Plan:
    """FROM and ORDER BY of a level; `answer` is the column of its own ready answer."""

    tables: str
    columns: str
    order: str
    alive: str


PLANS = {
    Level.STUDY: _Plan(
        "study st",
        "st.id AS row, st.answer, st.attributes AS study_attributes",
        _STUDIES,
        "st.instance_count > 0",
    ),
    Level.SERIES: _Plan(
        "series se JOIN study st ON st.id = se.study",
        "se.id AS row, se.answer, st.answer AS study_answer, st.attributes AS study_attributes, "
        "se.attributes AS series_attributes",
        f"{_STUDIES}, {_SERIES}",
        "se.instance_count > 0",
    ),
    Level.INSTANCE: _Plan(
        "instance i JOIN series se ON se.id = i.series JOIN study st ON st.id = i.study",
        "i.id AS row, i.version, i.answer, se.answer AS series_answer, st.answer AS study_answer, "
        "st.attributes AS study_attributes, se.attributes AS series_attributes",
        f"{_STUDIES}, {_SERIES}, {_INSTANCES}",
        "i.version IS NOT NULL",
    ),
}


def search(db: sqlite3.Connection, scope: Scope, query: Query) -> Page:
    """Raises BadParameter where a key has no column and more than 10,000 candidates would be looked into."""
    plan = PLANS[query.level]
    asked = compiled(query.matches, query.level)
    asked.conditions[:0] = ["st.partition = ?", plan.alive]
    asked.values.insert(0, scope.partition)
    _within(asked, query)
    exact = bool(asked.left) or not scope.is_whole
    found, matching = _exact(db, scope, query, plan, asked) if exact else _page(db, query, plan, asked)
    ignored = tuple(name_of(tag) for tag in asked.ignored)
    ready = [_answer(db, scope, query, row) for row in found]
    remaining = max(0, min(matching - query.offset - len(found), MOST_REMAINING))
    return Page(ready, remaining, matching if query.count else None, ignored)


def _within(asked: Compiled, query: Query) -> None:
    if query.within is None:
        return
    asked.add("st.uid = ?", query.within.study)
    if query.within.series is not None:
        asked.add("se.uid = ?", query.within.series)


def _sql(plan: _Plan, asked: Compiled, columns: str) -> str:
    return f"SELECT {columns} FROM {plan.tables} WHERE {' AND '.join(asked.conditions)}"


def _page(
    db: sqlite3.Connection, query: Query, plan: _Plan, asked: Compiled
) -> tuple[list[sqlite3.Row], int]:
    """The rows of the page, and how many match in all (up to what `remaining` needs)."""
    sql = f"{_sql(plan, asked, plan.columns)} ORDER BY {plan.order} LIMIT ? OFFSET ?"
    found = db.execute(sql, (*asked.values, query.limit + 1, query.offset)).fetchall()
    more = len(found) > query.limit
    found = found[: query.limit]
    if not more and not query.count and (found or not query.offset):
        return found, query.offset + len(found)
    counted = f"SELECT COUNT(*) FROM ({_sql(plan, asked, '1')} LIMIT ?)"
    most = -1 if query.count else query.offset + query.limit + MOST_REMAINING
    return found, int(db.execute(counted, (*asked.values, most)).fetchone()[0])


def _exact(
    db: sqlite3.Connection, scope: Scope, query: Query, plan: _Plan, asked: Compiled
) -> tuple[list[sqlite3.Row], int]:
    sql = f"{_sql(plan, asked, plan.columns)} ORDER BY {plan.order} LIMIT ?"
    most = MOST_CANDIDATES + 1 if asked.left else -1
    found: list[sqlite3.Row] = []
    matching = looked = 0
    for row in db.execute(sql, (*asked.values, most)):
        looked += 1
        if asked.left and looked > MOST_CANDIDATES:
            raise _too_many(asked.left)
        if not _fits(db, scope, query.level, row, asked.left):
            continue
        matching += 1
        if matching > query.offset and len(found) < query.limit:
            found.append(row)
    return found, matching


def _too_many(left: Sequence[Match]) -> BadParameter:
    first = left[0]
    path = first.date if isinstance(first, DateTimeRange) else first.path
    name = name_of(path[0])
    return BadParameter(
        f"{name} is not indexed and more than {MOST_CANDIDATES} candidates are left: add an indexed key",
        parameter=name,
        expected="an indexed key beside it, such as StudyDate or PatientID",
    )


def _fits(
    db: sqlite3.Connection, scope: Scope, level: Level, row: sqlite3.Row, left: Sequence[Match]
) -> bool:
    if left and not satisfies(_described(db, level, row), left):
        return False
    return scope.is_whole or any(True for _ in _visible(db, scope, level, row))


def _described(db: sqlite3.Connection, level: Level, row: sqlite3.Row) -> Attributes:
    """All that is known at this level."""
    if level is Level.INSTANCE:
        return rows.loaded(row["study_attributes"]) | rows.loaded(reading.body_of(db, row["version"]))
    attributes = rows.loaded(row["study_attributes"])
    return attributes | rows.loaded(row["series_attributes"]) if level is Level.SERIES else attributes


def _visible(db: sqlite3.Connection, scope: Scope, level: Level, row: sqlite3.Row) -> Iterator[sqlite3.Row]:
    """The instances under a row that a cutting scope lets through."""
    column = {Level.STUDY: "i.study", Level.SERIES: "i.series", Level.INSTANCE: "i.id"}[level]
    under = db.execute(
        "SELECT i.version, i.series, i.sop_class, se.modality FROM instance i JOIN series se ON se.id = i.series "
        f"WHERE {column} = ? AND i.version IS NOT NULL",
        (row["row"],),
    )
    return (i for i in under.fetchall() if reading.passes(db, scope, i["version"]))


def _answer(db: sqlite3.Connection, scope: Scope, query: Query, row: sqlite3.Row) -> bytes:
    """The ready answer as it is where nothing more is wanted, else with more attributes."""
    wanted = [*query.include, *(_path(match) for match in query.matches)]
    plain = query.level is Level.STUDY or (query.level is Level.SERIES and query.within is not None)
    plain = plain or (query.within is not None and query.within.series is not None)
    if plain and not wanted and not query.include_all and scope.is_whole:
        return bytes(row["answer"])
    answer = _with_higher(query, row)
    if not scope.is_whole:
        _recounted(db, scope, query.level, row, answer)
    if query.include_all or any(f"{path[0]:08X}" not in answer for path in wanted):
        _include(db, query, row, wanted, answer)
    _only_matching_items(query.matches, answer)
    answer.pop("00080005", None)
    return rows.dumped(answer)


def _path(match: Match) -> Path:
    return match.date if isinstance(match, DateTimeRange) else match.path


def _with_higher(query: Query, row: sqlite3.Row) -> Attributes:
    """Relational searches also show the attributes of the levels above (PS3.18 10.6.3.3.2, 10.6.3.3.3)."""
    answer: Attributes = {}
    if query.level is not Level.STUDY and query.within is None:
        answer |= rows.loaded(row["study_answer"])
    if query.level is Level.INSTANCE and (query.within is None or query.within.series is None):
        answer |= rows.loaded(row["series_answer"])
    return answer | rows.loaded(row["answer"])


def _include(
    db: sqlite3.Connection, query: Query, row: sqlite3.Row, wanted: Sequence[Path], answer: Attributes
) -> None:
    attributes = _described(db, query.level, row)
    if query.include_all:
        for tag, attribute in attributes.items():
            at = level_of(int(tag, 16))
            if query.within is None or _RANK[at] >= _lowest(query):
                answer.setdefault(tag, attribute)
    for path in wanted:
        tag = f"{path[0]:08X}"
        if _RANK[level_of(path[0])] <= _RANK[query.level] and tag in attributes:
            answer.setdefault(tag, attributes[tag])
        elif _RANK[level_of(path[0])] <= _RANK[query.level] and vr_of(path[0]):
            answer.setdefault(tag, {"vr": vr_of(path[0])[:2]})


def _lowest(query: Query) -> int:
    """`all` in a hierarchical search means the attributes of the level searched."""
    if query.within is None:
        return 0
    return 1 if query.level is Level.INSTANCE and query.within.series is None else _RANK[query.level]


def _only_matching_items(matches: Sequence[Match], answer: Attributes) -> None:
    """Of a matched sequence only the items that match are shown (PS3.4 C.2.2.2.6)."""
    for match in matches:
        if isinstance(match, InItem):
            attribute = answer.get(f"{match.path[0]:08X}")
            if attribute and len(match.path) == 1:
                items = [item for item in attribute.get("Value", ()) if satisfies(item, match.keys)]
                answer[f"{match.path[0]:08X}"] = {"vr": "SQ", "Value": items}


def _recounted(
    db: sqlite3.Connection, scope: Scope, level: Level, row: sqlite3.Row, answer: Attributes
) -> None:
    """Counts and modality sets of what the scope lets through."""
    visible = list(_visible(db, scope, level, row))
    if level is Level.STUDY:
        answer["00080061"] = {"vr": "CS", "Value": sorted({i["modality"] for i in visible if i["modality"]})}
        answer["00201206"] = {"vr": "IS", "Value": [len({i["series"] for i in visible})]}
        answer["00201208"] = {"vr": "IS", "Value": [len(visible)]}
    elif level is Level.SERIES:
        answer["00201209"] = {"vr": "IS", "Value": [len(visible)]}
