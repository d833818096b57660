"""Remove comments and application data from compressed frames: they are not pixels, and may hold any text.

From JPEG and JPEG-LS (ITU-T T.81 B.1.1, T.87): COM, and APPn except colour transforms and density. From JPEG
2000 (T.800 A): COM of the main header. RLE has neither. Bytes after the end are removed as well. Frames in a
transfer syntax that is not known here cannot be sent as they are stored.
"""

from __future__ import annotations

import re

from gateway.dicom import uids
from gateway.errors import CodecError

_JPEG = frozenset(
    {
        uids.JPEG_BASELINE_8_BIT,
        uids.JPEG_EXTENDED_12_BIT,
        uids.JPEG_LOSSLESS,
        uids.JPEG_LOSSLESS_SV1,
        uids.JPEG_LS_LOSSLESS,
        uids.JPEG_LS_NEAR_LOSSLESS,
    }
)
_JPEG_2000 = frozenset(
    {uids.JPEG_2000_LOSSLESS, uids.JPEG_2000, uids.HTJ2K_LOSSLESS, uids.HTJ2K_LOSSLESS_RPCL, uids.HTJ2K}
)
_SOI, _EOI, _SOS, _JPEG_COM = 0xD8, 0xD9, 0xDA, 0xFE
_SOC, _EOC, _SOT, _SOD, _J2K_COM = 0x4F, 0xD9, 0x90, 0x93, 0x64
# Application data that only describes the samples: density, colour transforms.
_NEEDED = (
    re.compile(rb"\xff\xe0\x00\x10JFIF\x00.{7}\x00\x00", re.DOTALL),
    re.compile(rb"\xff\xee\x00\x0eAdobe.{7}", re.DOTALL),
    re.compile(rb"\xff\xe8\x00\x07mrfx.", re.DOTALL),
)
# Within coded data, FF is followed by a byte below 80 (JPEG-LS) or by 00 (JPEG); else it is a restart or fill byte.
_MARKER = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")


def cleanable(transfer_syntax: str) -> bool:
    """Return whether frames in this transfer syntax can be cleaned and sent without decoding."""
    return transfer_syntax in _JPEG | _JPEG_2000 | {uids.RLE_LOSSLESS}


def clean_codestream(codestream: bytes, transfer_syntax: str) -> bytes:
    """Return the frame without text. Raises CodecError where its markers are not understood."""
    if transfer_syntax == uids.RLE_LOSSLESS:
        return codestream
    return _jpeg(codestream) if transfer_syntax in _JPEG else _jpeg_2000(codestream)


def _segment(data: bytes, at: int) -> tuple[int, int]:
    """Return a marker, and where the segment after it ends. Raises CodecError."""
    length = int.from_bytes(data[at + 2 : at + 4], "big")
    if data[at : at + 1] != b"\xff" or length < 2 or at + 2 + length > len(data):
        raise CodecError("a frame has a header that is not understood")
    return data[at + 1], at + 2 + length


def _begin(data: bytes, marker: int) -> None:
    if data[:2] != bytes((0xFF, marker)):
        raise CodecError("a frame does not begin as a codestream of its transfer syntax does")


def _jpeg(data: bytes) -> bytes:
    _begin(data, _SOI)
    out, at = [data[:2]], 2
    while data[at + 1 : at + 2] != bytes((_EOI,)):
        if data[at : at + 2] == b"\xff\xff":
            at += 1  # a fill byte
            continue
        marker, stop = _segment(data, at)
        if marker == _SOS:
            coded = _MARKER.search(data, stop)
            stop = coded.start() if coded else len(data)
        if not _is_text(marker, data[at : min(stop, at + 20)]):
            out.append(data[at:stop])
        at = stop
        if at == len(data):
            break  # some frames have no end marker
    return b"".join([*out, bytes((0xFF, _EOI))])


def _is_text(marker: int, segment: bytes) -> bool:
    application = 0xE0 <= marker <= 0xEF and not any(needed.fullmatch(segment) for needed in _NEEDED)
    return marker == _JPEG_COM or application


def _jpeg_2000(data: bytes) -> bytes:
    _begin(data, _SOC)
    out, at = [data[:2]], 2
    while True:
        marker, stop = _segment(data, at)
        if marker == _SOT:
            break
        if marker != _J2K_COM:
            out.append(data[at:stop])
        at = stop
    while data[at : at + 2] == bytes((0xFF, _SOT)):
        stop = _tile_part(data, at)
        out.append(data[at:stop])
        at = stop
    return b"".join([*out, bytes((0xFF, _EOC))])


def _tile_part(data: bytes, at: int) -> int:
    """Return where a tile-part ends. Raises CodecError for a comment in its header.

    Such a comment cannot be removed, since other markers point at the bytes after it.
    """
    length = int.from_bytes(data[at + 6 : at + 10], "big")
    end = at + length if length else len(data)
    while data[at : at + 2] != bytes((0xFF, _SOD)):
        marker, at = _segment(data, at)
        if marker == _J2K_COM:
            raise CodecError("a frame has a comment that cannot be taken out")
    if end > len(data):
        raise CodecError("a frame ends early")
    ends = data.endswith(bytes((0xFF, _EOC))) and not length
    return end - 2 if ends else end
