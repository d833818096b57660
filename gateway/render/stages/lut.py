"""Read look-up tables: LUT Descriptor and LUT Data (PS3.3 C.11.1.1.1, C.11.2.1.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.dicom import tags
from gateway.render.attributes import Attributes
from gateway.render.rendering import Array


@dataclass(frozen=True, slots=True)
class Lut:
    """A look-up table, whose first entry is for the value `first`.

    Lower values get the first entry, higher values than its input get the last. Each entry has `bits` bits.
    """

    first: int
    entries: Array
    bits: int

    @property
    def top(self) -> int:
        """The highest value that an entry can have."""
        return (1 << self.bits) - 1

    def look_up(self, values: Array) -> Array:
        """Return the entry of each value; fractions are rounded first."""
        last = len(self.entries) - 1
        if values.dtype.kind == "f":
            index = np.clip(np.nan_to_num(np.rint(values)) - self.first, 0, last).astype(np.intp)
        else:
            index = np.clip(values.astype(np.int64) - self.first, 0, last)
        found: Array = self.entries[index]
        return found


def lut_of(item: Attributes, signed: bool) -> Lut | None:
    """Return the table in an item of a LUT sequence; None where it holds no valid table.

    `signed` says that input may be negative: the first value mapped is then read as signed, even if Implicit
    VR did not keep its VR.
    """
    found = read_descriptor(item, tags.LUT_DESCRIPTOR, signed)
    data = item.raw(tags.LUT_DATA)
    if found is None or not data:
        return None
    count, first, bits = found
    entries = table(data, count)
    if entries is None:
        return None
    # Some writers state 16 bits for fewer, others fewer bits than the entries have: only the second can be detected.
    needed = int(entries.max(initial=0)).bit_length()
    return Lut(first, entries, max(bits, needed, 1))


def read_descriptor(item: Attributes, tag: str, signed: bool) -> tuple[int, int, int] | None:
    """Return number of entries, first value mapped, bits of an entry; None where unreadable.

    A stored number of 0 means 65536.
    """
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
    """Return `count` entries (PS3.3 C.7.6.3.1.5); None where there are no data.

    An entry is a word, or a byte where there are only `count` bytes.
    """
    if len(data) in {count, count + count % 2} and len(data) < 2 * count:
        return np.frombuffer(data, "u1", count=count)
    entries: Array = np.frombuffer(data[: len(data) // 2 * 2], "<u2")
    return entries[:count] if len(entries) else None
