"""Pack the members of a long data set while more are read: memory holds their text once, not three times."""

from __future__ import annotations

from io import BytesIO

from gateway.dicom.encoding.jsonmodel import json_object

# Bytes of DICOM JSON after which members are packed.
BLOCK = 4 << 20
# Most characters of a member in an outline.
SHORT_ATTRIBUTE = 64 << 10
# Characters of a short attribute, and most characters of an outline for short attributes and again for longer ones.
# Attributes that can be searched come first, and no file has so many characters of them.
SHORT, OUTLINED = 4096, 1 << 20
# JSON text has no control characters.
_BETWEEN = "\1"


class Packed:
    """Members, in ascending order of their tags, that are encoded to bytes.

    `due` is the number of bytes read at which the next members are packed; `size` is that of the packed
    members.
    """

    __slots__ = ("_blocks", "_count", "_left", "_short", "due", "size")

    def __init__(self) -> None:
        self.due = BLOCK
        self.size = 0
        self._count = 0
        self._blocks: list[bytes] = []
        self._short: list[str] = []
        self._left = [OUTLINED, OUTLINED]

    def add(self, parts: list[str], read: int) -> None:
        """Take all of `parts`, made of `read` bytes of the data set, and empty the list."""
        self.due = read + BLOCK
        if parts:
            self._sketch(parts)
            self._count += len(parts)
            self._blocks.append(_BETWEEN.join(parts).encode("utf-8", "replace"))
            self.size += len(self._blocks[-1])
            parts.clear()

    def restore(self, parts: list[str]) -> int:
        """Put the packed members back in front of `parts`, and return their number.

        This is needed where further members belong between them.
        """
        parts[:0] = [part for block in self._blocks for part in block.decode().split(_BETWEEN)]
        self._blocks, self.size, self._short, self._left = [], 0, [], [OUTLINED, OUTLINED]
        count, self._count = self._count, 0
        return count

    def outline(self, parts: list[str], disordered: bool) -> bytes:
        """Return an object of the short public attributes only, up to a size; `parts` are not packed yet."""
        self._sketch(sorted(parts, key=_tag) if disordered else parts)
        return json_object(self._short, False).encode("utf-8", "replace")

    def _sketch(self, parts: list[str]) -> None:
        for part in parts:
            if len(part) <= SHORT_ATTRIBUTE and part[4] not in _ODD:
                short = len(part) <= SHORT
                if self._left[short] >= len(part):
                    self._left[short] -= len(part)
                    self._short.append(part)

    def finish(self, parts: list[str], disordered: bool) -> bytes:
        """Return the whole object as bytes, and release all members."""
        if not self._blocks:
            text = json_object(parts, disordered)
            parts.clear()
            return text.encode("utf-8", "replace")
        self.add(parts, 0)
        out = BytesIO()
        out.write(b"{")
        for number, block in enumerate(self._blocks):
            out.write(b"," if number else b"")
            out.write(block.replace(_BETWEEN.encode(), b","))
            self._blocks[number] = b""
        out.write(b"}")
        self._blocks = []
        return out.getvalue()


def _tag(part: str) -> str:
    return part[1:9]


# The last digits of private groups: the fourth digit after the quote.
_ODD = frozenset("13579BDF")
