"""Describe image files that come as bulk data, and decode PNG and GIF (PS3.18 10.5.2, Table 10.5.2-1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from struct import error as StructError
from struct import unpack_from
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image as Pillow

from gateway.dicom import uids
from gateway.dicom.encoding.pixels import ImagePixel
from gateway.errors import CodecError
from gateway.render.codecs import codestreamheaders

# Most bytes of all pictures of a file once decoded: a photograph of 44 million pixels in colour of 8 bits. For a
# moment it is in memory three times.
DECODED_AT_MOST = 128 << 20
# Most samples of a JPEG XL that is decoded to check that it is complete.
PROVED_AT_MOST = 1 << 25
# Most bytes of a codestream or picture that is read as a whole; no decoder here takes more (decode.FRAME_AT_MOST).
CODED_AT_MOST = 256 << 20

# If the metadata describe a video, it is taken even if it cannot be read here.
VIDEOS = {"video/mpeg": uids.MPEG2MPHL, "video/mp4": uids.MPEG4HP41, "video/H265": uids.HEVCMP51}
# An RLE codestream does not hold its own description: the metadata must.
UNDESCRIBED = {"image/dicom-rle": uids.RLE_LOSSLESS}
CODESTREAMS = frozenset(
    {"image/jpeg", "image/jls", "image/jp2", "image/jpx", "image/jph", "image/jphc", "image/jxl"}
)
DECODED = frozenset({"image/png", "image/gif"})
# Exceptions that decoders raise for a broken picture; Pillow's GIF plugin does not guard its own indexing.
_FAILURES = (
    *(OSError, ValueError, RuntimeError, SyntaxError, EOFError, IndexError, StructError, OverflowError),
    Pillow.DecompressionBombError,
)


@dataclass(frozen=True, slots=True)
class DescribedImage:
    """The DICOM description of a picture; `lossy` is the value of (0028,2114) where pixels lost something."""

    transfer_syntax: str
    image: ImagePixel
    lossy: str = ""


def _describe(
    rows: int, columns: int, samples: int, bits: int, photometric: str, *, signed: bool = False
) -> ImagePixel:
    """Describe samples of `bits` bits that begin at bit 0, by pixel, in cells of 8, 16 or 32 bits."""
    return ImagePixel(
        rows=rows,
        columns=columns,
        samples=samples,
        bits_allocated=8 if bits <= 8 else 16 if bits <= 16 else 32,
        bits_stored=bits,
        high_bit=bits - 1,
        pixel_representation=int(signed),
        photometric=photometric,
        planar=0,
    )


def _describe_coded(
    header: codestreamheaders.CodestreamHeader, photometric: str, *, signed: bool = False
) -> ImagePixel:
    """Describe an image by its codestream's header."""
    size = (header.rows, header.columns, header.components, header.precision)
    return _describe(*size, photometric, signed=signed)


def codestream(data: bytes, media: str) -> tuple[bytes, DescribedImage]:
    """Return the codestream without the boxes of a file format (PS3.5 A.4.4), and its description.

    Raises CodecError.
    """
    if media in ("image/jpeg", "image/jls"):
        try:
            return data, _jpeg(data)
        except (IndexError, StructError) as error:
            raise CodecError("the JPEG codestream ends within its header") from error
    if media == "image/jxl":
        return _jpegxl(data)
    if data.startswith(codestreamheaders.JP2):
        data = codestreamheaders.unbox(data)
    return data, _jpeg2000(data)


def _jpeg(data: bytes) -> DescribedImage:
    header = codestreamheaders.jpeg(data)
    _check_samples(header.components)
    frame, selection = _process(data)
    if frame == 0xF7:
        syntax, lossy = (
            (uids.JPEG_LS_LOSSLESS, "") if selection == 0 else (uids.JPEG_LS_NEAR_LOSSLESS, "ISO_14495_1")
        )
    elif frame == 0xC3:
        syntax, lossy = (uids.JPEG_LOSSLESS_SV1 if selection == 1 else uids.JPEG_LOSSLESS), ""
    elif frame in (0xC0, 0xC1):
        syntax, lossy = (
            (uids.JPEG_BASELINE_8_BIT if frame == 0xC0 else uids.JPEG_EXTENDED_12_BIT),
            "ISO_10918_1",
        )
    else:
        raise CodecError(f"JPEG process SOF{frame - 0xC0}: want baseline, extended, lossless or JPEG-LS")
    if header.components == 1:
        photometric = "MONOCHROME2"
    elif header.lossless or header.coded_rgb:
        photometric = "RGB"
    else:
        photometric = "YBR_FULL_422" if _is_subsampled(data) else "YBR_FULL"
    return DescribedImage(syntax, _describe_coded(header, photometric), lossy)


def _check_samples(count: int) -> None:
    """Raise CodecError unless there are 1 or 3 samples (PS3.3 C.7.6.3.1.2).

    Opacity and CMYK have no photometric interpretation.
    """
    if count not in (1, 3):
        raise CodecError(f"a picture of {count} components: want 1 or 3")


def _process(data: bytes) -> tuple[int, int]:
    """Return the code of the frame marker, and Ss of the first scan.

    Ss is the predictor of lossless JPEG and NEAR of JPEG-LS.
    """
    at, frame = 2, 0
    while True:
        marker, begin, end = codestreamheaders._segment(data, at)
        if marker in codestreamheaders._FRAMES:
            frame = marker
        elif marker == 0xDA:
            return frame, data[begin + 1 + 2 * data[begin]]
        at = end


def _is_subsampled(data: bytes) -> bool:
    """Return whether the components of a JPEG differ in their sampling factors."""
    at = 2
    while True:
        marker, begin, end = codestreamheaders._segment(data, at)
        if marker in codestreamheaders._FRAMES:
            return len({data[begin + 7 + 3 * n] for n in range(data[begin + 5])}) > 1
        at = end


def _jpeg2000(data: bytes) -> DescribedImage:
    header = codestreamheaders.jpeg2000(data)
    _check_samples(header.components)
    reversible, transformed, high_throughput = _coding(data)
    if high_throughput:
        syntax = uids.HTJ2K_LOSSLESS if reversible else uids.HTJ2K
        lossy = "" if reversible else "ISO_15444_15"
    else:
        syntax = uids.JPEG_2000_LOSSLESS if reversible else uids.JPEG_2000
        lossy = "" if reversible else "ISO_15444_1"
    photometric = "MONOCHROME2"
    if header.components == 3:
        photometric = ("YBR_RCT" if reversible else "YBR_ICT") if transformed else "RGB"
    return DescribedImage(syntax, _describe_coded(header, photometric, signed=header.signed), lossy)


def _coding(data: bytes) -> tuple[bool, bool, bool]:
    """Return whether JPEG 2000 is reversible, whether its colours are transformed, and whether it is HTJ2K.

    Raises CodecError where the main header has no COD (ISO 15444-1 A.6.1, ISO 15444-15 A.3).
    """
    at, high_throughput = 2, False
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0x90:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + length]
        if data[at + 1] == 0x50:
            high_throughput = bool(int.from_bytes(body[:4], "big") & 1 << 17)
        elif data[at + 1] == 0x52 and len(body) >= 10:
            return body[9] == 1, body[4] == 1, high_throughput
        at += 2 + length
    raise CodecError("the JPEG 2000 codestream has no coding style (COD) in its main header")


def _jpegxl(data: bytes) -> tuple[bytes, DescribedImage]:
    """Return the codestream of JPEG XL and its description. Raises CodecError.

    The header does not say whether the coding was lossy, so loss is assumed; a box marks a recompressed JPEG.
    A large picture is described by its header without decoding, as JPEG and JPEG 2000 are: decoding it would
    take 4 bytes a sample.
    """
    header = codestreamheaders.jpegxl(data)
    again = b"jbrd" in data[:4096] and data.startswith(codestreamheaders.JXL_BOXES)
    samples = header.components
    if header.rows * header.columns * samples <= PROVED_AT_MOST:
        try:
            imagecodecs.jpegxl_decode(data, numthreads=1)
        except (RuntimeError, ValueError) as error:
            raise CodecError(f"the JPEG XL picture cannot be decoded: {error}") from error
    syntax = uids.JPEG_XL_JPEG_RECOMPRESSION if again else uids.JPEG_XL
    photometric = "MONOCHROME2" if samples == 1 else "YBR_FULL_422" if again else "XYB"
    stream = data if again else codestreamheaders.bare_jpegxl(data)
    lossy = "ISO_10918_1" if again else "ISO_18181_1"
    return stream, DescribedImage(syntax, _describe_coded(header, photometric), lossy)


def count_decoded_bytes(data: bytes, media: str) -> int:
    """Return the bytes that a PNG or GIF takes once decoded, read from its header.

    Raises CodecError where there are more than `DECODED_AT_MOST`.
    """
    try:
        size = sum(_gif_sizes(data)) if media == "image/gif" else _png_size(data)
    except (IndexError, StructError) as error:
        raise CodecError(f"the {media} ends within its header") from error
    if size > DECODED_AT_MOST:
        raise CodecError(f"a picture of {size} bytes, decoded, is beyond {DECODED_AT_MOST}")
    return size


def _png_size(data: bytes) -> int:
    """Return the decoded bytes by IHDR, which is always the first chunk (ISO 15948 11.2.2)."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR":
        raise CodecError("no PNG: it does not begin with a signature and IHDR")
    columns, rows, depth, kind = unpack_from(">IIBB", data, 16)
    # A palette has 1 channel for the indices and 3 for their colours.
    channels = {0: 1, 2: 3, 3: 4, 4: 2, 6: 4}.get(kind, 4)
    return int(columns * rows * channels * (2 if depth == 16 else 1))


def _gif_sizes(data: bytes) -> Iterator[int]:
    """Yield the decoded bytes of each picture.

    Each picture covers the whole screen, and Pillow enlarges the screen for a picture that lies beyond it.
    """
    columns, rows = unpack_from("<HH", data, 6)
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    while at < len(data) and data[at] in (0x21, 0x2C):
        if data[at] == 0x21:
            at = _behind_blocks(data, at + 2)
            continue
        left, top, wide, high, flags = unpack_from("<4HB", data, at + 1)
        columns, rows = max(columns, left + wide), max(rows, top + high)
        yield columns * rows * 3
        at = _behind_blocks(data, at + 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0))


def _behind_blocks(data: bytes, at: int) -> int:
    """Return where a row of blocks ends; each block begins with its length, and the last is empty."""
    while at < len(data) and data[at]:
        at += data[at] + 1
    return at + 1


def pixels(data: bytes, media: str) -> tuple[list[bytes], DescribedImage]:
    """Return the native frames of a PNG or GIF, opaque, by pixel (S-63 to S-66), and their description.

    Raises CodecError.
    """
    count_decoded_bytes(data, media)
    try:
        if media == "image/gif":
            return _gif(data)
        picture = _png(data)
    except _FAILURES as error:
        raise CodecError(f"the {media} cannot be decoded: {error}") from error
    samples = 1 if picture.ndim == 2 else picture.shape[2]
    rows, columns, bits = picture.shape[0], picture.shape[1], picture.dtype.itemsize * 8
    image = _describe(rows, columns, samples, bits, "MONOCHROME2" if samples == 1 else "RGB")
    return [picture.astype(picture.dtype.newbyteorder("<"), copy=False).tobytes()], DescribedImage(
        uids.EXPLICIT_VR_LITTLE_ENDIAN, image
    )


def _png(data: bytes) -> Any:
    with Pillow.open(BytesIO(data), formats=["PNG"]) as picture:
        indexed = picture.mode == "P"
        if indexed or picture.mode == "1":
            return np.asarray(picture.convert("RGB" if indexed else "L"))
    array = imagecodecs.png_decode(data)
    if array.ndim == 3 and array.shape[2] in (2, 4):  # the last sample is opacity
        array = array[..., 0] if array.shape[2] == 2 else array[..., :3]
    return array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array


def _gif(data: bytes) -> tuple[list[bytes], DescribedImage]:
    frames = []
    with Pillow.open(BytesIO(data), formats=["GIF"]) as picture:
        for number in range(getattr(picture, "n_frames", 1)):
            picture.seek(number)
            frames.append(picture.convert("RGB").tobytes())
        rows, columns = picture.height, picture.width
    if any(len(frame) != rows * columns * 3 for frame in frames):
        raise CodecError("the pictures of the GIF are of different sizes")
    return frames, DescribedImage(uids.EXPLICIT_VR_LITTLE_ENDIAN, _describe(rows, columns, 3, 8, "RGB"))
