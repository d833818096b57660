"""The offsets of the values in a stored object: bulk data and frames (PS3.5 A.4, PS3.18 10.4.1.1.6).

They are found once at ingest by `part10.Part10Reader`, kept in the index as bytes, and read for every frame
request. Offsets count from the first byte of the stored object, or, where `inflated` is set, of the inflated
data set.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from gateway.dicom.encoding.pixels import ImagePixel


@dataclass(frozen=True, slots=True)
class BulkValue:
    """The Value Field of one element that is not in the metadata: `length` bytes from `offset`, as encoded.

    `content_type` is (0042,0012) for an encapsulated document, else None.
    """

    vr: str
    offset: int
    length: int
    content_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelLayout(ImagePixel):
    """The Image Pixel Module of an instance, and the offsets of its frames.

    `frames` is the number of frames that the existing bytes hold; `declared_frames` is Number of Frames as
    written (1 where absent). Native: frame n (from 0) is `frame_bits` bits from bit n * frame_bits of the
    value at `offset`. Encapsulated: `starts[i]`, `lengths[i]` are the value fields of the fragments (without
    item headers, Basic Offset Table left out), and `first[n]` is the index of the first fragment of frame n;
    the fragments of frame n end where those of n+1 start. `problem` says why frames cannot be told apart, and
    then `frames` is 0.
    """

    vr: str
    offset: int
    length: int
    encapsulated: bool
    frames: int
    declared_frames: int
    frame_bits: int = 0
    starts: array[int] = field(default_factory=lambda: array("Q"))
    lengths: array[int] = field(default_factory=lambda: array("Q"))
    first: array[int] = field(default_factory=lambda: array("L"))
    problem: str = ""


@dataclass(frozen=True, slots=True)
class InstanceLayout:
    """Everything needed to answer for bulk data, frames and Part 10 without parsing the object again.

    `transfer_syntax` is the value of (0002,0010); `implicit` and `big_endian` say how the bytes are really
    encoded. `dataset_offset` is where group 0002 ends; `length` is the length of the object. `bulk` maps a
    path such as `00400275/1/00400007` (8 upper-case hex digits, 1-based item numbers) to its value.
    """

    transfer_syntax: str
    implicit: bool
    big_endian: bool
    inflated: bool
    dataset_offset: int
    length: int
    pixels: PixelLayout | None
    bulk: dict[str, BulkValue]
    odd_meta: bool = False
    """Whether the file meta is incomplete or contradicts the data set.

    It is then rewritten when the object is sent (PS3.10 7.1).
    """
