"""Keyset paging: from the position of a row to the rows behind it, at the same cost on every page.

The order has several terms, in both directions and with empty values last. The rows behind a position are
queried in segments, from 'the same but for the last term' to 'another first term': each segment is one range
of an index.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.dicom.query.query import Position
from gateway.errors import BadParameter
from gateway.index.connection import Dialect
from gateway.model import Level


@dataclass(frozen=True, slots=True)
class Term:
    """A term of ORDER BY: a column, descending with `down`, NULL last with `last`."""

    column: str
    down: bool = False
    last: bool = False

    @property
    def kind(self) -> type:
        """The type of the values. Numbers are the terms that may be NULL."""
        return int if self.last else str


_STUDY = (Term("st.study_date", down=True), Term("st.study_time", down=True), Term("st.uid"))
_SERIES = (Term("se.number", last=True), Term("se.uid"))
_INSTANCE = (Term("i.number", last=True), Term("i.uid"))
TERMS: dict[Level, tuple[Term, ...]] = {
    Level.STUDY: _STUDY,
    Level.SERIES: (*_STUDY, *_SERIES),
    Level.INSTANCE: (*_STUDY, *_SERIES, *_INSTANCE),
}


def check_position(level: Level, after: Position) -> Position:
    """Return `after`. Raises BadParameter where it is no position at this level."""
    terms = TERMS[level]
    fits = len(after) == len(terms) and all(
        isinstance(value, term.kind) or (value is None and term.last)
        for value, term in zip(after, terms, strict=False)
    )
    if not fits:
        raise BadParameter(
            "cursor: of another search", parameter="cursor", expected="a cursor of this search"
        )
    return after


def columns(level: Level) -> str:
    """Return the select list p0, p1, … from which the position of a row is made."""
    return ", ".join(f"{term.column} AS p{n}" for n, term in enumerate(TERMS[level]))


def segments(
    dialect: Dialect, level: Level, after: Position, *, aside: bool
) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Yield conditions with values for the rows behind `after`, in order; no row is in two of them."""
    terms = TERMS[level]
    for size in range(len(terms) - 1, -1, -1):
        beyond = _beyond(terms[size], after[size], dialect, aside=aside)
        if beyond is None:
            continue
        same = [
            _same(term, value, dialect, aside=aside)
            for term, value in zip(terms[:size], after[:size], strict=True)
        ]
        parts = [*same, beyond]
        yield " AND ".join(text for text, _ in parts), tuple(value for _, values in parts for value in values)


def _same(
    term: Term, value: str | int | None, dialect: Dialect, *, aside: bool
) -> tuple[str, tuple[object, ...]]:
    column = dialect.aside(term.column) if aside else term.column
    return (f"{column} IS NULL", ()) if value is None else (f"{column} = ?", (value,))


def _beyond(
    term: Term, value: str | int | None, dialect: Dialect, *, aside: bool
) -> tuple[str, tuple[object, ...]] | None:
    """Return the condition for rows behind `value` in this term; None where it is NULL, which comes last."""
    if value is None:
        return None
    column = dialect.aside(term.column) if aside else term.column
    if term.last:
        return f"({column} > ? OR {column} IS NULL)", (value,)
    return f"{column} {'<' if term.down else '>'} ?", (value,)
