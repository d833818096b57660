"""Frame tables: the bytes of each frame in an object (PS3.5 8.2, A.4; PS3.18 10.4.1.1.6)."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

from gateway.dicom import uids
from gateway.dicom.encoding.fragments import FragmentScanner
from gateway.dicom.encoding.layout import PixelLayout
from gateway.dicom.encoding.pixels import ImagePixel
from gateway.model import FrameNumber, Span

VIDEO = (
    uids.MPEG2MPML,
    uids.MPEG2MPHL,
    uids.MPEG4HP41,
    uids.MPEG4HP41BD,
    uids.MPEG4HP422D,
    uids.MPEG4HP423D,
    uids.MPEG4HP42STEREO,
    uids.HEVCMP51,
    uids.HEVCM10P51,
)


# Most bytes that are read at once for short spans, and most between them: item headers, a few empty fragments.
WINDOW = 256 << 10
GAP = 64
IN_A_WINDOW = 4096
# Most short frames that are processed together.
IN_A_RUN = 512

_IMAGE = tuple(field.name for field in fields(ImagePixel))


@dataclass(frozen=True, slots=True)
class PixelElement:
    """The element that holds the pixels: `offset` and `length` of its value, `scanner` where encapsulated.

    `table` and `table_lengths` are the values of the Extended Offset Table (7FE0,0001) and its lengths
    (7FE0,0002), empty where absent.
    """

    tag: int
    vr: str
    offset: int
    length: int
    scanner: FragmentScanner | None = None
    table: bytes = b""
    table_lengths: bytes = b""


def is_video(transfer_syntax: str) -> bool:
    """Return whether this is MPEG-2, H.264 or H.265, which have one stream and no separate frames."""
    return transfer_syntax.removesuffix(".1") in VIDEO or transfer_syntax in VIDEO


def pixel_layout(
    element: PixelElement, image: ImagePixel, declared_frames: int, transfer_syntax: str
) -> PixelLayout:
    """Return the layout of the frames of `element`, which `image` describes.

    `declared_frames` is 1 where none are declared. Memory is allocated by the bytes that exist, never by the
    attributes.
    """
    scanner = element.scanner
    if scanner is None:
        bits = image.count_bits()
        frames = min(declared_frames, element.length * 8 // bits) if bits else 0
        problem = "" if bits else "Rows, Columns, Samples per Pixel or Bits Allocated is absent or zero"
        return _lay_out(element, image, declared_frames, frames, problem, array("L"))
    first, problem = _first_fragments(element, scanner, declared_frames, transfer_syntax)
    used = first.pop() if len(first) > declared_frames else len(scanner.starts)
    return _lay_out(element, image, declared_frames, len(first), problem, first, used)


def _lay_out(
    element: PixelElement,
    image: ImagePixel,
    declared_frames: int,
    frames: int,
    problem: str,
    first: array[int],
    used: int = 0,
) -> PixelLayout:
    """Return the layout of `frames` frames, to which the first `used` fragments belong."""
    scanner = element.scanner
    return PixelLayout(
        **{name: getattr(image, name) for name in _IMAGE},
        vr=element.vr,
        offset=element.offset,
        length=element.length,
        encapsulated=scanner is not None,
        frames=frames,
        declared_frames=declared_frames,
        frame_bits=image.count_bits(),
        starts=scanner.starts[:used] if scanner else array("Q"),
        lengths=scanner.lengths[:used] if scanner else array("Q"),
        first=first,
        problem=problem,
    )


def _first_fragments(
    element: PixelElement, scanner: FragmentScanner, frames: int, transfer_syntax: str
) -> tuple[array[int], str]:
    """Return the first fragment of each frame, or else the reason why it is unknown.

    Where there are more frames than are declared, return those that are declared, and the fragment after
    them.
    """
    fragments = len(scanner.starts)
    nothing = array("L")
    if is_video(transfer_syntax):
        return nothing, "the pixel data is one video stream"
    if fragments == 0:
        return nothing, "the pixel data has no fragments"
    begins = scanner.begins
    plain = len(begins) > 0 and begins[0] == 0
    if frames <= 1:
        several = plain and len(begins) == fragments > 1
        return array("L", [0, 1] if several else [0]), ""
    by_table = _by_table(element, scanner, frames)
    if by_table is not None:
        return by_table, ""
    if fragments == frames:
        return array("L", range(frames)), ""
    if fragments < frames:
        return nothing, f"{frames} frames are declared and there are {fragments} fragments"
    if plain and len(begins) >= frames:
        return begins[: frames + 1], ""
    if transfer_syntax == uids.RLE_LOSSLESS:  # each frame is one fragment (PS3.5 A.4.2)
        return array("L", range(frames + 1)), ""
    return nothing, f"no offset table tells which of {fragments} fragments belong to which of {frames} frames"


def _by_table(element: PixelElement, scanner: FragmentScanner, frames: int) -> array[int] | None:
    """Return the first fragments by the Extended or the Basic Offset Table.

    None unless every offset is that of an item, and they ascend.
    """
    for table, code, size in ((element.table, "Q", 8), (scanner.bot, "I", 4)):
        if len(table) < frames * size or len(table) % size:
            continue
        offsets = array(code)
        offsets.frombytes(table)
        if sys.byteorder == "big":
            offsets.byteswap()
        found = _indexes(scanner.starts, offsets)
        if found is not None:
            return found[: frames + 1]
    return None


def _indexes(starts: array[int], offsets: array[int]) -> array[int] | None:
    """Return the indexes of the fragments at `offsets`.

    None unless each offset is that of a fragment, the first one that of the first, and they ascend. Offsets
    count from the first item after the Basic Offset Table, and point at item headers.
    """
    found, index = array("L"), 0
    for offset in offsets:
        while index < len(starts) and starts[index] - starts[0] < offset:
            index += 1
        if index == len(starts) or starts[index] - starts[0] != offset or (found and found[-1] == index):
            return None
        found.append(index)
    return found if found and found[0] == 0 else None


def frame_spans(pixels: PixelLayout, number: FrameNumber) -> list[Span]:
    """Return the spans of a frame in order; adjacent fragments stay separate, since item headers lie between.

    A native 1-bit frame may begin and end within a byte; `realign` shifts its bits. Raises IndexError.
    """
    return list(each_span(pixels, number))


def each_span(pixels: PixelLayout, number: FrameNumber) -> Iterator[Span]:
    """Return an iterator of the spans of `frame_spans`, since a frame may have millions of fragments.

    Raises IndexError where there is no such frame.
    """
    index = number - 1
    if not 0 <= index < pixels.frames:
        raise IndexError(number)
    if not pixels.encapsulated:
        begin, end = index * pixels.frame_bits, (index + 1) * pixels.frame_bits
        return iter([Span(pixels.offset + begin // 8, pixels.offset + (end + 7) // 8)])
    first, stop = _fragments_of(pixels, index)
    return (Span(pixels.starts[i], pixels.starts[i] + pixels.lengths[i]) for i in range(first, stop))


def count_stored_bytes(pixels: PixelLayout, number: FrameNumber) -> int:
    """Return the stored bytes of a frame: without item headers if encapsulated, in whole bytes if native."""
    if not pixels.encapsulated:
        return (pixels.frame_bits + 7) // 8
    first, stop = _fragments_of(pixels, number - 1)
    return sum(pixels.lengths[first:stop])


def _fragments_of(pixels: PixelLayout, index: int) -> tuple[int, int]:
    stop = pixels.first[index + 1] if index + 1 < pixels.frames else len(pixels.starts)
    return pixels.first[index], stop


def windows(spans: Iterable[Span]) -> Iterator[tuple[Span, list[Span]]]:
    """Yield short spans that lie close together as one window, with its spans; a long span stays alone."""
    held: list[Span] = []
    for span in spans:
        near = held and 0 <= span.start - held[-1].stop <= GAP and span.stop - held[0].start <= WINDOW
        if held and not (near and len(held) < IN_A_WINDOW):
            yield Span(held[0].start, held[-1].stop), held
            held = []
        held.append(span)
    if held:
        yield Span(held[0].start, held[-1].stop), held


def runs(pixels: PixelLayout, numbers: Sequence[FrameNumber], each: int) -> Iterator[list[FrameNumber]]:
    """Yield groups of short consecutive frames; `each` is the extra memory in bytes that a frame takes.

    So the work for each group is done a few thousand times, not a million times.
    """
    held: list[FrameNumber] = []
    start = 0
    for number in numbers:
        first, last = _outside(pixels, number)
        long = each * (len(held) + 1) > WINDOW or last - start > WINDOW or len(held) == IN_A_RUN
        if held and (long or number != held[-1] + 1):
            yield held
            held = []
        if not held:
            start = first
        held.append(number)
    if held:
        yield held


def _outside(pixels: PixelLayout, number: FrameNumber) -> tuple[int, int]:
    """Return where the first byte of a frame lies and where the frame ends; item headers may lie between."""
    if not pixels.encapsulated:
        spans = frame_spans(pixels, number)
        return spans[0].start, spans[0].stop
    first, stop = _fragments_of(pixels, number - 1)
    return pixels.starts[first], pixels.starts[stop - 1] + pixels.lengths[stop - 1]


def realign(data: bytes, pixels: PixelLayout, number: FrameNumber) -> bytes:
    """Return the bits of a frame shifted to begin with a byte.

    Bits are packed from the lowest (PS3.5 8.1.1).
    """
    shift = (number - 1) * pixels.frame_bits % 8
    bits = int.from_bytes(data, "little") >> shift & (1 << pixels.frame_bits) - 1
    return bits.to_bytes((pixels.frame_bits + 7) // 8, "little")


class BitJoin:
    """Push translator that joins frames of single bits without padding (PS3.5 8.1.1, PS3.18 8.7.3.3.1).

    `feed` takes whole frames that begin with a byte; `finish` returns the last bits.
    """

    def __init__(self, frame_bits: int) -> None:
        self._frame = frame_bits
        self._rest = 0
        self._held = 0

    def feed(self, chunk: bytes) -> bytes:
        bits = int.from_bytes(chunk, "little") & (1 << self._frame) - 1
        value, count = self._rest | bits << self._held, self._held + self._frame
        whole = count // 8
        self._rest, self._held = value >> 8 * whole, count % 8
        return (value & (1 << 8 * whole) - 1).to_bytes(whole, "little")

    def finish(self) -> bytes:
        return self._rest.to_bytes(1, "little") if self._held else b""


def swap_width(vr: str, bits_allocated: int) -> int:
    """Return how many bytes make up one unit of a big endian value."""
    if vr == "OW":
        return 4 if bits_allocated == 32 else 2
    return {"OL": 4, "OF": 4, "FL": 4, "UL": 4, "SL": 4, "OD": 8, "OV": 8, "FD": 8, "UV": 8, "SV": 8}.get(
        vr, 2 if vr in {"US", "SS", "AT"} else 1
    )


def swap(data: bytes, width: int) -> bytes:
    """Return the data with each unit of `width` bytes reversed; an incomplete last unit is unchanged."""
    if width == 1:
        return data
    out = bytearray(data)
    whole = len(data) - len(data) % width
    for i in range(width):
        out[i:whole:width] = data[width - 1 - i : whole : width]
    return bytes(out)
