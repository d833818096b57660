"""Look-up tables: LUT Descriptor and LUT Data (PS3.3 C.11.1.1.1, C.11.2.1.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.render.attributes import Attributes
from gateway.render.rendering import Array

_DESCRIPTOR, _DATA = "00283002", "00283006"


@dataclass(frozen=True, slots=True)
class Lut:
    """`entries[0]` is for `first` and all below, the last entry for all above its input; each has `bits` bits."""

    first: int
    entries: Array
    bits: int

    @property
    def top(self) -> int:
        """The highest value that an entry can have."""
        return (1 << self.bits) - 1

    def look_up(self, values: Array) -> Array:
        """The entry of each value; fractions are rounded first."""
        last = len(self.entries) - 1
        if values.dtype.kind == "f":
            index = np.clip(np.nan_to_num(np.rint(values)) - self.first, 0, last).astype(np.intp)
        else:
            index = np.clip(values.astype(np.int64) - self.first, 0, last)
        found: Array = self.entries[index]
        return found


def lut_of(item: Attributes, signed: bool) -> Lut | None:
    """The table in an item of a LUT sequence; None where it cannot be one.

    `signed` says that input may be negative: the first value mapped is then read as such, whichever VR
    Implicit VR left it with.
    """
    found = read_descriptor(item, _DESCRIPTOR, signed)
    data = item.raw(_DATA)
    if found is None or not data:
        return None
    count, first, bits = found
    entries = table(data, count)
    if entries is None:
        return None
    # Writers state 16 bits for less, or less than the entries have: only the latter can be told for certain.
    needed = int(entries.max(initial=0)).bit_length()
    return Lut(first, entries, max(bits, needed, 1))


def read_descriptor(item: Attributes, tag: str, signed: bool) -> tuple[int, int, int] | None:
    """Number of entries (0 is 65536), first value mapped, bits of an entry."""
    values = [int(value) for value in item.numbers(tag)]
    if len(values) != 3:
        return None
    count, first, bits = values
    count = (count & 0xFFFF) or 0x10000
    if signed and first > 0x7FFF:
        first -= 0x10000
    elif not signed and first < 0:
        first += 0x10000
    return count, first, bits if 0 < bits <= 16 else 16


def table(data: bytes, count: int) -> Array | None:
    """`count` entries: a word each, or a byte each where there are just so many bytes (PS3.3 C.7.6.3.1.5)."""
    if len(data) in {count, count + count % 2} and len(data) < 2 * count:
        return np.frombuffer(data, "u1", count=count)
    entries: Array = np.frombuffer(data[: len(data) // 2 * 2], "<u2")
    return entries[:count] if len(entries) else None
