"""SQL for matches on declared keys, which have no column of their own but rows in `extra_value`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.dicom.query import searchkeys
from gateway.dicom.query.match import NUMERIC, TEMPORAL
from gateway.dicom.query.query import DateTimeRange, Empty, Equals, InItem, Match, Path, Range, Universal
from gateway.index.connection import Dialect
from gateway.index.declaredkeys import Known
from gateway.index.sql import Compiled, Compiler
from gateway.model import Level

_OWNER = {
    Level.STUDY: ("st.id", "x.owner"),
    Level.SERIES: ("se.id", "x.owner"),
    Level.INSTANCE: ("(i.uid, i.version)", "x.instance, x.version"),
}
_NEVER = "1 = 0"


def compile_answered(dialect: Dialect, known: Sequence[Known], out: Compiled) -> None:
    """Move from `out.left` into SQL conditions every match that ready keys can answer."""
    ready = {key.definition.path: key for key in known if key.is_ready}
    compiler = _Compiler(dialect, ready)
    out.left = [match for match in out.left if not compiler.compile_match(out, match)] if ready else out.left


@dataclass(frozen=True, slots=True)
class _Compiler:
    dialect: Dialect
    ready: dict[Path, Known]

    def compile_match(self, out: Compiled, match: Match) -> bool:
        """Add the condition for this match to `out`; return whether it answers the match fully."""
        if isinstance(match, DateTimeRange):
            return self._compile_dated(out, match)
        leaves = list(_leaves(match, ()))
        sequences = {path[:-1] for path, _ in leaves}
        found = [self.ready.get(path) for path, _ in leaves]
        if not leaves or len(sequences) > 1 or None in found:
            return False
        known = [key for key in found if key is not None]
        if len(leaves) == 1 and isinstance(match, Empty):
            self._absent(out, known[0])
            return True
        inner = Compiled()
        for number, ((_, leaf), key) in enumerate(zip(leaves, known, strict=True)):
            if not self._compile_joined(inner, number, leaf, key):
                return False
        level = known[0].definition.level
        row, owner = _OWNER[level]
        where = " AND ".join(inner.conditions)
        out.add(f"{row} IN (SELECT {owner} FROM extra_value x WHERE {where})", *inner.values)
        if level is Level.INSTANCE:
            out.pinned.add("i")  # by UID, within the partition
        out.narrowed = True
        return True

    def _compile_dated(self, out: Compiled, match: DateTimeRange) -> bool:
        """Narrow down by the date, with a day more on each side where a zone may move it; return False.

        The exact match is left to the matcher in Python.
        """
        if match.date in self.ready:
            days = 0 if match.zone is None else 1
            low = searchkeys.shift_day(match.low, -days) if match.low else None
            high = searchkeys.shift_day(match.high, days) if match.high else None
            self.compile_match(out, Range(match.date, "DA", low, high))
        return False

    def _absent(self, out: Compiled, key: Known) -> None:
        row, owner = _OWNER[key.definition.level]
        out.add(f"{row} NOT IN (SELECT {owner} FROM extra_value x WHERE x.key = ?)", key.id)

    def _compile_joined(self, inner: Compiled, number: int, leaf: Match, key: Known) -> bool:
        """Add the condition of one leaf; return False where SQL cannot express it.

        The first leaf is row x; the others must be in the same item of the same owner.
        """
        made = Compiled()
        made.add("x.key = ?", key.id)
        if not self._condition(made, leaf, key.definition.vr):
            return False
        where = " AND ".join(made.conditions)
        if not number:
            inner.add(where, *made.values)
            return True
        alias = f"y{number}"
        where = re.sub(r"\bx\.", f"{alias}.", where)
        inner.add(
            f"EXISTS (SELECT 1 FROM extra_value {alias} WHERE {where} AND {alias}.owner = x.owner "
            f"AND {alias}.version = x.version AND {alias}.item = x.item)",
            *made.values,
        )
        return True

    def _condition(self, out: Compiled, leaf: Match, vr: str) -> bool:
        if isinstance(leaf, Empty | Universal | DateTimeRange | InItem):
            return False
        if vr in TEMPORAL:
            return _temporal(out, leaf, vr)
        if vr in NUMERIC:
            if isinstance(leaf, Equals):
                out.add("x.text = ?", searchkeys.number_key(leaf.value, vr))
            return isinstance(leaf, Equals)
        return Compiler(self.dialect).on(out, "x.name" if vr == "PN" else "x.text", leaf)


def _temporal(out: Compiled, leaf: Match, vr: str) -> bool:
    if isinstance(leaf, Equals):
        key = TEMPORAL[vr](leaf.value)
        out.add(*(("x.text = ?", key) if key else (_NEVER,)))
        return True
    if not isinstance(leaf, Range) or leaf.zone is not None:
        return False
    out.add("x.text >= ?", leaf.low or "0")  # an unreadable value is stored as an empty one, below '0'
    if leaf.high is not None:
        out.add("x.text <= ?", leaf.high)
    return True


def _leaves(match: Match, above: Path) -> Iterator[tuple[Path, Match]]:
    """Yield the keys matched on with their whole paths, out of nested items."""
    if isinstance(match, InItem):
        for key in match.keys:
            yield from _leaves(key, (*above, *match.path))
    elif isinstance(match, DateTimeRange):
        yield (*above, *match.date), match
    else:
        yield (*above, *match.path), match
