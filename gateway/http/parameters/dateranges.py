"""Combine dates with their times: ranges of both are one interval, in the zone of the query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.dicom import tagnumbers
from gateway.dicom.query.query import DateTimeRange, Equals, Match, Path, Range

# Dates and their times: ranges of both are one interval (PS3.4 C.2.2.2.5).
DATE_TIME: dict[int, int] = {
    tagnumbers.INSTANCE_CREATION_DATE: tagnumbers.INSTANCE_CREATION_TIME,
    tagnumbers.STUDY_DATE: tagnumbers.STUDY_TIME,
    tagnumbers.SERIES_DATE: tagnumbers.SERIES_TIME,
    tagnumbers.ACQUISITION_DATE: tagnumbers.ACQUISITION_TIME,
    tagnumbers.CONTENT_DATE: tagnumbers.CONTENT_TIME,
    tagnumbers.PATIENT_BIRTH_DATE: tagnumbers.PATIENT_BIRTH_TIME,
    tagnumbers.SCHEDULED_PROCEDURE_STEP_START_DATE: tagnumbers.SCHEDULED_PROCEDURE_STEP_START_TIME,
    tagnumbers.PERFORMED_PROCEDURE_STEP_START_DATE: tagnumbers.PERFORMED_PROCEDURE_STEP_START_TIME,
    tagnumbers.PERFORMED_PROCEDURE_STEP_END_DATE: tagnumbers.PERFORMED_PROCEDURE_STEP_END_TIME,
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
