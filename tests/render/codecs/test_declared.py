"""Files of a few bytes that declare huge pictures: refused by what they declare, before anything is decoded."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import imagecodecs
import pytest
from gateway.errors import CodecError
from gateway.render.codecs import fromimagefiles, fromvideofiles
from gateway.render.codecs.decode import decode_frame
from gateway.render.output import videostream
from PIL import Image as Pillow
from tests.build import pixel_layout
from tests.render.codecs.test_fromfiles import COLOUR, GREY, film

ROOT = Path(__file__).resolve().parents[3]
P = "1.2.840.10008.1.2.4."


def png(columns: int, rows: int, depth: int, kind: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", columns, rows, depth, kind, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(3)) if kind == 3 else b""
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + palette + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def gif(screen: tuple[int, int], frame: tuple[int, int, int, int], count: int = 1) -> bytes:
    one = b"\x2c" + struct.pack("<4HB", *frame, 0) + b"\x02\x02\x4c\x01\x00"
    comment = b"\x21\xfe\x05hello\x00"
    return b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + bytes(6) + comment + one * count + b";"


def sized(stream: bytes, at: int, shape: str, *sides: int) -> bytes:
    """The stream with other sides in its header."""
    made = bytearray(stream)
    struct.pack_into(shape, made, at, *sides)
    return bytes(made)


def jpeg() -> bytes:
    stream = bytes(imagecodecs.jpeg8_encode(COLOUR, 90))
    return sized(stream, stream.index(b"\xff\xc0") + 5, ">HH", 65000, 65000)


def jpegls() -> bytes:
    stream = bytes(imagecodecs.jpegls_encode(GREY))
    return sized(stream, stream.index(b"\xff\xf7") + 5, ">HH", 65000, 65000)


def jpeg2000() -> bytes:
    stream = bytes(imagecodecs.jpeg2k_encode(COLOUR, codecformat="j2k", reversible=True))
    return sized(stream, 8, ">8I", 60000, 60000, 0, 0, 60000, 60000, 0, 0)


HOSTILE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "PNG of 16 bits with opacity": ("image/png", lambda: png(8192, 8192, 16, 6)),
    "PNG of a palette": ("image/png", lambda: png(30_000, 30_000, 1, 3)),
    "PNG of single bits": ("image/png", lambda: png(30_000, 30_000, 1, 0)),
    "PNG beyond all": ("image/png", lambda: png(0x7FFFFFFF, 0x7FFFFFFF, 16, 6)),
    "GIF's screen": ("image/gif", lambda: gif((65535, 65535), (0, 0, 1, 1))),
    "GIF's frame beyond its screen": ("image/gif", lambda: gif((1, 1), (0, 0, 13_000, 13_000))),
    "GIF's frame in a corner": ("image/gif", lambda: gif((1, 1), (13_000, 13_000, 1, 1))),
    "GIF of many frames": ("image/gif", lambda: gif((1000, 1000), (0, 0, 1, 1), 100)),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_pictures_are_refused_by_what_they_declare(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(*_: Any, **__: Any) -> None:
        pytest.fail("it was decoded")

    monkeypatch.setattr(imagecodecs, "png_decode", decoded)
    monkeypatch.setattr(Pillow, "open", decoded)
    media, made = HOSTILE[kind]
    with pytest.raises(CodecError, match="decoded, is beyond 134217728"):
        fromimagefiles.pixels(made(), media)


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"GIF89a" + bytes(7) + b"\x2c"])
@pytest.mark.parametrize("media", ["image/png", "image/gif"])
def test_headers_that_end_early_are_refused(media: str, data: bytes) -> None:
    with pytest.raises(CodecError):
        fromimagefiles.count_decoded_bytes(data, media)


def test_what_is_declared_is_what_is_decoded() -> None:
    for data, media in [
        (bytes(imagecodecs.png_encode(COLOUR)), "image/png"),
        (bytes(imagecodecs.png_encode(GREY.astype("u2"))), "image/png"),
        (gif((40, 24), (3, 2, 1, 1), 3), "image/gif"),
    ]:
        frames, _ = fromimagefiles.pixels(data, media)
        assert sum(map(len, frames)) == fromimagefiles.count_decoded_bytes(data, media)


@pytest.mark.parametrize(
    ("syntax", "made", "changes"),
    [
        ("50", jpeg, {"samples": 3, "photometric": "YBR_FULL_422"}),
        ("80", jpegls, {}),
        ("90", jpeg2000, {"samples": 3, "photometric": "YBR_RCT"}),
    ],
)
def test_frames_are_refused_by_what_they_declare(
    syntax: str, made: Callable[[], bytes], changes: dict[str, Any]
) -> None:
    side = 60_000 if syntax == "90" else 65_000
    shape = pixel_layout(rows=side, columns=side, bits_allocated=8, bits_stored=8, high_bit=7, **changes)
    with pytest.raises(CodecError, match="beyond the limit"):
        decode_frame(made(), shape, P + syntax)


@pytest.mark.parametrize("syntax", ["90", "201", "110"])
def test_frames_are_refused_by_what_decoding_takes(syntax: str) -> None:
    """16384 x 16384 in 8 bits just fits, but not four bytes for each of its samples."""
    shape = pixel_layout(rows=16384, columns=16384, bits_allocated=8, bits_stored=8, high_bit=7)
    with pytest.raises(CodecError, match="to decode the frame takes"):
        decode_frame(b"", shape, P + syntax)


def test_grey_and_colour_of_jpeg_xl_are_told_by_the_header() -> None:
    for array, samples in ((GREY, 1), (COLOUR, 3), (GREY.astype("u2") * 200, 1)):
        for kept in ({"lossless": True}, {"distance": 1.0}):
            stream = bytes(imagecodecs.jpegxl_encode(array, **kept))
            assert fromimagefiles.codestream(stream, "image/jxl")[1].image.samples == samples


def test_a_large_jpeg_xl_is_not_decoded_to_be_described(monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(*_: Any, **__: Any) -> None:
        pytest.fail("it was decoded")

    stream = bytes(imagecodecs.jpegxl_encode(GREY, lossless=True))
    monkeypatch.setattr(imagecodecs, "jpegxl_decode", decoded)
    monkeypatch.setattr(fromimagefiles, "PROVED_AT_MOST", GREY.size - 1)
    assert fromimagefiles.codestream(stream, "image/jxl")[1].image.rows == 24


# -- videos


def test_a_video_of_an_unknown_codec_is_a_codec_error() -> None:
    data = film("libx264").replace(b"avc1", b"zzzz")
    for work in (videostream.frame, lambda source, _: fromvideofiles.describe(source)):
        with pytest.raises(CodecError, match="unknown codec"):
            work(io.BytesIO(data), 1)


FILM = """
import io, resource, sys
from gateway.errors import CodecError
from gateway.render.output import videostream
data = open(sys.argv[1], "rb").read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    videostream.frame(io.BytesIO(data), 1)
except CodecError as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, error.detail)
"""


def test_pictures_of_a_video_are_bounded_before_one_is_decoded(tmp_path: Path) -> None:
    side = 8192
    path = tmp_path / "film"
    with av.open(str(path), "w", format="mp4") as made:
        stream: Any = made.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        frame = av.VideoFrame(side, side, "yuv420p")
        frame.pts = 0
        made.mux(stream.encode(frame))
        made.mux(stream.encode())
    done = subprocess.run([sys.executable, "-c", FILM, str(path)], cwd=ROOT, capture_output=True, text=True)
    grown, _, said = done.stdout.partition(" ")
    assert "pictures of 8192 by 8192 are beyond" in said, done.stderr
    assert int(grown) < 90_000  # a picture of it is 100 MB, and 200 more in RGB
