"""The query AST as SQL for SQLite: what columns can answer becomes a condition, the rest is left over.

Patterns are GLOB's, which compares bytewise and knows the same two wildcards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.dicom import keys
from gateway.dicom.levels import level_of
from gateway.dicom.query import (
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
from gateway.model import Level

# Tag → column. `\\` lists hold `\\value\\value\\`, names hold folded `=group=group=`.
COLUMNS: dict[int, str] = {
    0x00080020: "st.study_date",
    0x00080030: "st.study_time",
    0x00080050: "st.accession_number",
    0x00080061: "st.modalities",
    0x00080062: "st.sop_classes",
    0x00080090: "st.referring_name",
    0x00100010: "st.patient_name",
    0x00100020: "st.patient_id",
    0x00100021: "st.issuer_of_patient_id",
    0x00100030: "st.patient_birth_date",
    0x00100040: "st.patient_sex",
    0x0020000D: "st.uid",
    0x00200010: "st.study_id",
    0x00081030: "st.study_description",
    0x00080060: "se.modality",
    0x0020000E: "se.uid",
    0x00200011: "se.number",
    0x00400244: "se.pps_start_date",
    0x00400245: "se.pps_start_time",
    0x0008103E: "se.series_description",
    0x00080080: "se.institution_name",
    0x00180015: "se.body_part_examined",
    0x00181030: "se.protocol_name",
    0x00081010: "se.station_name",
    0x00080070: "se.manufacturer",
    0x00081090: "se.manufacturer_model_name",
    0x00200052: "se.frame_of_reference_uid",
    0x00080016: "i.sop_class",
    0x00080018: "i.uid",
    0x00200013: "i.number",
    0x0008002A: "i.acquisition_datetime",
}
LISTS = frozenset({"st.modalities", "st.sop_classes"})
NUMBERS = frozenset({"se.number", "i.number"})
TOKENS = {"st.patient_name": "st.patient_tokens", "st.referring_name": "st.referring_tokens"}
REQUEST_ITEMS = 0x00400275
ITEM_COLUMNS = {0x00400009: "r.scheduled_procedure_step_id", 0x00401001: "r.requested_procedure_id"}

_ORDER = {Level.STUDY: 0, Level.SERIES: 1, Level.INSTANCE: 2}


@dataclass(slots=True)
class Compiled:
    """`conditions` joined by AND, with `values` for their marks; `left` has to be matched exactly afterwards.

    `ignored` are attributes of a lower level than what is searched (PS3.18 10.6.1.2.1).
    """

    conditions: list[str] = field(default_factory=list)
    values: list[object] = field(default_factory=list)
    left: list[Match] = field(default_factory=list)
    ignored: list[int] = field(default_factory=list)

    def add(self, condition: str, *values: object) -> None:
        self.conditions.append(condition)
        self.values.extend(values)


def compiled(matches: Sequence[Match], level: Level) -> Compiled:
    """What to ask the tables at this level."""
    out = Compiled()
    for match in matches:
        tag = (match.date if isinstance(match, DateTimeRange) else match.path)[0]
        if _ORDER[level_of(tag)] > _ORDER[level]:
            out.ignored.append(tag)
        elif isinstance(match, Universal):
            continue
        elif not _column(out, match):
            out.left.append(match)
    return out


def _column(out: Compiled, match: Match) -> bool:
    """Whether a column answered it."""
    if isinstance(match, InItem):
        return _request_item(out, match)
    if isinstance(match, DateTimeRange):
        return _interval(out, match)
    column = COLUMNS.get(match.path[0]) if len(match.path) == 1 else None
    if column is None:
        return False
    _condition(out, column, match)
    return True


def _condition(out: Compiled, column: str, match: Match) -> None:
    if isinstance(match, Equals):
        _equals(out, column, match)
    elif isinstance(match, Wildcard):
        _wildcard(out, column, match)
    elif isinstance(match, OneOf):
        _one_of(out, column, match.values)
    elif isinstance(match, Range):
        out.add(f"{column} != ''")
        if match.low is not None:
            out.add(f"{column} >= ?", match.low)
        if match.high is not None:
            out.add(f"{column} <= ?", match.high)
    elif isinstance(match, Fuzzy):
        for word in match.words:
            _fuzzy(out, TOKENS[column], word)
    elif isinstance(match, Empty):
        out.add(f"{column} IS NULL" if column in NUMBERS else f"{column} = ''")


def _equals(out: Compiled, column: str, match: Equals) -> None:
    if column in TOKENS:
        out.add(f"{column} GLOB ?", f"*={escaped(keys.folded(match.value).rstrip('^ '))}=*")
    elif column in LISTS:
        out.add(f"{column} GLOB ?", f"*\\{escaped(match.value)}\\*")
    elif column in NUMBERS:
        out.add(f"{column} = ?", int(match.value))
    else:
        out.add(f"{column} = ?", match.value)


def _wildcard(out: Compiled, column: str, match: Wildcard) -> None:
    if column in TOKENS:
        out.add(f"{column} GLOB ?", f"*={glob(keys.folded(match.pattern))}=*")
    elif column in LISTS:
        out.add(f"{column} GLOB ?", f"*\\{glob(match.pattern)}\\*")
    else:
        out.add(f"{column} GLOB ?", glob(match.pattern))


def _one_of(out: Compiled, column: str, values: Sequence[str]) -> None:
    if column in LISTS:
        out.add(
            "(" + " OR ".join([f"{column} GLOB ?"] * len(values)) + ")",
            *(f"*\\{escaped(v)}\\*" for v in values),
        )
    else:
        out.add(f"{column} IN ({','.join('?' * len(values))})", *values)


def _fuzzy(out: Compiled, column: str, word: str) -> None:
    prefixes, sounds = keys.fuzzy_asked(word)
    patterns = [f"* {escaped(p)}*" for p in prefixes] + [f"* ~{s} *" for s in sounds]
    out.add("(" + " OR ".join([f"{column} GLOB ?"] * len(patterns) or ["0"]) + ")", *patterns)


def _interval(out: Compiled, match: DateTimeRange) -> bool:
    date, time = _plain(match.date), _plain(match.time)
    if date is None or time is None:
        return False
    moment = f"({date} || CASE {time} WHEN '' THEN '000000.000000' ELSE {time} END)"
    out.add(f"{date} != ''")
    # The date alone lets an index narrow it down first.
    if match.low is not None:
        out.add(f"{date} >= ? AND {moment} >= ?", match.low[:8], match.low)
    if match.high is not None:
        out.add(f"{date} <= ? AND {moment} <= ?", match.high[:8], match.high)
    return True


def _plain(path: Path) -> str | None:
    return COLUMNS.get(path[0]) if len(path) == 1 else None


def _request_item(out: Compiled, match: InItem) -> bool:
    """All keys in the same item of Request Attributes Sequence."""
    if match.path != (REQUEST_ITEMS,):
        return False
    inner = Compiled()
    for key in match.keys:
        if isinstance(key, Universal):
            continue
        column = None if isinstance(key, DateTimeRange | InItem) else ITEM_COLUMNS.get(key.path[0])
        if column is None:
            return False
        _condition(inner, column, key)
    where = " AND ".join(["r.series = se.id", *inner.conditions])
    out.add(f"EXISTS (SELECT 1 FROM request_item r WHERE {where})", *inner.values)  # columns are ours
    return True


def escaped(text: str) -> str:
    """GLOB's special characters as themselves."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in text)


def glob(pattern: str) -> str:
    """`*` and `?` mean the same in GLOB; a bracket is itself."""
    return pattern.replace("[", "[[]")
