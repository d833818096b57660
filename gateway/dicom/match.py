"""Whether a data set in DICOM JSON satisfies a query (PS3.4 C.2.2.2): the exact matcher, without an index."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, assert_never

from gateway.dicom import keys
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


def satisfies(dataset: Mapping[str, Any], matches: Sequence[Match]) -> bool:
    """Whether all of `matches` hold for the data set."""
    return all(_holds(dataset, match) for match in matches)


def _holds(dataset: Mapping[str, Any], match: Match) -> bool:
    if isinstance(match, Universal):
        return True
    if isinstance(match, InItem):
        return any(
            satisfies(item, match.keys) for item in _values(dataset, match.path) if isinstance(item, Mapping)
        )
    if isinstance(match, DateTimeRange):
        return _in_interval(dataset, match)
    values = [value for value in _values(dataset, match.path) if value is not None]
    if isinstance(match, Empty):
        return not values
    return any(_matches(value, match) for value in values)


def _matches(value: Any, match: Equals | Wildcard | OneOf | Range | Fuzzy) -> bool:
    if isinstance(match, Fuzzy):
        return _sounds(_joined(value), match.words)
    if isinstance(match, Range):
        return _within(str(value), match)
    if isinstance(match, OneOf):
        return str(value) in match.values
    if isinstance(match, Wildcard):
        return _like(value, match)
    if isinstance(match, Equals):
        return _equal(value, match)
    assert_never(match)


def _values(dataset: Mapping[str, Any], path: Path) -> Iterator[Any]:
    """Every value at the path, through every item on the way."""
    attribute = dataset.get(f"{path[0]:08X}")
    values = attribute.get("Value", ()) if attribute else ()
    if len(path) == 1:
        yield from values
        return
    for item in values:
        if isinstance(item, Mapping):
            yield from _values(item, path[1:])


def _joined(value: Any) -> str:
    return "=".join(value.values()) if isinstance(value, Mapping) else str(value)


def _groups(value: Any) -> list[str]:
    return [keys.folded(group).rstrip("^ ") for group in _joined(value).split("=")]


def _equal(value: Any, match: Equals) -> bool:
    if match.vr == "PN":
        return keys.folded(match.value).rstrip("^ ") in _groups(value)
    if match.vr == "DA":
        return keys.date_key(str(value)) == match.value
    if match.vr in {"IS", "DS", "US", "SS", "UL", "SL", "FL", "FD", "SV", "UV"}:
        return keys.number_key(value) == keys.number_key(match.value)
    return str(value) == match.value


@lru_cache(maxsize=1024)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern) + r"\Z", re.DOTALL)


def _like(value: Any, match: Wildcard) -> bool:
    if match.vr == "PN":
        wanted = _pattern(keys.folded(match.pattern))
        return any(wanted.match(group) for group in _groups(value))
    return _pattern(match.pattern).match(str(value)) is not None


def _sounds(name: str, words: Sequence[str]) -> bool:
    tokens = keys.fuzzy_tokens(name)
    return all(_sounds_in(tokens, word) for word in words)


def _sounds_in(tokens: str, word: str) -> bool:
    prefixes, sounds = keys.fuzzy_asked(word)
    return any(f" {p}" in tokens for p in prefixes) or any(f" ~{s} " in tokens for s in sounds)


def _within(value: str, match: Range) -> bool:
    key = {"DA": keys.date_key, "TM": keys.time_key, "DT": keys.datetime_key}[match.vr](value)
    return bool(key) and (match.low is None or key >= match.low) and (match.high is None or key <= match.high)


def _in_interval(dataset: Mapping[str, Any], match: DateTimeRange) -> bool:
    date = next((keys.date_key(str(v)) for v in _values(dataset, match.date) if v), "")
    time = next((keys.time_key(str(v)) for v in _values(dataset, match.time) if v), "")
    moment = date + (time or "000000.000000")
    return bool(date) and (match.low or "") <= moment and (match.high is None or moment <= match.high)
