"""DICOM JSON data sets to Explicit VR Little Endian (PS3.18 F.3, PS3.5 7.1): bytes, and places for what is elsewhere.

Bulk data is never read here: it stands in the answer as `Octets`, whose length alone is needed.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from struct import error as StructError
from struct import pack
from typing import Any, TypeAlias

from gateway.dicom import tagnumbers, tags
from gateway.dicom.dataset import Attribute, ReadOnlyDataSet
from gateway.dicom.dictionary import vr_of
from gateway.dicom.encoding.elementwriter import (
    CLOSE_SEQUENCE,
    choose_vr,
    padding,
    write_header,
    write_item_header,
)
from gateway.dicom.encoding.structure import UNDEFINED, VRS
from gateway.dicom.encoding.textset import TextSet, fitting
from gateway.dicom.limits import LIMITS
from gateway.dicom.model.jsonread import Number, finite, is_integral
from gateway.dicom.model.patch import Nonconforming
from gateway.errors import DicomError, LimitExceeded

_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_SINGLE_TEXT = frozenset({"LT", "ST", "UT", "UR"})
_CHARSET_TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_BULK_TEXT = frozenset({"LT", "ST", "UC", "UT", "LO", "SH"})
# VRs whose value may stand elsewhere (PS3.18 Table F.2.3-1, R-M-3).
_BY_REFERENCE = (
    _BINARY
    | frozenset({"DS", "FD", "FL", "IS", "LT", "SL", "SS", "ST", "SV"})
    | {*("UC", "UL", "US", "UT", "UV")}
)
_CODES = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
_TAG = re.compile(r"[0-9A-Fa-f]{8}\Z")
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


@dataclass(frozen=True, slots=True)
class Octets:
    """A value that lies elsewhere; `source` is for whoever fetches it."""

    source: object
    length: int


@dataclass(frozen=True, slots=True)
class Codestreams:
    """Codestreams, one a frame, to be encapsulated (PS3.5 A.4)."""

    codestreams: tuple[Octets, ...]


Segment: TypeAlias = bytes | Octets
# Path of the attribute, its VR, and what the model says where its value is.
Resolve: TypeAlias = Callable[[str, str, str], Octets | Codestreams]


@dataclass(slots=True)
class Encoded:
    """A data set without file meta.

    `remarks` say what had to be written otherwise than it was given, `coerced` holds what was given; `discarded` are
    the tags of what has no place in a data set.
    """

    segments: list[Segment]
    length: int
    charset: str
    remarks: list[str]
    coerced: list[Nonconforming]
    discarded: list[str]


def encode(model: ReadOnlyDataSet, resolve: Resolve) -> Encoded:
    """Raises DicomError naming the path of the attribute that cannot be written, and whatever `resolve` does."""
    texts = _Texts()
    texts.dataset(model, 0)
    declared = [str(v) for v in _values(model.get(tags.SPECIFIC_CHARACTER_SET, {})) if v]
    chosen = fitting(declared, texts.found, other_text=texts.by_reference)
    writer = _Writer(chosen, resolve)
    own = {name: member for name, member in model.items() if name.upper() != tags.SPECIFIC_CHARACTER_SET}
    if chosen.term:
        own[tags.SPECIFIC_CHARACTER_SET] = {"vr": "CS", "Value": chosen.term.split("\\")}
    parts = writer.dataset(own, "")
    size = sum(map(_length, parts))
    return Encoded(_join(parts), size, chosen.term, writer.remarks, writer.coerced, writer.discarded)


def element_bytes(tag: str, member: Attribute, text_set: TextSet) -> bytes:
    """One element that holds its value itself. Raises DicomError."""
    parts = _Writer(text_set, _no_reference).dataset({tag: member}, "")
    return b"".join(part for part in parts if isinstance(part, bytes))


def texts_of(model: ReadOnlyDataSet) -> list[str]:
    """Every text of a data set that the character set has to hold."""
    texts = _Texts()
    texts.dataset(model, 0)
    return texts.found


def _no_reference(path: str, vr: str, uri: str) -> Octets | Codestreams:
    raise DicomError(f"{path}: want the value itself, not where it is", tag=path)


def text_of(model: ReadOnlyDataSet, tag: str) -> str:
    """The first value of an attribute that holds text, '' where there is none."""
    values = _values(model.get(tag) or model.get(tag.lower()) or {})
    return str(values[0]).strip() if values and values[0] is not None else ""


def _values(member: Any) -> Sequence[Any]:
    values = member.get("Value") if isinstance(member, Mapping) else None
    return values if isinstance(values, list) else ()


def _length(segment: Segment) -> int:
    return segment.length if isinstance(segment, Octets) else len(segment)


def _join(parts: Sequence[Segment]) -> list[Segment]:
    out: list[Segment] = []
    held: list[bytes] = []
    for part in parts:
        if isinstance(part, bytes):
            held.append(part)
            continue
        out += [b"".join(held), part]
        held = []
    return [segment for segment in [*out, b"".join(held)] if not isinstance(segment, bytes) or segment]


@dataclass(slots=True)
class _Texts:
    """Every text that the character set has to hold."""

    found: list[str] = field(default_factory=list)
    by_reference: bool = False

    def dataset(self, model: ReadOnlyDataSet, depth: int) -> None:
        if depth > LIMITS.depth:
            raise LimitExceeded(f"sequences nested deeper than {LIMITS.depth}")
        for member in model.values():
            if isinstance(member, Mapping):
                self._member(member, depth)

    def _member(self, member: Attribute, depth: int) -> None:
        vr = member.get("vr")
        if vr in _BULK_TEXT and member.get("BulkDataURI") is not None:
            self.by_reference = True
        for value in _values(member):
            if isinstance(value, str) and (vr in _CHARSET_TEXT or vr is None):
                self.found.append(value)
            elif isinstance(value, Mapping) and vr == "PN":
                self.found += [text for text in value.values() if isinstance(text, str)]
            elif isinstance(value, Mapping):
                self.dataset(value, depth + 1)


class _Writer:
    def __init__(self, text_set: TextSet, resolve: Resolve) -> None:
        self._text = text_set
        self._resolve = resolve
        self.remarks: list[str] = []
        self.coerced: list[Nonconforming] = []
        self.discarded: list[str] = []

    def dataset(self, model: ReadOnlyDataSet, within: str) -> list[Segment]:
        parts: list[Segment] = []
        for tag, name in sorted((_tag(name, within), name) for name in model):
            low = tag & 0xFFFF
            if low == 0 or tag == tagnumbers.DATA_SET_TRAILING_PADDING:
                continue  # group lengths and padding are the writer's
            if tag < 0x00080000 and not tag >> 16 & 1:
                self.discarded.append(f"{within}/{tag:08X}" if within else f"{tag:08X}")
                continue  # file meta is the writer's too, commands and directories are nobody's (S-46)
            if within and tag == tagnumbers.SPECIFIC_CHARACTER_SET:
                continue  # all of it is written in one set
            parts += self._element(tag, model[name], f"{within}/{tag:08X}" if within else f"{tag:08X}")
        return parts

    def _element(self, tag: int, member: Any, path: str) -> list[Segment]:
        if not isinstance(member, Mapping):
            raise DicomError(f"{path} is no JSON object with a vr", tag=path)
        vr = member.get("vr") or vr_of(tag)[:2]
        if vr not in VRS:
            raise DicomError(f"{path} has no VR that there is: '{str(member.get('vr'))[:20]}'", tag=path)
        kinds = [k for k in ("Value", "BulkDataURI", "InlineBinary") if member.get(k) is not None]
        if len(kinds) > 1:
            raise DicomError(f"{path} has {' and '.join(kinds)}: want one of them (PS3.18 F.2.2)", tag=path)
        if kinds == ["BulkDataURI"]:
            return self._write_reference(tag, vr, str(member["BulkDataURI"]), path)
        if kinds == ["InlineBinary"]:
            return _write_element(tag, vr, _decode_base64(member["InlineBinary"], path), path)
        values = member.get("Value") or []
        if not isinstance(values, list):
            raise DicomError(f"{path}: Value is no array (PS3.18 F.2.4)", tag=path)
        if vr == "SQ":
            return self._sequence(tag, values, path)
        return _write_element(tag, vr, self._value(vr, values, path), path)

    def _sequence(self, tag: int, items: Sequence[Any], path: str) -> list[Segment]:
        parts: list[Segment] = []
        for number, item in enumerate(items, 1):
            if item is not None and not isinstance(item, Mapping):
                raise DicomError(f"{path}/{number} is no item: want an object", tag=path)
            inner = self.dataset(item or {}, f"{path}/{number}")
            size = sum(map(_length, inner))
            if size >= UNDEFINED:
                raise DicomError(f"{path}/{number} is longer than an item can be", tag=path)
            parts += [write_item_header(size), *inner]
        size = sum(map(_length, parts))
        if size >= UNDEFINED:
            raise DicomError(f"{path} is longer than a sequence can be", tag=path)
        return [write_header(tag, "SQ", size), *parts]

    def _write_reference(self, tag: int, vr: str, uri: str, path: str) -> list[Segment]:
        if vr not in _BY_REFERENCE and vr not in _BULK_TEXT:
            raise DicomError(f"{path}: a value of VR {vr} may not be elsewhere (PS3.18 F.2.3)", tag=path)
        found = self._resolve(path, vr, uri)
        if isinstance(found, Codestreams):
            return [write_header(tag, "OB", UNDEFINED), *_items(found), CLOSE_SEQUENCE]
        pad = padding(vr, found.length)
        size = found.length + len(pad)
        if size >= UNDEFINED:
            raise DicomError(f"{path}: {size} bytes are more than a value can have", tag=path)
        return [write_header(tag, vr, size), found, pad] if pad else [write_header(tag, vr, size), found]

    # -- values

    def _value(self, vr: str, values: Sequence[Any], path: str) -> bytes:
        if not values or (all(value is None or value == "" for value in values) and len(values) == 1):
            return b""
        if vr in _CODES:
            return b"".join(self._number(vr, value, path) for value in values)
        if vr == "AT":
            return b"".join(_attribute_tag(value, path) for value in values)
        if vr in _BINARY:
            raise DicomError(f"{path}: VR {vr} has InlineBinary or BulkDataURI, no Value", tag=path)
        if vr in _SINGLE_TEXT and len(values) > 1:
            raise DicomError(f"{path}: VR {vr} has one value, not {len(values)}", tag=path)
        remarks = len(self.remarks)
        texts = [self._text_value(vr, value, path) for value in values]
        if len(self.remarks) > remarks:
            given = "\\".join(value.text if isinstance(value, Number) else str(value) for value in values)
            self.coerced.append(Nonconforming(path, vr, given.encode()))
        codec = (
            self._text
            if vr in _CHARSET_TEXT
            else TextSet("", "latin-1" if vr in ("DS", "IS", "UR") else "ascii")
        )
        try:
            raw = codec.encode("\\".join(texts))
        except UnicodeEncodeError as error:
            raise DicomError(f"{path}: a character that VR {vr} cannot hold", tag=path) from error
        return raw + padding(vr, len(raw))

    def _text_value(self, vr: str, value: Any, path: str) -> str:
        if value is None:
            return ""
        if vr == "PN":
            return _person(value, path)
        if vr in ("DS", "IS"):
            return self._decimal(vr, value, path)
        if not isinstance(value, str):
            raise DicomError(f"{path}: VR {vr} wants strings, not {type(value).__name__}", tag=path)
        if "\\" in value and vr not in _SINGLE_TEXT:
            raise DicomError(f"{path}: a backslash would split the value in two", tag=path)
        if "\0" in value.rstrip("\0"):
            raise DicomError(f"{path}: NUL is no character of text", tag=path)
        return value.rstrip("\0")

    def _decimal(self, vr: str, value: Any, path: str) -> str:
        if isinstance(value, str):
            if "\\" in value:
                raise DicomError(f"{path}: a backslash would split the value in two", tag=path)
            return value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise DicomError(f"{path}: VR {vr} wants numbers or strings", tag=path)
        text = value.text if isinstance(value, Number) else str(value)
        if vr == "IS":
            if not is_integral(float(value)) or not -(1 << 31) <= value < 1 << 31:
                raise DicomError(f"{path}: {text[:40]} is no whole number that IS can hold", tag=path)
            return str(int(value))
        if len(text) <= 16:
            return text
        short = next(s for n in range(16, 0, -1) if len(s := f"{float(value):.{n}g}") <= 16)
        if float(short) != float(value):
            self.remarks.append(f"{path}: a number of more digits than the 16 characters of DS can hold")
        return short

    def _number(self, vr: str, value: Any, path: str) -> bytes:
        if vr in ("FL", "FD"):
            number = finite(value)
            if number is None:
                raise DicomError(f"{path}: VR {vr} wants numbers", tag=path)
            try:
                return pack("<" + _CODES[vr], number)
            except OverflowError as error:
                raise DicomError(f"{path}: {value} is beyond VR {vr}", tag=path) from error
        if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,20}", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or not is_integral(float(value)):
            raise DicomError(f"{path}: VR {vr} wants whole numbers", tag=path)
        try:
            return pack("<" + _CODES[vr], int(value))
        except StructError as error:
            raise DicomError(f"{path}: {value} is beyond VR {vr}", tag=path) from error


def _tag(name: str, within: str) -> int:
    if not _TAG.match(name):
        raise DicomError(f"'{name[:40]}'{' in ' + within if within else ''} is no tag: want 8 hex digits")
    return int(name, 16)


def _person(value: Any, path: str) -> str:
    if isinstance(value, str):
        return value  # not the model, and sent all the same: the alphabetic group (J-49)
    if not isinstance(value, Mapping) or set(value) - set(_GROUPS):
        raise DicomError(f"{path}: a PN wants an object of {', '.join(_GROUPS)}", tag=path)
    groups = [value.get(name) or "" for name in _GROUPS]
    if not all(isinstance(group, str) for group in groups):
        raise DicomError(f"{path}: the groups of a PN are strings", tag=path)
    if any("\\" in group or "=" in group for group in groups):
        raise DicomError(f"{path}: a backslash or = would split the name", tag=path)
    return "=".join(groups).rstrip("=")


def _attribute_tag(value: Any, path: str) -> bytes:
    if not isinstance(value, str) or not _TAG.match(value):
        raise DicomError(f"{path}: an AT wants 8 hex digits", tag=path)
    return pack("<HH", int(value[:4], 16), int(value[4:], 16))


def _decode_base64(text: Any, path: str) -> bytes:
    try:
        compact = re.sub(r"\s", "", text).translate(str.maketrans("-_", "+/"))
        raw = b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (TypeError, ValueError, NotBase64) as error:
        raise DicomError(f"{path}: InlineBinary is no base64 (PS3.18 F.2.7)", tag=path) from error
    return raw + b"\0" * (len(raw) % 2)


def _write_element(tag: int, vr: str, value: bytes, path: str) -> list[Segment]:
    if len(value) >= UNDEFINED:
        raise DicomError(f"{path}: a value of {len(value)} bytes", tag=path)
    return [write_header(tag, choose_vr(vr, len(value)), len(value)) + value]


def _items(frames: Codestreams) -> Iterator[Segment]:
    """A Basic Offset Table where its 32 bits reach, then a fragment for each frame."""
    offsets, at = [], 0
    for codestream in frames.codestreams:
        offsets.append(at)
        at += 8 + codestream.length + codestream.length % 2
    table = pack(f"<{len(offsets)}I", *offsets) if offsets and offsets[-1] < UNDEFINED else b""
    yield write_item_header(len(table)) + table
    for codestream in frames.codestreams:
        size = codestream.length + codestream.length % 2
        if size >= UNDEFINED:
            raise DicomError("a frame is longer than a fragment can be", tag=tags.PIXEL_DATA)
        yield write_item_header(size)
        yield codestream
        if codestream.length % 2:
            yield b"\0"
