"""Rendered media types, decoded again by others (PS3.18 Table 8.7.4-1, 8.3.5.1.2)."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import av
import imagecodecs
import numpy as np
import pytest
from gateway.errors import BadParameter, CodecError
from gateway.render.output.imageformats import (
    ANIMATED,
    DEEP,
    MEDIA,
    VIDEO,
    encode,
    encode_animation,
)
from gateway.render.output.video import OPEN_H264, VP9, X264, choose_encoder, encode_video
from gateway.render.rendering import Array, Image, Rendering, Window
from PIL import Image as Pillow
from tests.render.picture import source

DECODERS = {
    "image/jpeg": imagecodecs.jpeg8_decode,
    "image/png": imagecodecs.png_decode,
    "image/gif": imagecodecs.gif_decode,
    "image/jp2": imagecodecs.jpeg2k_decode,
    "image/jph": imagecodecs.jpeg2k_decode,
    "image/jxl": imagecodecs.jpegxl_decode,
}
BEGINNINGS = {
    "image/jpeg": b"\xff\xd8\xff",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/gif": b"GIF8",
    "image/jp2": b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ",
    "image/jph": b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjph ",
}
ROWS = {
    "image/jpeg": ("C-RT-1", "C-RND-1", "U-79"),
    "image/gif": ("C-RT-2", "U-79"),
    "image/png": ("C-RT-2", "R-RN-8", "U-79"),
    "image/jp2": ("C-RT-3", "U-79"),
    "image/jph": ("C-RT-3", "C-RND-2", "U-79"),
    "image/jxl": ("C-RT-3", "U-79"),
}
EACH = [pytest.param(media, marks=pytest.mark.row(*ROWS[media])) for media in MEDIA]
LOSSY = [media for media in MEDIA if media not in {"image/png", "image/gif"}]


def scan() -> Image:
    return source("CT_small.dcm").render(Rendering(window=Window(40, 400)))


def colours() -> Image:
    return source("examples_rgb_color.dcm").render()


def difference(one: Array, other: Array) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


@pytest.mark.parametrize("media", EACH)
@pytest.mark.parametrize("make", [scan, colours])
def test_each_media_type_is_what_it_says(media: str, make: object) -> None:
    image = scan() if make is scan else colours()
    data = encode(image, media, 90)
    assert data.startswith(BEGINNINGS.get(media, b""))
    found = np.asarray(DECODERS[media](data))
    if media == "image/gif":
        with Pillow.open(BytesIO(data)) as opened:
            found = np.asarray(opened.convert("RGB" if image.colour else "L"))
    assert found.shape == image.pixels.shape
    assert difference(found, image.pixels) < (
        0.001 if media == "image/png" or not image.colour else 6
    ) + 2 * (media in LOSSY)


@pytest.mark.row("C-RND-1")
@pytest.mark.parametrize("make", [scan, colours])
@pytest.mark.parametrize("quality", [1, 50, 95, 100])
def test_jpeg_is_baseline_of_eight_bits(make: object, quality: int) -> None:
    """8.7.4: SOF0, Huffman; deep greys become eight bits."""
    image = scan() if make is scan else colours()
    for one in (image, Image(image.pixels.astype(np.uint16) * 257)):
        data = encode(one, "image/jpeg", quality)
        marker = next(
            n
            for n in range(len(data))
            if data[n] == 0xFF and 0xC0 <= data[n + 1] <= 0xCF and data[n + 1] != 0xC4
        )
        assert data[marker + 1] == 0xC0
        assert data[marker + 4] == 8


@pytest.mark.row("R-Q-5", "U-60")
@pytest.mark.parametrize("media", LOSSY)
@pytest.mark.parametrize("make", [scan, colours])
def test_more_quality_is_more_bytes_and_less_error(media: str, make: object) -> None:
    """8.3.5.1.2: 1 is the worst, 100 the best; but for JPEG the best loses nothing."""
    image = scan() if make is scan else colours()
    made = [encode(image, media, quality) for quality in (1, 30, 60, 90, 100)]
    apart = [difference(np.asarray(DECODERS[media](data)), image.pixels) for data in made]
    assert [len(data) for data in made] == sorted(len(data) for data in made)
    assert apart == sorted(apart, reverse=True)
    assert apart[-1] == 0 or media == "image/jpeg"


@pytest.mark.row("R-Q-7")
@pytest.mark.parametrize("media", ["image/png", "image/gif"])
def test_what_loses_nothing_does_not_heed_quality(media: str) -> None:
    assert encode(scan(), media, 1) == encode(scan(), media, 100)


@pytest.mark.row("C-RND-4")
@pytest.mark.parametrize("media", sorted(DEEP))
def test_sixteen_bits_go_where_they_fit(media: str) -> None:
    image = source("MR_small.dcm").render(Rendering(bits=16))
    found = np.asarray(DECODERS[media](encode(image, media, 100)))
    assert found.dtype == np.uint16
    assert np.array_equal(found, image.pixels)


@pytest.mark.row("C-RND-2")
def test_jph_holds_a_codestream_of_high_throughput_in_its_box() -> None:
    """ISO 15444-15: brand jph, and the CAP marker with the bit of Part 15."""
    data = encode(colours(), "image/jph", 90)
    assert data[16:28] == b"ftypjph \0\0\0\0"[0:12]
    stream = data[data.index(b"jp2c") + 4 :]
    assert stream.startswith(b"\xff\x4f\xff\x51")
    cap = stream.index(b"\xff\x50")
    assert int.from_bytes(stream[cap + 4 : cap + 8], "big") & 0x00020000
    assert int.from_bytes(data[data.index(b"ihdr") + 4 :][:4], "big") == colours().height


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (7, 5), (33, 1)])
@pytest.mark.parametrize("media", MEDIA)
def test_small_and_narrow_pictures(media: str, size: tuple[int, int]) -> None:
    picture = (np.arange(size[0] * size[1]) % 200).astype("u1").reshape(size)
    assert np.asarray(DECODERS[media](encode(Image(picture), media, 80))).shape[:2] == size
    colour = np.repeat(picture[..., None], 3, axis=2)
    assert np.asarray(DECODERS[media](encode(Image(colour), media, 80))).shape[:2] == size


def moving(count: int, width: int = 60, height: int = 40) -> Iterator[Image]:
    for n in range(count):
        picture = np.zeros((height, width), "u1")
        picture[:, 5 * n : 5 * n + 10] = 200
        yield Image(picture)


@pytest.mark.row("C-RT-4")
@pytest.mark.parametrize(
    ("times", "wanted"), [(40.0, [40] * 5), ([50, 100, 150, 200, 1], [50, 100, 150, 200, 20])]
)
def test_gif_moves_with_the_frame_times(times: float | list[float], wanted: list[int]) -> None:
    """Table 8.7.4-1, multi-frame; whole hundredths of a second, not below two."""
    assert "image/gif" in ANIMATED
    first, *rest = moving(5)
    data = encode(first, "image/gif", 90, rest, times)
    with Pillow.open(BytesIO(data)) as opened:
        assert (getattr(opened, "n_frames", 1), opened.info["loop"]) == (5, 0)
        seen = []
        for n in range(5):
            opened.seek(n)
            seen.append(opened.info["duration"])
            assert np.array_equal(np.asarray(opened.convert("L")), [first, *rest][n].pixels)
    assert seen == wanted


@pytest.mark.row("C-RT-4")
def test_gif_of_colours_has_a_table_for_each_frame(tmp_path: Path) -> None:
    file = tmp_path / "out.gif"
    frames = [Image(np.full((9, 7, 3), colour, "u1")) for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    encode_animation(iter(frames), 100, file)
    with Pillow.open(file) as opened:
        for n, frame in enumerate(frames):
            opened.seek(n)
            assert difference(np.asarray(opened.convert("RGB")), frame.pixels) < 4
    with pytest.raises(CodecError):
        encode_animation([], 100, file)
    with pytest.raises(CodecError):
        encode_animation([frames[0], Image(np.zeros((9, 8), "u1"))], 100, file)


@pytest.mark.row("C-RT-5")
@pytest.mark.parametrize(("encoder", "codec"), [(VP9, "vp9"), (X264, "h264")])
@pytest.mark.parametrize(("width", "height"), [(60, 40), (61, 41), (2, 2)])
def test_mp4_plays_every_frame(tmp_path: Path, width: int, height: int, encoder: str, codec: str) -> None:
    """An MP4 has its index before the data, so that it plays while it loads; odd sides get a line more."""
    assert VIDEO == ("video/mp4",)
    file = tmp_path / "out.mp4"
    encode_video(moving(8, width, height), 12.5, file, 95, encoder=encoder)
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
        assert (stream.codec_context.name, float(stream.average_rate or 0)) == (codec, 12.5)
        assert stream.pix_fmt == "yuv420p"
    assert len(frames) == 8
    assert frames[0].shape == (height + height % 2, width + width % 2)
    for ours, theirs in zip(moving(8, width, height), frames, strict=True):
        assert difference(ours.pixels, theirs[:height, :width]) < 4
    data = file.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_the_default_encoder_is_not_under_the_gpl() -> None:
    """Of the encoders that may be a default none is libx264, which serves only where a setting names it."""
    assert choose_encoder() in (OPEN_H264, VP9)
    assert choose_encoder(X264) == X264
    with pytest.raises(BadParameter, match="libnothing"):
        choose_encoder("libnothing")


@pytest.mark.parametrize("encoder", [VP9, X264])
def test_quality_makes_a_video_larger(tmp_path: Path, encoder: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (6, 64, 64), "u1")
    sizes = []
    for quality in (1, 50, 100):
        encode_video(map(Image, noise), 10, tmp_path / "out.mp4", quality, encoder=encoder)
        sizes.append((tmp_path / "out.mp4").stat().st_size)
    assert sizes == sorted(set(sizes))


def test_mp4_takes_frames_one_by_one(tmp_path: Path) -> None:
    """No more than the encoder looks ahead is asked for before it is needed."""
    alive = 0
    most = 0

    class Counted(Image):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def frames() -> Iterator[Image]:
        nonlocal alive, most
        for n in range(60):
            alive += 1
            most = max(most, alive)
            yield Counted(np.full((32, 32), n, "u1"))

    encode_video(frames(), 25, tmp_path / "out.mp4")
    assert most <= 3


@pytest.mark.parametrize(
    "frames",
    [[], [Image(np.zeros((2, 5000), "u1"))], [Image(np.zeros((8, 8), "u1")), Image(np.zeros((8, 12), "u1"))]],
)
def test_what_is_no_video_is_refused(tmp_path: Path, frames: list[Image]) -> None:
    with pytest.raises(CodecError):
        encode_video(frames, 25, tmp_path / "out.mp4")


def test_what_is_no_media_type_or_too_large_is_refused() -> None:
    with pytest.raises(CodecError):
        encode(scan(), "image/tiff", 90)
    with pytest.raises(CodecError):
        encode(Image(np.zeros((1, 70000), "u1")), "image/jpeg", 90)
    with pytest.raises(CodecError):
        encode(Image(np.zeros((1, 70000), "u1")), "image/gif", 90)
