"""Match data sets in DICOM JSON against queries (PS3.4 C.2.2.2): the exact matcher, without an index.

An attribute with several values matches if one of them does (PS3.4 C.2.2.3). Names and fuzzy words: see
`searchkeys`. Numbers are equal by value (007 is 7), and so are dates, times and date-times.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, assert_never

from gateway.dicom.dataset import ReadOnlyDataSet
from gateway.dicom.model.private import where
from gateway.dicom.query import searchkeys
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
from gateway.dicom.query.timezones import shift, shift_time, zone_of

NUMERIC = frozenset({"IS", "DS", "US", "SS", "UL", "SL", "FL", "FD", "SV", "UV"})
TEMPORAL: Mapping[str, Callable[[str], str]] = {
    "DA": searchkeys.date_key,
    "TM": searchkeys.time_key,
    "DT": searchkeys.datetime_key,
}


def satisfies(dataset: ReadOnlyDataSet, matches: Sequence[Match], zone: str = "") -> bool:
    """Return whether all of `matches` hold for the data set.

    `zone` is the zone of the enclosing data set, for an item of a sequence.
    """
    zone = zone_of(dataset) or zone
    return all(_holds(dataset, match, zone) for match in matches)


def _holds(dataset: ReadOnlyDataSet, match: Match, zone: str) -> bool:
    if isinstance(match, Universal):
        return True
    if isinstance(match, InItem):
        items = (item for item in _values(dataset, match.path) if isinstance(item, Mapping))
        return any(satisfies(item, match.keys, zone) for item in items)
    if isinstance(match, DateTimeRange):
        return _in_interval(dataset, match, zone)
    values = [value for value in _values(dataset, match.path) if value is not None]
    if isinstance(match, Empty):
        return all(_is_blank(value, match.vr) for value in values)
    return any(_matches(value, match, zone) for value in values)


def _matches(value: Any, match: Equals | Wildcard | OneOf | Range | Fuzzy, zone: str) -> bool:
    if isinstance(match, Fuzzy):
        return _sounds(searchkeys.name_text(value), match.words)
    if isinstance(match, Range):
        return _within(str(value), match, zone)
    if isinstance(match, OneOf):
        return str(value) in match.members
    if isinstance(match, Wildcard):
        return _like(value, match)
    if isinstance(match, Equals):
        return _equal(value, match)
    assert_never(match)


def _values(dataset: ReadOnlyDataSet, path: Path) -> Iterator[Any]:
    """Yield every value at the path, through every item of its sequences."""
    attribute = dataset.get(where(dataset, path[0]))
    values = attribute.get("Value", ()) if attribute else ()
    if len(path) == 1:
        yield from values
        return
    for item in values:
        if isinstance(item, Mapping):
            yield from _values(item, path[1:])


def _is_blank(value: Any, vr: str) -> bool:
    return not any(searchkeys.split_stored_groups(value)) if vr == "PN" else not str(value)


def _equal(value: Any, match: Equals) -> bool:
    if match.vr == "PN":
        return _match_name(value, match.value, operator.eq)
    if match.vr in TEMPORAL:
        key = TEMPORAL[match.vr](str(value))
        return bool(key) and key == TEMPORAL[match.vr](match.value)
    if match.vr in NUMERIC:
        return searchkeys.number_key(value, match.vr) == searchkeys.number_key(match.value, match.vr)
    return str(value) == match.value


def _match_name(value: Any, asked: str, fits: Callable[[str, str], bool]) -> bool:
    """Return whether any group matches, or, if the query names groups, each of them in its place."""
    stored, wanted = searchkeys.split_stored_groups(value), searchkeys.fold_groups(asked)
    if len(wanted) == 1:
        return any(fits(group, wanted[0]) for group in stored if group)
    if len(wanted) > 3 or not any(wanted) or not any(stored):
        return False
    pairs = zip(stored, wanted, strict=False)
    return all(have and fits(have, want) for have, want in pairs if want.strip("*"))


@lru_cache(maxsize=1024)
def _pieces(pattern: str) -> tuple[tuple[str | re.Pattern[str], ...], int]:
    """Return the pieces between the `*` in order, and the length of the last one.

    A piece with a `?` is a regular expression.
    """
    short = searchkeys.collapse(pattern)
    pieces = tuple(
        re.compile("".join("." if c == "?" else re.escape(c) for c in piece), re.DOTALL)
        if "?" in piece
        else piece
        for piece in short.split("*")
    )
    return pieces, len(short.rpartition("*")[2])


def _find(piece: str | re.Pattern[str], text: str, start: int) -> int:
    """Return where the first occurrence of the piece ends; -1 where there is none."""
    if isinstance(piece, str):
        at = text.find(piece, start)
        return at if at < 0 else at + len(piece)
    found = piece.search(text, start)
    return found.end() if found else -1


def _begins(piece: str | re.Pattern[str], text: str, start: int) -> int:
    """Return where the piece ends if it stands exactly at `start`; -1 where it does not."""
    if isinstance(piece, str):
        return start + len(piece) if text.startswith(piece, start) else -1
    found = piece.match(text, start)
    return found.end() if found else -1


def _is_like(text: str, pattern: str) -> bool:
    """Return whether the text matches the pattern.

    Each piece is matched as far left as possible, so that no pattern needs repeated attempts.
    """
    (first, *rest), last = _pieces(pattern)
    end = _begins(first, text, 0)
    if not rest:
        return end == len(text)
    for piece in rest[:-1]:
        if end < 0:
            return False
        end = _find(piece, text, end)
    tail = len(text) - last
    return 0 <= end <= tail and _begins(rest[-1], text, tail) == len(text)


def _like(value: Any, match: Wildcard) -> bool:
    if match.vr == "PN":
        return _match_name(value, match.pattern, _fits)
    return _is_like(str(value), match.pattern)


def _fits(group: str, pattern: str) -> bool:
    return any(_is_like(group, p) for p in searchkeys.name_patterns(pattern))


def _sounds(name: str, words: Sequence[str]) -> bool:
    tokens = searchkeys.fuzzy_tokens(name)
    return all(_sounds_in(tokens, word) for word in words)


def _sounds_in(tokens: str, word: str) -> bool:
    prefixes, sounds = searchkeys.fuzzy_asked(word)
    return any(f" {p}" in tokens for p in prefixes) or any(f" ~{s} " in tokens for s in sounds)


def _within(value: str, match: Range, zone: str) -> bool:
    key = searchkeys.datetime_key(value, zone) if match.vr == "DT" else TEMPORAL[match.vr](value)
    if key and match.zone and zone and match.vr == "TM":
        key = shift_time(key, zone, match.zone)
    return bool(key) and (match.low is None or key >= match.low) and (match.high is None or key <= match.high)


def _in_interval(dataset: ReadOnlyDataSet, match: DateTimeRange, zone: str) -> bool:
    date = next((searchkeys.date_key(str(v)) for v in _values(dataset, match.date) if v), "")
    time = next((searchkeys.time_key(str(v)) for v in _values(dataset, match.time) if v), "")
    moment = date + (time or "000000.000000")
    if date and time and zone and match.zone:
        moment = shift(moment, zone, match.zone)
    return bool(date) and (match.low or "") <= moment and (match.high is None or moment <= match.high)
