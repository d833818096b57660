"""Any data set encoding → Explicit VR Little Endian Part 10, as a stream (PS3.5 A.2, PS3.18 8.7.3).

Sequences and items are written with undefined length, since their length changes; group lengths are dropped;
long values pass through in pieces, swapped where the source is big endian. What the reader forgives is
read here as the reader reads it (`tokens`), so that a rewritten object says what its metadata says.
"""

from __future__ import annotations

import struct
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Literal

from gateway.dicom.dictionary import private_vr
from gateway.dicom.encoding.elements import (
    CREATOR,
    DROP,
    ODD,
    PADDING,
    RESOLVE,
    SIGNED,
    UNDEFINED,
    VRS,
    Element,
    element,
)
from gateway.dicom.encoding.filemeta import file_meta
from gateway.dicom.encoding.frames import swap, swap_width
from gateway.dicom.encoding.layout import InstanceLayout
from gateway.dicom.encoding.pushparser import CLOSE_ITEM, CLOSE_SEQUENCE, OPEN_ITEM, Stepping, Steps
from gateway.dicom.encoding.tokens import (
    EXPLICIT_BE,
    EXPLICIT_LE,
    IMPLICIT_BE,
    IMPLICIT_LE,
    ITEM,
    ITEM_END,
    OPEN,
    SEQUENCE_END,
    Mode,
)
from gateway.errors import DicomError, Truncated
from gateway.model import EXPLICIT_VR_LE, Identity

PIECE = 1 << 20
_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_TEXTS = "AE AS CS DA DS DT IS LO LT PN SH ST TM UC UR UT"
_SPACED = frozenset(_TEXTS.split())
_PIXELS = 0x7FE00010
_EXPLICIT, _IMPLICIT = (EXPLICIT_LE, EXPLICIT_BE), (IMPLICIT_LE, IMPLICIT_BE)


def header(tag: int, vr: str, length: int) -> bytes:
    """An Explicit VR Little Endian element header (PS3.5 7.1.2)."""
    if vr in _LONG:
        return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, length)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), length)


def _explicit_here(data: bytes | bytearray, at: int, mode: Mode) -> bool:
    """Whether what is taken for implicit begins with an explicit element, as some writers have it."""
    coded = bytes(data[at + 4 : at + 6])
    if mode[1] or coded not in VRS:
        return False
    due = mode[0][bytes(data[at : at + 4])][4]
    return not due or due == coded.decode("ascii")


def _read_unsettled(head: bytes, mode: Mode) -> tuple[Element, bool]:
    """An element whose VR is none, and whether its length has two bytes: UN, or an implicit element."""
    coded = head[4:6]
    if (coded.isalnum() and coded.upper() == coded) or not coded.strip(b" ?*-"):
        tag = int.from_bytes(head[:2], order := _order(mode)) << 16 | int.from_bytes(head[2:4], order)
        return element(tag, "UN", mode[2], False), True
    found: Element = _IMPLICIT[mode[2]][0][head[:4]]
    return found, False


def _order(mode: Mode) -> Literal["big", "little"]:
    return "big" if mode[2] else "little"


@dataclass(slots=True)
class _Level:
    """A data set or a sequence that is open; `end` is its offset, OPEN where a delimiter ends it."""

    sequence: bool
    end: int
    mode: Mode
    signed: bool
    fresh: bool = True
    creators: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Header:
    """An element as its header tells it; `coded_un`: its value stays as it is, its items are implicit."""

    tag: int
    kind: int
    vr: str
    tells: int
    length: int
    coded_un: bool
    mode: Mode


class Rewriter(Stepping):
    """Push translator: `feed` it the data set, from `layout.dataset_offset` of the object on.

    Of a layout that is `inflated` it wants the inflated data set. Raises DicomError where the bytes are not
    those that the layout was made of, or hold encapsulated data.
    """

    def __init__(self, identity: Identity, layout: InstanceLayout) -> None:
        super().__init__(file_meta(identity, EXPLICIT_VR_LE))
        mode = (_IMPLICIT if layout.implicit else _EXPLICIT)[layout.big_endian]
        pixels = layout.pixels
        # Some attributes that Pixel Representation decides come before it.
        signed = pixels is not None and pixels.pixel_representation == 1
        self._levels = [_Level(False, OPEN, mode, signed)]
        self._bits = pixels.bits_allocated if pixels is not None else 16

    # -- structure --------------------------------------------------------------------------------------

    def _data_set(self) -> Steps:
        while True:
            level = self._levels[-1]
            left = level.end - self._base - self._at
            if left <= 0:
                self._close()
            elif not (yield from self._have(8)):
                break
            elif level.sequence:
                self._item(level)
            elif left < 8:
                self._at += left  # bytes after the last element of an item
            else:
                yield from self._element(level)
        # Less than a header is left: zeros, or the reader would not have taken it.
        if len(self._levels) > 1 or self._buffer[self._at :].strip(b"\0"):
            raise Truncated("the data set ends early")

    def _item(self, level: _Level) -> None:
        high, low, length = level.mode[5](self._buffer, self._at)
        tag = high << 16 | low
        self._at += 8
        if tag == ITEM:
            end = OPEN if length == UNDEFINED else min(self._base + self._at + length, level.end)
            self._out += OPEN_ITEM
            self._levels.append(_Level(False, end, level.mode, level.signed))
        elif tag == SEQUENCE_END:
            self._close()
        elif tag != ITEM_END:
            raise DicomError(f"an item was due, not ({high:04X},{low:04X})")

    def _close(self) -> None:
        level = self._levels.pop()
        self._out += CLOSE_SEQUENCE if level.sequence else CLOSE_ITEM

    def _element(self, level: _Level) -> Steps:
        if level.fresh and _explicit_here(self._buffer, self._at, level.mode):
            level.mode = _EXPLICIT[level.mode[2]]
        if self._skip_delimiters(level):
            return
        found = yield from self._header(level)
        if found.kind != DROP:
            level.fresh = False
        elif found.tag & 0xFFFF == 0 or found.tag == PADDING or found.tag >> 16 == 0xFFFE:
            # Lower groups are no part of the model either, but nothing that was stored is taken away.
            yield from self._skip(found)
            return
        if (yield from self._opens(found)):
            self._out += header(found.tag, "SQ", UNDEFINED)
            end = OPEN if found.length == UNDEFINED else self._base + self._at + found.length
            # UN of undefined length is implicit little endian, whatever is around it (PS3.5 6.2.2).
            mode = IMPLICIT_LE if found.coded_un else found.mode
            self._levels.append(_Level(True, end, mode, level.signed))
        elif found.length <= PIECE:
            yield from self._short(level, found)
        else:
            yield from self._through(found)

    def _skip_delimiters(self, level: _Level) -> bool:
        """Delimiters and zero filling, which are no elements."""
        high, low, length = level.mode[5](self._buffer, self._at)
        tag = high << 16 | low
        nested = len(self._levels) > 1
        if tag == SEQUENCE_END and nested and level.end == OPEN:
            self._close()  # an item without delimiter; the sequence takes this one
            return True
        if tag >> 16 != 0xFFFE and (tag or length):
            return False
        if tag == ITEM and length != UNDEFINED:
            return False
        self._at += 8
        if tag == ITEM_END and nested:
            self._close()
        return True

    def _header(self, level: _Level) -> Generator[None, None, _Header]:
        entry, explicit, _, unpack, wide, item_header = mode = level.mode
        head, length = unpack(self._buffer, self._at)
        tag, kind, _, long, vr, tells, _, _ = entry[head]
        size = 8
        if kind == ODD:
            high, low, length = item_header(self._buffer, self._at)
            if high == 0xFFFE:
                tag, kind = high << 16 | low, DROP
            else:
                found, short = _read_unsettled(head, mode)
                tag, kind, _, _, vr, tells, _, _ = found
                length = unpack(self._buffer, self._at)[1] if short else length
        elif long:
            yield from self._all(12, tag)
            length, size = wide(self._buffer, self._at + 8)[0], 12
        coded_un = explicit and long and head[4:6] == b"UN"
        if coded_un:
            vr, kind = "UN", DROP if kind == DROP else -1
        elif kind == RESOLVE:
            vr = ("SS" if level.signed else "US") if vr else self._private(level, tag)
        self._at += size
        return _Header(tag, kind, vr, tells, length, coded_un, mode)

    def _private(self, level: _Level, tag: int) -> str:
        creator = level.creators.get(tag & 0xFFFF0000 | (tag & 0xFF00) >> 8)
        vr = private_vr(creator, tag) if creator else ""
        return vr if vr.encode() in VRS else "UN"

    def _opens(self, found: _Header) -> Generator[None, None, bool]:
        """Whether items follow. A sequence that has none inside is no sequence, and becomes UN."""
        if found.length == UNDEFINED:
            holds = found.vr == "SQ" or found.coded_un or not (found.mode[1] or found.vr in ("OB", "OW"))
            if not holds or found.tag == _PIXELS:
                raise DicomError("encapsulated data cannot be rewritten as it is", tag=f"{found.tag:08X}")
            return True
        if found.vr != "SQ":
            return False
        if found.length:
            yield from self._all(8, found.tag)
            if found.mode[5](self._buffer, self._at)[0] != 0xFFFE:
                found.vr = "UN"
        return found.vr == "SQ"

    # -- values -----------------------------------------------------------------------------------------

    def _width(self, found: _Header) -> int:
        if not found.mode[2]:
            return 1
        top = found.tag == _PIXELS and len(self._levels) == 1
        return swap_width(found.vr, self._bits if top else 16)

    def _short(self, level: _Level, found: _Header) -> Steps:
        value = yield from self._take(found.length, found.tag)
        if found.tells == CREATOR:
            level.creators[found.tag] = value.decode("latin-1").strip(" \0")
        elif found.tells == SIGNED:
            level.signed = value[:2] not in (b"\0\0", b"")
        value = swap(value, self._width(found)) + _pad(found)
        vr = "UN" if len(value) > 0xFFFF and found.vr not in _LONG else found.vr
        self._out += header(found.tag, vr, len(value)) + value

    def _through(self, found: _Header) -> Steps:
        width, pad, left = self._width(found), _pad(found), found.length
        self._out += header(found.tag, found.vr if found.vr in _LONG else "UN", left + len(pad))
        while left:
            yield from self._all(min(left, width), found.tag)
            have = min(left, len(self._buffer) - self._at)
            if have < left:
                have -= have % width
            piece = self._buffer[self._at : self._at + have]
            self._out += swap(bytes(piece), width) if width > 1 else piece
            self._at += have
            left -= have
        self._out += pad

    def _skip(self, found: _Header) -> Steps:
        left = found.length
        if left == UNDEFINED:
            raise DicomError("an element that has no length", tag=f"{found.tag:08X}")
        while left:
            yield from self._all(1, found.tag)
            have = min(left, len(self._buffer) - self._at)
            self._at += have
            left -= have


def _pad(found: _Header) -> bytes:
    """What makes the length even (PS3.5 6.2)."""
    if found.length % 2 == 0:
        return b""
    return b" " if found.vr in _SPACED else b"\0"


def top_elements(data: bytes) -> Generator[tuple[int, int, int], None, None]:
    """Top-level elements of an Explicit VR Little Endian data set: tag, start, stop."""
    at = 0
    while at + 8 <= len(data):
        start = at
        high, low = struct.unpack_from("<HH", data, at)
        at, length = _value(data, at, EXPLICIT_LE)
        if length == UNDEFINED:
            at = _sequence_stop(data, at, _within(data, start, EXPLICIT_LE))
        else:
            at += length
        yield high << 16 | low, start, at


def _value(data: bytes, at: int, mode: Mode) -> tuple[int, int]:
    """Where the value of an element begins, and its length."""
    long = mode[1] and data[at + 4 : at + 6].decode("latin-1") in _LONG
    if long and at + 12 > len(data):
        raise Truncated("the header ends within an element")
    if long:
        return at + 12, int(mode[4](data, at + 8)[0])
    return at + 8, int(mode[3](data, at)[1])


def _within(data: bytes, at: int, mode: Mode) -> Mode:
    """How the items of an element are encoded: those of UN are implicit (PS3.5 6.2.2)."""
    return IMPLICIT_LE if mode[1] and data[at + 4 : at + 6] == b"UN" else mode


def _sequence_stop(data: bytes, at: int, mode: Mode) -> int:
    """Where a sequence (or fragments) of undefined length ends; nested ones are counted, not recursed into."""
    modes = [mode]
    while modes:
        if at + 8 > len(data):
            raise Truncated("a sequence in the header does not end")
        high, low, length = struct.unpack_from("<HHI", data, at)
        tag = high << 16 | low
        if tag == SEQUENCE_END:
            modes.pop()
            at += 8
        elif high == 0xFFFE:
            at += 8 + (length if tag == ITEM and length != UNDEFINED else 0)
            if tag == ITEM and length == UNDEFINED and _explicit_here(data, at, modes[-1]):
                modes[-1] = EXPLICIT_LE
        else:
            start, mode = at, modes[-1]
            at, length = _value(data, at, mode)
            if length == UNDEFINED:
                modes.append(_within(data, start, mode))
            else:
                at += length
    return at
