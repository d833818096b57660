"""A base for translators that take a data set in pieces of any size."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from gateway.dicom.encoding.elementwriter import CLOSE_ITEM, CLOSE_SEQUENCE, OPEN_ITEM, write_header
from gateway.dicom.encoding.structure import (
    ITEM,
    ITEM_END,
    ITEM_GROUP,
    OPEN,
    SEQUENCE_END,
    UNDEFINED,
    read_item_header,
)
from gateway.errors import DicomError, Truncated

Steps: TypeAlias = Generator[None, None, None]


class PushParser(ABC):
    """Read at `_at` of `_buffer`, which begins at offset `_base`, and write to `_out`.

    `_data_set` runs as far as there are bytes, and goes on where it stopped once there are more.
    """

    def __init__(self, head: bytes = b"") -> None:
        self._out = bytearray(head)
        self._buffer = bytearray()
        self._at = 0
        self._base = 0
        self._ended = False
        self._run = self._data_set()

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes; return what can be written by now."""
        del self._buffer[: self._at]
        self._base += self._at
        self._at = 0
        self._buffer += chunk
        return self._step()

    def finish(self) -> bytes:
        """Return the rest. Raises Truncated where something is still open."""
        self._ended = True
        return self._step()

    def _step(self) -> bytes:
        next(self._run, None)
        out = bytes(self._out)
        self._out.clear()
        return out

    @abstractmethod
    def _data_set(self) -> Steps:
        """Read and write the whole data set, step by step."""

    def _have(self, count: int) -> Generator[None, None, bool]:
        """Wait for `count` bytes; return False where the data set has no more of them."""
        while len(self._buffer) - self._at < count and not self._ended:
            yield
        return len(self._buffer) - self._at >= count

    def _all(self, count: int, tag: int | None = None) -> Steps:
        """Wait for `count` bytes. Raises Truncated, naming the element if it is known, where they do not come."""
        if not (yield from self._have(count)):
            where = "the data set ends early" if tag is None else "the value ends early"
            raise Truncated(where, tag=None if tag is None else f"{tag:08X}")

    def _take(self, count: int, tag: int) -> Generator[None, None, bytes]:
        """Return the next `count` bytes, of the value of `tag`. Raises Truncated."""
        yield from self._all(count, tag)
        value = bytes(self._buffer[self._at : self._at + count])
        self._at += count
        return value

    def _pass(self, count: int, tag: int | None = None, *, keep: bool) -> Steps:
        """Copy the next `count` bytes as they come, or leave them out. Raises Truncated."""
        while count:
            yield from self._all(1, tag)
            have = min(count, len(self._buffer) - self._at)
            if keep:
                self._out += self._buffer[self._at : self._at + have]
            self._at += have
            count -= have


@dataclass(slots=True)
class DataSetLevel:
    """A data set, or a sequence, that is open; `end` is its offset, OPEN where a delimiter ends it.

    `read_item` reads group, element and length of an item in it.
    """

    sequence: bool
    end: int
    read_item: Callable[[bytearray, int], tuple[Any, ...]] = read_item_header


AnyLevel = TypeVar("AnyLevel", bound=DataSetLevel)


class DataSetWalker(PushParser, Generic[AnyLevel]):
    """Follow sequences into their items, and write both with undefined length.

    A translator says what becomes of an element (`_element`) and what it keeps of an item (`_item_level`).
    What the tokenizer forgives in items and delimiters is forgiven here as it does it.
    """

    def __init__(self, outermost: AnyLevel, head: bytes = b"") -> None:
        super().__init__(head)
        self._levels = [outermost]

    # -- what a translator says -------------------------------------------------------------------------

    @abstractmethod
    def _element(self, level: AnyLevel) -> Steps:
        """Read the element at `_at`, 8 bytes of which are there, and write what becomes of it."""

    @abstractmethod
    def _item_level(self, sequence: AnyLevel, end: int) -> AnyLevel:
        """Return the level of the next item of `sequence`."""

    def _complete(self, level: AnyLevel) -> None:
        """Write what is still due in a level that ends; it is none of `_levels` any more."""

    @abstractmethod
    def _end(self) -> None:
        """Write what is due at the end of the bytes. Raises Truncated where something is still open."""

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
        self._end()

    def _open_sequence(self, tag: int, level: AnyLevel) -> None:
        self._out += write_header(tag, "SQ", UNDEFINED)
        self._levels.append(level)

    def _end_of_value(self, length: int) -> int:
        """Return the offset at which a value that begins here ends."""
        return OPEN if length == UNDEFINED else self._base + self._at + length

    def _item(self, sequence: AnyLevel) -> None:
        """Read the header of an item, or the end of its sequence. Raises DicomError where neither is there."""
        high, low, length = sequence.read_item(self._buffer, self._at)
        tag = high << 16 | low
        self._at += 8
        if tag == ITEM:
            end = self._end_of_value(length)
            self._out += OPEN_ITEM
            self._levels.append(self._item_level(sequence, end if end == OPEN else min(end, sequence.end)))
        elif tag == SEQUENCE_END:
            self._close()
        elif tag != ITEM_END:
            raise DicomError(f"an item was due, not ({high:04X},{low:04X})", tag=f"{tag:08X}")

    def _close(self) -> None:
        level = self._levels.pop()
        self._complete(level)
        self._out += CLOSE_SEQUENCE if level.sequence else CLOSE_ITEM

    def _skip_delimiters(self, level: AnyLevel) -> bool:
        """Pass over a delimiter, or zero filling, where an element was due; return whether there was one."""
        high, low, length = level.read_item(self._buffer, self._at)
        tag = high << 16 | low
        nested = len(self._levels) > 1
        if tag == SEQUENCE_END and nested and level.end == OPEN:
            self._close()  # an item without delimiter; the sequence takes this one
            return True
        if high != ITEM_GROUP and (tag or length):
            return False
        if tag == ITEM and length != UNDEFINED:
            return False
        self._at += 8
        if tag == ITEM_END and nested:
            self._close()
        return True
