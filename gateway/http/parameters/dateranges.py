"""Combine dates with their times: ranges of both are one interval, in the zone of the query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.dicom.query.query import DateTimeRange, Equals, Match, Path, Range

# Dates and their times: ranges of both are one interval (PS3.4 C.2.2.2.5).
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


def combine_ranges(nodes: Sequence[Match], ranges: set[Path]) -> list[Match]:
    """Combine a range of a date and one of its time into one interval (Q-56).

    `nodes` are the keys of one item, or of the top level.
    """
    by_tag = {node.path[-1]: node for node in nodes if isinstance(node, Range) and node.path in ranges}
    pairs = {tag: by_tag[DATE_TIME[tag]] for tag in by_tag if DATE_TIME.get(tag) in by_tag}
    clocks = {clock.path for clock in pairs.values()}
    made: list[Match] = []
    for node in nodes:
        if isinstance(node, Range) and node.path[-1] in pairs:
            made.append(_interval(node, pairs[node.path[-1]]))
        elif not (isinstance(node, Range) and node.path in clocks):
            made.append(node)
    return made


def _interval(day: Range, clock: Range) -> DateTimeRange:
    low = None if day.low is None else day.low + (clock.low or "000000.000000")
    high = None if day.high is None else day.high + (clock.high or "235959.999999")
    return DateTimeRange(day.path, clock.path, low, high)


def in_zone(node: Match, zone: str | None) -> Match:
    """Return the node with the zone of the query, for dates and times of day (Q-32).

    A date begins at midnight of that zone.
    """
    if zone is None:
        return node
    if isinstance(node, DateTimeRange) or (isinstance(node, Range) and node.vr == "TM"):
        return replace(node, zone=zone)
    clock = DATE_TIME.get(node.path[-1])
    if clock is None or not isinstance(node, Equals | Range):
        return node
    low, high = (node.value, node.value) if isinstance(node, Equals) else (node.low, node.high)
    day = Range(node.path, "DA", low, high)
    return replace(_interval(day, Range((*node.path[:-1], clock), "TM", None, None)), zone=zone)
