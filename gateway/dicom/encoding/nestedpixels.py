"""Decode encapsulated pixel data within sequences, such as icons, to native pixels.

PS3.5 A.4; PS3.3 F.7, C.7.6.1.1.6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from gateway.dicom import tagnumbers
from gateway.dicom.encoding.elementwriter import CLOSE_ITEM, write_element, write_sequence
from gateway.dicom.encoding.fragments import FragmentScanner
from gateway.dicom.encoding.frames import PixelElement, frame_spans, pixel_layout
from gateway.dicom.encoding.headeredit import Edit, apply_edits, replacing
from gateway.dicom.encoding.layout import PixelLayout
from gateway.dicom.encoding.pixels import read_image_pixel
from gateway.dicom.encoding.structure import ITEM_GROUP, SEQUENCE_END, UNDEFINED, read_item_header
from gateway.dicom.encoding.topelements import top_elements
from gateway.errors import CodecError, DicomError
from gateway.model import FrameNumber

_DEEPEST = 64
_ITEM_END = CLOSE_ITEM[:4]


@dataclass(frozen=True, slots=True)
class Native:
    """An image within a sequence once it is native: its bytes, and new values of its attributes."""

    data: bytes
    changes: Mapping[str, str | int]


# Decodes the frames of one image. Raises CodecError.
Decode = Callable[[PixelLayout, list[bytes]], Native]


def native_within(head: bytes, transfer_syntax: str, decode: Decode) -> bytes:
    """Return the data set, in Explicit VR Little Endian, without fragments in its sequences.

    An image that cannot be decoded is left out with its sequence. Raises DicomError where the bytes are not
    whole elements.
    """
    return _Walk(transfer_syntax, decode).data_set(head, 0) or head


class _Walk:
    def __init__(self, transfer_syntax: str, decode: Decode) -> None:
        self._transfer_syntax = transfer_syntax
        self._decode = decode

    def data_set(self, data: bytes, depth: int) -> bytes | None:
        """Return the rewritten data set; None where nothing in it changes.

        Raises CodecError for its own pixels.
        """
        if depth > _DEEPEST:
            raise DicomError("sequences are nested too deep")
        out: list[tuple[int, bytes]] = []
        changed = False
        edits: Mapping[int, Edit] = {}
        for tag, start, stop in top_elements(data):
            element = data[start:stop]
            made: bytes | None = None
            if element[4:6] == b"SQ":
                made = self._sequence(tag, element, depth)
            elif (
                tag == tagnumbers.PIXEL_DATA
                and depth
                and element[4:6] in (b"OB", b"OW")
                and element[8:12] == b"\xff" * 4
            ):
                made, edits = self._pixels(data, element)
            changed |= made is not None
            out.append((tag, element if made is None else made))
        if not changed:
            return None
        return b"".join(apply_edits(out, edits))

    def _sequence(self, tag: int, element: bytes, depth: int) -> bytes | None:
        """Return the rewritten sequence; None where nothing changes.

        It is empty where an image in it cannot be decoded.
        """
        items = list(_items(element))
        try:
            made = [self.data_set(item, depth + 1) for item in items]
        except CodecError:
            return b""
        if all(one is None for one in made):
            return None
        every = (item if one is None else one for item, one in zip(items, made, strict=True))
        return write_sequence(tag, every)

    def _pixels(self, data: bytes, element: bytes) -> tuple[bytes, Mapping[int, Edit]]:
        scanner = FragmentScanner(12)
        scanner.feed(element[12:])
        scanner.close()
        place = PixelElement(tagnumbers.PIXEL_DATA, element[4:6].decode(), 12, len(element) - 12, scanner)
        layout = _lay_out(data, place, self._transfer_syntax)
        if layout.problem:
            raise CodecError(layout.problem)
        codestreams = [
            b"".join([element[span.start : span.stop] for span in frame_spans(layout, FrameNumber(n + 1))])
            for n in range(layout.frames)
        ]
        native = self._decode(layout, codestreams)
        vr = "OW" if layout.bits_allocated > 8 else "OB"
        return write_element(tagnumbers.PIXEL_DATA, vr, native.data), replacing(native.changes)


def _items(sequence: bytes) -> Iterator[bytes]:
    """Yield the data sets of the items of a sequence, which is given with its header."""
    at, stop = 12, len(sequence)
    while at + 8 <= stop:
        high, low, length = read_item_header(sequence, at)
        if high != ITEM_GROUP or low == SEQUENCE_END & 0xFFFF:
            return
        at += 8
        if length != UNDEFINED:
            yield sequence[at : at + length]
            at += length
            continue
        end = _item_end(sequence, at)
        yield sequence[at:end]
        at = end + 8


def _item_end(data: bytes, at: int) -> int:
    """Return where the delimiter of an item of undefined length begins. Raises DicomError without one."""
    if data[at : at + 4] == _ITEM_END:
        return at
    for _, _, stop in top_elements(data[at:]):
        if data[at + stop : at + stop + 4] == _ITEM_END:
            return at + stop
    raise DicomError("an item does not end")


def _lay_out(data: bytes, place: PixelElement, transfer_syntax: str) -> PixelLayout:
    """Return the layout of the frames of an item, as its data set describes them."""
    found = {tag: data[start + 8 : stop] for tag, start, stop in top_elements(data) if tag >> 16 == 0x28}
    frames = found.get(tagnumbers.NUMBER_OF_FRAMES, b"").strip(b" \0")
    image = read_image_pixel(found, "little", place.tag)
    return pixel_layout(place, image, int(frames) if frames.isdigit() else 1, transfer_syntax)
