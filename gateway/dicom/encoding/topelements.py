"""Where the top-level elements of a data set in memory begin and end (PS3.5 7.1.2, 7.5)."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.dicom.encoding.modes import EXPLICIT_LE, IMPLICIT_LE, Mode, begins_explicit
from gateway.dicom.encoding.structure import (
    CODED_LONG_VRS,
    ITEM,
    ITEM_GROUP,
    SEQUENCE_END,
    UNDEFINED,
    read_item_header,
)
from gateway.errors import Truncated


def top_elements(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield tag, start and stop of each element of an Explicit VR Little Endian data set. Raises Truncated."""
    at = 0
    while at + 8 <= len(data):
        start = at
        high, low, _ = read_item_header(data, at)
        at, length = _find_value(data, at, EXPLICIT_LE)
        if length == UNDEFINED:
            at = _find_sequence_end(data, at, _mode_of_items(data, start, EXPLICIT_LE))
        else:
            at += length
        yield high << 16 | low, start, at


def _find_value(data: bytes, at: int, mode: Mode) -> tuple[int, int]:
    """Return where the value of an element begins, and its length."""
    long = mode[1] and data[at + 4 : at + 6] in CODED_LONG_VRS
    if long and at + 12 > len(data):
        raise Truncated("the header ends within an element")
    if long:
        return at + 12, int(mode[4](data, at + 8)[0])
    return at + 8, int(mode[3](data, at)[1])


def _mode_of_items(data: bytes, at: int, mode: Mode) -> Mode:
    """Return how the items of an element are encoded: those of UN are implicit (PS3.5 6.2.2)."""
    return IMPLICIT_LE if mode[1] and data[at + 4 : at + 6] == b"UN" else mode


def _find_sequence_end(data: bytes, at: int, mode: Mode) -> int:
    """Return where a sequence, or fragments, of undefined length ends.

    Nested ones are counted, not recursed into.
    """
    modes = [mode]
    while modes:
        if at + 8 > len(data):
            raise Truncated("a sequence in the header does not end")
        high, low, length = read_item_header(data, at)
        tag = high << 16 | low
        if tag == SEQUENCE_END:
            modes.pop()
            at += 8
        elif high == ITEM_GROUP:
            at += 8 + (length if tag == ITEM and length != UNDEFINED else 0)
            if tag == ITEM and length == UNDEFINED and begins_explicit(data, at, modes[-1]):
                modes[-1] = EXPLICIT_LE
        else:
            start, mode = at, modes[-1]
            at, length = _find_value(data, at, mode)
            if length == UNDEFINED:
                modes.append(_mode_of_items(data, start, mode))
            else:
                at += length
    return at
