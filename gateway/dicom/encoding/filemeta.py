"""Write preamble and File Meta Information (PS3.10 7.1)."""

from __future__ import annotations

import struct

from gateway.model import Identity

# Made from a UUID, as PS3.5 B.2 allows; it identifies this implementation in every file that it writes.
IMPLEMENTATION_CLASS_UID = "2.25.302115744519233786429018334590727350416"
IMPLEMENTATION_VERSION_NAME = "DICOMWEB_GATEWAY"
PREAMBLE = bytes(128) + b"DICM"


def _element(element: int, vr: bytes, value: bytes) -> bytes:
    if vr == b"OB":
        return struct.pack("<HH2sHI", 2, element, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value


def _uid(element: int, uid: str) -> bytes:
    value = uid.encode("ascii")
    return _element(element, b"UI", value + b"\0" * (len(value) % 2))


def file_meta(identity: Identity, transfer_syntax: str) -> bytes:
    """128-byte preamble, DICM and group 0002 of a file that holds this instance in this transfer syntax."""
    body = (
        _element(1, b"OB", b"\0\1")
        + _uid(2, identity.sop_class)
        + _uid(3, identity.instance)
        + _uid(0x10, transfer_syntax)
        + _uid(0x12, IMPLEMENTATION_CLASS_UID)
        + _element(0x13, b"SH", IMPLEMENTATION_VERSION_NAME.encode("ascii"))
    )
    return PREAMBLE + _element(0, b"UL", struct.pack("<I", len(body))) + body
