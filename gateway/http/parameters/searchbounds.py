"""Limit the work of one search, so that it cannot keep the index from others; beyond it is a 400.

Each value has its own limit in `matching`. Here the cost of all values together is counted, in comparisons
for each row: a pattern costs its pieces, a fuzzy word its spellings and sounds, a list its values. The error
names the key.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.dicom.query.query import DateTimeRange, Fuzzy, InItem, Match, OneOf, Path, Universal, Wildcard
from gateway.errors import BadParameter
from gateway.http.parameters.matching import Key

MOST_COMPARISONS = 640
# Most attributes to match on, and most attributes to include in the results.
MOST_KEYS = 256
MOST_INCLUDED = 512
MOST_PARAMETERS = 1024


def cost(match: Match) -> int:
    """Return the comparisons for one row."""
    if isinstance(match, Universal):
        return 0
    if isinstance(match, InItem):
        return sum(map(cost, match.keys))
    if isinstance(match, Wildcard):
        return 1 + match.pattern.count("*")
    if isinstance(match, Fuzzy):
        return 4 * len(match.words)
    # A list is looked up as a whole.
    return 1 + len(match.values) // 64 if isinstance(match, OneOf) else 1


def check_count(names: Sequence[str]) -> None:
    """Raise BadParameter naming the first parameter that is too many."""
    if len(names) > MOST_PARAMETERS:
        raise _too_much(names[MOST_PARAMETERS], f"{MOST_PARAMETERS} parameters at most")


def check_keys(keys: Sequence[Key]) -> None:
    """Raise BadParameter naming the first key that is too many."""
    matched = [key for key in keys if key.raw]
    if len(matched) > MOST_KEYS:
        raise _too_much(matched[MOST_KEYS].name, f"{MOST_KEYS} attributes to match on at most")
    if len(keys) - len(matched) > MOST_INCLUDED:
        raise _too_much("includefield", f"{MOST_INCLUDED} attributes at most")


def check_included(paths: Sequence[Path]) -> None:
    """Raise BadParameter where too many attributes are included."""
    if len(paths) > MOST_INCLUDED:
        raise _too_much("includefield", f"{MOST_INCLUDED} attributes at most")


def check_cost(matches: Sequence[Match], keys: Sequence[Key]) -> None:
    """Raise BadParameter naming the most expensive key, where all keys together cost too much."""
    costs = [(cost(match), match) for match in matches]
    if sum(each for each, _ in costs) <= MOST_COMPARISONS:
        return
    _, dearest = max(costs, key=lambda pair: pair[0])
    tag = dearest.date[0] if isinstance(dearest, DateTimeRange) else dearest.path[0]
    name = next(key.name for key in keys if key.path[0] == tag)
    raise _too_much(name, "fewer or simpler values: '*' in patterns and fuzzy words are what costs")


def _too_much(name: str, wanted: str) -> BadParameter:
    name = name[:80]
    return BadParameter(
        f"{name}: the search asks too much at once; want {wanted}", parameter=name, expected=wanted
    )
