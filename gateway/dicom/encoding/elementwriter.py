"""Data elements, items and sequences as Explicit VR Little Endian bytes (PS3.5 7.1.2, 7.5, A.2).

Every element that the gateway writes is written here.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct

from gateway.dicom.encoding.structure import (
    ITEM,
    ITEM_END,
    LONG_VRS,
    SEQUENCE_END,
    SPACED_VRS,
    UNDEFINED,
)

# What a length of 16 bits can say, even.
_SHORT_AT_MOST = 0xFFFE

_long_header = Struct("<HH2sHI").pack
_short_header = Struct("<HH2sH").pack
_item_header = Struct("<HHI").pack

# Items and sequences of undefined length: what is inside of them may change its length.
OPEN_ITEM = _item_header(ITEM >> 16, ITEM & 0xFFFF, UNDEFINED)
CLOSE_ITEM = _item_header(ITEM_END >> 16, ITEM_END & 0xFFFF, 0)
CLOSE_SEQUENCE = _item_header(SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF, 0)


def write_header(tag: int, vr: str, length: int) -> bytes:
    """Return an element up to its value. Raises struct.error where the VR's length field cannot hold `length`."""
    if vr in LONG_VRS:
        return _long_header(tag >> 16, tag & 0xFFFF, vr.encode(), 0, length)
    return _short_header(tag >> 16, tag & 0xFFFF, vr.encode(), length)


def write_element(tag: int, vr: str, value: bytes) -> bytes:
    """Return an element whose value is padded to an even length."""
    value += padding(vr, len(value))
    return write_header(tag, vr, len(value)) + value


def write_text(tag: int, vr: str, text: str) -> bytes:
    """Return an element of ASCII text, padded. Raises UnicodeEncodeError for other text."""
    return write_element(tag, vr, text.encode("ascii"))


def write_item_header(length: int) -> bytes:
    """Return the header of an item, or fragment, of a defined length in bytes."""
    return _item_header(ITEM >> 16, ITEM & 0xFFFF, length)


def write_sequence(tag: int, items: Iterable[bytes]) -> bytes:
    """Return a sequence of undefined length; each of `items` is an item's data set."""
    content = b"".join(OPEN_ITEM + item + CLOSE_ITEM for item in items)
    return write_header(tag, "SQ", UNDEFINED) + content + CLOSE_SEQUENCE


def padding(vr: str, length: int) -> bytes:
    """Return what makes a value of `length` bytes even (PS3.5 6.2)."""
    if length % 2 == 0:
        return b""
    return b" " if vr in SPACED_VRS else b"\0"


def choose_vr(vr: str, length: int) -> str:
    """Return `vr`, or UN where its length field cannot hold `length` bytes (PS3.5 6.2.2)."""
    return vr if length <= _SHORT_AT_MOST or vr in LONG_VRS else "UN"
