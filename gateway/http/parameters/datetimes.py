"""Parse dates and times of a query as ranges, according to their precision.

PS3.5 6.2, PS3.4 C.2.2.2.1, C.2.2.2.5. Dates become `YYYYMMDD`, times `HHMMSS.FFFFFF`, date-times both joined.
A date-time with an offset is converted to UTC; one without is taken in the zone of Timezone Offset From UTC,
if the query has it.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import TypeAlias

Ends: TypeAlias = tuple[str | None, str | None]

_OFFSET = r"[+-](?:0\d|1[0-4])[0-5]\d"
_DT = rf"\d{{4}}(?:\d{{2}}){{0,5}}(?:\.\d{{1,6}})?(?:{_OFFSET})?"
_DT_PARTS = re.compile(rf"(\d{{4}}(?:\d{{2}}){{0,5}})(\.\d{{1,6}})?({_OFFSET})?\Z")
_DT_RANGE = re.compile(rf"({_DT})?-({_DT})?\Z")
_TM = re.compile(r"(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,6}))?)?)?\Z")
_ZONE = re.compile(rf"{_OFFSET}\Z")
_EARLIEST = "00000101000000"


class Malformed(ValueError):
    """The text is not a value of its VR; the message says what was wanted."""


def zone(text: str) -> str:
    """Return an offset from UTC, such as `+0100`. Raises Malformed."""
    if not _ZONE.match(text):
        raise Malformed("an offset from UTC, such as +0100 or -0530")
    return text


def da(text: str) -> Ends:
    """Return a date or a range of dates, inclusive. Raises Malformed."""
    if "-" not in text:
        day = _day(text)
        return day, day
    low, _, high = text.partition("-")
    if not (low or high):
        raise Malformed("a date or a range, such as 20240131, 20240101-20240131, 20240101- or -20240131")
    return check_order(_day(low) if low else None, _day(high) if high else None)


def _day(text: str) -> str:
    if not re.fullmatch(r"\d{8}", text):
        raise Malformed("a date or a range, such as 20240131, 20240101-20240131, 20240101- or -20240131")
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError as error:
        raise Malformed("a date that exists") from error
    return text


def tm(text: str) -> Ends:
    """Return a time or a range of times, each end to its own precision. Raises Malformed.

    The end may be before the start where the query also has a range of dates; otherwise see `check_order`.
    """
    if "-" not in text:
        return _clock(text)
    low, _, high = text.partition("-")
    if not (low or high):
        raise Malformed("a time or a range, such as 1015, 101500-103000, 1015- or -1030")
    return _clock(low)[0] if low else None, _clock(high)[1] if high else None


def _clock(text: str) -> tuple[str, str]:
    """Return the first and the last microsecond that `text` may mean."""
    found = _TM.match(text)
    if found is None:
        raise Malformed("a time or a range, such as 1015, 101500-103000, 1015- or -1030")
    hour, minute, second, fraction = found.groups()
    if int(hour) > 23 or int(minute or 0) > 59 or int(second or 0) > 60:
        raise Malformed("a time of day, hours to 23, minutes to 59, seconds to 59")
    low = f"{hour}{minute or '00'}{second or '00'}.{(fraction or '').ljust(6, '0')}"
    high = f"{hour}{minute or '59'}{second or '59'}.{(fraction or '').ljust(6, '9')}"
    return low, high


def dt(text: str, zone_of_query: str | None = None) -> Ends:
    """Return a date-time or a range; a `-` that may be a range separator is one (Q-44). Raises Malformed."""
    found = _DT_RANGE.match(text)
    if found is not None and (found[1] or found[2]):
        low = _moment(found[1], zone_of_query)[0] if found[1] else None
        high = _moment(found[2], zone_of_query)[1] if found[2] else None
        return check_order(low, high)
    if "-" in text:
        raise Malformed("a date-time or a range, such as 20240131, 202401311015-202402 or 2024013110+0100")
    return _moment(text, zone_of_query)


def _moment(text: str, zone_of_query: str | None) -> tuple[str, str]:
    found = _DT_PARTS.match(text)
    if found is None or (found[2] and len(found[1]) != 14):
        raise Malformed("a date-time or a range, such as 20240131, 202401311015-202402 or 2024013110+0100")
    digits, fraction, offset = found[1], (found[2] or "")[1:], found[3] or zone_of_query
    try:
        low, high = _first(digits, fraction), _last(digits, fraction)
    except ValueError as error:
        raise Malformed("a date-time that exists") from error
    shift = _shift(offset) if offset else timedelta()
    try:
        return _format_moment(low - shift), _format_moment(high - shift)
    except OverflowError as error:
        raise Malformed("a date-time that exists") from error


def _first(digits: str, fraction: str) -> datetime:
    """Return the first microsecond of the year, month, …, second or fraction."""
    full = digits + _EARLIEST[len(digits) :]
    return datetime(
        int(full[:4]),
        int(full[4:6]),
        int(full[6:8]),
        int(full[8:10]),
        int(full[10:12]),
        min(int(full[12:14]), 59),
        int(fraction.ljust(6, "0") or 0),
    )


def _last(digits: str, fraction: str) -> datetime:
    """Return the last microsecond of the year, month, …, second or fraction."""
    first = _first(digits, fraction)
    if fraction:
        return first.replace(microsecond=int(fraction.ljust(6, "9")))
    if len(digits) == 4:
        first = first.replace(month=12, day=31)
    elif len(digits) == 6:
        first = first.replace(day=monthrange(first.year, first.month)[1])
    given = max(len(digits) - 8, 0) // 2
    hour, minute, second = (top if given <= n else now for n, (top, now) in enumerate(_latest(first)))
    return first.replace(hour=hour, minute=minute, second=second, microsecond=999_999)


def _latest(moment: datetime) -> Iterator[tuple[int, int]]:
    """Yield (largest value, given value) of hour, minute and second."""
    yield 23, moment.hour
    yield 59, moment.minute
    yield 59, moment.second


def _shift(offset: str) -> timedelta:
    minutes = int(offset[1:3]) * 60 + int(offset[3:5])
    return timedelta(minutes=-minutes if offset[0] == "-" else minutes)


def _format_moment(moment: datetime) -> str:
    return f"{moment.year:04d}{moment:%m%d%H%M%S}.{moment.microsecond:06d}"


def check_order(low: str | None, high: str | None) -> Ends:
    """Return the two ends. Raises Malformed where the start is after the end."""
    if low is not None and high is not None and high < low:
        raise Malformed("a range whose end is not before its start")
    return low, high
