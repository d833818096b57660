"""Dates and times as ranges by precision."""

from __future__ import annotations

import pytest
from gateway.http.parameters import datetimes


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("20240131", "20240131", "20240131"),
        ("20240101-20240131", "20240101", "20240131"),
        ("20240101-", "20240101", None),
        ("-20240131", None, "20240131"),
        ("20240229", "20240229", "20240229"),
    ],
)
def test_dates(text: str, low: str | None, high: str | None) -> None:
    assert datetimes.da(text) == (low, high)


@pytest.mark.parametrize(
    "text",
    [
        "2013-05-09",
        "2013.05.09",
        "20131301",
        "20230229",
        "2013",
        "-",
        "20240131-20240101",
        "*",
        "x",
        "",
        "１２３４５６７８",
    ],
)
def test_malformed_dates(text: str) -> None:
    with pytest.raises(datetimes.Malformed):
        datetimes.da(text)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("22", "220000.000000", "225959.999999"),
        ("2230", "223000.000000", "223059.999999"),
        ("223015", "223015.000000", "223015.999999"),
        ("223015.25", "223015.250000", "223015.259999"),
        ("223015.123456", "223015.123456", "223015.123456"),
        ("1000-1800", "100000.000000", "180059.999999"),
        ("10-", "100000.000000", None),
        ("-1030", None, "103059.999999"),
    ],
)
def test_times(text: str, low: str | None, high: str | None) -> None:
    assert datetimes.tm(text) == (low, high)


@pytest.mark.parametrize("text", ["24", "1060", "10:15", "1", "101", "1015.5", "-", "", "101500.1234567"])
def test_malformed_times(text: str) -> None:
    with pytest.raises(datetimes.Malformed):
        datetimes.tm(text)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2024", "20240101000000.000000", "20241231235959.999999"),
        ("202402", "20240201000000.000000", "20240229235959.999999"),
        ("20240131", "20240131000000.000000", "20240131235959.999999"),
        ("2024013110", "20240131100000.000000", "20240131105959.999999"),
        ("202401311015", "20240131101500.000000", "20240131101559.999999"),
        ("20240131101530", "20240131101530.000000", "20240131101530.999999"),
        ("20240131101530.5", "20240131101530.500000", "20240131101530.599999"),
        # offsets turn to UTC; a plus is a plus
        ("2024013110+0100", "20240131090000.000000", "20240131095959.999999"),
        ("20240101-20240131", "20240101000000.000000", "20240131235959.999999"),
        ("2024013110+0100-2024013112+0100", "20240131090000.000000", "20240131115959.999999"),
        ("2024013110-0500-2024013112-0500", "20240131150000.000000", "20240131175959.999999"),
        ("2024013110-0500-", "20240131150000.000000", None),
        ("-2024013110-0500", None, "20240131155959.999999"),
        ("2006-2007-0500", "20060101000000.000000", "20080101045959.999999"),
    ],
)
def test_date_times(text: str, low: str | None, high: str | None) -> None:
    assert datetimes.dt(text) == (low, high)


def test_the_zone_of_the_query_is_for_date_times_without_one() -> None:
    assert datetimes.dt("2024013110", "+0100") == ("20240131090000.000000", "20240131095959.999999")
    assert datetimes.dt("2024013110+0000", "+0100")[0] == "20240131100000.000000"


@pytest.mark.parametrize(
    "text",
    [
        "20240131-0500",
        "202",
        "20241301",
        "20240131101530.1234567",
        "2024.5",
        "-",
        "",
        "20240131T10",
        "0000",
        "x-y",
    ],
)
def test_malformed_date_times(text: str) -> None:
    """`20240131-0500` is a range that ends in the year 500: a negative offset cannot stand alone (Q-44)."""
    with pytest.raises(datetimes.Malformed):
        datetimes.dt(text)


@pytest.mark.parametrize("text", ["0100", "+01:00", "+1500", "UTC", ""])
def test_malformed_zones(text: str) -> None:
    with pytest.raises(datetimes.Malformed):
        datetimes.zone(text)


def test_the_end_of_a_range_is_not_before_its_start() -> None:
    low, high = datetimes.tm("1800-1000")  # right with a range of dates only
    with pytest.raises(datetimes.Malformed):
        datetimes.check_order(low, high)
    assert datetimes.check_order(*datetimes.tm("1000-1800")) == datetimes.tm("1000-1800")
