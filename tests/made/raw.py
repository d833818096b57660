"""PS3.10 files element by element (Explicit VR Little Endian), so that anything in them can be wrong."""

from __future__ import annotations

import hashlib
import struct

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
EXPLICIT, IMPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"
UNDEFINED = 0xFFFFFFFF
LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
PIXELS = struct.pack("<64H", *range(64))

Elements = dict[int, bytes]


def uid(name: str) -> str:
    """Return the UID that stands for `name`, the same in every run."""
    return f"2.25.{int.from_bytes(hashlib.sha256(name.encode()).digest()[:12], 'big')}"


def element(tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
    """Return one element; its length may be said to be another. Values are padded to an even length."""
    if len(value) % 2 and length is None:
        value += b"\0" if vr in LONG | {"UI"} else b" "
    size = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    return head + (struct.pack("<2xI", size) if vr in LONG else struct.pack("<H", size)) + value


def implicit(tag: int, value: bytes, length: int | None = None) -> bytes:
    value += b" " * (len(value) % 2)
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def item(content: bytes, length: int | None = None) -> bytes:
    return implicit(0xFFFEE000, content, len(content) if length is None else length)


def us(tag: int, *values: int) -> bytes:
    return element(tag, "US", struct.pack(f"<{len(values)}H", *values))


def plain(name: str, charset: bytes = b"ISO_IR 192", patient: bytes = b"Made^Up") -> Elements:
    """Return a secondary capture without an image, by tag; each name is a patient with a study of its own."""
    return {
        0x00080005: element(0x00080005, "CS", charset),
        0x00080016: element(0x00080016, "UI", SECONDARY_CAPTURE.encode()),
        0x00080018: element(0x00080018, "UI", uid(name).encode()),
        0x00080020: element(0x00080020, "DA", b"20200102"),
        0x00080060: element(0x00080060, "CS", b"OT"),
        0x00100010: element(0x00100010, "PN", patient),
        0x00100020: element(0x00100020, "LO", b"ID" + uid(name)[-8:].encode()),
        0x0020000D: element(0x0020000D, "UI", uid(name + "/study").encode()),
        0x0020000E: element(0x0020000E, "UI", uid(name + "/series").encode()),
        0x00200013: element(0x00200013, "IS", b"1"),
    }


def grey(name: str, charset: bytes = b"ISO_IR 192", patient: bytes = b"Made^Up") -> Elements:
    """Return `plain` with 8 x 8 pixels of 16 bits."""
    return plain(name, charset, patient) | {
        0x00280002: us(0x00280002, 1),
        0x00280004: element(0x00280004, "CS", b"MONOCHROME2"),
        0x00280010: us(0x00280010, 8),
        0x00280011: us(0x00280011, 8),
        0x00280100: us(0x00280100, 16),
        0x00280101: us(0x00280101, 16),
        0x00280102: us(0x00280102, 15),
        0x00280103: us(0x00280103, 0),
        0x7FE00010: element(0x7FE00010, "OW", PIXELS),
    }


def joined(elements: Elements) -> bytes:
    return b"".join(elements[tag] for tag in sorted(elements))


def file(
    name: str,
    dataset: Elements | bytes,
    syntax: str = EXPLICIT,
    *,
    instance: str | None = None,
    preamble: bytes = b"",
) -> bytes:
    """Return the PS3.10 file of a data set; its meta information is right unless `instance` says another."""
    sop_class = SECONDARY_CAPTURE.encode() if isinstance(dataset, bytes) else dataset[0x00080016][8:]
    meta = element(0x00020001, "OB", b"\0\1") + element(0x00020002, "UI", sop_class)
    meta += element(0x00020003, "UI", (instance or uid(name)).encode())
    meta += element(0x00020010, "UI", syntax.encode()) + element(0x00020012, "UI", b"1.2.3.4")
    body = dataset if isinstance(dataset, bytes) else joined(dataset)
    return (
        preamble.ljust(128, b"\0")
        + b"DICM"
        + element(0x00020000, "UL", struct.pack("<I", len(meta)))
        + meta
        + body
    )
