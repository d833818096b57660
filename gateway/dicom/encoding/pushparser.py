"""A base for translators that take a data set in pieces of any size."""

from __future__ import annotations

import struct
from collections.abc import Generator
from typing import TypeAlias

from gateway.errors import Truncated

UNDEFINED = 0xFFFFFFFF
# Sequences are written with undefined length: what is inside of them may change its length.
OPEN_ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED)
CLOSE_ITEM = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
CLOSE_SEQUENCE = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)

Steps: TypeAlias = Generator[None, None, None]


class Stepping:
    """A push translator: `_data_set` reads at `_at` of `_buffer`, which begins at `_base`, and writes to `_out`.

    It runs as far as there are bytes, and goes on where it stopped once there are more.
    """

    def __init__(self, head: bytes = b"") -> None:
        self._out = bytearray(head)
        self._buffer = bytearray()
        self._at = 0
        self._base = 0
        self._ended = False
        self._run = self._data_set()

    def feed(self, chunk: bytes) -> bytes:
        """What can be written by now."""
        del self._buffer[: self._at]
        self._base += self._at
        self._at = 0
        self._buffer += chunk
        return self._step()

    def finish(self) -> bytes:
        """The rest. Raises Truncated where something is still open."""
        self._ended = True
        return self._step()

    def _step(self) -> bytes:
        next(self._run, None)
        out = bytes(self._out)
        self._out.clear()
        return out

    def _data_set(self) -> Steps:
        raise NotImplementedError

    def _have(self, count: int) -> Generator[None, None, bool]:
        """Waits for so many bytes; False where there are not so many."""
        while len(self._buffer) - self._at < count and not self._ended:
            yield
        return len(self._buffer) - self._at >= count

    def _all(self, count: int, tag: int | None = None) -> Steps:
        """Waits for so many bytes. Raises Truncated, naming the element if it is known, where they do not come."""
        if not (yield from self._have(count)):
            where = "the data set ends early" if tag is None else "the value ends early"
            raise Truncated(where, tag=None if tag is None else f"{tag:08X}")

    def _take(self, count: int, tag: int) -> Generator[None, None, bytes]:
        yield from self._all(count, tag)
        value = bytes(self._buffer[self._at : self._at + count])
        self._at += count
        return value
