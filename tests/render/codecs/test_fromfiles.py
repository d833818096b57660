"""Pictures and films as bulk data: what they say of themselves, and that nothing they say breaks more than them."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from fractions import Fraction
from typing import Any

import av
import imagecodecs
import numpy as np
import pytest
from gateway.dicom import uids
from gateway.errors import CodecError
from gateway.render.codecs import fromimagefiles, fromvideofiles
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

P = "1.2.840.10008.1.2.4."
y, x = np.mgrid[0:24, 0:40]
GREY = ((x * 3 + y * 5) % 251).astype("u1")
DEEP = (x * 300 + y * 77).astype("u2")
COLOUR = np.stack([GREY, 250 - GREY, GREY // 2], axis=-1)


def film(
    codec: str, fmt: str = "yuv420p", container: str = "mp4", size: tuple[int, int] = (128, 96)
) -> bytes:
    out = io.BytesIO()
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    with av.open(out, "w", format=container) as made:
        stream: Any = made.add_stream(codec, rate=25, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = fmt
        for n in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), n * 20, "u1"), format="rgb24")
            made.mux(stream.encode(frame))
        made.mux(stream.encode())
    return out.getvalue()


@pytest.mark.row("S-51", "S-53", "S-60")
@pytest.mark.parametrize(
    ("codec", "fmt", "container", "size", "syntax", "bits", "method"),
    [
        ("libx264", "yuv420p", "mp4", (128, 96), "102", 8, "ISO_14496_10"),
        ("libx264", "yuv420p", "mpegts", (128, 96), "102", 8, "ISO_14496_10"),
        ("libx265", "yuv420p", "mp4", (128, 96), "107", 8, "ISO_23008_2"),
        ("libx265", "yuv420p10le", "mp4", (128, 96), "108", 10, "ISO_23008_2"),
        ("mpeg2video", "yuv420p", "mpegts", (128, 96), "100", 8, "ISO_13818_2"),
        ("mpeg2video", "yuv420p", "mpegts", (1280, 720), "101", 8, "ISO_13818_2"),
    ],
)
def test_a_film_describes_itself(
    codec: str, fmt: str, container: str, size: tuple[int, int], syntax: str, bits: int, method: str
) -> None:
    found = fromvideofiles.describe(io.BytesIO(film(codec, fmt, container, size)))
    assert (found.transfer_syntax, found.image.bits_stored, found.method) == (P + syntax, bits, method)
    assert (found.image.columns, found.image.rows, found.frames, found.rate) == (*size, 5, Fraction(25))
    assert found.timing()["00181063"]["Value"] == ["40"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no film",
        film("libx264", "yuv444p"),
        film("mpeg4"),
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/hostname\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    ],
    ids=["empty", "text", "4:4:4", "mpeg-4 visual", "hls", "concat", "sdp"],
)
def test_what_is_no_film_of_dicom_is_refused_and_nothing_is_fetched(data: bytes) -> None:
    with pytest.raises(CodecError):
        fromvideofiles.describe(io.BytesIO(data))


# -- pictures


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(depth: int, colour: int, rows: list[bytes], *more: bytes, width: int = 8) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + body + chunk(b"IEND", b"")


@pytest.mark.row("S-53", "S-64", "S-65")
@pytest.mark.parametrize(
    ("data", "photometric", "bits", "native"),
    [
        (png(1, 0, [b"\xaa"]), "MONOCHROME2", 8, bytes([255, 0] * 4)),
        (png(2, 0, [b"\x1b\x1b"]), "MONOCHROME2", 8, bytes([0, 85, 170, 255] * 2)),
        (png(4, 0, [b"\x01\x23\x45\x6f"]), "MONOCHROME2", 8, bytes([0, 17, 34, 51, 68, 85, 102, 255])),
        (png(8, 4, [b"\x10\x00\x20\xff" * 4]), "MONOCHROME2", 8, bytes([16, 32] * 4)),
        (png(16, 4, [b"\x12\x34\0\0" * 8]), "MONOCHROME2", 16, b"\x34\x12" * 8),
        (png(8, 0, [bytes(range(8))], chunk(b"tRNS", b"\0\3")), "MONOCHROME2", 8, bytes(range(8))),
        (png(8, 6, [b"\1\2\3\0" * 8]), "RGB", 8, b"\1\2\3" * 8),
        (png(16, 2, [b"\1\2\3\4\5\6" * 8]), "RGB", 16, b"\2\1\4\3\6\5" * 8),
        (
            png(2, 3, [b"\x1b\x1b"], chunk(b"PLTE", b"\0\0\0\1\1\1\2\2\2\3\4\5"), chunk(b"tRNS", b"\0")),
            *("RGB", 8, bytes([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 4, 5] * 2)),
        ),
    ],
)
def test_every_kind_of_png(data: bytes, photometric: str, bits: int, native: bytes) -> None:
    (frame,), found = fromimagefiles.pixels(data, "image/png")
    assert (found.image.photometric, found.image.bits_stored, found.transfer_syntax) == (
        photometric,
        bits,
        uids.EXPLICIT_VR_LITTLE_ENDIAN,
    )
    assert frame == native


@pytest.mark.row("S-63", "S-64")
def test_frames_of_a_gif_are_whole_pictures() -> None:
    base = Image.new("RGB", (20, 10), (200, 0, 0))
    other = base.copy()
    other.paste((0, 0, 200), (0, 0, 5, 5))
    out = io.BytesIO()
    base.save(out, "GIF", save_all=True, append_images=[other], disposal=1)
    frames, found = fromimagefiles.pixels(out.getvalue(), "image/gif")
    assert (len(frames), found.image.photometric) == (2, "RGB")
    assert frames[1][:3] == bytes([0, 0, 200])
    assert frames[1][-3:] == bytes([200, 0, 0])


def _cmyk() -> bytes:
    out = io.BytesIO()
    Image.new("CMYK", (16, 16)).save(out, "JPEG")
    return out.getvalue()


def _progressive() -> bytes:
    out = io.BytesIO()
    Image.fromarray(COLOUR).save(out, "JPEG", progressive=True)
    return out.getvalue()


@pytest.mark.parametrize(
    ("media", "data", "says"),
    [
        ("image/jpeg", _cmyk(), "4 components"),
        ("image/jpeg", _progressive(), "SOF2"),
        ("image/jp2", imagecodecs.jpeg2k_encode(np.dstack([COLOUR, GREY]), reversible=True), "4 components"),
        ("image/jp2", b"\xff\xd8", "no JPEG 2000"),
        ("image/jxl", b"\xff\x0a", "ends within its header"),
        ("image/jxl", bytes(imagecodecs.jpegxl_encode(GREY, lossless=True))[:12], "cannot be decoded"),
    ],
)
def test_pictures_that_dicom_has_no_place_for(media: str, data: bytes, says: str) -> None:
    with pytest.raises(CodecError, match=says):
        fromimagefiles.codestream(bytes(data), media)


def test_a_picture_that_would_be_huge_is_refused_before_it_is_decoded() -> None:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    with pytest.raises(CodecError):
        fromimagefiles.pixels(bomb, "image/png")


SAMPLES: list[tuple[str, bytes]] = [
    ("image/jpeg", bytes(imagecodecs.jpeg8_encode(COLOUR, 90))),
    ("image/jpeg", bytes(imagecodecs.ljpeg_encode(DEEP))),
    ("image/jls", bytes(imagecodecs.jpegls_encode(DEEP))),
    ("image/jp2", bytes(imagecodecs.jpeg2k_encode(DEEP, reversible=True, codecformat="jp2"))),
    ("image/jphc", bytes(imagecodecs.htj2k_encode(DEEP, reversible=True))),
    ("image/jxl", bytes(imagecodecs.jpegxl_encode(GREY, lossless=True))),
    ("image/png", bytes(imagecodecs.png_encode(DEEP))),
    ("image/gif", bytes(imagecodecs.gif_encode(GREY))),
    ("video/mp4", film("libx264")),
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    sample=st.sampled_from(SAMPLES),
    cut=st.integers(0, 4000),
    changes=st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=6),
)
def test_damaged_files_fail_as_such(
    sample: tuple[str, bytes], cut: int, changes: list[tuple[int, int]]
) -> None:
    media, whole = sample
    data = bytearray(whole[: cut or None])
    for at, value in changes:
        if at < len(data):
            data[at] = value
    with suppress(CodecError):
        if media.startswith("video/"):
            fromvideofiles.describe(io.BytesIO(bytes(data)))
        elif media in fromimagefiles.DECODED:
            fromimagefiles.pixels(bytes(data), media)
        else:
            fromimagefiles.codestream(bytes(data), media)
