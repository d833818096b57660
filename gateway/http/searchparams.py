"""The parameters of a search as a query (PS3.18 8.3.4, 10.6.1.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.dicom.dictionary import tag_of, vr_of
from gateway.dicom.query import DateTimeRange, InItem, Match, Path, Query, Range
from gateway.errors import BadParameter
from gateway.http import times
from gateway.http.matching import MATCHABLE, Key, Rules, match_of
from gateway.http.params import Params, decode
from gateway.model import Level, ResourcePath

# `v` names a version in our URLs, `_` is what scripts add to get round caches.
CONTROL = frozenset(
    {"limit", "offset", "count", "includefield", "accept", "charset", "v", "_"}
    | {"fuzzymatching", "emptyvaluematching", "multiplevaluematching"}
)

SPECIFIC_CHARACTER_SET = 0x00080005
TIMEZONE_OFFSET = 0x00080201
MAX_OFFSET = 1 << 53

_HEX = re.compile(r"[0-9A-Fa-f]{8}\Z")

# Dates with the times that belong to them: ranges on both are one interval (PS3.4 C.2.2.2.5).
DATE_TIME: dict[int, int] = {
    0x00080012: 0x00080013,  # Instance Creation
    0x00080020: 0x00080030,  # Study
    0x00080021: 0x00080031,  # Series
    0x00080022: 0x00080032,  # Acquisition
    0x00080023: 0x00080033,  # Content
    0x00100030: 0x00100032,  # Patient's Birth
    0x00400002: 0x00400003,  # Scheduled Procedure Step Start
    0x00400244: 0x00400245,  # Performed Procedure Step Start
    0x00400250: 0x00400251,  # Performed Procedure Step End
}


@dataclass(frozen=True, slots=True)
class Limits:
    """How many results a search gives when it does not say, and at most."""

    default: int = 200
    most: int = 5000


@dataclass(slots=True)
class Asked:
    """A search as it was asked; `ignored` names parameters that are not supported (PS3.18 8.3)."""

    query: Query
    ignored: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Target:
    """Which search resource: what is listed, and below what."""

    level: Level
    within: ResourcePath | None = None


def search_query(params: Params, target: Target, limits: Limits) -> Asked:
    """Raises BadParameter naming the parameter and what was wanted; what is unknown is ignored and named."""
    ignored: list[str] = []
    keys = _keys(params, ignored)
    rules = _rules(params, keys)
    include, include_all = _included(params, ignored)
    limit = params.unsigned("limit")
    query = Query(
        level=target.level,
        within=target.within,
        matches=_matches([key for key in keys if key.path != (TIMEZONE_OFFSET,)], rules),
        include=include,
        include_all=include_all,
        limit=min(limits.default if limit is None else limit, limits.most),
        offset=min(params.unsigned("offset") or 0, MAX_OFFSET),
        count=params.flag("count"),
    )
    return Asked(query, ignored)


def _keys(params: Params, ignored: list[str]) -> list[Key]:
    keys: dict[Path, Key] = {}
    given = {name.upper() for name, _ in params.pairs}
    for name, raw in params.pairs:
        if name in CONTROL:
            continue
        path = attribute_path(name)
        key = None if path is None else _key(name, path, raw)
        if key is None:
            if path is not None and _is_private(path[-1]):
                _check_private(name, path[-1], given)
            ignored.append(name)
            continue
        if key.path in keys:
            raise BadParameter(f"{name}: the attribute is given twice", parameter=name, expected="once")
        keys[key.path] = key
    return list(keys.values())


def _key(name: str, path: Path, raw: str) -> Key | None:
    """None where the attribute cannot be matched on. Raises BadParameter where the path makes no sense."""
    if any(vr_of(tag) not in ("SQ", "") for tag in path[:-1]):
        raise BadParameter(
            f"{name}: only the last attribute may be other than a sequence",
            parameter=name,
            expected="SQ before '.'",
        )
    vr = vr_of(path[-1])
    if vr == "SQ":
        if raw:
            raise BadParameter(
                f"{name}: a sequence has no value to match; name an attribute of its items after a dot",
                parameter=name,
                expected="an attribute of its items",
            )
        return Key(name, path, "UI", "")
    if path == (SPECIFIC_CHARACTER_SET,) or _is_private(path[-1]):
        return None  # the first is never matched, private attributes are not indexed
    vr = "US" if vr == "US or SS" else vr
    return Key(name, path, vr, raw) if vr in MATCHABLE else None


def attribute_path(name: str) -> Path | None:
    """Keywords or tags joined by dots, None where one is unknown (C-QP-11, C-QP-12)."""
    path: list[int] = []
    for piece in name.split("."):
        tag = int(piece, 16) if _HEX.match(piece) else tag_of(piece)
        if tag is None or tag >> 16 in (0x0000, 0x0002, 0xFFFE):
            return None
        path.append(tag)
    return tuple(path)


def _is_private(tag: int) -> bool:
    return bool(tag >> 16 & 1)


def _check_private(name: str, tag: int, given: set[str]) -> None:
    """A private attribute needs its creator beside it (Q-26)."""
    creator = f"{tag & 0xFFFF0000 | tag >> 8 & 0xFF:08X}"
    if tag & 0xFFFF > 0xFF and creator not in given:
        raise BadParameter(
            f"{name}: a private attribute needs its creator, {creator}=…, beside it",
            parameter=name,
            expected=creator,
        )


def _rules(params: Params, keys: Sequence[Key]) -> Rules:
    zone = None
    for key in keys:
        if key.path == (TIMEZONE_OFFSET,) and key.raw:
            try:
                zone = times.zone(decode(key.name, key.raw))
            except times.Malformed as error:
                raise BadParameter(
                    f"{key.name}: want {error}", parameter=key.name, expected=str(error)
                ) from error
    return Rules(
        fuzzy=params.flag("fuzzymatching"),
        empty=params.flag("emptyvaluematching"),
        multiple=params.flag("multiplevaluematching"),
        zone=zone,
    )


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
    return tuple(_combined(flat, ranges))


def _combined(nodes: Sequence[Match], ranges: set[Path]) -> list[Match]:
    """A range of a date and one of its time become one interval (Q-56); all keys of an item stay together."""
    by_tag = {node.path[-1]: node for node in nodes if isinstance(node, Range) and node.path in ranges}
    pairs = {tag: by_tag[DATE_TIME[tag]] for tag in by_tag if DATE_TIME.get(tag) in by_tag}
    clocks = {clock.path for clock in pairs.values()}
    combined: list[Match] = []
    for node in nodes:
        if isinstance(node, Range) and node.path[-1] in pairs:
            combined.append(_interval(node, pairs[node.path[-1]]))
        elif not (isinstance(node, Range) and node.path in clocks):
            combined.append(node)
    return combined


def _interval(day: Range, clock: Range) -> DateTimeRange:
    low = None if day.low is None else day.low + (clock.low or "000000.000000")
    high = None if day.high is None else day.high + (clock.high or "235959.999999")
    return DateTimeRange(day.path, clock.path, low, high)


def _included(params: Params, ignored: list[str]) -> tuple[tuple[Path, ...], bool]:
    """includefield: tags, keywords, dotted paths; commas raw or encoded; `all` wins over the rest (Q-74 …
    Q-79).
    """
    paths: dict[Path, None] = {}
    everything = False
    for raw in params.all("includefield"):
        for name in decode("includefield", raw).strip('"').split(","):
            name = name.strip(" ")
            if name == "all":
                everything = True
                continue
            path = attribute_path(name) if name else None
            if path is not None:
                paths[path] = None
            elif name:
                ignored.append(f"includefield {name}")
    return tuple(paths), everything
