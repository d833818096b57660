"""Map indices to colours by palettes (PS3.3 C.7.6.3.1.5, C.7.6.3.1.6, C.7.9, PS3.3 C.7.6.19)."""

from __future__ import annotations

import numpy as np

from gateway.dicom import tags
from gateway.errors import CodecError
from gateway.render.attributes import Attributes
from gateway.render.rendering import Array
from gateway.render.stages.lut import Lut, read_descriptor, table

_DESCRIPTORS = (
    tags.RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
    tags.GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
    tags.BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
)
_DATA = (
    tags.RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags.GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags.BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
)
_SEGMENTED = (
    tags.SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags.SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags.SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
)
# A table of 65536 entries needs fewer segments; the bound stops a loop of references.
_MOST_SEGMENTS = 1 << 17


def has_palette(attributes: Attributes) -> bool:
    """Return whether there is a palette to look up in."""
    return all(tag in attributes for tag in _DESCRIPTORS)


def palette(attributes: Attributes, signed: bool) -> tuple[Lut, Lut, Lut]:
    """Return red, green and blue, of 8 or 16 bits. Raises CodecError where one is missing."""
    red, green, blue = (_one(attributes, n, signed) for n in range(3))
    if max(int(one.entries.max(initial=0)) for one in (red, green, blue)) < 256:
        # Writers of 8-bit palettes store bytes in words, whatever the descriptor says.
        red, green, blue = (Lut(one.first, one.entries, 8) for one in (red, green, blue))
    return red, green, blue


def _one(attributes: Attributes, number: int, signed: bool) -> Lut:
    found = read_descriptor(attributes, _DESCRIPTORS[number], signed)
    if found is None:
        raise CodecError("a palette has no descriptor of three values", tag=_DESCRIPTORS[number])
    count, first, bits = found
    data, segments = attributes.raw(_DATA[number]), attributes.raw(_SEGMENTED[number])
    entries = table(data, count) if data else expand_segments(segments or b"", bits, count)
    if entries is None or not len(entries):
        raise CodecError("a palette has no data", tag=_DATA[number])
    return Lut(first, entries, 16 if bits > 8 else 8)


def colour_indices(indices: Array, colours: tuple[Lut, Lut, Lut]) -> Array:
    """Return the colours of the indices: rows x columns x RGB in 8 bits."""
    if indices.dtype.itemsize <= 2 and indices.dtype.kind == "u" and indices.size > 1 << 16:
        every = np.arange(1 << 8 * indices.dtype.itemsize, dtype=indices.dtype)
        return np.take(colour_indices(every, colours), indices, axis=0, mode="clip")
    planes = [_eight_bits(one.look_up(indices), one.bits) for one in colours]
    return np.stack(planes, axis=-1)


def spread(picture: Array, colours: tuple[Lut, Lut, Lut]) -> Array:
    """Return grey of 16 bits as RGB of 8 bits, its whole range spread over the palette (PS3.4 N.2.2)."""
    last = len(colours[0].entries) - 1
    every = np.arange(1 << 16, dtype=np.uint32)
    index = (every * last + 32767) // 65535 + colours[0].first
    return np.take(colour_indices(index.astype(np.int64), colours), picture, axis=0, mode="clip")


def _eight_bits(values: Array, bits: int) -> Array:
    return values.astype(np.uint8) if bits == 8 else (values >> 8).astype(np.uint8)


def expand_segments(data: bytes, bits: int, count: int) -> Array:
    """Return the table that discrete, linear and indirect segments expand to (PS3.3 C.7.9.2).

    Raises CodecError.
    """
    values = np.frombuffer(data, "u1") if bits == 8 else np.frombuffer(data[: len(data) // 2 * 2], "<u2")
    words = values.tolist()
    out: list[int] = []
    at = 0
    while at < len(words) and len(out) < count:
        at = _segment(words, at, out, count, bits, indirect=True)
    if len(out) < count:
        raise CodecError(f"the segments of a palette expand to {len(out)} entries, wanted {count}")
    return np.array(out[:count], np.uint8 if bits == 8 else np.uint16)


def _segment(words: list[int], at: int, out: list[int], count: int, bits: int, *, indirect: bool) -> int:
    """Append the entries of the segment at `at` to `out`, and return where the next one begins.

    Raises CodecError.
    """
    try:
        kind, length = words[at], words[at + 1]
        if kind == 0:
            out += words[at + 2 : at + 2 + length]
            return at + 2 + length
        if kind == 1:
            _linear(out, length, words[at + 2])
            return at + 3
        if kind == 2 and indirect:
            wide = 2 if bits == 16 else 4
            low = words[at + 2 : at + 2 + wide]
            target = _word_at(sum(part << (16 if bits == 16 else 8) * n for n, part in enumerate(low)), bits)
            for _ in range(min(length, _MOST_SEGMENTS)):
                target = _segment(words, target, out, count, bits, indirect=False)
                if len(out) >= count:
                    break
            return at + 2 + wide
    except IndexError:
        raise CodecError("the segments of a palette end early") from None
    raise CodecError(f"a palette has a segment of type {kind}, wanted 0, 1 or 2")


def _word_at(offset: int, bits: int) -> int:
    """Return the index of the entry that an indirect segment points to. Raises CodecError within a word.

    PS3.3 C.7.9.2.3 stores it as a byte offset from the table's beginning.
    """
    if bits == 16 and offset % 2:
        raise CodecError(f"an indirect segment of a palette points at byte {offset}, within a word")
    return offset // 2 if bits == 16 else offset


def _linear(out: list[int], length: int, last: int) -> None:
    """Append `length` equal steps up to `last`, starting from the last entry, which is not repeated.

    Raises CodecError where there is no entry yet.
    """
    if not out:
        raise CodecError("a palette begins with a linear segment")
    first = out[-1]
    out += [round(first + (last - first) * n / length) for n in range(1, length + 1)]
