"""Stream Pixel Data: frames encoded a few ahead of the one that is sent, as fragments or one native value."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from typing import Any, TypeAlias

from gateway.dicom.encoding.elementwriter import write_item_header
from gateway.dicom.encoding.frames import BitJoin
from gateway.dicom.encoding.layout import PixelLayout
from gateway.model import FrameNumber
from gateway.services.bytestream import map_chunks
from gateway.services.inflight import Held, InFlight

# Reads, decodes or encodes consecutive frames: short ones, or a single one.
Make: TypeAlias = Callable[[Sequence[FrameNumber]], Coroutine[Any, Any, list[bytes]]]

# Runs of frames that are processed while one is sent.
AHEAD = 2


async def stream_in_turn(
    make: Make,
    first: Sequence[bytes],
    held: Held,
    rest: Iterator[Sequence[FrameNumber]],
    size: int,
    inflight: InFlight,
) -> AsyncGenerator[bytes, None]:
    """Stream the `first` frames, whose memory `held` counts, then the frames of the runs in `rest`.

    A few runs are processed ahead of time where there is room for them; `size` is the bytes of one frame. No
    memory is counted while the next run waits for room. Raises what `make` does, and Busy.
    """
    waiting: deque[tuple[asyncio.Future[list[bytes]], Held]] = deque()
    upcoming = next(rest, None)
    try:
        for frame in first:
            yield frame
        del first
        held.release()
        while upcoming or waiting:
            while upcoming and len(waiting) <= AHEAD:
                weight = size * len(upcoming)
                room = inflight.attempt(weight)
                if room is None and waiting:
                    break
                room = room or await inflight.take(weight, within=True)
                waiting.append((asyncio.ensure_future(make(upcoming)), room))
                upcoming = next(rest, None)
            job, held = waiting[0]
            frames = await job
            waiting.popleft()
            for frame in frames:
                yield frame
            del frames
            held.release()
    finally:
        held.release()
        for job, room in waiting:
            job.cancel()
            room.release()
        await asyncio.gather(*(job for job, _ in waiting), return_exceptions=True)


def take_frames(every: Iterator[Sequence[FrameNumber]], count: int) -> list[Sequence[FrameNumber]]:
    """Take runs from the front until they have `count` frames or more; return them."""
    taken: list[Sequence[FrameNumber]] = []
    while count > 0 and (run := next(every, None)) is not None:
        taken.append(run)
        count -= len(run)
    return taken


def write_offset_table(pixels: PixelLayout) -> bytes:
    """Return the Basic Offset Table item: the offset of a single frame, empty for several (PS3.5 A.4).

    The table stands before the frames and would need their lengths, but frames are sent as they are encoded.
    """
    return write_item_header(4) + bytes(4) if pixels.frames == 1 else write_item_header(0)


async def stream_fragments(frames: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Stream each frame as one fragment of even length."""
    try:
        async for frame in frames:
            pad = len(frame) % 2
            yield write_item_header(len(frame) + pad)
            yield frame + b"\0" if pad else frame
    finally:
        await frames.aclose()


def stream_native(frames: AsyncGenerator[bytes, None], pixels: PixelLayout) -> AsyncGenerator[bytes, None]:
    """Stream whole native frames as the value of Pixel Data: no padding between frames of single bits."""
    bits = pixels.rows * pixels.columns * pixels.samples
    return map_chunks(frames, BitJoin(bits)) if pixels.bits_allocated == 1 and bits % 8 else frames
