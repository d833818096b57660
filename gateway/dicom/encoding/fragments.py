"""Find the items of encapsulated pixel data (PS3.5 A.4) while its bytes arrive."""

from __future__ import annotations

from array import array

from gateway.dicom import tags
from gateway.dicom.encoding.structure import ITEM, SEQUENCE_END, UNDEFINED, read_item_header
from gateway.errors import DicomError, LimitExceeded, Truncated

HEAD = 16
# The bytes to keep of the first fragment: the header of its codestream.
LONG_HEAD = 4096
# The first bytes of a frame's codestream: JPEG and JPEG-LS, JPEG 2000, its JP2 box, JPEG XL bare and boxed.
STARTS = (b"\xff\xd8", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ", b"\xff\x0a", b"\0\0\0\x0cJXL ")
MOST_FRAGMENTS = 4_000_000
MOST_BOT = 64 << 20


class FragmentScanner:
    """A scanner that follows item lengths; it never searches bytes, as a fragment may hold a false delimiter.

    `offset` is the offset of the first byte after the element's header, `stop` that of the end of a value of
    defined length. After `done`: `starts` and `lengths` are the offsets and lengths of the fragments' value
    fields without the Basic Offset Table, `bot` is its raw value, `begins` the indexes of fragments that
    begin like a codestream, `head` the first bytes of the first fragment, `end` where the value ends (after
    the delimiter).
    """

    def __init__(self, offset: int, stop: int | None = None) -> None:
        self.starts = array("Q")
        self.lengths = array("Q")
        self.begins = array("L")
        self.head = b""
        self.bot = b""
        self.done = False
        self.end = offset
        self._stop = stop
        self._at = offset
        self._header = b""
        self._left = 0
        self._first = True
        self._keep = bytearray()
        self._wanted = 0

    def feed(self, view: bytes | memoryview) -> int:
        """Take the next bytes, and return how many of them belong to the value.

        The number is less than all only once `done`. Raises DicomError where something else stands in place
        of an item header.
        """
        used, size = 0, len(view)
        while not self.done:
            if self._left == 0 and not self._header and self._at == self._stop:
                self._finish()
                break
            if used == size:
                break
            used += self._value(view, used) if self._left else self._item(view, used)
        return used

    @property
    def passable(self) -> int:
        """The number of next bytes that the scanner does not need to see."""
        return max(0, self._left - max(0, self._wanted - len(self._keep)))

    def pass_over(self, count: int) -> None:
        """Skip `count` bytes, at most as many as are passable, as if they had been fed."""
        self._left -= count
        self._at += count
        if self._left == 0:
            self._item_read()

    def close(self) -> None:
        """End the input. Raises Truncated unless `done`."""
        if not self.done and self._left == 0 and self._at == self._stop:
            self._finish()
        if not self.done:
            raise Truncated(
                f"pixel data ends at byte {self._at} without its sequence delimiter", tag=tags.PIXEL_DATA
            )

    def _value(self, view: bytes | memoryview, used: int) -> int:
        take = min(self._left, len(view) - used)
        missing = self._wanted - len(self._keep)
        if missing > 0:
            self._keep += view[used : used + min(take, missing)]
        self._left -= take
        self._at += take
        if self._left == 0:
            self._item_read()
        return take

    def _item_read(self) -> None:
        if self._first:
            self.bot, self._first = bytes(self._keep), False
        else:
            index = len(self.starts) - 1
            if self._keep.startswith(STARTS):
                self.begins.append(index)
            if index == 0:
                self.head = bytes(self._keep)
        self._keep.clear()

    def _item(self, view: bytes | memoryview, used: int) -> int:
        take = min(8 - len(self._header), len(view) - used)
        self._header += bytes(view[used : used + take])
        self._at += take
        if len(self._header) < 8:
            return take
        high, low, length = read_item_header(self._header)
        tag = high << 16 | low
        self._header = b""
        if tag == SEQUENCE_END:
            self._finish()
        elif tag == ITEM and length != UNDEFINED:
            self._begin(length)
        else:
            raise DicomError(f"pixel data at byte {self._at - 8}: an item was due", tag=tags.PIXEL_DATA)
        return take

    def _begin(self, length: int) -> None:
        if self._stop is not None and self._at + length > self._stop:
            raise DicomError(
                f"pixel data at byte {self._at - 8}: the item is longer than the value", tag=tags.PIXEL_DATA
            )
        if self._first:
            if length > MOST_BOT:
                raise LimitExceeded(f"a Basic Offset Table of {length} bytes is beyond {MOST_BOT}")
            self._wanted = length
        else:
            if len(self.starts) >= MOST_FRAGMENTS:
                raise LimitExceeded(f"more than {MOST_FRAGMENTS} fragments")
            self._wanted = min(HEAD if self.starts else LONG_HEAD, length)
            self.starts.append(self._at)
            self.lengths.append(length)
        self._left = length
        if length == 0:
            self._item_read()

    def _finish(self) -> None:
        self.done = True
        self.end = self._at


class Unwrapped:
    """Push translator from the value of encapsulated pixel data to its fragments, joined as frames are sent.

    Item headers and Basic Offset Table are left out (PS3.5 A.4).
    """

    def __init__(self) -> None:
        self._scanner = FragmentScanner(0)
        self._at = 0
        self._seen = 0

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes, and return the bytes of fragments among them."""
        scanner, out = self._scanner, []
        scanner.feed(chunk)
        end = self._at + len(chunk)
        while self._seen < len(scanner.starts):
            start = scanner.starts[self._seen]
            stop = start + scanner.lengths[self._seen]
            out.append(chunk[max(start - self._at, 0) : stop - self._at])
            if stop > end:
                break
            self._seen += 1
        self._at = end
        return b"".join(out)

    def finish(self) -> bytes:
        """Return the rest, which is empty. Raises Truncated where the value is not complete."""
        self._scanner.close()
        return b""
