"""Wrap JPEG 2000 codestreams in the boxes of a file: image/jp2 and image/jph.

ISO 15444-1 Annex I, ISO 15444-15 Annex D.
"""

from __future__ import annotations

import struct

_SIGNATURE = b"\x0d\x0a\x87\x0a"
_SRGB, _GREY = 16, 17


def wrap_codestream(
    codestream: bytes, brand: bytes, width: int, height: int, samples: int, bits: int, icc: bytes
) -> bytes:
    """Return a file of `brand` (`jp2 ` or `jph `); the colour box holds `icc` where there is one."""
    header = struct.pack(">IIHBBBB", height, width, samples, bits - 1, 7, 0, 0)
    colour = b"\2\0\0" + icc if icc else struct.pack(">BbBI", 1, 0, 0, _SRGB if samples == 3 else _GREY)
    return (
        _box(b"jP  ", _SIGNATURE)
        + _box(b"ftyp", brand + bytes(4) + brand)
        + _box(b"jp2h", _box(b"ihdr", header) + _box(b"colr", colour))
        + _box(b"jp2c", codestream)
    )


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content
