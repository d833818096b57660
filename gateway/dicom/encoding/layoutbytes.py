"""Encode `InstanceLayout` as bytes for the index, and decode it; version 1."""

from __future__ import annotations

import sys
import zlib
from array import array
from typing import Any

import orjson

from gateway.dicom.encoding.layout import BulkValue, InstanceLayout, PixelLayout

_VERSION = 1
_ARRAYS = (("starts", "Q"), ("lengths", "Q"), ("first", "L"))
# In the order in which they are written: stored layouts and kinds depend on it.
_PLACE = ("tag", "vr", "offset", "length", "encapsulated", "frames", "declared_frames")
_SAMPLES = ("rows", "columns", "samples", "bits_allocated", "bits_stored", "high_bit", "pixel_representation")
_PLAIN = (*_PLACE, *_SAMPLES, "photometric", "planar", "frame_bits", "problem")

# The fields that make up a kind: where the pixels are does not matter for the transfer syntaxes they can be sent in.
_TELLING = tuple(name for name in _PLAIN if name not in {"vr", "offset", "length", "frame_bits"})

# The layout of an instance that is described without its bytes.
NOTHING = InstanceLayout("", False, False, False, 0, 0, None, {})


def _little(values: array[int], code: str) -> bytes:
    wide = array("Q", values) if code == "L" else values
    if sys.byteorder == "big":
        wide = array("Q", wide)
        wide.byteswap()
    return wide.tobytes()


def encode(layout: InstanceLayout) -> bytes:
    """Return the layout as bytes.

    These are a byte of version, and then, compressed, a head of JSON and three arrays of 64-bit little endian
    numbers.
    """
    pixels = layout.pixels
    tables = [_little(getattr(pixels, name), code) for name, code in _ARRAYS] if pixels else []
    head = orjson.dumps(
        {
            "ts": layout.transfer_syntax,
            "implicit": layout.implicit,
            "big": layout.big_endian,
            "inflated": layout.inflated,
            **({"odd": True} if layout.odd_meta else {}),
            "dataset": layout.dataset_offset,
            "length": layout.length,
            "pixels": {name: getattr(pixels, name) for name in _PLAIN} if pixels else None,
            "bulk": {p: [b.vr, b.offset, b.length, b.content_type] for p, b in layout.bulk.items()},
            "tables": [len(table) for table in tables],
        }
    )
    body = len(head).to_bytes(4, "little") + head + b"".join(tables)
    return bytes([_VERSION]) + zlib.compress(body, 1)


def decode(data: bytes) -> InstanceLayout:
    """Return the layout. Raises ValueError for a version that this program does not know."""
    if data[:1] != bytes([_VERSION]):
        raise ValueError("layout of an unknown version")
    body = zlib.decompress(data[1:])
    size = int.from_bytes(body[:4], "little")
    head = orjson.loads(body[4 : 4 + size])
    pixels = None
    if head["pixels"] is not None:
        at = 4 + size
        tables: dict[str, Any] = {}
        for (name, code), length in zip(_ARRAYS, head["tables"], strict=True):
            values = array("Q", body[at : at + length])
            if sys.byteorder == "big":
                values.byteswap()
            tables[name] = array(code, values)
            at += length
        pixels = PixelLayout(**head["pixels"], **tables)
    return InstanceLayout(
        transfer_syntax=head["ts"],
        implicit=head["implicit"],
        big_endian=head["big"],
        inflated=head["inflated"],
        dataset_offset=head["dataset"],
        length=head["length"],
        pixels=pixels,
        bulk={path: BulkValue(*value) for path, value in head["bulk"].items()},
        odd_meta="odd" in head,
    )


def kind_of(layout: InstanceLayout) -> str:
    """Return a short text that is equal for instances that can be sent in the same transfer syntaxes.

    `from_kind` reads it.
    """
    pixels = layout.pixels
    telling = [getattr(pixels, name) for name in _TELLING] if pixels else []
    return orjson.dumps([layout.transfer_syntax, *telling]).decode()


def from_kind(kind: str) -> InstanceLayout:
    """Return a layout that describes the pixels of a kind, without their offsets."""
    syntax, *telling = orjson.loads(kind)
    pixels = None
    if telling:
        said = dict(zip(_TELLING, telling, strict=True))
        pixels = PixelLayout(vr="", offset=0, length=0, **said)
    return InstanceLayout(syntax, False, False, False, 0, 0, pixels, {})
