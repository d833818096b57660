"""Read the headers of codestreams, so that sizes are checked before memory is allocated by them."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct, error

from gateway.errors import CodecError
from gateway.render.codecs.bits import Bits

JP2 = b"\0\0\0\x0cjP  \r\n\x87\n"
JXL_BOXES = b"\0\0\0\x0cJXL \r\n\x87\n"

_SHORT = Struct(">H").unpack_from
_BOX = Struct(">I4s").unpack_from
_LONG_BOX = Struct(">Q").unpack_from
_SIZ = Struct(">8I").unpack_from
_FRAME = Struct(">BHHB").unpack_from
# SOF0 to SOF15 without DHT, JPG and DAC, and SOF55 of JPEG-LS.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
_LOSSLESS = frozenset({0xC3, 0xC7, 0xCB, 0xCF, 0xF7})


@dataclass(frozen=True, slots=True)
class CodestreamHeader:
    """The size and samples of a coded image; `precision` is the largest of its components.

    `coded_rgb` is None where a JPEG does not say whether its three components are RGB or YCbCr.
    """

    columns: int
    rows: int
    components: int
    precision: int
    signed: bool = False
    lossless: bool = False
    coded_rgb: bool | None = None
    interleave: int = 0


def jpeg(stream: bytes) -> CodestreamHeader:
    """Return the header of JPEG (ISO 10918-1) or JPEG-LS (ISO 14495-1), read up to the first scan.

    Raises CodecError.
    """
    if stream[:2] != b"\xff\xd8":
        raise CodecError(f"no JPEG codestream: it begins with {_name_seen(stream)}, wanted FFD8")
    at, adobe, jfif = 2, None, False
    frame: bytes | None = None
    kind = 0
    try:
        while True:
            marker, begin, end = _segment(stream, at)
            body = stream[begin:end]
            if marker == 0xE0 and body[:5] == b"JFIF\0":
                jfif = True
            elif marker == 0xEE and body[:5] == b"Adobe" and len(body) >= 12:
                adobe = body[11]
            elif marker in _FRAMES:
                frame, kind = body, marker
            elif marker == 0xDA and frame is not None:
                return _jpeg_frame(frame, kind, adobe, jfif, body)
            elif marker in {0xDA, 0xD9}:
                raise CodecError("the JPEG codestream has a scan or an end before its frame header")
            at = end
    except (error, IndexError) as problem:
        raise CodecError("the JPEG codestream ends within its header") from problem


def _segment(stream: bytes, at: int) -> tuple[int, int, int]:
    """Return the marker at `at`, and where its parameters begin and end."""
    if stream[at] != 0xFF:
        raise CodecError(f"no JPEG marker at byte {at} of the codestream: {stream[at]:02X}")
    while stream[at] == 0xFF:
        at += 1
    marker, begin = stream[at], at + 1
    if marker in _BARE or marker == 0xD9:
        return marker, begin, begin
    length = _SHORT(stream, begin)[0]
    end = begin + length
    if length < 2 or end > len(stream):
        raise CodecError(f"the JPEG segment {marker:02X} at byte {at} is longer than the codestream")
    return marker, begin + 2, end


def _jpeg_frame(frame: bytes, kind: int, adobe: int | None, jfif: bool, scan: bytes) -> CodestreamHeader:
    precision, rows, columns, count = _FRAME(frame, 0)
    parts = [frame[6 + 3 * i : 9 + 3 * i] for i in range(count)]
    if any(len(part) < 3 for part in parts):
        raise CodecError("the JPEG frame header is shorter than its components")
    coded_rgb: bool | None = None
    if count == 3:
        subsampled = len({part[1] for part in parts}) > 1
        if adobe is not None:
            coded_rgb = adobe == 0
        elif jfif or subsampled:
            coded_rgb = False
        elif bytes(part[0] for part in parts) == b"RGB":
            coded_rgb = True
    return CodestreamHeader(
        columns,
        rows,
        count,
        precision,
        lossless=kind in _LOSSLESS,
        coded_rgb=coded_rgb,
        interleave=scan[-2] if kind == 0xF7 and len(scan) >= 4 else 0,
    )


def jpeg2000(stream: bytes) -> CodestreamHeader:
    """Return the header of JPEG 2000 or HTJ2K (ISO 15444-1 A.5.1), without JP2 boxes. Raises CodecError."""
    if stream[:4] != b"\xff\x4f\xff\x51":
        raise CodecError(f"no JPEG 2000 codestream: it begins with {_name_seen(stream)}, wanted FF4FFF51")
    try:
        right, bottom, left, top = _SIZ(stream, 8)[:4]
        count = _SHORT(stream, 40)[0]
    except error as problem:
        raise CodecError("the JPEG 2000 codestream ends within its header") from problem
    parts = stream[42 : 42 + 3 * count]
    if len(parts) < 3 * count or not count:
        raise CodecError("the JPEG 2000 header is shorter than its components")
    if any(step != 1 for step in (*parts[1::3], *parts[2::3])):
        raise CodecError("the JPEG 2000 codestream has subsampled components")
    depths = parts[0::3]
    if len(set(depths)) > 1:
        raise CodecError("the JPEG 2000 components differ in precision")
    return CodestreamHeader(
        right - left, bottom - top, count, (depths[0] & 0x7F) + 1, signed=depths[0] > 0x7F
    )


def unbox(stream: bytes) -> bytes:
    """Return the contiguous codestream of a JP2 file; other bytes as they are.

    PS3.5 A.4.4 does not allow the file format there, but some vendors write it.
    """
    if not stream.startswith(JP2):
        return stream
    return b"".join(_boxes(stream, {b"jp2c"}))


def _boxes(stream: bytes, wanted: set[bytes]) -> list[bytes]:
    """Return the contents of the boxes of the wanted types; a box of length 0 extends to the end.

    Raises CodecError.
    """
    at, found = 0, []
    while at + 8 <= len(stream):
        length, kind = _BOX(stream, at)
        begin, end = at + 8, at + length
        if length == 1 and at + 16 <= len(stream):
            begin, end = at + 16, at + _LONG_BOX(stream, at + 8)[0]
        elif length == 0:
            end = len(stream)
        if end < begin or end > len(stream):
            raise CodecError(f"the box at byte {at} is longer than the codestream")
        if kind in wanted:
            found.append(stream[begin + 4 if kind == b"jxlp" else begin : end])
        at = end
    if not found:
        raise CodecError(f"no codestream in the boxes: wanted {b' or '.join(sorted(wanted)).decode()}")
    return found


def bare_jpegxl(stream: bytes) -> bytes:
    """Return the codestream of a JPEG XL file in boxes; a bare codestream as it is. Raises CodecError."""
    return b"".join(_boxes(stream, {b"jxlc", b"jxlp"})) if stream.startswith(JXL_BOXES) else stream


def jpegxl(stream: bytes) -> CodestreamHeader:
    """Return the header of JPEG XL (ISO 18181-1 Annex D), bare or in boxes. Raises CodecError."""
    bare = bare_jpegxl(stream)
    if bare[:2] != b"\xff\x0a":
        raise CodecError(f"no JPEG XL codestream: it begins with {_name_seen(stream)}, wanted FF0A")
    bits = Bits(bare, 2)
    rows, columns = _jxl_size(bits)
    precision = 8
    if not bits.take(1):
        if bits.take(1):
            bits.take(3)
            if bits.take(3):
                raise CodecError("the JPEG XL codestream has a preview, an animation or an intrinsic size")
        if bits.take(1):
            raise CodecError("the JPEG XL codestream has samples in floating point")
        precision = bits.choice((8, 0), (10, 0), (12, 0), (1, 6))
        bits.take(1)
        if bits.choice((0, 0), (1, 0), (2, 4), (1, 12)):
            raise CodecError("the JPEG XL codestream has extra channels")
        return CodestreamHeader(columns, rows, _jxl_samples(bits), precision)
    return CodestreamHeader(columns, rows, 3, precision)


def _jxl_samples(bits: Bits) -> int:
    """Return the samples per pixel by the colour encoding (ISO 18181-1 Table E.1) after the XYB flag."""
    bits.take(1)
    if bits.take(1):  # sRGB
        return 3
    bits.take(1)
    return 1 if bits.choice((0, 0), (1, 0), (2, 4), (18, 6)) == 1 else 3


def _jxl_size(bits: Bits) -> tuple[int, int]:
    def side() -> int:
        return bits.choice((1, 9), (1, 13), (1, 18), (1, 30))

    small = bits.take(1)
    rows = 8 * (bits.take(5) + 1) if small else side()
    ratio = bits.take(3)
    if not ratio:
        return rows, 8 * (bits.take(5) + 1) if small else side()
    up, down = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio - 1]
    return rows, rows * up // down


def _name_seen(stream: bytes) -> str:
    return stream[:4].hex().upper() or "nothing"
