"""Any data set encoding → Explicit VR Little Endian Part 10, as a stream (PS3.5 A.2, PS3.18 8.7.3).

Sequences and items are written with undefined length, since their length changes; group lengths are dropped;
long values pass through in pieces, swapped where the source is big endian.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

from gateway.dicom.dictionary import private_vr, vr_of
from gateway.dicom.filemeta import file_meta
from gateway.dicom.frames import swap, swap_width
from gateway.dicom.layout import InstanceLayout
from gateway.errors import DicomError
from gateway.model import EXPLICIT_VR_LE, Identity

UNDEFINED = 0xFFFFFFFF
PIECE = 1 << 20
_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_KNOWN = _LONG | frozenset(
    [
        "AE",
        "AS",
        "AT",
        "CS",
        "DA",
        "DS",
        "DT",
        "FL",
        "FD",
        "IS",
        "LO",
        "LT",
        "PN",
        "SH",
        "SL",
        "SS",
        "ST",
        "TM",
        "UI",
        "UL",
        "US",
    ]
)
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXELS = 0x7FE00010
_OPEN_ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED)
_CLOSE_ITEM = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
_CLOSE_SEQUENCE = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def header(tag: int, vr: str, length: int) -> bytes:
    """An Explicit VR Little Endian element header (PS3.5 7.1.2)."""
    if vr in _LONG:
        return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, length)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), length)


@dataclass(slots=True)
class _Level:
    """A data set or a sequence that is open; `end` is its offset, None where a delimiter ends it."""

    sequence: bool
    end: int | None
    implicit: bool
    big: bool
    creators: dict[int, str] = field(default_factory=dict)


class Rewriter:
    """Push translator: `feed` it the data set, from `layout.dataset_offset` of the object on.

    Of a layout that is `inflated` it wants the inflated data set. Raises DicomError where the bytes are not
    those that the layout was made of.
    """

    def __init__(self, identity: Identity, layout: InstanceLayout) -> None:
        self._out = bytearray(file_meta(identity, EXPLICIT_VR_LE))
        self._buffer = bytearray()
        self._at = 0
        self._base = 0
        self._ended = False
        self._levels = [_Level(False, None, layout.implicit, layout.big_endian)]
        signed = layout.pixels is not None and layout.pixels.pixel_representation == 1
        self._signed = signed
        self._bits = layout.pixels.bits_allocated if layout.pixels is not None else 16
        self._run = self._data_set()
        next(self._run)

    def feed(self, chunk: bytes) -> bytes:
        """What can be written by now."""
        del self._buffer[: self._at]
        self._base += self._at
        self._at = 0
        self._buffer += chunk
        self._step()
        return self._taken()

    def finish(self) -> bytes:
        """The rest."""
        self._ended = True
        self._step()
        return self._taken()

    def _taken(self) -> bytes:
        out = bytes(self._out)
        self._out.clear()
        return out

    def _step(self) -> None:
        try:
            next(self._run)
        except StopIteration:
            self._at = len(self._buffer)

    # -- structure --------------------------------------------------------------------------------------

    def _data_set(self) -> Generator[None, None, None]:
        yield
        while True:
            level = self._levels[-1]
            if level.end is not None and self._base + self._at >= level.end:
                self._close()
                continue
            while len(self._buffer) - self._at < 8 and not self._ended:
                yield
            if len(self._buffer) - self._at < 8:
                while len(self._levels) > 1:
                    self._close()
                return
            yield from self._sequence(level) if level.sequence else self._element(level)

    def _sequence(self, level: _Level) -> Generator[None, None, None]:
        tag, length = self._tag(), self._number(self._at + 4)
        self._at += 8
        if tag == _ITEM:
            end = None if length == UNDEFINED else self._base + self._at + length
            self._out += _OPEN_ITEM
            self._levels.append(_Level(False, end, level.implicit, level.big))
        elif tag == _SEQUENCE_END:
            self._close()
        return
        yield

    def _element(self, level: _Level) -> Generator[None, None, None]:
        tag = self._tag()
        if tag >> 16 == 0xFFFE:
            self._at += 8
            if tag == _ITEM_END and len(self._levels) > 1:
                self._close()
            return
        while len(self._buffer) - self._at < 12 and not self._ended:
            yield
        vr, length, coded_un = self._header(level, tag)
        if length == UNDEFINED and tag == _PIXELS:
            raise DicomError("encapsulated pixel data cannot be rewritten as it is", tag="7FE00010")
        if vr == "SQ" or length == UNDEFINED:
            end = None if length == UNDEFINED else self._base + self._at + length
            self._out += header(tag, "SQ", UNDEFINED)
            # UN of undefined length is a sequence in Implicit VR Little Endian, whatever is around it (PS3.5 6.2.2).
            self._levels.append(_Level(True, end, level.implicit or coded_un, level.big and not coded_un))
        elif tag & 0xFFFF == 0 or tag == 0xFFFCFFFC:
            yield from self._skip(length)
        elif length <= PIECE:
            yield from self._short(level, tag, vr, length)
        else:
            yield from self._through(tag, vr, length)

    def _close(self) -> None:
        level = self._levels.pop()
        self._out += _CLOSE_SEQUENCE if level.sequence else _CLOSE_ITEM

    def _tag(self) -> int:
        group, element = struct.unpack_from(">HH" if self._levels[-1].big else "<HH", self._buffer, self._at)
        return int(group << 16 | element)

    def _number(self, at: int) -> int:
        return int(struct.unpack_from(">I" if self._levels[-1].big else "<I", self._buffer, at)[0])

    def _header(self, level: _Level, tag: int) -> tuple[str, int, bool]:
        """VR to write, length, and whether the value is coded implicitly though its neighbours are not."""
        if level.implicit:
            length = self._number(self._at + 4)
            self._at += 8
            return self._vr(level, tag), length, False
        vr = bytes(self._buffer[self._at + 4 : self._at + 6]).decode("latin-1")
        if vr in _LONG:
            length = self._number(self._at + 8)
            self._at += 12
            return vr, length, vr == "UN" and length == UNDEFINED
        length = int(struct.unpack_from(">H" if level.big else "<H", self._buffer, self._at + 6)[0])
        self._at += 8
        return vr if vr in _KNOWN else "UN", length, False

    def _vr(self, level: _Level, tag: int) -> str:
        if tag >> 16 & 1:
            block = tag & 0xFFFF
            if 0x10 <= block <= 0xFF:
                return "LO"
            creator = level.creators.get(tag >> 16 << 16 | block >> 8)
            vr = private_vr(creator, tag) if creator else ""
        else:
            vr = vr_of(tag)
        return self._settled(vr, tag)

    def _settled(self, vr: str, tag: int) -> str:
        """One VR of those the dictionary allows (PS3.5 Annex A)."""
        if vr in _KNOWN:
            return vr
        if vr == "US or SS":
            return "SS" if self._signed else "US"
        return "OW" if "OW" in vr else "UN"

    # -- values -----------------------------------------------------------------------------------------

    def _short(self, level: _Level, tag: int, vr: str, length: int) -> Generator[None, None, None]:
        while len(self._buffer) - self._at < length and not self._ended:
            yield
        value = bytes(self._buffer[self._at : self._at + length])
        self._at += length
        if tag >> 16 & 1 and 0x10 <= tag & 0xFFFF <= 0xFF:
            level.creators[tag >> 16 << 16 | tag & 0xFF] = value.decode("latin-1").strip(" \0")
        if level.big:
            value = swap(value, swap_width(vr, self._bits if tag == _PIXELS else 16))
        if len(value) % 2:
            value += b"\0" if vr in {"OB", "UN", "UI"} else b" "
        if len(value) > 0xFFFF and vr not in _LONG:
            vr = "UN"
        self._out += header(tag, vr, len(value)) + value

    def _through(self, tag: int, vr: str, length: int) -> Generator[None, None, None]:
        width = swap_width(vr, self._bits if tag == _PIXELS else 16) if self._levels[-1].big else 1
        self._out += header(tag, vr if vr in _LONG else "UN", length + length % 2)
        left = length
        while left:
            have = min(left, len(self._buffer) - self._at)
            if have < left:
                have -= have % width
            if have:
                self._out += swap(bytes(self._buffer[self._at : self._at + have]), width)
                self._at += have
                left -= have
            if left:
                if self._ended:
                    raise DicomError("the value ends early", tag=f"{tag:08X}")
                yield
        if length % 2:
            self._out += b"\0"

    def _skip(self, length: int) -> Generator[None, None, None]:
        left = length
        while left:
            have = min(left, len(self._buffer) - self._at)
            self._at += have
            left -= have
            if left:
                if self._ended:
                    return
                yield


def decoded_head(head: bytes, identity: Identity, changes: Mapping[str, str | int]) -> bytes:
    """A Part 10 head in Explicit VR Little Endian from the data set bytes before encapsulated pixel data.

    `changes` maps tags (8 hex digits) to new values of Photometric Interpretation and the like; the extended
    offset tables go, since there is nothing encapsulated any more.
    """
    out = [file_meta(identity, EXPLICIT_VR_LE)]
    left = {int(tag, 16): _encoded(int(tag, 16), value) for tag, value in changes.items()}
    at = 0
    for tag, start, stop in _elements(head):
        out += [left.pop(due) for due in sorted(left) if due < tag]
        if tag in left:
            out.append(left.pop(tag))
        elif tag not in {0x7FE00001, 0x7FE00002}:
            out.append(head[start:stop])
        at = stop
    if at != len(head):
        raise DicomError("the header does not end where the pixel data begins", tag="7FE00010")
    return b"".join([*out, *(left[tag] for tag in sorted(left))])


def _encoded(tag: int, value: str | int) -> bytes:
    if isinstance(value, int):
        return header(tag, "US", 2) + struct.pack("<H", value)
    text = value.encode("ascii")
    text += b" " * (len(text) % 2)
    return header(tag, "CS", len(text)) + text


def _elements(data: bytes) -> Generator[tuple[int, int, int], None, None]:
    """Top-level elements of an Explicit VR Little Endian data set: tag, start, stop."""
    at = 0
    while at + 8 <= len(data):
        start = at
        group, element, vr, length = struct.unpack_from("<HH2sH", data, at)
        at += 8
        if vr.decode("latin-1") in _LONG:
            length = struct.unpack_from("<I", data, at)[0]
            at += 4
        at = _sequence_stop(data, at, implicit=vr == b"UN") if length == UNDEFINED else at + length
        yield group << 16 | element, start, at


def _sequence_stop(data: bytes, at: int, *, implicit: bool) -> int:
    """Where a sequence of undefined length ends; what is nested is counted, not recursed into."""
    open_items: list[
        int | None
    ] = []  # ends of open items; None where a delimiter closes it; -1 for a sequence
    open_items.append(-1)
    while open_items:
        top = open_items[-1]
        if top is not None and top >= 0 and at >= top:
            open_items.pop()
            continue
        if at + 8 > len(data):
            raise DicomError("a sequence in the header does not end")
        tag = int.from_bytes(data[at : at + 2], "little") << 16 | int.from_bytes(
            data[at + 2 : at + 4], "little"
        )
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if tag in {_ITEM_END, _SEQUENCE_END}:
            open_items.pop()
            at += 8
        elif tag == _ITEM:
            at += 8
            if length == UNDEFINED:
                open_items.append(None)
            else:
                at += length
        else:
            at, nested = _skipped(data, at, implicit)
            if nested:
                open_items.append(-1)
    return at


def _skipped(data: bytes, at: int, implicit: bool) -> tuple[int, bool]:
    """Behind an element inside an item, or behind its header where its length is undefined."""
    if implicit:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8
    elif data[at + 4 : at + 6].decode("latin-1") in _LONG:
        length = int.from_bytes(data[at + 8 : at + 12], "little")
        at += 12
    else:
        length = int.from_bytes(data[at + 6 : at + 8], "little")
        at += 8
    return (at, True) if length == UNDEFINED else (at + length, False)
