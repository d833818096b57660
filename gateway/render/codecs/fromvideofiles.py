"""Describe videos that come as bulk data. Needs the `video` extra.

PS3.18 10.5.2; PS3.5 8.2.5 to 8.2.8; PS3.3 C.7.6.3, C.7.6.6.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from gateway.dicom import tags, uids
from gateway.dicom.dataset import DataSet
from gateway.dicom.encoding.pixels import ImagePixel, write_members
from gateway.errors import CodecError

# Profiles that a decoder of High Profile decodes (ISO 14496-10 A.2).
_AVC_PROFILES = frozenset({"Constrained Baseline", "Main", "High"})
# Values of Lossy Image Compression Method (PS3.3 C.7.6.1.1.5.1).
_METHODS = {"mpeg2video": "ISO_13818_2", "h264": "ISO_14496_10", "hevc": "ISO_23008_2"}

# Other formats (playlists, sessions) name further addresses, which FFmpeg would fetch: they are not allowed.
STREAMS_ALONE = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,mpegts,mpeg,mpegvideo,h264,hevc",
    "protocol_whitelist": "",
}
# Most pixels of one picture. DICOM allows up to 8912896 (H.265 level 5.1); a stream may change its size.
MOST_PIXELS = 1 << 24
_BOUNDED = {"max_pixels": str(MOST_PIXELS)}


class VideoFile(Protocol):
    """The bytes of a video stream, read by position."""

    def read(self, size: int = -1, /) -> bytes: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def tell(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Video:
    """The DICOM description of a video; `rate` is in frames a second, None where it is unknown."""

    transfer_syntax: str
    image: ImagePixel
    frames: int
    rate: Fraction | None
    method: str

    def members(self) -> DataSet:
        """Return the Image Pixel Description macro and Number of Frames as DICOM JSON members."""
        return write_members(self.image) | {tags.NUMBER_OF_FRAMES: {"vr": "IS", "Value": [self.frames]}}

    def timing(self) -> DataSet:
        """Return Frame Time, and Frame Increment Pointer that names it; empty for an unknown rate."""
        if self.rate is None:
            return {}
        return {
            tags.FRAME_TIME: {"vr": "DS", "Value": [f"{float(1000 / self.rate):.8g}"]},
            tags.FRAME_INCREMENT_POINTER: {"vr": "AT", "Value": [tags.FRAME_TIME]},
        }


@contextmanager
def open_video(source: VideoFile) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open the first video of a file.

    Pictures beyond `MOST_PIXELS` are not decoded, not even to probe the file. Raises CodecError where there
    is no video, its codec is unknown or its pictures are larger. FFmpeg's own errors are not caught here.
    """
    with av.open(source, "r", container_options=STREAMS_ALONE, options=_BOUNDED) as container:
        if not container.streams.video:
            raise CodecError("the pixel data holds no video")
        stream = container.streams.video[0]
        codec: Any = stream.codec_context  # None for an unknown codec
        if codec is None:
            raise CodecError("the video is of an unknown codec")
        if codec.width * codec.height > MOST_PIXELS:
            raise CodecError(
                f"pictures of {codec.width} by {codec.height} are beyond the {MOST_PIXELS} pixels of a video here"
            )
        codec.options = _BOUNDED
        yield container, stream


def describe(source: VideoFile) -> Video:
    """Return the description of a video without decoding it; this blocks.

    Raises CodecError, also where DICOM has no transfer syntax for the video.
    """
    try:
        with open_video(source) as (container, stream):
            codec: Any = stream.codec_context
            syntax, bits = _syntax(codec)
            rows, columns, rate = codec.height, codec.width, stream.average_rate
            if not rows or not columns:
                raise CodecError("the video does not say its size")
            frames = stream.frames or sum(1 for packet in container.demux(stream) if packet.size)
    except (av.FFmpegError, ValueError, EOFError) as error:
        raise CodecError(f"the video cannot be read: {error}") from error
    return Video(syntax, _describe(rows, columns, bits), frames, rate, _METHODS[codec.name])


def _describe(rows: int, columns: int, bits: int) -> ImagePixel:
    """Describe pictures of 4:2:0, which all video in DICOM has (PS3.5 8.2.5 to 8.2.11)."""
    return ImagePixel(
        rows=rows,
        columns=columns,
        samples=3,
        bits_allocated=8 if bits == 8 else 16,
        bits_stored=bits,
        high_bit=bits - 1,
        pixel_representation=0,
        photometric="YBR_PARTIAL_420",
        planar=0,
    )


def _syntax(codec: Any) -> tuple[str, int]:
    """Return the transfer syntax by profile and level, and Bits Stored.

    Raises CodecError where PS3.5 has none.
    """
    name, profile, level = codec.name, codec.profile or "", _level(codec)
    if codec.pix_fmt not in ("yuv420p", "yuvj420p", "yuv420p10le"):
        raise CodecError(f"the video has samples of {codec.pix_fmt}: want 4:2:0")
    if name == "mpeg2video" and profile in ("Main", "Simple"):
        return (uids.MPEG2MPML if codec.width <= 720 and codec.height <= 576 else uids.MPEG2MPHL), 8
    if name == "h264" and profile in _AVC_PROFILES and level <= 42:
        return (uids.MPEG4HP41 if level <= 41 else uids.MPEG4HP422D), 8
    if name == "hevc" and profile in ("Main", "Main 10") and level <= 153:
        return (uids.HEVCMP51, 8) if profile == "Main" else (uids.HEVCM10P51, 10)
    raise CodecError(f"a video of {name}, profile '{profile}', level {level} has no transfer syntax in PS3.5")


def _level(codec: Any) -> int:
    """Return the level as the stream codes it; 0 where it is unknown.

    The code is 10 times the level of H.264, 30 times the level of H.265: ISO 14496-10 A.3, ISO 23008-2 A.4.
    """
    data = bytes(codec.extradata or b"")
    if codec.name == "h264":
        if data[:1] == b"\x01" and len(data) > 3:  # AVCDecoderConfigurationRecord
            return data[3]
        at = next(
            (i for i in range(len(data) - 7) if data[i : i + 3] == b"\0\0\1" and data[i + 3] & 31 == 7), -1
        )
        return data[at + 6] if at >= 0 else 0
    if codec.name == "hevc" and data[:1] == b"\x01" and len(data) > 12:  # HEVCDecoderConfigurationRecord
        return data[12]
    return 0
