"""How a data set is encoded: explicit or implicit VR, little or big endian (PS3.5 7.1, 7.3, A.1 to A.3)."""

from __future__ import annotations

from struct import Struct
from typing import Any, TypeAlias

from gateway.dicom.encoding import elements
from gateway.dicom.encoding.elements import Table
from gateway.dicom.encoding.structure import CODED_VRS

# entry by header, explicit?, big endian?, readers of header and length, 32 bits, item header
Mode: TypeAlias = tuple[Any, bool, bool, Any, Any, Any]


def _mode(entry: Table, explicit: bool, big: bool) -> Mode:
    order = ">" if big else "<"
    header, wide, item = (
        Struct(order + code).unpack_from for code in ("6sH" if explicit else "4sI", "I", "HHI")
    )
    return entry, explicit, big, header, wide, item


EXPLICIT_LE = _mode(elements.EXPLICIT_LE, True, False)
EXPLICIT_BE = _mode(elements.EXPLICIT_BE, True, True)
IMPLICIT_LE = _mode(elements.IMPLICIT_LE, False, False)
IMPLICIT_BE = _mode(elements.IMPLICIT_BE, False, True)
# By byte order: little, big.
EXPLICIT, IMPLICIT = (EXPLICIT_LE, EXPLICIT_BE), (IMPLICIT_LE, IMPLICIT_BE)


def begins_explicit(data: bytes | bytearray, at: int, mode: Mode) -> bool:
    """Return whether what is taken for implicit begins with an explicit element, as some writers have it."""
    coded = bytes(data[at + 4 : at + 6])
    if mode[1] or coded not in CODED_VRS:
        return False
    due = mode[0][bytes(data[at : at + 4])][4]
    return not due or due == coded.decode("ascii")


def is_unknown_vr(coded: bytes) -> bool:
    """Return whether two bytes that are no VR stand for one: capitals and digits, or blanks.

    Such an element is read as UN; any other is an implicit one within an explicit data set.
    """
    return (coded.isalnum() and coded.upper() == coded) or not coded.strip(b" ?*-")
