"""Text taken out of compressed frames, and nothing else."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import suppress

import imagecodecs
import numpy as np
import pytest
from gateway.dicom.deidentify.codestreams import clean_codestream, cleanable
from gateway.dicom.encoding.frames import frame_spans
from gateway.dicom.encoding.layout import PixelLayout
from gateway.errors import CodecError, GatewayError
from gateway.model import FrameNumber
from gateway.render.codecs.decode import decodable, decode_frame
from PIL import Image
from tests.corpus import Row, rows
from tests.dicom.oracle import read

BASELINE, JPEG_LS, J2K, RLE = (
    *(f"1.2.840.10008.1.2.4.{n}" for n in (50, 80, 90)),
    "1.2.840.10008.1.2.5",
)
SECRET = b"Zyxwvut was here"
PIXELS = np.arange(64 * 64, dtype="u1").reshape(64, 64)


def segment(marker: int, payload: bytes = SECRET) -> bytes:
    return bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2, "big") + payload


def jpeg() -> bytes:
    out = io.BytesIO()
    Image.fromarray(PIXELS).save(out, "JPEG", progressive=True)
    return out.getvalue()


def jls() -> bytes:
    return bytes(imagecodecs.jpegls_encode(PIXELS))


def j2k() -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(PIXELS, level=0, codecformat="j2k"))


SOME = [row for row in rows() if row.transfer_syntax and cleanable(row.transfer_syntax)]


def frames(row: Row) -> Iterator[tuple[PixelLayout, str, bytes]]:
    """The first frames that can be decoded here."""
    data = row.read()
    try:
        layout = read(data).layout
    except GatewayError:
        return
    pixels, syntax = layout.pixels, layout.transfer_syntax
    if pixels is None or not pixels.encapsulated or pixels.problem or not decodable(syntax):
        return
    for number in range(1, min(pixels.frames, 3) + 1):
        stream = b"".join(data[span.start : span.stop] for span in frame_spans(pixels, FrameNumber(number)))
        with suppress(GatewayError):
            decode_frame(stream, pixels, syntax)
            yield pixels, syntax, stream


@pytest.mark.parametrize("row", SOME, ids=lambda row: row.name)
def test_corpus_frames_show_what_they_showed(row: Row) -> None:
    for pixels, syntax, stream in frames(row):
        if stream[4:8] == b"jP  ":  # the boxes of a JP2 file have no place here, and may hold anything
            with pytest.raises(CodecError):
                clean_codestream(stream, syntax)
            continue
        again = decode_frame(clean_codestream(stream, syntax), pixels, syntax)
        assert again.data == decode_frame(stream, pixels, syntax).data


@pytest.mark.parametrize(("syntax", "make"), [(BASELINE, jpeg), (JPEG_LS, jls)])
@pytest.mark.parametrize("marker", [0xFE, 0xE1, 0xEE, 0xE0, 0xED])
def test_jpeg(syntax: str, make: Callable[[], bytes], marker: int) -> None:
    stream = make()
    last = stream.rindex(b"\xff\xda")  # a progressive file has several scans
    with_text = stream[:2] + segment(marker) + stream[2:last] + segment(0xFE) + stream[last:] + SECRET
    out = clean_codestream(with_text, syntax)
    assert SECRET not in out
    assert out == clean_codestream(stream, syntax)
    decode = imagecodecs.jpeg8_decode if syntax == BASELINE else imagecodecs.jpegls_decode
    assert np.array_equal(decode(out), decode(stream))


def test_jpeg_keeps_what_says_what_samples_are() -> None:
    transform = segment(0xEE, b"Adobe\0\x64\0\0\0\0\x00")
    stream = jpeg()
    out = clean_codestream(stream[:2] + transform + stream[2:], BASELINE)
    assert transform in out
    assert b"JFIF" in out


def test_jpeg_2000() -> None:
    stream = j2k()
    begin = 4 + int.from_bytes(stream[4:6], "big")  # after SIZ
    with_text = stream[:begin] + segment(0x64, b"\0\1" + SECRET) + stream[begin:] + SECRET
    out = clean_codestream(with_text, J2K)
    assert SECRET not in out
    assert out == clean_codestream(stream, J2K)
    assert np.array_equal(imagecodecs.jpeg2k_decode(out), PIXELS)


def test_a_comment_within_a_tile_is_refused() -> None:
    stream = j2k()
    tile = stream.index(b"\xff\x90")
    with_text = stream[: tile + 12] + segment(0x64, b"\0\1" + SECRET) + stream[tile + 12 :]
    with pytest.raises(CodecError):
        clean_codestream(with_text, J2K)


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xfe\0\1", b"\xff\x4f\xff\x90", b"x"]
)
@pytest.mark.parametrize("syntax", [BASELINE, J2K])
def test_no_frames(data: bytes, syntax: str) -> None:
    with pytest.raises(CodecError):
        clean_codestream(data, syntax)


def test_rle_has_no_text() -> None:
    assert clean_codestream(b"abc", RLE) == b"abc"
