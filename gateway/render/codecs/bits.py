"""Read single bits of a JPEG XL header, the lowest of each byte first."""

from __future__ import annotations

from gateway.errors import CodecError


class Bits:
    """A reader of bits from byte `at` on; it looks at the next 64 bytes only."""

    def __init__(self, data: bytes, at: int) -> None:
        window = data[at : at + 64]
        self._value = int.from_bytes(window, "little")
        self._left = 8 * len(window)

    def take(self, count: int) -> int:
        """Return the next `count` bits as a number. Raises CodecError past the end."""
        if count > self._left:
            raise CodecError("the codestream ends within its header")
        taken = self._value & (1 << count) - 1
        self._value >>= count
        self._left -= count
        return taken

    def choice(self, *ways: tuple[int, int]) -> int:
        """Return a U32 (ISO 18181-1 B.2.2): two bits select a base, and how many bits are added to it."""
        base, count = ways[self.take(2)]
        return base + self.take(count)
