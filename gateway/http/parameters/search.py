"""Parse the parameters of a search as a query (PS3.18 8.3.4, 10.6.1.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from gateway.dicom import tagnumbers, tags
from gateway.dicom.dictionary import private_vr, vr_of
from gateway.dicom.model.private import PrivateTag, is_creator, is_private
from gateway.dicom.query.levels import RANK, level_of
from gateway.dicom.query.match import NUMERIC
from gateway.dicom.query.query import DateTimeRange, InItem, Match, Path, Query, Range
from gateway.errors import BadParameter
from gateway.http.parameters import cursors, datetimes
from gateway.http.parameters.attributes import Names, plain_path
from gateway.http.parameters.dateranges import combine_ranges, in_zone
from gateway.http.parameters.matching import MATCHABLE, Key, Rules, bad_value, match_of
from gateway.http.parameters.querystring import Params, decode, replace_plus
from gateway.http.parameters.searchbounds import check_cost, check_count, check_included, check_keys
from gateway.model import Level, ResourcePath

# `v` names a version in our URLs; scripts add `_` to avoid caches.
CONTROL = frozenset(
    {"limit", "offset", "cursor", "count", "includefield", "accept", "charset", "v", "_"}
    | {"fuzzymatching", "emptyvaluematching", "multiplevaluematching"}
)

MAX_OFFSET = 1 << 53
# In the file meta, so it cannot be matched on; clients request it by includefield.
_FILE_META = frozenset({tags.TRANSFER_SYNTAX_UID, "TransferSyntaxUID"})
# VRs whose values may hold a literal `+`.
_SIGNED = NUMERIC | {"DT"}

# Kinds of matching, and the warning where one is not supported (PS3.18 8.3.4.2, 8.3.4.5, 8.3.4.6).
UNSUPPORTED = {
    "fuzzymatching": "Only literal matching has been performed.",
    "emptyvaluematching": "Empty Value Matching has not been performed.",
    "multiplevaluematching": "Multiple Value Matching has not been performed.",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a search: results by default and at most, and switches of the site.

    `unsupported` names kinds of matching that are switched off. `strict` refuses with 400 what is not
    permitted. `most_matches` is the number of matches above which a search is a 413 (0: no limit).
    """

    default: int = 200
    most: int = 5000
    most_matches: int = 0
    strict: bool = False
    unsupported: frozenset[str] = frozenset()


@dataclass(slots=True)
class ParsedSearch:
    """A search as requested; `ignored` names parameters that are not supported (PS3.18 8.3).

    `warnings` are those with a wording of their own in the standard (8.3.4.2, 8.3.4.5, 8.3.4.6).
    """

    query: Query
    ignored: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Target:
    """A search resource: the level of its results, and the resource that they are within."""

    level: Level
    within: ResourcePath | None = None

    @property
    def levels(self) -> frozenset[Level]:
        """Return the levels of permitted match keys (PS3.18 Table 10.6.1-1)."""
        ranks = range(RANK[self.level] + 1)
        above = 0 if self.within is None else 1 + RANK[self.within.level]
        return frozenset(level for level, rank in RANK.items() if rank in ranks and rank >= above)


def search_query(
    params: Params, target: Target, limits: Limits, vrs: Mapping[Path, str] = MappingProxyType({})
) -> ParsedSearch:
    """Return the query of a search. Unknown parameters are ignored and named.

    Raises BadParameter naming the parameter and what was wanted. `vrs` are the VRs of the declared keys.
    """
    check_count([name for name, _ in params.pairs])
    ignored: list[str] = []
    warnings: list[str] = []
    names = Names(params, plus=limits.strict)
    keys = _keys(params, names, vrs, ignored)
    if not limits.strict:
        keys = [replace(key, raw=_replace_plus(key)) for key in keys]
    rules = _rules(params, keys, limits.unsupported, warnings)
    include, include_all = _read_includefield(params, names, limits, ignored)
    keys = [
        key
        for key in keys
        if key.path != (tagnumbers.TIMEZONE_OFFSET_FROM_UTC,) and key.path not in names.used
    ]
    keys = [key for key in keys if _means_something(key, limits, ignored)]
    keys = [key for key in keys if _is_permitted(key, target, limits, ignored)]
    check_keys(keys)
    matches = _matches(keys, rules)
    check_cost(matches, keys)
    limit = params.read_unsigned("limit")
    query = Query(
        level=target.level,
        within=target.within,
        matches=matches,
        include=include,
        include_all=include_all,
        limit=min(limits.default if limit is None else limit, limits.most),
        offset=min(params.read_unsigned("offset") or 0, MAX_OFFSET),
        count=params.flag("count"),
    )
    return ParsedSearch(_continue_query(params, query), ignored, warnings)


def _continue_query(params: Params, query: Query) -> Query:
    """Return the query, continued after the page that `cursor` names. Raises BadParameter."""
    cursor = params.one("cursor")
    if cursor is None:
        return query
    if params.all("offset"):
        raise BadParameter("cursor: stands instead of offset", parameter="cursor", expected="one of the two")
    return replace(query, after=cursors.read(query, cursor))


def is_private_asked(params: Params) -> bool:
    """Return whether a private element is named, whose VR only a declared key may tell."""
    return any((path := plain_path(name)) and any(map(is_private, path)) for name, _ in params.pairs)


def _is_permitted(key: Key, target: Target, limits: Limits, ignored: list[str]) -> bool:
    """Return whether a key is permitted at the levels of the target (PS3.18 10.6.1.2.1, Q-11).

    Others are ignored and named in `ignored`; under `strict` BadParameter is raised. A key of a level above
    without a value only requests the attribute.
    """
    level = level_of(key.path[0])
    if level in target.levels or (RANK[level] <= RANK[target.level] and not key.raw):
        return True
    path = target.within
    uids = (
        {}
        if path is None
        else {tagnumbers.STUDY_INSTANCE_UID: path.study, tagnumbers.SERIES_INSTANCE_UID: path.series}
    )
    if key.raw and uids.get(key.path[-1]) == key.raw:
        return True
    if limits.strict:
        wanted = " or ".join(sorted(level.value for level in target.levels))
        raise BadParameter(
            f"{key.name}: a key of {level.value} level is not permitted here",
            parameter=key.name,
            expected=f"a key of {wanted} level",
        )
    ignored.append(key.name)
    return False


def _replace_plus(key: Key) -> str:
    """Return the value with a space for each `+`, unless a number or a time zone may begin with it."""
    return (
        key.raw
        if key.path == (tagnumbers.TIMEZONE_OFFSET_FROM_UTC,) or key.vr in _SIGNED
        else replace_plus(key.raw)
    )


def _means_something(key: Key, limits: Limits, ignored: list[str]) -> bool:
    """Return whether a key selects something; a private creator alone does not.

    A creator identifies a private element that the request also names. Alone it selects nothing, since
    each data set may give it another block (PS3.5 7.8.1). Such a key is ignored; under `strict`
    BadParameter is raised.
    """
    if not key.raw or not is_creator(key.path[-1]):
        return True
    if limits.strict:
        raise BadParameter(
            f"{key.name}: a private creator is no key by itself; want a private attribute of it as well",
            parameter=key.name,
            expected=f"a private attribute of block {key.path[-1] & 0xFF:02X}",
        )
    ignored.append(key.name)
    return False


def _keys(params: Params, names: Names, vrs: Mapping[Path, str], ignored: list[str]) -> list[Key]:
    keys: dict[Path, Key] = {}
    for name, raw in params.pairs:
        if name in CONTROL:
            continue
        path = names.path(name)
        key = None if path is None else _key(name, path, raw, vrs)
        if key is None:
            ignored.append(name)
            continue
        if key.path in keys:
            raise BadParameter(f"{name}: the attribute is given twice", parameter=name, expected="once")
        keys[key.path] = key
    return list(keys.values())


def _key(name: str, path: Path, raw: str, vrs: Mapping[Path, str]) -> Key | None:
    """Return a key, None where the attribute cannot be matched on.

    Raises BadParameter where the path is not one of sequences to an attribute.
    """
    if any(vr_of(tag) not in ("SQ", "") for tag in path[:-1]):
        raise BadParameter(
            f"{name}: only the last attribute may be other than a sequence",
            parameter=name,
            expected="SQ before '.'",
        )
    vr = vrs.get(path) or _vr_of(path[-1])
    if vr == "SQ":
        if raw:
            raise BadParameter(
                f"{name}: a sequence has no value to match; name an attribute of its items after a dot",
                parameter=name,
                expected="an attribute of its items",
            )
        return Key(name, path, "UI", "")
    if path == (tagnumbers.SPECIFIC_CHARACTER_SET,):
        return None  # never matched
    vr = "US" if vr == "US or SS" else vr
    return Key(name, path, vr, raw) if vr in MATCHABLE else None


def _vr_of(tag: int) -> str:
    """Return the VR of an element; private ones that no dictionary knows are compared as text."""
    return (private_vr(tag.creator, tag) or "LO") if isinstance(tag, PrivateTag) else vr_of(tag)


def _rules(params: Params, keys: Sequence[Key], unsupported: frozenset[str], warnings: list[str]) -> Rules:
    zone = None
    for key in keys:
        if key.path == (tagnumbers.TIMEZONE_OFFSET_FROM_UTC,) and key.raw:
            try:
                zone = datetimes.zone(decode(key.name, key.raw))
            except datetimes.Malformed as error:
                raise BadParameter(
                    f"{key.name}: want {error}", parameter=key.name, expected=str(error)
                ) from error
    asked = {name: params.flag(name) for name in UNSUPPORTED}
    for name in sorted(unsupported):
        if asked.get(name):
            asked[name] = False
            warnings.append(f"The {name} parameter is not supported. {UNSUPPORTED[name]}")
    fuzzy, empty, multiple = asked.values()
    return Rules(fuzzy, empty, multiple, zone)


def _matches(keys: Sequence[Key], rules: Rules) -> tuple[Match, ...]:
    flat: list[Match] = []
    ranges: set[Path] = set()
    items: dict[int, list[Key]] = {}
    for key in keys:
        if len(key.path) > 1 and key.raw:
            items.setdefault(key.path[0], []).append(Key(key.name, key.path[1:], key.vr, key.raw))
            continue
        flat.extend(match_of(key, rules))
        if key.vr in ("DA", "TM") and "-" in decode(key.name, key.raw):
            ranges.add(key.path)
    flat.extend(InItem((sequence,), _matches(inner, rules)) for sequence, inner in items.items())
    nodes = combine_ranges(flat, ranges)
    for node in nodes:
        _check_order(node, keys)
    return tuple(in_zone(node, rules.zone) for node in nodes)


def _check_order(node: Match, keys: Sequence[Key]) -> None:
    """Raise BadParameter where a time range of one day, or an interval, ends before it starts.

    PS3.4 C.2.2.2.5.
    """
    if isinstance(node, Range | DateTimeRange):
        path = node.time if isinstance(node, DateTimeRange) else node.path
        try:
            datetimes.check_order(node.low, node.high)
        except datetimes.Malformed as error:
            raise bad_value(next(key for key in keys if key.path == path), str(error)) from error


def _read_includefield(
    params: Params, names: Names, limits: Limits, ignored: list[str]
) -> tuple[tuple[Path, ...], bool]:
    """Return the attributes of includefield, and whether `all` is among them (Q-74 … Q-79).

    They are tags, keywords or dotted paths, separated by raw or encoded commas; `all` overrides the others.
    """
    paths: dict[Path, None] = {}
    everything = False
    for raw in params.all("includefield"):
        for name in decode("includefield", raw if limits.strict else replace_plus(raw)).strip('"').split(","):
            name = name.strip(" ")
            if name == "all":
                everything = True
                continue
            path = names.path(name, "includefield") if name else None
            if name in _FILE_META:
                path = (tagnumbers.TRANSFER_SYNTAX_UID,)
            if path is not None:
                paths[path] = None
            elif name:
                ignored.append(f"includefield {name}")
    if everything and paths and limits.strict:
        raise BadParameter(
            "includefield: 'all' stands beside other attributes",
            parameter="includefield",
            expected="all alone",
        )
    check_included(tuple(paths))
    return tuple(paths), everything
