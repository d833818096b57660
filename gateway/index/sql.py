"""Queries as SQL: matches that columns can answer become conditions, the rest is left to the exact matcher.

Patterns are first looked up among the n-grams, where the column has them, and then compared with the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.dicom import tagnumbers
from gateway.dicom.query import searchkeys
from gateway.dicom.query.levels import RANK, level_of
from gateway.dicom.query.query import (
    DateTimeRange,
    Empty,
    Equals,
    Fuzzy,
    InItem,
    Match,
    OneOf,
    Path,
    Range,
    Universal,
    Wildcard,
)
from gateway.index.connection import Dialect, Piece, Wild
from gateway.index.rows import MOST_CHARACTERS, SERIES_GRAMS, STUDY_GRAMS
from gateway.model import Level

# Tag → column. Lists hold `\value\value\`.
COLUMNS: dict[int, str] = {
    tagnumbers.STUDY_DATE: "st.study_date",
    tagnumbers.STUDY_TIME: "st.study_time",
    tagnumbers.ACCESSION_NUMBER: "st.accession_number",
    tagnumbers.MODALITIES_IN_STUDY: "st.modalities",
    tagnumbers.SOP_CLASSES_IN_STUDY: "st.sop_classes",
    tagnumbers.REFERRING_PHYSICIAN_NAME: "st.referring_name",
    tagnumbers.PATIENT_NAME: "st.patient_name",
    tagnumbers.PATIENT_ID: "st.patient_id",
    tagnumbers.ISSUER_OF_PATIENT_ID: "st.issuer_of_patient_id",
    tagnumbers.PATIENT_BIRTH_DATE: "st.patient_birth_date",
    tagnumbers.PATIENT_SEX: "st.patient_sex",
    tagnumbers.STUDY_INSTANCE_UID: "st.uid",
    tagnumbers.STUDY_ID: "st.study_id",
    tagnumbers.STUDY_DESCRIPTION: "st.study_description",
    tagnumbers.MODALITY: "se.modality",
    tagnumbers.SERIES_INSTANCE_UID: "se.uid",
    tagnumbers.SERIES_NUMBER: "se.number",
    tagnumbers.PERFORMED_PROCEDURE_STEP_START_DATE: "se.pps_start_date",
    tagnumbers.PERFORMED_PROCEDURE_STEP_START_TIME: "se.pps_start_time",
    tagnumbers.SERIES_DESCRIPTION: "se.series_description",
    tagnumbers.INSTITUTION_NAME: "se.institution_name",
    tagnumbers.BODY_PART_EXAMINED: "se.body_part_examined",
    tagnumbers.PROTOCOL_NAME: "se.protocol_name",
    tagnumbers.STATION_NAME: "se.station_name",
    tagnumbers.MANUFACTURER: "se.manufacturer",
    tagnumbers.MANUFACTURER_MODEL_NAME: "se.manufacturer_model_name",
    tagnumbers.FRAME_OF_REFERENCE_UID: "se.frame_of_reference_uid",
    tagnumbers.SOP_CLASS_UID: "i.sop_class",
    tagnumbers.SOP_INSTANCE_UID: "i.uid",
    tagnumbers.INSTANCE_NUMBER: "i.number",
    tagnumbers.ACQUISITION_DATE_TIME: "i.acquisition_datetime",
}
LISTS = frozenset({"st.modalities", "st.sop_classes"})
NUMBERS = frozenset({"se.number", "i.number"})
# Names are three columns, one for each component group, and one of words for fuzzy matching.
NAMES: dict[str, tuple[str, str, str]] = {
    "st.patient_name": ("st.patient_name", "st.patient_ideographic", "st.patient_phonetic"),
    "st.referring_name": ("st.referring_name", "st.referring_ideographic", "st.referring_phonetic"),
}
WORDS = {"st.patient_name": "st.patient_words", "st.referring_name": "st.referring_words"}
# Columns of declared keys, in `extra_value`.
NAMES["x.name"] = ("x.text", "x.ideographic", "x.phonetic")
WORDS["x.name"] = "x.words"
_TEMPORAL = {
    **dict.fromkeys(("st.study_date", "st.patient_birth_date", "se.pps_start_date"), searchkeys.date_key),
    **dict.fromkeys(("st.study_time", "se.pps_start_time"), searchkeys.time_key),
    "i.acquisition_datetime": searchkeys.datetime_key,
}
_GRAMS = {f"st.{column}": letter for column, letter in STUDY_GRAMS.items()} | {
    f"se.{column}": letter for column, letter in SERIES_GRAMS.items()
}
# Keys with values that select few rows, by an index that begins with the partition.
_PINNING = frozenset(
    {
        *("st.uid", "st.patient_id", "st.accession_number", "st.study_id"),
        *("se.uid", "se.frame_of_reference_uid", "i.uid"),
    }
)
ITEM_COLUMNS = {
    tagnumbers.SCHEDULED_PROCEDURE_STEP_ID: "r.scheduled_procedure_step_id",
    tagnumbers.REQUESTED_PROCEDURE_ID: "r.requested_procedure_id",
}
_NEVER = "1 = 0"
_MANY, _ONE = Wild.MANY, Wild.ONE

Condition: TypeAlias = tuple[str, Sequence[object]]
Fits: TypeAlias = Callable[[str, str], Condition]
_LARGEST = 1 << 62
_GROUP = 100
MOST_GRAMS = 32
_WHOLE = re.compile(r"-?[0-9]{1,20}")


@dataclass(slots=True)
class Compiled:
    """A compiled query: `conditions` joined by AND, with `values` for their marks.

    `left` are matches to test exactly afterwards. `ignored` are attributes of a level below that of the
    search (PS3.18 10.6.1.2.1).
    """

    conditions: list[str] = field(default_factory=list)
    values: list[object] = field(default_factory=list)
    left: list[Match] = field(default_factory=list)
    ignored: list[int] = field(default_factory=list)
    narrowed: bool = False
    """Whether n-grams, or the values of a declared key, select few rows."""
    pinned: set[str] = field(default_factory=set)
    """The tables (st, se, i) of which an indexed key selects few rows by its value."""

    def add(self, condition: str, *values: object) -> None:
        self.conditions.append(condition)
        self.values.extend(values)

    def any_of(self, choices: Sequence[Condition]) -> None:
        """Add the condition that one of these choices holds, with their values."""
        values = (value for _, values in choices for value in values)
        self.add(_either([condition for condition, _ in choices]) if choices else _NEVER, *values)


def first_tags(match: Match) -> tuple[int, ...]:
    """Return the attributes at the top level of the data set that a match uses."""
    if isinstance(match, DateTimeRange):
        return (match.date[0], match.time[0])
    return (match.path[0],)


def compile_matches(
    dialect: Dialect, matches: Iterable[Match], level: Level, out: Compiled | None = None
) -> Compiled:
    """Compile matches for a search at this level; add their conditions to `out`."""
    out = Compiled() if out is None else out
    compiler = Compiler(dialect)
    for match in matches:
        below = [tag for tag in first_tags(match) if RANK[level_of(tag)] > RANK[level]]
        if below:
            out.ignored.append(below[0])
        elif not isinstance(match, Universal) and not compiler.compile_match(out, match):
            out.left.append(match)
    return out


@dataclass(frozen=True, slots=True)
class Compiler:
    """Compiler of one match at a time, in one dialect."""

    dialect: Dialect

    def compile_match(self, out: Compiled, match: Match) -> bool:
        """Return whether columns can answer the match; if so, its condition is in `out`."""
        if isinstance(match, InItem):
            return self._request_item(out, match)
        if isinstance(match, DateTimeRange):
            return self._interval(out, match)
        column = COLUMNS.get(match.path[0]) if len(match.path) == 1 else None
        return column is not None and self.on(out, column, match)

    def on(self, out: Compiled, column: str, match: Match) -> bool:
        """Return whether this column can answer the match; if so, its condition is in `out`."""
        if isinstance(match, Equals):
            return self._equals(out, column, match.value)
        if isinstance(match, Wildcard):
            return self._wildcard(out, column, match.pattern)
        if isinstance(match, OneOf):
            return self._one_of(out, column, match.values)
        if isinstance(match, Range):
            return self._range(out, column, match)
        if isinstance(match, Fuzzy) and column in WORDS:
            for word in match.words:
                self._word(out, WORDS[column], word)
            return True
        if isinstance(match, Empty):
            empty = "{} IS NULL" if column in NUMBERS else "{} = ''"
            out.add(" AND ".join(empty.format(part) for part in NAMES.get(column, (column,))))
            return True
        return False

    # -- single values ----------------------------------------------------------------------------------

    def _equals(self, out: Compiled, column: str, value: str) -> bool:
        if column in NAMES:
            self._compile_name(out, column, value, self._is)
        elif column in LISTS:
            out.any_of([self._has(column, value)])
        elif column in NUMBERS:
            number = searchkeys.number_key(value)
            is_whole = bool(_WHOLE.fullmatch(number)) and abs(int(number)) < _LARGEST
            out.add(*(f"{column} = ?", int(number)) if is_whole else (_NEVER,))
        elif column in _TEMPORAL:
            key = _TEMPORAL[column](value)
            out.add(*(f"{column} = ?", key) if key else (_NEVER,))
        else:
            out.any_of([self._is(column, value)])
        self._pin(out, column)
        return True

    def _pin(self, out: Compiled, column: str) -> None:
        if column in _PINNING:
            out.pinned.add(column.partition(".")[0])

    def _is(self, column: str, value: str) -> Condition:
        return f"{column} = ?", (_key(value),)

    def _one_of(self, out: Compiled, column: str, values: Sequence[str]) -> bool:
        if column in NAMES or column in NUMBERS or column in _TEMPORAL:
            return False
        if column in LISTS:
            out.any_of([self._has(column, value) for value in values])
        else:
            out.add(self.dialect.among(column), self.dialect.listed(_key(value) for value in values))
            self._pin(out, column)
        return True

    def _has(self, column: str, value: str) -> Condition:
        """Return the condition that the value is one of a list."""
        return self.dialect.like(column), (self.dialect.shape((_MANY, f"\\{_key(value)}\\", _MANY)),)

    # -- patterns ---------------------------------------------------------------------------------------

    def _wildcard(self, out: Compiled, column: str, pattern: str) -> bool:
        pattern = searchkeys.collapse(pattern)
        if column in NUMBERS or column in _TEMPORAL or len(pattern) > MOST_CHARACTERS or "\0" in pattern:
            return False
        if column in NAMES:
            self._compile_name(out, column, pattern, self._compile_name_shape)
        elif column == "st.modalities":
            # In the list itself `?` and `*` would reach over into the next value.
            like, shape = self.dialect.like("s.modality"), self.dialect.shape(_wild(pattern))
            out.add(
                "EXISTS (SELECT 1 FROM series s WHERE s.study = st.id AND s.instance_count > 0 "
                f"AND s.modality != '' AND {like})",
                shape,
            )
        elif column in LISTS:
            return False
        else:
            self._narrow(out, column, [searchkeys.pattern_ngrams(pattern)])
            out.any_of([self._compile_shapes(column, (pattern,))])
        return True

    def _compile_shapes(self, column: str, patterns: Sequence[str]) -> Condition:
        """Return the condition that the text has one of these patterns; an empty text matches none."""
        likes = " OR ".join([self.dialect.like(column)] * len(patterns))
        return f"(({likes}) AND {column} != '')", [self.dialect.shape(_wild(p)) for p in patterns]

    def _compile_name_shape(self, column: str, pattern: str) -> Condition:
        return self._compile_shapes(column, searchkeys.name_patterns(pattern))

    def _narrow(self, out: Compiled, column: str, choices: Iterable[set[str]]) -> None:
        """Add a condition on the n-grams of one of the choices; it changes the speed only, not the result."""
        letter = _GRAMS.get(column)
        if letter is None:
            return
        telling = [_few(sorted(letter + gram for gram in grams if _is_telling(gram))) for grams in choices]
        if telling and all(telling):
            condition, values = self.dialect.having(column[:2], telling)
            out.add(condition, *values)
            out.narrowed = True

    # -- names ------------------------------------------------------------------------------------------

    def _compile_name(self, out: Compiled, column: str, asked: str, fits: Fits) -> None:
        """Match a name by its component groups (see dicom/query/searchkeys.py).

        A query with one group matches any group of the name; one with several groups matches
        each in its place.
        """
        groups, parts = searchkeys.fold_groups(asked), NAMES[column]
        if len(groups) > 3 or not any(groups):
            out.add(_NEVER)
            return
        for group in filter(None, groups):
            shared = (searchkeys.pattern_ngrams(pattern) for pattern in searchkeys.name_patterns(group))
            self._narrow(out, column, [set.intersection(*shared)])
        if len(groups) == 1:
            out.any_of([fits(part, groups[0]) for part in parts])
            return
        out.any_of([(f"{part} != ''", ()) for part in parts])
        for part, group in zip(parts, groups, strict=False):
            if group.strip("*"):
                out.any_of([fits(part, group)])

    def _word(self, out: Compiled, column: str, word: str) -> None:
        """Match a prefix of a word, or the sound of a word."""
        prefixes, sounds = searchkeys.fuzzy_asked(word)
        self._narrow(
            *(out, column),
            [*(searchkeys.pattern_ngrams(f"{prefix}*") for prefix in prefixes), *({f"~{s}"} for s in sounds)],
        )
        found = [(_MANY, f" {prefix}", _MANY) for prefix in prefixes]
        found += [(_MANY, f" ~{sound} ", _MANY) for sound in sounds]
        like = self.dialect.like(column)
        out.any_of([(like, (self.dialect.shape(pieces),)) for pieces in found])

    # -- dates and times --------------------------------------------------------------------------------

    def _range(self, out: Compiled, column: str, match: Range) -> bool:
        if column not in _TEMPORAL or match.zone is not None:
            return False
        out.add(f"{column} >= ?", match.low or "0")  # a value that is empty or cannot be read sorts below
        if match.high is not None:
            out.add(f"{column} <= ?", match.high)
        return True

    def _interval(self, out: Compiled, match: DateTimeRange) -> bool:
        date, time = _plain(match.date), _plain(match.time)
        if date is None or time is None:
            return False
        if match.zone is not None:  # the stored time may be in another zone: at most a day away
            out.add(f"{date} >= ?", searchkeys.shift_day(match.low, -1) if match.low else "0")
            if match.high is not None:
                out.add(f"{date} <= ?", searchkeys.shift_day(match.high, 1))
            return False
        moment = f"({date} || CASE WHEN {time} >= '0' THEN {time} ELSE '000000.000000' END)"
        # The date alone lets an index narrow it down first.
        out.add(f"{date} >= ?", match.low[:8] if match.low else "0")
        if match.low is not None:
            out.add(f"{moment} >= ?", match.low)
        if match.high is not None:
            out.add(f"{date} <= ? AND {moment} <= ?", match.high[:8], match.high)
        return True

    # -- sequences --------------------------------------------------------------------------------------

    def _request_item(self, out: Compiled, match: InItem) -> bool:
        """Match all keys in the same item of Request Attributes Sequence."""
        if match.path != (tagnumbers.REQUEST_ATTRIBUTES_SEQUENCE,):
            return False
        inner = Compiled(conditions=["r.series = se.id"])
        for key in match.keys:
            if isinstance(key, Universal):
                continue
            if isinstance(key, DateTimeRange | InItem) or len(key.path) != 1:
                return False
            column = ITEM_COLUMNS.get(key.path[0])
            if column is None or not self.on(inner, column, key):
                return False
        where = " AND ".join(inner.conditions)
        out.add(f"EXISTS (SELECT 1 FROM request_item r WHERE {where})", *inner.values)
        return True


def _either(conditions: Sequence[str]) -> str:
    """Join conditions by OR, in groups of groups: SQLite takes no expression that is 1,000 deep."""
    while len(conditions) > _GROUP:
        groups = range(0, len(conditions), _GROUP)
        conditions = [f"({' OR '.join(conditions[n : n + _GROUP])})" for n in groups]
    return f"({' OR '.join(conditions)})"


def _few(grams: Sequence[str]) -> Sequence[str]:
    """Return at most MOST_GRAMS n-grams, spread over the text: they select nearly as well as all do."""
    return grams[:: -(-len(grams) // MOST_GRAMS) or 1]


def _is_telling(gram: str) -> bool:
    """Return whether few texts have the n-gram: single Latin letters and digits are in almost every text."""
    text = gram.strip(searchkeys.BEGIN + searchkeys.END)
    return len(text) > 1 or not text.isascii()


def _plain(path: Path) -> str | None:
    column = COLUMNS.get(path[0]) if len(path) == 1 else None
    return column if column in _TEMPORAL else None


def _key(value: str) -> str:
    """Return a value in the form that columns have."""
    return value.replace("\0", "")[:MOST_CHARACTERS]


def _wild(pattern: str) -> list[Piece]:
    wild: dict[str, Piece] = {"*": _MANY, "?": _ONE}
    return [wild.get(piece, piece) for piece in re.split(r"([*?])", pattern) if piece]
