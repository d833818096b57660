"""Recognise the transfer syntax of a codestream by its first bytes (PS3.5 8.2, A.4)."""

from __future__ import annotations

from struct import error, unpack_from

_PREFIX = "1.2.840.10008.1.2.4."
_JPEG = {0xC0: "50", 0xC1: "51"}
_FRAMES = frozenset({*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), 0xF7})


def recognise(head: bytes) -> str:
    """Return the transfer syntax of bare JPEG, JPEG-LS, JPEG 2000 or HTJ2K; empty where it is unknown."""
    try:
        if head.startswith(b"\xff\xd8"):
            return _jpeg(head)
        if head.startswith(b"\xff\x4f\xff\x51"):
            return _jpeg2000(head)
    except (error, IndexError):  # the header is longer than the given bytes
        pass
    return ""


def _jpeg(head: bytes) -> str:
    """Recognise JPEG by the frame marker, and by predictor or loss in its first scan.

    ISO 10918-1 B.2, ISO 14495-1 C.2.
    """
    at, frame = 2, 0
    while True:
        (mark, marker, length) = unpack_from(">BBH", head, at)
        if mark != 0xFF:
            return ""
        if marker == 0xDA:
            selection = head[at + 5 + 2 * head[at + 4]]
            break
        if marker in _FRAMES:
            frame = marker
        at += 2 + length
    if frame == 0xC3:
        return _PREFIX + ("70" if selection == 1 else "57")
    if frame == 0xF7:
        return _PREFIX + ("81" if selection else "80")
    return _PREFIX + _JPEG[frame] if frame in _JPEG else ""


def _jpeg2000(head: bytes) -> str:
    """Recognise JPEG 2000 by capabilities and coding style (ISO 15444-1 A.5.2, A.6.1; ISO 15444-15 A.3)."""
    at, high_throughput = 2, False
    while True:
        mark, marker, length = unpack_from(">BBH", head, at)
        if mark != 0xFF or marker == 0x90:
            return ""
        if marker == 0x50:
            high_throughput = bool(unpack_from(">I", head, at + 4)[0] & 0x00020000)
        if marker == 0x52:
            reversible = head[at + 13] == 1
            if high_throughput:
                return _PREFIX + ("201" if reversible else "203")
            return _PREFIX + ("90" if reversible else "91")
        at += 2 + length
