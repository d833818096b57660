"""Apply a header patch to the bytes of a data set, as they stream (PS3.5 7).

Elements that no change touches pass as they are, pixel data in any encoding too; sequences that are changed inside get undefined
lengths. Text that the declared character set cannot hold makes the whole data set UTF-8.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.dicom import tags
from gateway.dicom.dataset import Attribute, DataSet, ReadOnlyDataSet
from gateway.dicom.encoding.charsets import Charset
from gateway.dicom.encoding.elementwriter import OPEN_ITEM, choose_vr, write_element
from gateway.dicom.encoding.pushparser import DataSetLevel, DataSetWalker, Steps
from gateway.dicom.encoding.recode import TEXT, charset_at
from gateway.dicom.encoding.structure import (
    CODED_LONG_VRS,
    CODED_VRS,
    ITEM,
    ITEM_GROUP,
    OPEN,
    SEQUENCE_END,
    UNDEFINED,
    read_item_header,
)
from gateway.dicom.encoding.textset import UTF8, TextSet, fitting
from gateway.dicom.limits import LIMITS
from gateway.dicom.model.encode import element_bytes, texts_of
from gateway.dicom.model.patch import AttributeChange, Patch, apply_patch, apply_to
from gateway.errors import DicomError, LimitExceeded, Truncated

_LAST = "G"  # after every tag


@dataclass(slots=True)
class _Node:
    """The work on one attribute: `changes` in their order, and whether they begin by replacing it."""

    changes: list[tuple[list[str], AttributeChange]] = field(default_factory=list)

    @property
    def replaces(self) -> bool:
        return any(len(parts) == 1 for parts, _ in self.changes)

    @property
    def sets(self) -> bool:
        return any(change.member is not None for _, change in self.changes)

    def member(self, tag: str) -> Attribute | None:
        """Return the attribute's new JSON member; None where the changes remove it."""
        whole = [at for at, (parts, _) in enumerate(self.changes) if len(parts) == 1]
        begin = self.changes[whole[-1]][1].member if whole else None
        level: DataSet = {} if begin is None else {tag: begin}
        for parts, change in self.changes[whole[-1] + 1 if whole else 0 :]:
            apply_to(level, parts, change)
        found: Attribute | None = level.get(tag)
        return found

    def within(self) -> dict[int, dict[str, _Node]]:
        """Return the changes inside the sequence, by the number of the item."""
        items: dict[int, dict[str, _Node]] = {}
        for parts, change in self.changes:
            node = items.setdefault(int(parts[1]), {}).setdefault(parts[2], _Node())
            node.changes.append((parts[2:], change))
        return items


@dataclass(slots=True, kw_only=True)
class _Level(DataSetLevel):
    """The work left in a data set (`edits`, by tag) or in a sequence (`items`, by number, then by tag).

    `model` is that of the data set, `models` those of the items: an attribute in it is waited for, also where the
    elements of the file are not in ascending order.
    """

    charset: Charset
    model: ReadOnlyDataSet = field(default_factory=dict)
    models: Sequence[Any] = ()
    edits: dict[str, _Node] = field(default_factory=dict)
    items: dict[int, dict[str, _Node]] = field(default_factory=dict)
    count: int = 0


@dataclass(slots=True)
class _Header:
    tag: int
    vr: bytes
    length: int
    raw: bytes

    @property
    def key(self) -> str:
        return f"{self.tag:08X}"


class Patcher(DataSetWalker[_Level]):
    """Push translator of an Explicit VR Little Endian data set (without group 0002) whose metadata is `model`.

    Raises DicomError where the patch does not fit the model, Truncated where the bytes end early.
    """

    def __init__(self, model: ReadOnlyDataSet, patch: Patch) -> None:
        apply_patch(model, patch)  # whatever is wrong is said before a byte is written
        self._text, self._recodes = _text_set(model, patch)
        edits: dict[str, _Node] = {}
        for change in patch.changes:
            edits.setdefault(change.parts[0], _Node()).changes.append((change.parts, change))
        super().__init__(_Level(False, OPEN, charset=charset_at(model, ""), model=model, edits=edits))
        self._charset_due = self._recodes

    # -- structure --------------------------------------------------------------------------------------

    def _end(self) -> None:
        if len(self._levels) > 1:
            raise Truncated("the data set ends within a sequence")
        self._insert(self._levels[0], _LAST)
        self._out += self._buffer[self._at :]  # less than a header: zeros

    def _item_level(self, sequence: _Level, end: int) -> _Level:
        sequence.count += 1
        edits = sequence.items.pop(sequence.count, {})
        model = sequence.models[sequence.count - 1] if sequence.count <= len(sequence.models) else None
        return _Level(False, end, charset=sequence.charset, model=model or {}, edits=edits)

    def _complete(self, level: _Level) -> None:
        self._insert(level, _LAST)
        for number in sorted(level.items):
            if not any(node.sets for node in level.items[number].values()):
                continue  # nothing to take away where nothing is
            self._levels.append(_Level(False, OPEN, charset=level.charset, edits=level.items[number]))
            self._out += OPEN_ITEM
            self._close()

    # -- elements ---------------------------------------------------------------------------------------

    def _element(self, level: _Level) -> Steps:
        nested = len(self._levels) > 1
        if nested and self._skip_delimiters(level):
            return
        found = yield from self._header(explicit=True)
        if nested and found.vr not in CODED_VRS:
            raise DicomError("an item is not in Explicit VR, as the data set is", tag=found.key)
        self._insert(level, found.key)
        node = level.edits.pop(found.key, None)
        if found.tag & 0xFFFF == 0:
            yield from self._pass(found.length, keep=False)  # a group length would be wrong
        elif node is not None and node.replaces:
            yield from self._value(found, keep=False)
            self._write(found.key, node)
        elif node is not None or (self._recodes and found.vr == b"SQ"):
            self._enter(level, found, node)
        elif self._recodes and found.vr == b"UN" and found.length == UNDEFINED:
            raise DicomError("text in a sequence that is coded as UN cannot be recoded", tag=found.key)
        elif self._recodes and found.key == tags.SPECIFIC_CHARACTER_SET:
            yield from self._own_charset(level, found)
        elif self._recodes and found.vr.decode("latin-1") in TEXT:
            yield from self._recode(level, found)
        else:
            self._out += found.raw
            yield from self._value(found, keep=True)

    def _header(self, *, explicit: bool) -> Generator[None, None, _Header]:
        """Take the next header from the buffer."""
        tag, length = self._peek()
        vr, size = bytes(self._buffer[self._at + 4 : self._at + 6]), 8
        if explicit and vr in CODED_LONG_VRS:
            yield from self._all(12)
            length, size = int.from_bytes(self._buffer[self._at + 8 : self._at + 12], "little"), 12
        elif explicit:
            length = int.from_bytes(self._buffer[self._at + 6 : self._at + 8], "little")
        raw = bytes(self._buffer[self._at : self._at + size])
        self._at += size
        return _Header(tag, vr, length, raw)

    def _enter(self, level: _Level, found: _Header, node: _Node | None) -> None:
        if found.vr != b"SQ":
            raise DicomError(f"{found.key} is no sequence in the file", tag=found.key)
        end = self._end_of_value(found.length)
        models = level.model.get(found.key, {}).get("Value", ())
        items = node.within() if node else {}
        self._open_sequence(found.tag, _Level(True, end, charset=level.charset, models=models, items=items))

    def _insert(self, level: _Level, before: str) -> None:
        """Attributes that come before the next one of the file and are not in it."""
        if self._charset_due and len(self._levels) <= 1 and before > tags.SPECIFIC_CHARACTER_SET:
            self._charset_due = False
            self._out += element_bytes(tags.SPECIFIC_CHARACTER_SET, {"vr": "CS", "Value": [UTF8]}, self._text)
        ended = before == _LAST
        for key in sorted(key for key in level.edits if key < before and (ended or key not in level.model)):
            self._write(key, level.edits.pop(key))

    def _write(self, key: str, node: _Node) -> None:
        member = node.member(key)
        if member is not None:
            self._out += element_bytes(key, member, self._text)

    def _own_charset(self, level: _Level, found: _Header) -> Steps:
        value = yield from self._whole(found)
        if len(self._levels) > 1:
            level.charset = charset_at(
                {tags.SPECIFIC_CHARACTER_SET: {"Value": value.decode("latin-1").split("\\")}}, ""
            )

    def _recode(self, level: _Level, found: _Header) -> Steps:
        raw = yield from self._whole(found)
        if found.vr == b"PN":
            text = "\\".join(level.charset.names(raw)[0])
        elif found.vr in (b"LO", b"SH", b"UC"):
            text = "\\".join(level.charset.values(raw)[0])
        else:
            text = level.charset.text(raw)[0]
        value = text.rstrip("\0").encode()
        value += b" " * (len(value) % 2)
        self._out += write_element(found.tag, choose_vr(found.vr.decode(), len(value)), value)

    def _peek(self) -> tuple[int, int]:
        high, low, length = read_item_header(self._buffer, self._at)
        return high << 16 | low, length

    # -- bytes ------------------------------------------------------------------------------------------

    def _whole(self, found: _Header) -> Generator[None, None, bytes]:
        if found.length > LIMITS.value:
            raise LimitExceeded(f"a text of {found.length} bytes is beyond {LIMITS.value}", tag=found.key)
        return (yield from self._take(found.length, found.tag))

    def _value(self, found: _Header, *, keep: bool) -> Steps:
        if found.length == UNDEFINED:
            yield from self._endless(explicit=found.vr != b"UN", keep=keep)
        else:
            yield from self._pass(found.length, keep=keep)

    def _endless(self, *, explicit: bool, keep: bool) -> Steps:
        """Items, or fragments, up to their delimiter; nested ones are counted, not recursed into."""
        modes = [explicit]
        while modes:
            yield from self._all(8)
            tag, length = self._peek()
            if tag >> 16 == ITEM_GROUP:
                if tag == SEQUENCE_END:
                    modes.pop()
                yield from self._pass(8, keep=keep)
                if tag == ITEM and length != UNDEFINED:
                    yield from self._pass(length, keep=keep)
                continue
            coded = bytes(self._buffer[self._at + 4 : self._at + 6])
            found = yield from self._header(explicit=modes[-1] and coded in CODED_VRS)
            if keep:
                self._out += found.raw
            if found.length == UNDEFINED:
                modes.append(modes[-1] and found.vr != b"UN")
            else:
                yield from self._pass(found.length, keep=keep)


def _text_set(model: ReadOnlyDataSet, patch: Patch) -> tuple[TextSet, bool]:
    """Return the character sets for new texts, and whether all other texts must be written in them too."""
    declared = [str(term or "") for term in model.get(tags.SPECIFIC_CHARACTER_SET, {}).get("Value", ())]
    foreign, texts = False, []
    for change in patch.changes:
        found = texts_of({change.tags[-1]: change.member}) if change.member is not None else []
        if any(not text.isascii() for text in found):
            texts += found
            foreign |= charset_at(model, change.path) != charset_at(model, "")
    if not texts:
        return TextSet("\\".join(declared), "ascii"), False
    chosen = fitting(declared, texts)
    if foreign or chosen.term != "\\".join(declared):
        return TextSet(UTF8, "utf-8"), True
    return chosen, False
