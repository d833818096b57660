"""Recognise the transfer syntax of a codestream by its first bytes (PS3.5 8.2, A.4)."""

from __future__ import annotations

from struct import error, unpack_from

from gateway.dicom import uids

_JPEG = {0xC0: uids.JPEG_BASELINE_8_BIT, 0xC1: uids.JPEG_EXTENDED_12_BIT}
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
        return uids.JPEG_LOSSLESS_SV1 if selection == 1 else uids.JPEG_LOSSLESS
    if frame == 0xF7:
        return uids.JPEG_LS_NEAR_LOSSLESS if selection else uids.JPEG_LS_LOSSLESS
    return _JPEG.get(frame, "")


def _jpeg2000(head: bytes) -> str:
    """Recognise JPEG 2000 by capabilities and coding style (ISO 15444-1 A.5.2, A.6.1; ISO 15444-15 A.3)."""
    at, high_throughput = 2, False
    while True:
        mark, marker, length = unpack_from(">BBH", head, at)
        if mark != 0xFF or marker == 0x90:
            return ""
        if marker == 0x50:
            high_throughput = bool(unpack_from(">I", head, at + 4)[0] & 1 << 17)
        if marker == 0x52:
            reversible = head[at + 13] == 1
            if high_throughput:
                return uids.HTJ2K_LOSSLESS if reversible else uids.HTJ2K
            return uids.JPEG_2000_LOSSLESS if reversible else uids.JPEG_2000
        at += 2 + length
