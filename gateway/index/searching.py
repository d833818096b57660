"""Search (PS3.18 10.6): SQL conditions where columns can answer, the exact matcher for the rest.

Answers that are stored ready are used wherever they hold all attributes that are wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from gateway.dicom import tagnumbers
from gateway.dicom.dataset import DataSet
from gateway.dicom.dictionary import name_of
from gateway.dicom.query.match import satisfies
from gateway.dicom.query.query import Match, Position, Query
from gateway.errors import BadParameter
from gateway.index import declaredkeys, declaredkeys_sql, entities, rows
from gateway.index.base import Page, RowPlace, Scope
from gateway.index.connection import Connection, Row
from gateway.index.entities import Entity, Kept
from gateway.index.paging import TERMS, check_position, columns, segments
from gateway.index.scoping import AT_ONCE, Cut, chunks, cut_of, groups, visible
from gateway.index.searchresults import SearchResults
from gateway.index.sql import Compiled, compile_matches, first_tags
from gateway.model import Level

MOST_REMAINING = 10_000
MOST_CANDIDATES = 10_000
_EVERYTHING = 1 << 62
# PIECE: bytes of answers that are made at once. LONG_AT_ONCE: instances held with
# compressed metadata for that.
PIECE = 8 << 20
LONG_AT_ONCE = 50
_PARTITION = "st.partition = ?"

_STUDIES = "st.study_date DESC, st.study_time DESC, st.uid"
_SERIES = "se.number NULLS LAST, se.uid"
_INSTANCES = "i.number NULLS LAST, i.uid"

# Attributes computed over a study's instances: the stored values are wrong under a scope that
# hides some of them.
_COUNTED = frozenset(
    {
        tagnumbers.MODALITIES_IN_STUDY,
        tagnumbers.SOP_CLASSES_IN_STUDY,
        tagnumbers.NUMBER_OF_STUDY_RELATED_SERIES,
        tagnumbers.NUMBER_OF_STUDY_RELATED_INSTANCES,
        tagnumbers.NUMBER_OF_SERIES_RELATED_INSTANCES,
    }
)


@dataclass(frozen=True, slots=True)
class _Plan:
    """FROM and ORDER BY for searches of one level, and the ids of the rows above."""

    tables: str
    columns: str
    own: str
    order: str
    alive: str


PLANS = {
    Level.STUDY: _Plan("study st", "st.id AS study", "st", _STUDIES, "st.instance_count > 0"),
    Level.SERIES: _Plan(
        "series se JOIN study st ON st.id = se.study",
        "se.id AS series, st.id AS study",
        "se",
        f"{_STUDIES}, {_SERIES}",
        "st.instance_count > 0 AND se.instance_count > 0",
    ),
    Level.INSTANCE: _Plan(
        "instance i JOIN series se ON se.id = i.series JOIN study st ON st.id = i.study",
        "i.version, se.id AS series, st.id AS study",
        "i",
        f"{_STUDIES}, {_SERIES}, {_INSTANCES}",
        "st.instance_count > 0 AND i.version IS NOT NULL",
    ),
}
_ID = {Level.STUDY: "study", Level.SERIES: "series", Level.INSTANCE: "version"}


async def search(db: Connection, scope: Scope, query: Query) -> Page:
    """Return a page of rows that match.

    Raises BadParameter where a key has no column and more than 10,000 candidates would have to be read.
    """
    job = _Search(db, cut_of(db.dialect, scope), query, SearchResults.from_query(query))
    asked = job.compile(scope)
    if asked.left:
        declaredkeys_sql.compile_answered(db.dialect, await declaredkeys.load_known(db), asked)
    job.lead(asked, scope)
    if asked.left or job.cut.left:
        found, matching = await job.examine_candidates(asked)
    else:
        found, matching = await job.list_rows(asked)
    ready = None if asked.left or job.cut.left or not job.is_plain else await job.ready(found)
    if ready is None:
        ready = await job.compose([_place(query.level, row) for row in found])
    remaining = max(0, min(matching - query.offset - len(found), MOST_REMAINING))
    ignored = tuple(name_of(tag) for tag in asked.ignored)
    total = None if not query.count else await job.total(asked, matching)
    return replace(
        ready, remaining=remaining, total=total, ignored=ignored, last=_position(query.level, found)
    )


async def read_on(db: Connection, scope: Scope, query: Query, rest: Sequence[RowPlace]) -> Page:
    """Return some more rows of a page that `search` began."""
    job = _Search(db, cut_of(db.dialect, scope), query, SearchResults.from_query(query))
    return await job.compose(rest)


def _place(level: Level, row: Row) -> RowPlace:
    if level is Level.STUDY:
        return RowPlace(row["study"])
    return RowPlace(row["study"], row["series"], row["version"] if level is Level.INSTANCE else None)


def _position(level: Level, found: Sequence[Row]) -> Position | None:
    return tuple(found[-1][f"p{n}"] for n in range(len(TERMS[level]))) if found else None


@dataclass(frozen=True, slots=True)
class _Search:
    """One search on one connection."""

    db: Connection
    cut: Cut
    query: Query
    shape: SearchResults

    @property
    def plan(self) -> _Plan:
        return PLANS[self.query.level]

    def compile(self, scope: Scope) -> Compiled:
        query, asked = self.query, Compiled()
        asked.add(_PARTITION, scope.partition)
        asked.add(self.plan.alive)
        if query.within is not None:
            asked.add("st.uid = ?", query.within.study)
            if query.within.series is not None:
                asked.add("se.uid = ?", query.within.series)
        self.cut.add_to(asked, query.level)
        by_column: list[Match] = []
        for match in query.matches:
            counted = self.cut.inside and _COUNTED.intersection(first_tags(match))
            (asked.left if counted else by_column).append(match)
        return compile_matches(self.db.dialect, by_column, query.level, asked)

    def lead(self, asked: Compiled, scope: Scope) -> None:
        """Make the database use the index of the most selective key, now that all conditions are known."""
        if self.query.within is None and asked.narrowed and not asked.pinned:
            asked.conditions[0] = _PARTITION.replace("st.partition", self.db.dialect.aside("st.partition"))
        for alias in sorted(asked.pinned - {"st"}):
            asked.add(f"{alias}.partition = ?", scope.partition)  # these indexes begin with the partition

    def _order(self, asked: Compiled) -> str:
        """Return ORDER BY; where few rows are left, they are sorted instead of reading all rows in order."""
        first = "st.study_date"
        order = self.plan.order
        return order.replace(first, self.db.dialect.aside(first), 1) if self._is_few(asked) else order

    def _is_few(self, asked: Compiled) -> bool:
        return bool(asked.narrowed or asked.pinned or self.query.within is not None)

    def _pieces(self, asked: Compiled) -> list[tuple[str, tuple[object, ...]]]:
        """Return conditions for the rows behind the page before, in order; without a cursor, for all rows."""
        after = self.query.after
        if after is None:
            return [("1 = 1", ())]
        position = check_position(self.query.level, after)
        return list(segments(self.db.dialect, self.query.level, position, aside=self._is_few(asked)))

    def _sql(self, asked: Compiled, columns: str, piece: str = "1 = 1") -> str:
        return f"SELECT {columns} FROM {self.plan.tables} WHERE {' AND '.join([*asked.conditions, piece])}"

    @property
    def _columns(self) -> str:
        own = self.plan.columns
        if self.is_plain:
            own = f"{own}, {self.plan.own}.answer"
            own += ", st.shown_description" if self.shape.wants_description else ""
            own += f", {entities.KIND}" if self.query.level is Level.INSTANCE else ""
        return f"{own}, {columns(self.query.level)}"

    # -- by columns -------------------------------------------------------------------------------------

    async def list_rows(self, asked: Compiled) -> tuple[Sequence[Row], int]:
        """Return the rows of the page, and how many match behind the cursor, as far as `remaining` needs."""
        query, pieces = self.query, self._pieces(asked)
        found: list[Row] = []
        for piece, values in pieces:
            sql = f"{self._sql(asked, self._columns, piece)} ORDER BY {self._order(asked)} LIMIT ? OFFSET ?"
            wanted = query.limit + 1 - len(found)
            found += await self.db.fetch(sql, *asked.values, *values, wanted, query.offset)
            if len(found) > query.limit:
                break
        more = len(found) > query.limit
        found = found[: query.limit]
        if not more and (found or not query.offset):
            return found, query.offset + len(found)
        return found, await self._count(asked, pieces, query.offset + query.limit + MOST_REMAINING)

    async def _count(
        self, asked: Compiled, pieces: Sequence[tuple[str, tuple[object, ...]]], most: int
    ) -> int:
        counted = 0
        # Behind a cursor, the order makes the database start at the right rows; without one,
        # any rows will do.
        order = "" if self.query.after is None or self._is_few(asked) else f" ORDER BY {self._order(asked)}"
        for piece, values in pieces:
            sql = f"SELECT COUNT(*) AS matching FROM ({self._sql(asked, '1', piece)}{order} LIMIT ?) found"
            row = await self.db.first(sql, *asked.values, *values, most - counted)
            assert row is not None
            counted += row["matching"]
            if counted >= most:
                break
        return counted

    async def total(self, asked: Compiled, matching: int) -> int:
        """Return how many rows match in all; `matching` is how many match behind the cursor."""
        if asked.left or self.cut.left:
            if self.query.after is None:
                return matching
            whole = replace(self, query=replace(self.query, after=None))
            return (await whole.examine_candidates(asked))[1]
        return await self._count(asked, [("1 = 1", ())], _EVERYTHING)

    @property
    def is_plain(self) -> bool:
        """Whether the stored answers hold all that is wanted."""
        return self.shape.are_ready and not self.cut.inside

    # -- by the exact matcher ---------------------------------------------------------------------------

    async def examine_candidates(self, asked: Compiled) -> tuple[Sequence[Row], int]:
        """Return the rows of the page and how many match behind the cursor, by a look at each candidate."""
        query, plan = self.query, self.plan
        most = MOST_CANDIDATES + 1 if asked.left else _EVERYTHING
        wanted = f"{plan.columns}, {columns(query.level)}"
        candidates: list[Row] = []
        for piece, values in self._pieces(asked):
            sql = f"{self._sql(asked, wanted, piece)} ORDER BY {self._order(asked)} LIMIT ?"
            candidates += await self.db.fetch(sql, *asked.values, *values, most - len(candidates))
        if asked.left and len(candidates) > MOST_CANDIDATES:
            raise _too_many(asked.left[0])
        fitting: list[Row] = []
        for some in chunks(candidates):
            fitting += await self._fitting(some, asked.left)
        return fitting[query.offset : query.offset + query.limit], len(fitting)

    async def _fitting(self, candidates: Sequence[Row], left: Sequence[Match]) -> list[Row]:
        level = self.query.level
        if self.cut.left:
            seen = await visible(self.db, self.cut, level, [row[_ID[level]] for row in candidates])
            passing = {getattr(one, _ID[level]) for one in seen}
            candidates = [row for row in candidates if row[_ID[level]] in passing]
        if not left:
            return list(candidates)
        level, fitting = self.query.level, list[Row]()
        for some in groups(candidates, LONG_AT_ONCE):
            related = await self._entities([_place(level, row) for row in some], whole=True)
            fitting += await self.db.apart(partial(self._satisfying, some, related, left))
        return fitting

    def _satisfying(self, some: Sequence[Row], related: _Related, left: Sequence[Match]) -> list[Row]:
        """Return the rows that match exactly.

        Each is read when it is its turn: a hundred long ones at once would fill the memory.
        """
        found: list[Row] = []
        for row in some:
            self.db.deadline.check()
            one = related.find_levels(_place(self.query.level, row))
            if one is not None and satisfies(_describe(one), left):
                found.append(row)
        return found

    # -- answers ----------------------------------------------------------------------------------------

    async def ready(self, found: Sequence[Row]) -> Page | None:
        """Return the stored answers of a page; None where one of them is not filled in yet."""
        answers = [bytes(row["answer"]) for row in found]
        if self.shape.wants_description:
            beside = [row["shown_description"] for row in found]
            if None in beside:
                return None
            return Page(list(map(rows.with_description, answers, map(bytes, beside))))
        if self.query.level is not Level.INSTANCE:
            return Page(answers)
        missing = await entities.kinds(self.db, [row["version"] for row in found if row["kind"] is None])
        kinds = tuple(row["kind"] or missing.get(row["version"], "") for row in found)
        return Page(answers, kinds=kinds)

    async def compose(self, found: Sequence[RowPlace]) -> Page:
        """Return answers up to PIECE bytes together, at least one, and in `rest` the places that are left."""
        whole = self.shape.wants_metadata
        made, kinds = list[bytes](), list[str]()
        size, done = 0, 0
        for some in groups(found, LONG_AT_ONCE if whole else AT_ONCE):
            related = await self._entities(some, whole=whole)
            ready, seen = await self.db.apart(partial(self._write_page, some, related, PIECE - size))
            made += ready.rows
            kinds += ready.kinds
            size += sum(map(len, ready.rows))
            done += seen
            if size >= PIECE:
                break
        return Page(made, rest=tuple(found[done:]), kinds=tuple(kinds))

    def _write_page(self, some: Sequence[RowPlace], related: _Related, most: int) -> tuple[Page, int]:
        """Return answers up to `most` bytes, and how many places were read for them."""
        made, kinds = list[bytes](), list[str]()
        for number, place in enumerate(some, 1):
            self.db.deadline.check()
            one = related.find_levels(place)
            if one is None:
                continue
            made.append(rows.dump(self.shape.compose(one)))
            if place.version is not None:
                kinds.append(related.instances[place.version].kind)
            most -= len(made[-1])
            if most <= 0:
                return Page(made, kinds=kinds), number
        return Page(made, kinds=kinds), len(some)

    async def _entities(self, found: Sequence[RowPlace], *, whole: bool) -> _Related:
        """Read the studies, series and instances of these places, each once."""
        level, db = self.query.level, self.db
        studies = await entities.studies(db, self.cut, list({place.study for place in found}))
        series = await entities.series(
            db, self.cut, list({place.series for place in found if place.series is not None})
        )
        versions = [place.version for place in found if place.version is not None]
        return _Related(studies, series, await entities.instances(db, versions, whole=whole), level)


@dataclass(frozen=True, slots=True)
class _Related:
    studies: dict[int, Entity]
    series: dict[int, Entity]
    instances: dict[str, Kept]
    level: Level

    def find_levels(self, place: RowPlace) -> dict[Level, Entity] | None:
        """Return the entities from the study down to the row; None where one was deleted meanwhile."""
        study = self.studies.get(place.study)
        if study is None:
            return None
        found = {Level.STUDY: study}
        if place.series is not None:
            series = self.series.get(place.series)
            if series is None:
                return None
            found[Level.SERIES] = series
        if place.version is not None:
            kept = self.instances.get(place.version)
            if kept is None:
                return None
            found[Level.INSTANCE] = kept.entity()
        return found


def _describe(found: dict[Level, Entity]) -> DataSet:
    """Return all attributes of a row: the shown ones of study and series, the rest from the instance."""
    described: DataSet = {}
    for level in (Level.INSTANCE, Level.SERIES, Level.STUDY):
        if level in found:
            described |= found[level].attributes
    return described


def _too_many(match: Match) -> BadParameter:
    name = name_of(first_tags(match)[0])
    return BadParameter(
        f"{name} is not indexed and more than {MOST_CANDIDATES} candidates are left: add an indexed key such as "
        "StudyDate or PatientID, or have it indexed by POST /api/v1/keys or the setting query_keys",
        parameter=name,
        expected="an indexed key beside it, or this key declared",
    )
