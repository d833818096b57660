"""Decode one frame of encapsulated Pixel Data to native bytes, for all supported codecs (PS3.5 8.2, A.4)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import imagecodecs

from gateway.dicom import uids
from gateway.dicom.encoding.layout import PixelLayout
from gateway.dicom.encoding.pixels import HALVED, AnyImagePixel, ImagePixel, describe_by_pixel, find_changes
from gateway.errors import CodecError
from gateway.render.codecs import codestreamheaders, jpeg, rle
from gateway.render.codecs.codestreamheaders import CodestreamHeader
from gateway.render.codecs.nativebytes import Array, native_bytes
from gateway.render.codecs.pixelcells import read_cells

JPEG = jpeg.TO_RGB | {uids.JPEG_LOSSLESS, uids.JPEG_LOSSLESS_SV1}
JPEG_LS = frozenset({uids.JPEG_LS_LOSSLESS, uids.JPEG_LS_NEAR_LOSSLESS})
JPEG_2000 = frozenset(
    {uids.JPEG_2000_LOSSLESS, uids.JPEG_2000, uids.JPEG_2000_MC_LOSSLESS, uids.JPEG_2000_MC}
)
HTJ2K = frozenset({uids.HTJ2K_LOSSLESS, uids.HTJ2K_LOSSLESS_RPCL, uids.HTJ2K})
JPEG_XL = frozenset({uids.JPEG_XL_LOSSLESS, uids.JPEG_XL_JPEG_RECOMPRESSION, uids.JPEG_XL})
DECODABLE = (
    JPEG | JPEG_LS | JPEG_2000 | HTJ2K | JPEG_XL | {uids.RLE_LOSSLESS, uids.DEFLATED_IMAGE_FRAME_COMPRESSION}
)

# A frame whose header claims more bytes is refused before memory is allocated; 16384 x 16384 in 8 bits just fits.
FRAME_AT_MOST = 256 << 20

# Bytes of memory that decoding one frame may take: the frame twice, and with JPEG 2000, HTJ2K and JPEG XL also 4 bytes
# a sample, whatever its depth.
WORKING_AT_MOST = 768 << 20
_IN_WORDS = JPEG_2000 | HTJ2K | JPEG_XL

# OpenJPEG refuses HTJ2K of more bits a sample; OpenJPH decodes it.
OPENJPEG_HT_BITS = 16

_SUBSAMPLED = HALVED | {"YBR_PARTIAL_420"}
_FAILURES = (RuntimeError, ValueError, TypeError, OverflowError, MemoryError)


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """The native little endian bytes of one frame, and the description that holds for them."""

    data: bytes
    image: ImagePixel


def decodable(transfer_syntax: str) -> bool:
    """Return whether frames in this transfer syntax can be sent in Explicit VR Little Endian."""
    return transfer_syntax in DECODABLE


def native_frame_length(pixels: PixelLayout) -> int:
    """Return the length of one frame in bytes once it is native, single bits packed (PS3.5 8.1.1).

    A decoded frame has all three samples of each pixel, even if chrominance was halved in the codestream.
    """
    return pixels.count_bytes(full=pixels.encapsulated)


def native_length(pixels: PixelLayout) -> int:
    """Return the length of all frames in bytes once they are decoded, without padding between them."""
    if pixels.bits_allocated == 1:
        return (pixels.rows * pixels.columns * pixels.samples * pixels.frames + 7) // 8
    return native_frame_length(pixels) * pixels.frames


def describe_after(pixels: ImagePixel, transfer_syntax: str) -> dict[str, str | int]:
    """Return the attributes of the header that change when every frame is decoded: tag to new value.

    They are known without decoding, so that the header can be written first.
    """
    return find_changes(pixels, describe_decoded(pixels, transfer_syntax))


def decode_frame(codestream: bytes, pixels: ImagePixel, transfer_syntax: str) -> DecodedFrame:
    """Return the bytes that Explicit VR Little Endian would hold. Raises only CodecError."""
    _check_described(pixels, transfer_syntax)
    try:
        if transfer_syntax == uids.RLE_LOSSLESS:
            data = _rle(codestream, pixels)
        elif transfer_syntax == uids.DEFLATED_IMAGE_FRAME_COMPRESSION:
            data = _double(_inflate(codestream, pixels), pixels)
        else:
            data = _decode(codestream, pixels, transfer_syntax)
    except _FAILURES as error:
        reason = f"{type(error).__name__}: {error}"
        raise CodecError(f"the codestream in {transfer_syntax} cannot be decoded: {reason}") from error
    return DecodedFrame(data, describe_decoded(pixels, transfer_syntax))


def describe_decoded(pixels: AnyImagePixel, transfer_syntax: str) -> AnyImagePixel:
    """Return the description of a frame once it is decoded.

    RLE and Deflated Image Frame keep the description, except that halved chrominance is doubled. The other
    codecs give samples colour-by-pixel: JPEG of the DCT processes and JPEG XL give RGB, JPEG 2000 has its
    colour transform undone, and an image that stays YBR is no longer subsampled.
    """
    if pixels.samples != 3:
        return pixels
    if transfer_syntax == uids.RLE_LOSSLESS:
        return replace(pixels, photometric="YBR_FULL") if pixels.is_halved else pixels
    if transfer_syntax == uids.DEFLATED_IMAGE_FRAME_COMPRESSION:
        return describe_by_pixel(pixels) if pixels.is_halved else pixels
    return replace(pixels, photometric=_name_decoded(pixels.photometric, transfer_syntax), planar=0)


def _name_decoded(photometric: str, transfer_syntax: str) -> str:
    """Return the Photometric Interpretation of three samples after a codec that handles colour itself."""
    if transfer_syntax in jpeg.TO_RGB | JPEG_XL or photometric in {"YBR_RCT", "YBR_ICT"}:
        return "RGB"
    return "YBR_FULL" if photometric in _SUBSAMPLED else photometric


def _check_described(pixels: ImagePixel, transfer_syntax: str) -> None:
    """Raise CodecError for a description that no frame can have, or that is too large."""
    if not decodable(transfer_syntax):
        raise CodecError(f"frames in transfer syntax {transfer_syntax} cannot be decoded here")
    if not (pixels.rows and pixels.columns and pixels.samples):
        raise CodecError(
            f"no frame has {pixels.rows} rows, {pixels.columns} columns and {pixels.samples} samples a pixel"
        )
    if pixels.bits_allocated not in {1, 8, 16, 32, 64}:
        raise CodecError(f"Bits Allocated is {pixels.bits_allocated}, wanted 1, 8, 16, 32 or 64")
    length = pixels.count_bytes(full=True)
    if length > FRAME_AT_MOST:
        raise CodecError(f"a frame of {length} bytes is beyond the limit of {FRAME_AT_MOST}")
    words = 4 * pixels.rows * pixels.columns * pixels.samples if transfer_syntax in _IN_WORDS else 0
    if 2 * length + words > WORKING_AT_MOST:
        raise CodecError(f"to decode the frame takes {2 * length + words} bytes, beyond {WORKING_AT_MOST}")


def _rle(codestream: bytes, pixels: ImagePixel) -> bytes:
    """Decode RLE (PS3.5 8.2.2, A.4.2).

    Its segments are always planes; Planar Configuration says in which order the samples are returned.
    """
    width = max(pixels.bits_allocated // 8, 1)
    plane = (pixels.rows * pixels.columns * pixels.bits_allocated + 7) // 8
    data = rle.decode(codestream, pixels.samples, width, plane)
    return data if pixels.samples == 1 or pixels.planar == 1 else rle.by_pixel(data, pixels.samples, width)


def _inflate(codestream: bytes, pixels: ImagePixel) -> bytes:
    """Inflate a native frame of Deflated Image Frame Compression (RFC 1951, PS3.5 A.4.13)."""
    wanted = pixels.count_bytes()
    stream = zlib.decompressobj(-15)
    try:
        data = stream.decompress(codestream, wanted + 2)
    except zlib.error as error:
        raise CodecError(f"the deflated frame cannot be inflated: {error}") from error
    # A frame of odd length may be padded before it is deflated.
    if len(data) not in {wanted, wanted + wanted % 2} or not stream.eof:
        raise CodecError(f"the deflated frame holds {len(data)} bytes or more, wanted {wanted}")
    return data[:wanted]


def _double(data: bytes, pixels: ImagePixel) -> bytes:
    """Return the frame with a CB and CR for each pixel where two pixels share them."""
    return read_cells(data, pixels).tobytes() if pixels.is_halved else data


def _decode(codestream: bytes, pixels: ImagePixel, transfer_syntax: str) -> bytes:
    """Decode a codestream whose header agrees with the description.

    Raises CodecError and the codecs' own exceptions.
    """
    if transfer_syntax in JPEG:
        header = _check_header(codestreamheaders.jpeg(codestream), pixels)
        array = jpeg.decode(codestream, header, pixels, transfer_syntax)
    elif transfer_syntax in JPEG_LS:
        header = _check_header(codestreamheaders.jpeg(codestream), pixels)
        array = imagecodecs.jpegls_decode(jpeg.trim_after_end(codestream))
    elif transfer_syntax in JPEG_XL:
        header = _check_header(codestreamheaders.jpegxl(codestream), pixels)
        array = imagecodecs.jpegxl_decode(codestream, numthreads=1)
    else:
        codestream = codestreamheaders.unbox(codestream)
        header = _check_header(codestreamheaders.jpeg2000(codestream), pixels)
        if transfer_syntax in HTJ2K and header.precision > OPENJPEG_HT_BITS:
            array = imagecodecs.htj2k_decode(codestream)
        else:
            array = imagecodecs.jpeg2k_decode(codestream, numthreads=1)
    return native_bytes(_shape(array, pixels), pixels, header)


def _check_header(header: CodestreamHeader, pixels: ImagePixel) -> CodestreamHeader:
    """Return the header if it agrees with the data set: two different sizes would give torn images.

    Raises CodecError where it does not agree.
    """
    seen, wanted = (header.rows, header.columns), (pixels.rows, pixels.columns)
    if seen != wanted:
        raise CodecError(
            f"the codestream is {seen[0]} rows by {seen[1]} columns, wanted {wanted[0]} by {wanted[1]}"
        )
    if header.components not in {0, pixels.samples}:
        raise CodecError(
            f"the codestream has {header.components} components, Samples per Pixel is {pixels.samples}"
        )
    if header.precision > max(pixels.bits_allocated, 8 if pixels.bits_allocated == 1 else 0):
        raise CodecError(
            f"the codestream has {header.precision} bits a sample, Bits Allocated is {pixels.bits_allocated}"
        )
    return header


def _shape(array: Array, pixels: ImagePixel) -> Array:
    """Return the array as rows x columns x samples; some codecs give the samples first. Raises CodecError."""
    wanted = (pixels.rows, pixels.columns, pixels.samples)
    if array.ndim == 2:
        array = array[..., None]
    if array.shape == wanted:
        return array
    if array.shape == (wanted[2], *wanted[:2]):
        return array.transpose(1, 2, 0)
    raise CodecError(f"the codestream decodes to {array.shape}, wanted {wanted}")
