"""Encode frames as MP4 video (PS3.18 Table 8.7.4-1, video category), one frame in memory at a time.

Needs the `video` extra. Decision 10 says which encoders may be the default, by their licences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from gateway.errors import BadParameter, CodecError
from gateway.render.rendering import Array, Image
from gateway.render.stages.color import in_colour

# FFmpeg's names of encoders: H.264 under the BSD licence, VP9 under the BSD licence, H.264 under the GPL.
OPEN_H264, VP9, X264 = "libopenh264", "libvpx-vp9", "libx264"
# The first that the installed PyAV has; none of them is under the GPL.
_BY_DEFAULT = (OPEN_H264, VP9)
# The longest side at level 5.2 of H.264.
_SIDE_AT_MOST = 4096
_SLOWEST, _FASTEST = Fraction(1, 10), Fraction(240)


def choose_encoder(name: str = "") -> str:
    """Return the encoder of this name, without one the default. Raises BadParameter where PyAV lacks it."""
    wanted = (name,) if name else _BY_DEFAULT
    found = next((one for one in wanted if _has_encoder(one)), None)
    if found is None:
        raise BadParameter(
            f"video_encoder '{name}': the installed PyAV has no {' and no '.join(wanted)}",
            parameter="video_encoder",
        )
    return found


def _has_encoder(name: str) -> bool:
    try:
        av.Codec(name, "w")
    except ValueError:
        return False
    return True


def encode_video(
    frames: Iterable[Image], fps: float, path: Path, quality: int = 80, *, encoder: str = VP9
) -> None:
    """Write an MP4 that plays while it loads: 4:2:0, its index in front.

    All frames must have the size of the first; an odd side gets one more black line, as 4:2:0 needs.
    `quality` is 1 to 100. This blocks: call it in the codec pool. Raises CodecError; the file is then
    incomplete.
    """
    rest = iter(frames)
    first = next(rest, None)
    if first is None:
        raise CodecError("a video needs a frame")
    if max(first.width, first.height) > _SIDE_AT_MOST:
        raise CodecError(f"{first.width} by {first.height} pixels are beyond the {_SIDE_AT_MOST} of a video")
    try:
        with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            stream = _stream(container, first, fps, quality, encoder)
            for image in chain((first,), rest):
                container.mux(stream.encode(_frame(image, stream)))
            container.mux(stream.encode(None))
    except (av.FFmpegError, ValueError) as error:
        raise CodecError(f"the frames cannot be encoded to video/mp4: {error}") from error


def _stream(
    container: av.container.OutputContainer, first: Image, fps: float, quality: int, encoder: str
) -> VideoStream:
    rate = min(max(Fraction(fps).limit_denominator(1000), _SLOWEST), _FASTEST)
    stream = container.add_stream(encoder, rate=rate)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height = first.width + first.width % 2, first.height + first.height % 2
    stream.pix_fmt = "yuv420p"
    stream.options = dict(_options(encoder, quality))
    if encoder == OPEN_H264:
        # It knows bit rates only: from 0.02 bits a pixel to 0.3, where little loss is seen.
        stream.bit_rate = round(stream.width * stream.height * float(rate) * (0.02 + 0.28 * quality / 100))
    stream.codec_context.thread_count = 1
    return stream


def _options(encoder: str, quality: int) -> Mapping[str, str]:
    """Return how to encode: to a constant quality, from the worst of the scale to where no loss is seen."""
    if encoder == X264:
        return {"crf": str(round(51 - 41 * quality / 100)), "preset": "veryfast", "profile": "high"}
    if encoder == VP9:
        speed = {"deadline": "realtime", "cpu-used": "7", "lag-in-frames": "0"}
        return {"crf": str(round(63 - 55 * quality / 100)), "b": "0", **speed}
    return {"allow_skip_frames": "0"}


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
