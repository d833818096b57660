"""Encode pictures as the bytes of a rendered media type (PS3.18 Table 8.7.4-1)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import imagecodecs
import numpy as np

from gateway.errors import CodecError
from gateway.render.output.animation import animate, encode_animation, still
from gateway.render.output.jp2file import wrap_codestream
from gateway.render.rendering import Image

JPEG, PNG, GIF = "image/jpeg", "image/png", "image/gif"
JP2, JPH, JXL = "image/jp2", "image/jph", "image/jxl"
# Media types that can hold more than 8 bits a sample.
DEEP = frozenset({PNG, JP2, JPH, JXL})
# Media types that can hold several frames.
ANIMATED = frozenset({GIF})
# JPEG XL can hold profiles, but this encoder does not write them: it declares sRGB itself.
EMBEDS_ICC = frozenset({JPEG, PNG, JP2, JPH})

_FRAME_TIME = 100.0
_FAILURES = (RuntimeError, ValueError, TypeError, OverflowError, MemoryError, OSError)
_MARKER_SPACE = 65519


def encode(
    image: Image,
    media: str,
    quality: int,
    frames: Sequence[Image] | None = None,
    frame_time: float | Sequence[float] = _FRAME_TIME,
) -> bytes:
    """Return the picture in `media`; lossy ones at `quality` 1 to 100 (PS3.18 8.3.5.1.2).

    Lossless types ignore `quality`. `frames` are those that follow `image` where the media type is animated,
    `frame_time` the milliseconds of each frame, or of all. Raises CodecError.
    """
    encoder = _ENCODERS.get(media)
    if encoder is None and media != GIF:
        raise CodecError(f"nothing is encoded to {media} here")
    try:
        if encoder is None:
            return _gif([image, *(frames or ())], frame_time)
        return encoder(image, quality)
    except _FAILURES as error:
        raise CodecError(f"the picture cannot be encoded to {media}: {error}") from error


def _jpeg(image: Image, quality: int) -> bytes:
    """Encode JPEG Baseline, Huffman, 8 bits (PS3.18 8.7.4); chroma is not subsampled from quality 90 on."""
    pixels = np.ascontiguousarray(image.eight_bit())
    if max(image.width, image.height) > 65535:
        raise CodecError("a JPEG has at most 65535 rows and columns")
    space, chroma = ("RGB", "444" if quality >= 90 else "420") if image.colour else ("GRAYSCALE", None)
    made = bytes(imagecodecs.jpeg8_encode(pixels, level=quality, colorspace=space, subsampling=chroma))
    return made[:2] + _app2(image.icc) + made[2:] if image.icc else made


def _app2(icc: bytes) -> bytes:
    """Return the profile in as many APP2 segments as it needs (ICC.1 B.4). Raises CodecError beyond 255."""
    parts = [icc[at : at + _MARKER_SPACE] for at in range(0, len(icc), _MARKER_SPACE)]
    if len(parts) > 255:
        raise CodecError("the ICC profile is too large for a JPEG")
    return b"".join(
        b"\xff\xe2"
        + struct.pack(">H", len(part) + 16)
        + b"ICC_PROFILE\0"
        + bytes((number, len(parts)))
        + part
        for number, part in enumerate(parts, 1)
    )


def _png(image: Image, _quality: int) -> bytes:
    made = bytes(imagecodecs.png_encode(np.ascontiguousarray(image.pixels), level=3))
    if not image.icc:
        return made
    content = b"ICC Profile\0\0" + zlib.compress(image.icc, 6)
    chunk = struct.pack(">I", len(content)) + b"iCCP" + content
    chunk += struct.pack(">I", zlib.crc32(b"iCCP" + content))
    # After IHDR, which is always 25 bytes behind a signature of 8 (ISO 15948 11.3.3.3).
    return made[:33] + chunk + made[33:]


def _gif(images: Sequence[Image], frame_time: float | Sequence[float]) -> bytes:
    if len(images) == 1:
        return still(images[0])
    return b"".join(animate(images, frame_time))


def _bits(image: Image) -> int:
    return 8 * image.pixels.dtype.itemsize


def _jp2(image: Image, quality: int) -> bytes:
    return _box(image, b"jp2 ", _jpeg2000(image, quality))


def _jpeg2000(image: Image, quality: int) -> bytes:
    """Encode JPEG 2000; quality 100 is lossless, lower ones have a signal-to-noise ratio of 25 to 60 dB."""
    pixels = np.ascontiguousarray(image.pixels)
    lossless = quality >= 100
    return bytes(
        imagecodecs.jpeg2k_encode(
            pixels,
            None if lossless else _decibels(quality),
            codecformat="j2k",
            reversible=lossless,
            bitspersample=_bits(image),
            mct=image.colour,
            resolutions=_resolutions(image),
            numthreads=1,
        )
    )


def _decibels(quality: int) -> int:
    return round(25 + 35 * quality / 100)


def _jph(image: Image, quality: int) -> bytes:
    """Encode HTJ2K; quality 100 is lossless.

    For lower ones, the quantiser's step is as wide as the noise at `_decibels`.
    """
    lossless = quality >= 100
    pixels = np.ascontiguousarray(image.pixels)
    step = 3.4 * 10 ** (-_decibels(quality) / 20)
    made = bytes(
        imagecodecs.htj2k_encode(
            pixels,
            None if lossless else step,
            reversible=lossless,
            planar=False if image.colour else None,
            rgb=True if image.colour else None,
            resolutions=_resolutions(image),
        )
    )
    return _box(image, b"jph ", made)


def _resolutions(image: Image) -> int:
    """Return the number of decompositions: five, or fewer where a side would shrink to nothing."""
    return max(0, min(5, min(image.width, image.height).bit_length() - 1))


def _box(image: Image, brand: bytes, codestream: bytes) -> bytes:
    samples = 3 if image.colour else 1
    return wrap_codestream(
        codestream, brand, image.width, image.height, samples, _bits(image), image.icc or b""
    )


def _jxl(image: Image, quality: int) -> bytes:
    """Encode JPEG XL; quality 100 is lossless, lower ones use the distances of libjxl's own quality scale."""
    kept: dict[str, Any] = {"lossless": True} if quality >= 100 else {"distance": _distance(quality)}
    return bytes(
        imagecodecs.jpegxl_encode(
            np.ascontiguousarray(image.pixels), effort=3, bitspersample=_bits(image), numthreads=1, **kept
        )
    )


def _distance(quality: int) -> float:
    if quality >= 30:
        return 0.1 + (100 - quality) * 0.09
    return min(15.0, 53 / 3000 * quality**2 - 23 / 20 * quality + 25)


_ENCODERS: dict[str, Callable[[Image, int], bytes]] = {
    JPEG: _jpeg,
    PNG: _png,
    JP2: _jp2,
    JPH: _jph,
    JXL: _jxl,
}
MEDIA = (JPEG, GIF, PNG, JP2, JPH, JXL)
VIDEO = ("video/mp4",)
__all__ = ["ANIMATED", "DEEP", "EMBEDS_ICC", "MEDIA", "VIDEO", "encode", "encode_animation"]
