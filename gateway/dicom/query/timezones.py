"""Timezone Offset From UTC (0008,0201) of data sets and queries (PS3.3 C.12.1.1.8, PS3.4 C.2.2.2.5).

A stored date or time is converted to the zone of the query only where both zones are known. The local offset
of a data set that does not name it is undefined, so its values are compared as they are.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from gateway.dicom import tags
from gateway.dicom.dataset import ReadOnlyDataSet

_OFFSET = re.compile(r"[+-](?:0\d|1[0-4])[0-5]\d\Z")
_DAY = 24 * 3600


def zone_of(dataset: ReadOnlyDataSet) -> str:
    """Return the offset that a data set names, such as `+0100`; empty where it has no valid one."""
    values = dataset.get(tags.TIMEZONE_OFFSET_FROM_UTC, {}).get("Value")
    text = str(values[0]).strip() if values else ""
    return text if _OFFSET.match(text) else ""


def minutes(zone: str) -> int:
    """Return the offset in minutes; east of UTC is positive."""
    size = int(zone[1:3]) * 60 + int(zone[3:5])
    return -size if zone[0] == "-" else size


def shift(moment: str, stored: str, asked: str) -> str:
    """Return `YYYYMMDDHHMMSS.FFFFFF` converted between two zones; unchanged where there is no such date."""
    try:
        when = datetime.strptime(moment[:12] + min(moment[12:14], "59"), "%Y%m%d%H%M%S")
        when += timedelta(minutes=minutes(asked) - minutes(stored))
    except (ValueError, OverflowError):
        return moment
    return f"{when.year:04}{when:%m%d%H%M%S}{moment[14:]}"


def shift_time(time: str, stored: str, asked: str) -> str:
    """Return `HHMMSS.FFFFFF` converted between two zones, within the same day."""
    seconds = int(time[:2]) * 3600 + int(time[2:4]) * 60 + int(time[4:6])
    seconds = (seconds + 60 * (minutes(asked) - minutes(stored))) % _DAY
    return f"{seconds // 3600:02}{seconds // 60 % 60:02}{seconds % 60:02}{time[6:]}"
