"""Entries for the tokenizer: its knowledge of an element before the value, found once per tag and VR."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from struct import Struct, unpack
from typing import Any, TypeAlias

from gateway.dicom import tagnumbers
from gateway.dicom.dictionary import private_vr, vr_of
from gateway.dicom.encoding.jsonmodel import opening
from gateway.dicom.encoding.structure import CODED_VRS, ITEM_GROUP, LONG_VRS
from gateway.dicom.limits import BULK

# Kinds of elements, the most common first.
TEXT, DECIMAL, INTEGER, FLOAT, PERSON, WORDS, NUMBERS, BINARY, SEQUENCE, DROP, RESOLVE, ODD = range(12)
# The effects of an element on the reading of others.
CHARSET, SIGNED, CREATOR, COLLECT = range(1, 5)

# Tag, kind, JSON member up to the value, whether its header has 12 bytes, VR, effect on other elements, length above
# which the value goes out by reference, size and reader of a single integer. A plain tuple, since it is unpacked for
# every element.
Element: TypeAlias = tuple[int, int, str, bool, str, int, int, tuple[int, Callable[..., tuple[Any, ...]]]]

_MOST_ENTRIES = 65536
# Only an undefined length is longer.
_NEVER = 0xFFFFFFFE

_KINDS = {
    **dict.fromkeys(("AS", "CS", "DA", "DT", "LO", "SH", "TM", "UC", "UI"), TEXT),
    **dict.fromkeys(("AE", "LT", "ST", "UT", "UR"), WORDS),
    **dict.fromkeys(("DS", "IS"), DECIMAL),
    **dict.fromkeys(("US", "SS", "UL", "SL"), INTEGER),
    **dict.fromkeys(("FL", "FD"), FLOAT),
    **dict.fromkeys(("SV", "UV", "AT"), NUMBERS),
    **dict.fromkeys(("OB", "OD", "OF", "OL", "OV", "OW", "UN"), BINARY),
    "PN": PERSON,
    "SQ": SEQUENCE,
}
_CODES = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
_BY_REFERENCE = frozenset({"DS", "IS", "US", "SS", "UL", "SL", "FL", "FD", "SV", "UV"})

PIXELS = frozenset({tagnumbers.FLOAT_PIXEL_DATA, tagnumbers.DOUBLE_FLOAT_PIXEL_DATA, tagnumbers.PIXEL_DATA})
OFFSET_TABLES = frozenset({tagnumbers.EXTENDED_OFFSET_TABLE, tagnumbers.EXTENDED_OFFSET_TABLE_LENGTHS})
PADDING = tagnumbers.DATA_SET_TRAILING_PADDING
# Lower groups belong to commands, file meta and directories (PS3.5 7.1).
FIRST = 0x00080000
UIDS = frozenset(
    {
        tagnumbers.STUDY_INSTANCE_UID,
        tagnumbers.SERIES_INSTANCE_UID,
        tagnumbers.SOP_INSTANCE_UID,
        tagnumbers.SOP_CLASS_UID,
    }
)
_COLLECTED = frozenset(
    {
        *UIDS,
        tagnumbers.MIME_TYPE_OF_ENCAPSULATED_DOCUMENT,
        tagnumbers.SAMPLES_PER_PIXEL,
        tagnumbers.PHOTOMETRIC_INTERPRETATION,
        tagnumbers.PLANAR_CONFIGURATION,
        tagnumbers.NUMBER_OF_FRAMES,
        tagnumbers.ROWS,
        tagnumbers.COLUMNS,
        tagnumbers.BITS_ALLOCATED,
        tagnumbers.BITS_STORED,
        tagnumbers.HIGH_BIT,
    }
)


@lru_cache(maxsize=16384)
def element(tag: int, vr: str, big_endian: bool, long: bool) -> Element:
    """Return the entry of a tag whose VR is settled; `long` says whether its header has 12 bytes."""
    code = _CODES.get(vr, "H")
    single = Struct((">" if big_endian else "<") + code)
    kind = DROP if _is_dropped(tag) and vr != "SQ" else _KINDS[vr]
    reader = (single.size, single.unpack_from)
    return tag, kind, opening(tag, vr), long, vr, _tells(tag), _above(tag, vr), reader


def find_private_vr(creators: Mapping[int, str], tag: int) -> str:
    """Return the VR that the creator of its block gives a private element, UN where none is known."""
    creator = creators.get(tag & 0xFFFF0000 | (tag & 0xFF00) >> 8)
    vr = private_vr(creator, tag) if creator else ""
    return vr if vr.encode() in CODED_VRS else "UN"


def _is_dropped(tag: int) -> bool:
    """Return whether the element is not part of the model (PS3.18 F.2.2).

    These are group lengths, groups below 0008 and trailing padding.
    """
    return tag & 0xFFFF == 0 or (tag < FIRST and not tag >> 16 & 1) or tag == PADDING


def _tells(tag: int) -> int:
    if tag == tagnumbers.SPECIFIC_CHARACTER_SET:
        return CHARSET
    if tag == tagnumbers.PIXEL_REPRESENTATION:
        return SIGNED
    if tag >> 16 & 1 and 0x10 <= tag & 0xFFFF <= 0xFF:
        return CREATOR
    return COLLECT if tag in _COLLECTED or tag in OFFSET_TABLES else 0


def _above(tag: int, vr: str) -> int:
    if _is_dropped(tag):
        return 0
    if tag == tagnumbers.ENCAPSULATED_DOCUMENT or tag in PIXELS:
        return 0
    if tag in _COLLECTED:
        return _NEVER
    if _KINDS[vr] == BINARY or vr in _BY_REFERENCE:
        return BULK.binary
    return BULK.text if vr in ("LT", "ST", "UC", "UT") else _NEVER


class Table(dict[bytes, Element]):
    """The entries by the first bytes of a header: the tag, and the VR where it is explicit.

    It is a dict, since a subscript costs half as much as a call.
    """

    def __init__(self, make: Callable[[bytes], Element]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, head: bytes) -> Element:
        if len(self) >= _MOST_ENTRIES:  # only hostile files have so many different headers
            self.clear()
        found = self[head] = self._make(head)
        return found


def _explicit_le(head: bytes) -> Element:
    low, high = unpack("<HH", head[:4])
    return _explicit(low << 16 | high, head[4:6], False)


def _explicit_be(head: bytes) -> Element:
    low, high = unpack(">HH", head[:4])
    return _explicit(low << 16 | high, head[4:6], True)


def _explicit(tag: int, coded: bytes, big_endian: bool) -> Element:
    """Return the entry by the tag and VR in the file.

    A UN element with a known tag is read with the VR of PS3.6 (PS3.5 6.2.2).
    """
    if coded not in CODED_VRS or tag >> 16 == ITEM_GROUP:
        return tag, ODD, "", False, "", 0, _NEVER, _NO_READER
    vr = coded.decode("ascii")
    if vr == "UN" and not big_endian:
        return _element_by_dictionary(tag, True)
    return element(tag, vr, big_endian, vr in LONG_VRS)


def _implicit_le(head: bytes) -> Element:
    low, high = unpack("<HH", head)
    return _element_by_dictionary(low << 16 | high, False)


def _implicit_be(head: bytes) -> Element:
    """Return the entry in Implicit VR Big Endian: no transfer syntax has it, but some files do."""
    low, high = unpack(">HH", head)
    found = _element_by_dictionary(low << 16 | high, False)
    return element(found[0], found[4], True, False) if found[1] < DROP else found


def _element_by_dictionary(tag: int, long: bool) -> Element:
    """Return the entry by the dictionary's VR.

    Its kind is RESOLVE where the private creator or other elements decide.
    """
    if tag >> 16 == ITEM_GROUP:
        return tag, ODD, "", False, "", 0, _NEVER, _NO_READER
    if tag >> 16 & 1 and tag & 0xFFFF:
        if 0x10 <= tag & 0xFFFF <= 0xFF:
            return element(tag, "LO", False, long)
        return tag, RESOLVE, "", long, "", 0, _NEVER, _NO_READER
    vr = vr_of(tag) or "UN"
    if vr == "US or SS":
        return tag, RESOLVE, "", long, vr, 0, _NEVER, _NO_READER
    if len(vr) > 2:
        vr = "OW"  # in Implicit VR, the only caller with such tags, this is OW (PS3.5 A.1)
    return element(tag, vr if vr in _KINDS else "UN", False, long)


_NO_READER: tuple[int, Callable[..., tuple[Any, ...]]] = (-1, Struct("<H").unpack_from)

EXPLICIT_LE, EXPLICIT_BE = Table(_explicit_le), Table(_explicit_be)
IMPLICIT_LE, IMPLICIT_BE = Table(_implicit_le), Table(_implicit_be)
