"""Members of a long data set, put together while more are read: memory holds their text once, not three times."""

from __future__ import annotations

from io import BytesIO

from gateway.dicom.encoding.jsonmodel import json_object

# In bytes of DICOM JSON: beyond it members are packed.
BLOCK = 4 << 20
# In characters: what is longer is no part of an outline.
SHORT_ATTRIBUTE = 64 << 10
# An outline has so many characters of short attributes, and as many of others. What is searched for comes first, and
# no file has so much of it.
SHORT, OUTLINED = 4096, 1 << 20
# JSON text has no control characters.
_BETWEEN = "\1"


class Packed:
    """Members, in ascending order of their tags, that are text no more.

    `due` says at how many bytes read the next ones are to be packed; `size` is that of what is packed.
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
        """Take all of `parts`, of `read` bytes of data set; the list is empty then."""
        self.due = read + BLOCK
        if parts:
            self._sketch(parts)
            self._count += len(parts)
            self._blocks.append(_BETWEEN.join(parts).encode("utf-8", "replace"))
            self.size += len(self._blocks[-1])
            parts.clear()

    def restore(self, parts: list[str]) -> int:
        """Put the members back in front of `parts`, since more are to come between them; how many they are."""
        parts[:0] = [part for block in self._blocks for part in block.decode().split(_BETWEEN)]
        self._blocks, self.size, self._short, self._left = [], 0, [], [OUTLINED, OUTLINED]
        count, self._count = self._count, 0
        return count

    def outline(self, parts: list[str], disordered: bool) -> bytes:
        """An object of the short public attributes alone, up to a size; `parts` are those not packed."""
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
        """The whole object; nothing is held any more."""
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


# The last digit of a private group, which stands behind the quote.
_ODD = frozenset("13579BDF")
