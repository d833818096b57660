"""Rewrite a data set of any encoding as Explicit VR Little Endian Part 10, as a stream (PS3.5 A.2, PS3.18 8.7.3).

Sequences and items are written with undefined length, since their length changes; group lengths are dropped;
long values pass through in pieces, swapped where the source is big endian. What the reader forgives is
read here as the reader reads it (`tokens`), so that a rewritten object says what its metadata says.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Literal

from gateway.dicom import tagnumbers, uids
from gateway.dicom.encoding.elements import (
    CREATOR,
    DROP,
    ODD,
    PADDING,
    RESOLVE,
    SIGNED,
    Element,
    element,
    find_private_vr,
)
from gateway.dicom.encoding.elementwriter import choose_vr, padding, write_header
from gateway.dicom.encoding.filemeta import file_meta
from gateway.dicom.encoding.frames import swap, swap_width
from gateway.dicom.encoding.layout import InstanceLayout
from gateway.dicom.encoding.modes import (
    EXPLICIT,
    IMPLICIT,
    IMPLICIT_LE,
    Mode,
    begins_explicit,
    is_unknown_vr,
)
from gateway.dicom.encoding.pushparser import DataSetLevel, DataSetWalker, Steps
from gateway.dicom.encoding.structure import ITEM_GROUP, OPEN, UNDEFINED
from gateway.errors import DicomError, Truncated
from gateway.model import Identity

# A value of more bytes is not held, but passes through.
PIECE = 1 << 20


def _read_unsettled(head: bytes, mode: Mode) -> tuple[Element, bool]:
    """Return an element whose VR is none, and whether its length has two bytes: UN, or an implicit element."""
    if is_unknown_vr(head[4:6]):
        tag = int.from_bytes(head[:2], order := _order(mode)) << 16 | int.from_bytes(head[2:4], order)
        return element(tag, "UN", mode[2], False), True
    found: Element = IMPLICIT[mode[2]][0][head[:4]]
    return found, False


def _order(mode: Mode) -> Literal["big", "little"]:
    return "big" if mode[2] else "little"


@dataclass(slots=True, kw_only=True)
class _Level(DataSetLevel):
    """The mode in which the elements of a data set, or of the items of a sequence, are read."""

    mode: Mode
    signed: bool
    fresh: bool = True
    creators: dict[int, str] = field(default_factory=dict)


def _level(sequence: bool, end: int, mode: Mode, signed: bool) -> _Level:
    return _Level(sequence, end, mode[5], mode=mode, signed=signed)


@dataclass(slots=True)
class _Header:
    """The header of an element; where `coded_un`, its value stays as it is and its items are in implicit VR."""

    tag: int
    kind: int
    vr: str
    tells: int
    length: int
    coded_un: bool
    mode: Mode


class Rewriter(DataSetWalker[_Level]):
    """Push translator: `feed` it the data set, from `layout.dataset_offset` of the object on.

    Of a layout that is `inflated` it wants the inflated data set. Raises DicomError where the bytes are not
    those that the layout was made of, or hold encapsulated data.
    """

    def __init__(self, identity: Identity, layout: InstanceLayout) -> None:
        mode = (IMPLICIT if layout.implicit else EXPLICIT)[layout.big_endian]
        pixels = layout.pixels
        # Some attributes that Pixel Representation decides come before it.
        signed = pixels is not None and pixels.pixel_representation == 1
        super().__init__(
            _level(False, OPEN, mode, signed), file_meta(identity, uids.EXPLICIT_VR_LITTLE_ENDIAN)
        )
        self._bits = pixels.bits_allocated if pixels is not None else 16

    # -- structure --------------------------------------------------------------------------------------

    def _end(self) -> None:
        # Less than a header is left: zeros, or the reader would not have taken it.
        if len(self._levels) > 1 or self._buffer[self._at :].strip(b"\0"):
            raise Truncated("the data set ends early")

    def _item_level(self, sequence: _Level, end: int) -> _Level:
        return _level(False, end, sequence.mode, sequence.signed)

    def _element(self, level: _Level) -> Steps:
        if level.fresh and begins_explicit(self._buffer, self._at, level.mode):
            level.mode = EXPLICIT[level.mode[2]]
        if self._skip_delimiters(level):
            return
        found = yield from self._header(level)
        if found.kind != DROP:
            level.fresh = False
        elif found.tag & 0xFFFF == 0 or found.tag == PADDING or found.tag >> 16 == ITEM_GROUP:
            # Lower groups are no part of the model either, but nothing that was stored is taken away.
            yield from self._skip(found)
            return
        if (yield from self._opens(found)):
            # UN of undefined length is implicit little endian, whatever is around it (PS3.5 6.2.2).
            mode = IMPLICIT_LE if found.coded_un else found.mode
            end = self._end_of_value(found.length)
            self._open_sequence(found.tag, _level(True, end, mode, level.signed))
        elif found.length <= PIECE:
            yield from self._short(level, found)
        else:
            yield from self._through(found)

    def _header(self, level: _Level) -> Generator[None, None, _Header]:
        entry, explicit, _, unpack, wide, item_header = mode = level.mode
        head, length = unpack(self._buffer, self._at)
        tag, kind, _, long, vr, tells, _, _ = entry[head]
        size = 8
        if kind == ODD:
            high, low, length = item_header(self._buffer, self._at)
            if high == ITEM_GROUP:
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
            vr = ("SS" if level.signed else "US") if vr else find_private_vr(level.creators, tag)
        self._at += size
        return _Header(tag, kind, vr, tells, length, coded_un, mode)

    def _opens(self, found: _Header) -> Generator[None, None, bool]:
        """Return whether items follow. A sequence that has none inside is no sequence, and becomes UN."""
        if found.length == UNDEFINED:
            holds = found.vr == "SQ" or found.coded_un or not (found.mode[1] or found.vr in ("OB", "OW"))
            if not holds or found.tag == tagnumbers.PIXEL_DATA:
                raise DicomError("encapsulated data cannot be rewritten as it is", tag=f"{found.tag:08X}")
            return True
        if found.vr != "SQ":
            return False
        if found.length:
            yield from self._all(8, found.tag)
            if found.mode[5](self._buffer, self._at)[0] != ITEM_GROUP:
                found.vr = "UN"
        return found.vr == "SQ"

    # -- values -----------------------------------------------------------------------------------------

    def _width(self, found: _Header) -> int:
        if not found.mode[2]:
            return 1
        top = found.tag == tagnumbers.PIXEL_DATA and len(self._levels) == 1
        return swap_width(found.vr, self._bits if top else 16)

    def _short(self, level: _Level, found: _Header) -> Steps:
        value = yield from self._take(found.length, found.tag)
        if found.tells == CREATOR:
            level.creators[found.tag] = value.decode("latin-1").strip(" \0")
        elif found.tells == SIGNED:
            level.signed = value[:2] not in (b"\0\0", b"")
        if found.mode[2]:
            value = swap(value, self._width(found))
        if found.length % 2:
            value += padding(found.vr, found.length)
        self._out += write_header(found.tag, choose_vr(found.vr, len(value)), len(value)) + value

    def _through(self, found: _Header) -> Steps:
        width, pad, left = self._width(found), padding(found.vr, found.length), found.length
        length = left + len(pad)
        self._out += write_header(found.tag, choose_vr(found.vr, length), length)
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
        if found.length == UNDEFINED:
            raise DicomError("an element that has no length", tag=f"{found.tag:08X}")
        yield from self._pass(found.length, found.tag, keep=False)
