"""Encode frames as H.264 in MP4 (PS3.18 Table 8.7.4-1, video category), one frame in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from gateway.errors import CodecError
from gateway.render.rendering import Array, Image
from gateway.render.stages.color import in_colour

# The longest side at level 5.2 of H.264.
_SIDE_AT_MOST = 4096
_SLOWEST, _FASTEST = Fraction(1, 10), Fraction(240)


def encode_video(frames: Iterable[Image], fps: float, path: Path, quality: int = 80) -> None:
    """Write an MP4 that plays while it loads: High profile, 4:2:0, its index in front.

    All frames must have the size of the first; an odd side gets one more black line, as 4:2:0 needs.
    `quality` is 1 to 100. This blocks: call it in the codec pool. Raises CodecError; the file is then
    incomplete.
    """
    rest = iter(frames)
    first = next(rest, None)
    if first is None:
        raise CodecError("a video needs a frame")
    if max(first.width, first.height) > _SIDE_AT_MOST:
        raise CodecError(f"{first.width} by {first.height} pixels are beyond the {_SIDE_AT_MOST} of H.264")
    try:
        with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            stream = _stream(container, first, fps, quality)
            for image in chain((first,), rest):
                container.mux(stream.encode(_frame(image, stream)))
            container.mux(stream.encode(None))
    except (av.FFmpegError, ValueError) as error:
        raise CodecError(f"the frames cannot be encoded to video/mp4: {error}") from error


def _stream(container: av.container.OutputContainer, first: Image, fps: float, quality: int) -> VideoStream:
    rate = min(max(Fraction(fps).limit_denominator(1000), _SLOWEST), _FASTEST)
    stream = container.add_stream("libx264", rate=rate)
    stream.width, stream.height = first.width + first.width % 2, first.height + first.height % 2
    stream.pix_fmt = "yuv420p"
    # From 51, the worst, to 10, where no loss is visible.
    factor = round(51 - 41 * quality / 100)
    stream.options = {"crf": str(factor), "preset": "veryfast", "profile": "high"}
    stream.codec_context.thread_count = 1
    return stream


def _frame(image: Image, stream: VideoStream) -> av.VideoFrame:
    pixels = image.eight_bit()
    if pixels.shape[:2] != (stream.height, stream.width):
        pixels = _pad(pixels, stream.height, stream.width)
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(in_colour(pixels)), format="rgb24")


def _pad(pixels: Array, height: int, width: int) -> Array:
    rows, columns = height - pixels.shape[0], width - pixels.shape[1]
    if not (0 <= rows <= 1 and 0 <= columns <= 1):
        raise CodecError("the frames of a video have one size")
    return np.pad(pixels, ((0, rows), (0, columns), *((0, 0),) * (pixels.ndim - 2)))
