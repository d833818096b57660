"""Decode frames of MPEG-2, H.264 or H.265, and put the stream into a playable file (PS3.5 8.2.5 to 8.2.8).

Needs the `video` extra.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from gateway.dicom import tags
from gateway.errors import CodecError
from gateway.render.attributes import Attributes
from gateway.render.codecs.fromvideofiles import open_video

# Up to this number frames are counted from the first on; for higher ones, decoding begins at the nearest key frame.
COUNTED = 300


class VideoSource(Protocol):
    """The bytes of a video stream, read by position."""

    def read(self, size: int = -1, /) -> bytes: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def tell(self) -> int: ...


def frame(source: VideoSource, number: int) -> tuple[bytes, int, int]:
    """Return frame `number` (from 1) in RGB by pixel, its rows and its columns.

    Raises CodecError; this blocks.
    """
    with _open(source) as (container, stream):
        for found in _from(container, stream, number):
            return _rgb(found)
    raise CodecError(f"the video has no frame {number}")


def frames(source: VideoSource) -> Iterator[tuple[bytes, int, int]]:
    """Yield every frame in RGB by pixel, with its rows and columns. Raises CodecError."""
    with _open(source) as (container, stream):
        for found in container.decode(stream):
            yield _rgb(found)


def describe(attributes: Attributes, rows: int, columns: int) -> Attributes:
    """Return the attributes of a decoded frame."""
    return attributes.with_changes(
        {
            tags.SAMPLES_PER_PIXEL: 3,
            tags.PHOTOMETRIC_INTERPRETATION: "RGB",
            tags.PLANAR_CONFIGURATION: 0,
            tags.ROWS: rows,
            tags.COLUMNS: columns,
            tags.BITS_ALLOCATED: 8,
            tags.BITS_STORED: 8,
            tags.HIGH_BIT: 7,
            tags.PIXEL_REPRESENTATION: 0,
        }
    )


def remux(source: VideoSource, path: Path) -> None:
    """Copy the stream, without decoding, into an MP4 file with its index in front.

    Raises CodecError; this blocks.
    """
    with _open(source) as (container, stream):
        options = {"movflags": "+faststart"}
        try:
            with av.open(str(path), "w", format="mp4", options=options) as out:
                copy = out.add_stream_from_template(stream)
                for packet in container.demux(stream):
                    if packet.dts is not None:
                        packet.stream = copy
                        out.mux(packet)
        except (av.FFmpegError, ValueError) as error:
            raise CodecError(f"the video cannot be put into an MP4 file: {error}") from error


@contextmanager
def _open(source: VideoSource) -> Iterator[tuple[InputContainer, VideoStream]]:
    try:
        with open_video(source) as (container, stream):
            stream.codec_context.thread_count = 1
            yield container, stream
    except (av.FFmpegError, ValueError, EOFError) as error:
        raise CodecError(f"the video cannot be decoded: {error}") from error


def _from(container: InputContainer, stream: VideoStream, number: int) -> Iterator[av.VideoFrame]:
    """Yield the frames from `number` on."""
    rate, base = stream.average_rate, stream.time_base
    if number <= COUNTED or not rate or not base:
        for index, found in enumerate(container.decode(stream), 1):
            if index >= number:
                yield found
        return
    start = stream.start_time or 0
    wanted = start + round((number - 1) / rate / base)
    container.seek(wanted, stream=stream)
    half = 1 / rate / base / 2
    for found in container.decode(stream):
        if found.pts is not None and found.pts >= wanted - half:
            yield found


def _rgb(found: av.VideoFrame) -> tuple[bytes, int, int]:
    pixels = np.ascontiguousarray(found.to_ndarray(format="rgb24"))
    return pixels.tobytes(), int(pixels.shape[0]), int(pixels.shape[1])
