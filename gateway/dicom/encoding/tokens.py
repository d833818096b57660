"""Read a data set in one pass: elements in, DICOM JSON, bulk table and pixel fragments out (PS3.5 7).

`Tokenizer._run` is long on purpose: it runs for every element of every stored file, and a call costs as much
as the work that it would do. Rare cases are in methods. It stops wherever the bytes end, and continues with
the next ones; sequences are a list of tuples, never recursion.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from gateway.dicom.encoding import values
from gateway.dicom.encoding.charsets import DEFAULT, Charset, charset
from gateway.dicom.encoding.elements import (
    BINARY,
    CHARSET,
    CREATOR,
    DECIMAL,
    DROP,
    FIRST,
    FLOAT,
    INTEGER,
    ODD,
    OFFSET_TABLES,
    PADDING,
    PERSON,
    PIXELS,
    RESOLVE,
    SEQUENCE,
    SIGNED,
    TEXT,
    WORDS,
    Element,
    element,
    find_private_vr,
)
from gateway.dicom.encoding.fragments import FragmentScanner
from gateway.dicom.encoding.jsonmodel import Order, bulk_member, json_object, opening
from gateway.dicom.encoding.layout import BulkValue
from gateway.dicom.encoding.modes import EXPLICIT, IMPLICIT, IMPLICIT_LE, Mode, begins_explicit, is_unknown_vr
from gateway.dicom.encoding.packedmembers import Packed
from gateway.dicom.encoding.structure import ITEM, ITEM_END, ITEM_GROUP, OPEN, SEQUENCE_END, UNDEFINED
from gateway.dicom.limits import ReadLimits
from gateway.errors import DicomError, LimitExceeded, Truncated

# Most characters of DICOM JSON that are read again on the event loop: longer metadata would block it.
SHORT_METADATA = 256 << 10
# From so many items on, a sequence is joined without a further copy.
_MANY = 1000
# Bytes that a value by reference takes in addition to its path: its URL and its entry in the layout.
_REFERENCE = 400
_PIECE = 1 << 20
_NUMBERS = values.NUMBERS.fullmatch


@dataclass(slots=True)
class Pixels:
    """The first top-level element with pixels; `length` is that of the whole value field."""

    tag: int
    vr: str
    offset: int
    length: int
    scanner: FragmentScanner | None = None


@dataclass(frozen=True, slots=True)
class Remark:
    """A mistake in the data set that did not prevent reading."""

    tag: str
    message: str


class Tokenizer:
    """Push parser of the data set after group 0002; offsets count from `offset`, that of its first byte.

    `collected` holds the raw values of top-level elements that other code needs, as soon as they are read.
    """

    def __init__(
        self, mode: Mode, offset: int, version: str, limits: ReadLimits, *, strings: bool, encapsulated: bool
    ) -> None:
        self.collected: dict[int, bytes] = {}
        self.bulk: dict[str, BulkValue] = {}
        self.pixels: Pixels | None = None
        self.remarks: dict[Remark, None] = {}
        self.digest = hashlib.sha256()
        self.big_endian = mode[2]
        self._version = version
        self._limits = limits
        self._strings = strings
        self._encapsulated = encapsulated
        self._base = offset
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._need = 8
        self._skip = 0
        self._skip_hashed = True
        self._scanner: FragmentScanner | None = None
        self._scanned = ""
        self._gaps: list[tuple[int, int]] = []
        self._stack: list[tuple[Any, ...]] = []
        self._elements = 0
        self._held = 0
        self._made = 0
        self._packed = Packed()
        self._outline = b""
        self._passed_by = 0
        self._discard = 0
        # parts, last tag, end, mode, charset, signed, creators, order of the object being read
        self._frame: tuple[Any, ...] = ([], -1, OPEN, mode, DEFAULT, False, None, None)
        # in an item?, tag, text so far, items, end, mode of the items
        self._sequence: tuple[Any, ...] = (True, 0, "", [], OPEN, mode)

    @property
    def passing(self) -> bool:
        """Whether the next bytes are of a long value, and cost nothing to read."""
        return self._skip > 0 or self._scanner is not None

    @property
    def is_long(self) -> bool:
        """Whether the metadata takes long to build."""
        return self._held + self._made > SHORT_METADATA

    # -- bytes in

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises DicomError, Truncated, LimitExceeded."""
        at, size = 0, len(data)
        while at < size:
            if self._skip:
                at += self._pass(data, at, size)
            elif self._scanner is not None:
                at += self._scan(data, at)
            else:
                take = min(size, at + max(_PIECE, self._need - self._pending_size))
                piece = data if at == 0 and take == size else data[at:take]
                at = take
                rest = self._gather(piece)
                if rest:
                    data = rest + data[at:] if at < size else rest
                    at, size = 0, len(data)

    @property
    def passable(self) -> int:
        """The number of next bytes that belong to a value by reference."""
        if self._skip:
            return self._skip
        return self._scanner.passable if self._scanner is not None else 0

    def pass_over(self, count: int) -> None:
        """Skip `count` bytes, at most as many as are passable, as if fed; `digest` is not valid then."""
        self._base += count
        if not self._skip:
            assert self._scanner is not None
            self._scanner.pass_over(count)
            return
        self._skip -= count
        self._skip_hashed = self._skip_hashed or not self._skip

    def finish(self) -> bytes:
        """Return the metadata. Raises Truncated where an element, item or sequence is not complete."""
        left = b"".join(self._pending)
        if self._scanner is not None:
            self._scanner.close()
            self._scan(b"", 0)
        while self._stack and not self._skip and not left and self._close_at_end():
            pass
        if self._skip or self._stack or left:
            if self._skip or self._stack or left.strip(b"\0"):
                raise Truncated(
                    f"the data set ends within {self._where()} at byte {self._base + len(left)}",
                    tag=self._tag(),
                )
            self._hash(left, len(left))
            self.remark(0, "zero bytes after the last element")
        self._check_bound(len(self._frame[0]))
        parts, disordered = self._frame[0], self._frame[7] is not None
        size = self._packed.size + sum(map(len, parts))
        if size > self._limits.metadata:
            raise LimitExceeded(f"metadata of {size} bytes is beyond {self._limits.metadata}")
        if size > SHORT_METADATA:
            self._outline = self._packed.outline(parts, disordered)
        return self._packed.finish(parts, disordered)

    def outline(self) -> bytes:
        """Return the metadata without long attributes, after `finish`; empty where the metadata is short."""
        return self._outline

    def _pass(self, data: bytes, at: int, size: int) -> int:
        take = min(self._skip, size - at)
        if self._skip_hashed:
            self.digest.update(memoryview(data)[at : at + take])
        self._skip -= take
        self._base += take
        if not self._skip:
            self._skip_hashed = True
        return take

    def _scan(self, data: bytes, at: int) -> int:
        assert self._scanner is not None
        view = memoryview(data)[at:]
        used = self._scanner.feed(view)
        self.digest.update(view[:used])
        self._base += used
        if self._scanner.done:
            scanner, self._scanner = self._scanner, None
            value = self.bulk.get(self._scanned)
            if value is not None:
                length = scanner.end - value.offset
                self.bulk[self._scanned] = BulkValue(value.vr, value.offset, length)
                if self.pixels is not None and self.pixels.scanner is scanner:
                    self.pixels.length = length
        return used

    def _gather(self, piece: bytes) -> bytes:
        """Parse as far as the bytes go, and return the bytes that belong to the fragment scanner."""
        self._pending_size += len(piece)
        if self._pending_size < self._need:
            self._pending.append(piece)
            return b""
        if self._pending:
            self._pending.append(piece)
            piece = b"".join(self._pending)
        self._pending, self._pending_size = [], 0
        self._passed_by = 0
        used = self._run(piece)
        self._hash(piece, used)
        self._base += used
        self._held += used - self._passed_by
        self._check_bound(len(self._frame[0]))
        if not self._stack and self._held + self._made >= self._packed.due and self._frame[7] is None:
            self._elements += len(self._frame[0])
            self._packed.add(self._frame[0], self._held + self._made)
        rest = piece[used:]
        if self._scanner is not None or not rest:
            return rest
        self._pending, self._pending_size = [rest], len(rest)
        return b""

    def _hash(self, data: bytes, stop: int) -> None:
        view = memoryview(data)
        at = 0
        for begin, end in self._gaps:
            self.digest.update(view[at:begin])
            at = end
        self.digest.update(view[at:stop])
        self._gaps = []

    def _check_bound(self, pending: int) -> None:
        if self._elements + pending > self._limits.elements:
            raise LimitExceeded(f"more than {self._limits.elements} elements, at byte {self._base}")
        if self._held + self._made > self._limits.metadata:
            raise LimitExceeded(
                f"more than {self._limits.metadata} bytes of header, as DICOM JSON has it, at byte {self._base}"
            )

    # -- the hot loop

    def _run(self, buf: bytes) -> int:
        n = len(buf)
        base = self._base
        stack = self._stack
        as_strings = self._strings
        parts, last, end, mode, text_set, signed, creators, order = self._frame
        in_item, seq_tag, seq_open, items, seq_end, item_mode = self._sequence
        entry, explicit, big, header, u32, item_header = mode
        end -= base
        seq_end -= base
        edge = (end if end < n else n) - 8
        plain = text_set.plain
        pos = 0
        need = 8
        while True:
            # Ends of items and sequences are rare, so a single comparison detects both.
            if not in_item:
                if pos >= seq_end:
                    closing = True
                else:
                    if n - pos < 8:
                        break
                    high, low, length = item_mode[5](buf, pos)
                    tag = high << 16 | low
                    closing = tag == SEQUENCE_END
                    if tag == ITEM:
                        pos += 8
                        in_item = True
                        parts, last, order, creators = [], -1, None, None
                        end = pos + length if length != UNDEFINED else OPEN
                        if end > seq_end and length != UNDEFINED:
                            self._remark_at(base + pos, seq_tag, "an item is longer than its sequence")
                            end = seq_end
                        edge = (end if end < n else n) - 8
                        outer = stack[-1]
                        text_set, signed = outer[4], outer[5]
                        plain = text_set.plain
                        mode = item_mode
                        entry, explicit, big, header, u32, item_header = mode
                        continue
                    if closing:
                        pos += 8
                    elif tag == ITEM_END:
                        self._remark_at(base + pos, seq_tag, "an item delimiter outside any item")
                        pos += 8
                        continue
                    else:
                        raise DicomError(
                            f"an item was due in {self._where(0, seq_tag)} at byte {base + pos}",
                            tag=f"{seq_tag:08X}",
                        )
                # The sequence is over.
                if len(items) < _MANY:
                    member = f'{seq_open},"Value":[{",".join(items)}]}}' if items else seq_open + "}"
                else:  # avoid another copy of the whole
                    items[0] = f'{seq_open},"Value":[{items[0]}'
                    items[-1] += "]}"
                    member = ",".join(items)
                parts, last, end, mode, text_set, signed, creators, order, *outer_sequence = stack.pop()
                in_item, seq_tag, seq_open, items, seq_end, item_mode = outer_sequence
                end -= base
                seq_end -= base
                edge = (end if end < n else n) - 8
                plain = text_set.plain
                entry, explicit, big, header, u32, item_header = mode
                if self._discard > len(stack):
                    self._discard = 0
                else:
                    parts.append(member)
                continue
            if pos > edge:
                if pos >= end:
                    closing = True
                elif end - pos < 8 and end <= n:
                    self._remark_at(base + pos, seq_tag, "bytes after the last element of an item")
                    pos = end
                    closing = True
                else:
                    break
                # The item is over.
                items.append(json_object(parts, order is not None))
                self._elements += len(parts) + 1
                if self._elements > self._limits.elements:
                    self._check_bound(0)
                in_item = False
                continue
            head, length = header(buf, pos)
            if last < 0 and not explicit and self._explicit_here(buf, pos, mode):
                mode = EXPLICIT[big]
                entry, explicit, big, header, u32, item_header = mode
                continue
            tag, kind, bare, long, vr, tells, above, single = entry[head]
            start = pos + 8
            if long:
                if n - pos < 12:
                    need = 12
                    break
                length = u32(buf, start)[0]
                start = pos + 12
            if kind >= SEQUENCE or length > above:
                coded_un = long and buf[pos + 4 : pos + 6] == b"UN"
                if kind >= DROP:
                    if kind == ODD:
                        # Delimiters, zero filling, unknown VRs, implicit elements in an explicit data set.
                        high, low, length = item_header(buf, pos)
                        tag = high << 16 | low
                        if tag == ITEM_END and stack:
                            if end < OPEN >> 1:
                                self._remark_at(
                                    base + pos, seq_tag, "an item delimiter in an item of defined length"
                                )
                            pos += 8
                            items.append(json_object(parts, order is not None))
                            self._elements += len(parts) + 1
                            if self._elements > self._limits.elements:
                                self._check_bound(0)
                            in_item = False
                            continue
                        if tag == SEQUENCE_END and stack and end > OPEN >> 1:
                            self._remark_at(base + pos, seq_tag, "an item without delimiter")
                            items.append(json_object(parts, order is not None))
                            self._elements += len(parts) + 1
                            in_item = False
                            continue
                        if tag >> 16 == ITEM_GROUP:
                            self._remark_at(base + pos, tag, "a delimiter where an element was due")
                            if tag != ITEM or length == UNDEFINED:
                                length = 0
                            kind, start = DROP, pos + 8
                        elif tag == 0 and length == 0:
                            self.remark(0, "zero bytes after the last element")
                            pos += 8
                            continue
                        else:
                            coded = buf[pos + 4 : pos + 6]
                            if is_unknown_vr(coded):
                                self._remark_at(base + pos, tag, "an unknown VR, read as UN")
                                found = self._unknown(tag, big)
                                length = header(buf, pos)[1] if explicit else length
                            else:
                                self._remark_at(base + pos, tag, "implicit VR within an explicit VR data set")
                                found = IMPLICIT[big][0][buf[pos : pos + 4]]
                            tag, kind, bare, long, vr, tells, above, single = found
                            start = pos + 8
                    if kind == RESOLVE:
                        vr = ("SS" if signed else "US") if vr else self._private_vr(tag, creators, coded_un)
                        tag, kind, bare, _, vr, tells, above, single = element(
                            tag, vr, big and not coded_un, False
                        )
                    if kind == DROP:
                        if length == UNDEFINED:
                            raise DicomError(
                                f"{self._where(tag, seq_tag)} at byte {base + pos} has no length",
                                tag=f"{tag:08X}",
                            )
                        stop = start + length
                        if tag == PADDING and not stack:
                            self._gaps.append((pos, stop if stop < n else n))
                            self._skip_hashed = stop <= n
                        if stop > n:
                            self._skip = stop - n
                            self._passed_by += n - start
                            pos = n
                            break
                        pos = stop
                        continue
                if tag > last:
                    admitted = True
                else:
                    if order is None:
                        order = Order()
                        if not stack:
                            self._elements -= self._packed.restore(parts)
                    admitted = order.admits(tag, parts)
                    self._remark_at(
                        base + pos, tag, "out of order" if admitted else "a second element with the same tag"
                    )
                if kind == SEQUENCE or (
                    length == UNDEFINED and self._is_sequence(vr, explicit, coded_un, tag, stack)
                ):
                    if length != UNDEFINED and length:
                        if n - start < 8:
                            need = start + 8 - pos
                            break
                        probe = IMPLICIT_LE if coded_un else mode
                        high, low, _ = probe[5](buf, start)
                        if high != ITEM_GROUP:
                            kind = BINARY
                            if not coded_un:
                                self._remark_at(base + pos, tag, "a sequence without items, read as UN")
                            tag, kind, bare, _, vr, tells, above, single = element(tag, "UN", big, False)
                    if kind == SEQUENCE or length == UNDEFINED:
                        if len(stack) >= self._limits.depth:
                            raise LimitExceeded(
                                f"sequences nested deeper than {self._limits.depth} at byte {base + pos}",
                                tag=f"{tag:08X}",
                            )
                        if tag > last:
                            last = tag
                        stack.append(
                            (
                                *(parts, last, end + base, mode, text_set, signed, creators, order),
                                *(True, seq_tag, seq_open, items, seq_end + base, item_mode),
                            )
                        )
                        if (not admitted or (tag < FIRST and not tag >> 16 & 1)) and not self._discard:
                            self._discard = len(stack)
                        item_mode = IMPLICIT_LE if coded_un else mode
                        seq_tag, items = tag, []
                        seq_open = bare if vr == "SQ" else opening(tag, "SQ")
                        pos = start
                        seq_end = start + length if length != UNDEFINED else OPEN
                        in_item = False
                        continue
                if tag in PIXELS and not stack and UNDEFINED != length >= 8 and self._encapsulated:
                    if n - start < 8:
                        need = start + 8 - pos
                        break
                    if item_header(buf, start)[:2] == (ITEM_GROUP, ITEM & 0xFFFF):
                        above = -1
                if length > above:
                    # By reference: the value passes by.
                    if tag in OFFSET_TABLES and not stack and length <= self._limits.table:
                        if start + length > n:
                            need = start + length - pos
                            break
                        self.collected.setdefault(tag, buf[start : start + length])
                    path = self._path(tag, stack, seq_tag, items)
                    if tag > last:
                        last = tag
                    stored_vr = "UN" if coded_un and big else vr
                    if admitted and not self._discard:
                        parts.append(bulk_member(bare, path, self._version))
                        self._made += len(path) + _REFERENCE
                        self.bulk[path] = BulkValue(
                            stored_vr, base + start, 0 if length == UNDEFINED else length
                        )
                    wanted = admitted and not stack and tag in PIXELS and self.pixels is None
                    if length == UNDEFINED or above < 0:
                        if vr not in ("OB", "OW", "UN") and tag not in PIXELS:
                            raise DicomError(
                                f"{self._where(tag, seq_tag)} at byte {base + pos} has no length",
                                tag=f"{tag:08X}",
                            )
                        stop_at = None if length == UNDEFINED else base + start + length
                        self._scanner = FragmentScanner(base + start, stop_at)
                        self._scanned = path if admitted and not self._discard else ""
                        if wanted:
                            self.pixels = Pixels(tag, vr, base + start, 0, self._scanner)
                        pos = start
                        need = 8
                        break
                    if wanted:
                        self.pixels = Pixels(tag, vr, base + start, length)
                    stop = start + length
                    if stop > end:
                        self._remark_at(base + pos, tag, "a value longer than its item")
                    if stop > n:
                        self._skip = stop - n
                        self._passed_by += n - start
                        pos = n
                        break
                    self._passed_by += length
                    pos = stop
                    continue
            stop = start + length
            if stop > edge + 8:
                if stop > n:
                    if length > self._limits.value:
                        raise LimitExceeded(
                            f"{self._where(tag, seq_tag)} of {length} bytes at byte {base + pos} is beyond "
                            f"{self._limits.value}",
                            tag=f"{tag:08X}",
                        )
                    need = stop - pos
                    break
                self._remark_at(base + pos, tag, "a value longer than its item")
            if tag > last:
                last = tag
            else:
                if order is None:
                    order = Order()
                    if not stack:
                        self._elements -= self._packed.restore(parts)
                if order.admits(tag, parts):
                    self._remark_at(base + pos, tag, "out of order")
                else:
                    self._remark_at(base + pos, tag, "a second element with the same tag")
                    pos = stop
                    continue
            pos = stop
            raw = buf[start:stop]
            if kind == TEXT and raw.isascii() and plain:
                text = raw.decode().rstrip(" \0")
                if text.isprintable() and '"' not in text:
                    if "\\" not in text:
                        parts.append(f'{bare},"Value":["{text}"]}}' if text else bare + "}")
                    else:
                        text = values.split_plain(text)
                        self._made += len(text) - length
                        parts.append(f'{bare},"Value":[{text}]}}')
                else:
                    parts.append(self._text(tag, vr, bare, raw, text_set))
            elif kind == DECIMAL:
                text = raw.decode("latin-1").strip(" \0")
                if _NUMBERS(text) and not as_strings:
                    if "\\" in text:
                        text = text.replace("\\", ",")
                    parts.append(f'{bare},"Value":[{text}]}}')
                else:
                    parts.append(self._decimal(tag, bare, raw))
            elif kind == INTEGER and length == single[0]:
                parts.append(f'{bare},"Value":[{single[1](raw)[0]}]}}')
            elif kind == FLOAT and length == single[0] and -1e6 < (number := single[1](raw)[0]) < 1e6:
                text = repr(number) if number.is_integer() or length == 8 else values.shortest_single(number)
                parts.append(f'{bare},"Value":[{text}]}}')
            elif not raw:
                parts.append(bare + "}")
            elif kind == PERSON:
                if raw.isascii() and plain:
                    text = raw.decode().rstrip(" \0")
                    if (
                        text
                        and text.isprintable()
                        and text.isascii()
                        and not ("=" in text or "\\" in text or '"' in text)
                    ):
                        parts.append(f'{bare},"Value":[{{"Alphabetic":"{text}"}}]}}')
                        continue
                parts.append(self._text(tag, vr, bare, raw, text_set))
            elif kind in (TEXT, WORDS):
                parts.append(self._text(tag, vr, bare, raw, text_set))
            elif kind == BINARY:
                parts.append(f'{bare},"InlineBinary":"{values.base64_of(vr, raw, big)}"}}')
            else:
                path = self._path(tag, stack, seq_tag, items)
                parts.append(self._numbers(tag, vr, bare, raw, big, path, base + start))
            if tells or length & 1:
                if length & 1:
                    self._remark_at(base + start, tag, "a value of odd length")
                if tells == CHARSET:
                    text_set = charset(raw)
                    plain = text_set.plain
                    if text_set.problem:
                        self.remark(tag, text_set.problem)
                elif tells == SIGNED:
                    signed = raw[:2] not in (b"\0\0", b"")
                elif tells == CREATOR:
                    creators = {**(creators or {}), tag: raw.decode("latin-1").strip(" \0")}
                if tells and not stack:
                    self.collected.setdefault(tag, raw)
        self._need = need
        self._frame = (parts, last, end + base, mode, text_set, signed, creators, order)
        self._sequence = (in_item, seq_tag, seq_open, items, seq_end + base, item_mode)
        return pos

    # -- rare cases

    def remark(self, tag: int, message: str) -> None:
        """Note a mistake once."""
        if len(self.remarks) < self._limits.warnings:
            self.remarks[Remark(f"{tag:08X}" if tag else "", message)] = None

    def _remark_at(self, offset: int, tag: int, message: str) -> None:
        del offset  # one remark for each tag and message is enough
        self.remark(tag, message)

    def _text(self, tag: int, vr: str, bare: str, raw: bytes, text_set: Charset) -> str:
        if len(raw) > self._limits.value:
            raise LimitExceeded(f"{self._where(tag)} of {len(raw)} bytes is beyond {self._limits.value}")
        if vr == "PN":
            members, good = values.names(raw, text_set)
        else:
            members, good = values.strings(vr, raw, text_set)
        if not good:
            self.remark(tag, "bytes that the character set does not define")
        self._made += len(members) - len(raw)
        return f'{bare},"Value":[{members}]}}' if members else bare + "}"

    def _decimal(self, tag: int, bare: str, raw: bytes) -> str:
        members, good = values.decimals(raw, self._strings)
        if not good:
            self.remark(tag, "bytes that are no digits")
        self._made += len(members) - len(raw)
        return f'{bare},"Value":[{members}]}}' if members else bare + "}"

    def _numbers(self, tag: int, vr: str, bare: str, raw: bytes, big: bool, path: str, offset: int) -> str:
        """Return the member of a binary number.

        Values that are not finite are not valid JSON and go out by reference; a length that does not fit
        leaves no value.
        """
        if len(raw) % values.BINARY_NUMBERS[vr][1]:
            self.remark(tag, f"{len(raw)} bytes are no whole number of {vr} values")
            return bare + "}"
        members = values.numbers(vr, raw, big)
        if members is not None:
            self._made += len(members) - len(raw)
            return f'{bare},"Value":[{members}]}}'
        if not self._discard:
            self._made += len(path) + _REFERENCE
            self.bulk[path] = BulkValue(vr, offset, len(raw))
        return bulk_member(bare, path, self._version)

    def _explicit_here(self, buf: bytes, pos: int, mode: Mode) -> bool:
        """Return whether an item (or data set) taken for implicit begins with an explicit element."""
        if not begins_explicit(buf, pos, mode):
            return False
        self.remark(mode[0][buf[pos : pos + 4]][0], "explicit VR within an implicit VR data set")
        return True

    def _unknown(self, tag: int, big: bool) -> Element:
        return element(tag, "UN", big, False)

    def _private_vr(self, tag: int, creators: dict[int, str] | None, coded_un: bool) -> str:
        """By the creator of the block, UN without; a UN of defined length is not taken apart for that."""
        vr = find_private_vr(creators or {}, tag)
        return "UN" if coded_un and vr == "SQ" else vr

    def _is_sequence(self, vr: str, explicit: bool, coded_un: bool, tag: int, stack: list[Any]) -> bool:
        """Return whether the items of an undefined length hold elements, not fragments (PS3.5 6.2.2, A.4)."""
        if tag & 0xFFFF == 0x0010 and tag >> 16 == 0x7FE0:
            return False
        return coded_un or vr == "SQ" or (not explicit and vr not in ("OB", "OW"))

    def _path(self, tag: int, stack: list[tuple[Any, ...]], seq_tag: int, items: list[str]) -> str:
        """Return a path such as `00400275/1/00400007`: tags and item numbers from 1.

        Numbers count the items that were read, and so include the current one.
        """
        if not stack:
            return f"{tag:08X}"
        levels = [(frame[9], len(frame[11]) + 1) for frame in stack[1:]]
        levels.append((seq_tag, len(items) + 1))
        return "/".join([f"{level:08X}/{number}" for level, number in levels]) + f"/{tag:08X}"

    def _tag(self) -> str | None:
        return f"{self._sequence[1]:08X}" if self._stack else None

    def _where(self, tag: int = 0, within: int | None = None) -> str:
        """Return the path of the current element, for messages; `within` is the innermost sequence."""
        sequences = [frame[9] for frame in self._stack[1:]]
        if self._stack:
            sequences.append(self._sequence[1] if within is None else within)
        names = [f"{at >> 16:04X},{at & 0xFFFF:04X}" for at in [*sequences, *([tag] if tag else [])]]
        return " > ".join(f"({name})" for name in names[-6:]) or "an element"

    def _close_at_end(self) -> bool:
        """Close a container of defined length that ends with the bytes, and return whether one did."""
        before = len(self._stack), self._sequence[0]
        self._run(b"")
        return (len(self._stack), self._sequence[0]) != before
