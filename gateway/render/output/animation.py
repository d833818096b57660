"""Write frames as an animated GIF (GIF89a), one frame in memory at a time."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from itertools import chain, repeat
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from gateway.errors import CodecError
from gateway.render.rendering import Image

_LOOP = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
_TRAILER = b"\x3b"
_SIDE_AT_MOST = 65535


def encode_animation(frames: Iterable[Image], frame_time: float | Sequence[float], path: Path) -> None:
    """Write the frames to `path` as an endless GIF; `frame_time` is in milliseconds.

    All frames must have the size of the first. This blocks: call it in a thread, not on the event loop.
    Raises CodecError; the file is then incomplete.
    """
    with path.open("wb") as file:
        for piece in animate(frames, frame_time):
            file.write(piece)


def still(image: Image) -> bytes:
    """Return one picture as GIF: greys in 256 levels, colours in a palette of the best 256.

    Raises CodecError.
    """
    if max(image.width, image.height) > _SIDE_AT_MOST:
        raise CodecError(f"a GIF has at most {_SIDE_AT_MOST} rows and columns")
    picture = Pillow.fromarray(np.ascontiguousarray(image.eight_bit()))
    if image.colour:
        picture = picture.quantize(256, Pillow.Quantize.FASTOCTREE)
    out = BytesIO()
    picture.save(out, "GIF", optimize=False)
    return out.getvalue()


def animate(frames: Iterable[Image], frame_time: float | Sequence[float]) -> Iterator[bytes]:
    """Yield the file in pieces. Raises CodecError.

    Times are in hundredths of a second, at least two: players show a shorter time as ten.
    """
    rest = iter(frames)
    first = next(rest, None)
    if first is None:
        raise CodecError("an animation needs a frame")
    times = repeat(frame_time) if isinstance(frame_time, int | float) else chain(frame_time, repeat(100.0))
    yield b"GIF89a" + struct.pack("<HHBBB", first.width, first.height, 0x70, 0, 0) + _LOOP
    for image, time in zip(chain((first,), rest), times, strict=False):
        if (image.width, image.height) != (first.width, first.height):
            raise CodecError("the frames of an animation have one size")
        hundredths = min(max(2, round(time / 10)), 65535)
        yield b"\x21\xf9\x04\x04" + struct.pack("<HBB", hundredths, 0, 0) + _frame(still(image))
    yield _TRAILER


def _frame(gif: bytes) -> bytes:
    """Return the one picture of a GIF, with its colours as a local table."""
    size = gif[10] & 7
    at = 13 + 3 * (2 << size)
    table = gif[13:at]
    while gif[at] == 0x21:
        at += 2
        while gif[at]:
            at += 1 + gif[at]
        at += 1
    return gif[at : at + 9] + bytes((0x80 | gif[at + 9] & 0x40 | size,)) + table + gif[at + 10 : -1]
