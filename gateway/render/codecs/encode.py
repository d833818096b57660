"""Encode one native frame (PS3.5 8.2, A.4): RLE, JPEG, JPEG-LS, JPEG 2000, HTJ2K, JPEG XL, deflate.

A codestream holds the cells of Bits Allocated unchanged, in as many bits as they need: the bits up to the
High Bit, or all bits where an overlay lies above it. So decoding a lossless codestream gives the same cells,
bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable

import imagecodecs
import numpy as np
from isal import isal_zlib

from gateway.dicom import uids
from gateway.dicom.encoding.layout import PixelLayout
from gateway.dicom.encoding.pixels import describe_by_pixel
from gateway.errors import CodecError
from gateway.render.codecs import codestreamheaders, jpeg2000, rle, transcodetargets
from gateway.render.codecs.decode import decode_frame
from gateway.render.codecs.encodejob import EncodeJob
from gateway.render.codecs.pixelcells import count_needed_bits, hash_pixels, read_cells, read_signed_cells
from gateway.render.codecs.ybr import ybr_to_rgb

# The version of the codecs, and of the parameters that they are called with.
VERSION = f"{imagecodecs.__version__}-1"
# The default loss of each lossy transfer syntax: hardly visible in any of them.
JPEG_QUALITY = 90
NEAR = 2
JXL_DISTANCE = 0.4
# A greater effort of JPEG XL takes seconds and gains only a few per cent.
JXL_EFFORT = 3

_FAILURES = (RuntimeError, ValueError, TypeError, OverflowError, MemoryError, NotImplementedError)


def encode_frame(data: bytes, pixels: PixelLayout, target: str) -> bytes:
    """Return the codestream of a native frame that `pixels` describes. Raises CodecError, never anything else."""
    if reason := transcodetargets.unreachable(pixels, uids.EXPLICIT_VR_LITTLE_ENDIAN, target):
        raise CodecError(f"the frame cannot be encoded to {target}: {reason}")
    try:
        return (
            _even_deflated(data)
            if target == uids.DEFLATED_IMAGE_FRAME_COMPRESSION
            else _encode(data, pixels, target)
        )
    except _FAILURES as error:
        raise CodecError(
            f"the frame cannot be encoded to {target}: {type(error).__name__}: {error}"
        ) from error


def recompress(codestream: bytes) -> bytes:
    """Return JPEG Baseline recompressed as JPEG XL (PS3.5 A.4.12). Raises CodecError.

    `reconstruct` turns it back into the same bytes.
    """
    try:
        made = bytes(imagecodecs.jpegxl_encode_jpeg(codestream, numthreads=1))
    except _FAILURES as error:
        raise CodecError(f"the JPEG codestream cannot be recompressed: {error}") from error
    return made


def reconstruct(codestream: bytes) -> bytes:
    """Return the JPEG that was recompressed as JPEG XL, byte for byte.

    Raises CodecError if there was none.
    """
    try:
        return bytes(imagecodecs.jpegxl_decode_jpeg(codestream, numthreads=1))
    except _FAILURES as error:
        raise CodecError(f"no JPEG can be reconstructed from the JPEG XL codestream: {error}") from error


def proves(codestream: bytes, frame: bytes, pixels: PixelLayout, target: str) -> bool:
    """Return whether a lossless codestream decodes to the native `frame`; never raises."""
    after = transcodetargets.describe(pixels, uids.EXPLICIT_VR_LITTLE_ENDIAN, target)
    try:
        back = decode_frame(codestream, after, target)
        return hash_pixels(back.data, back.image) == hash_pixels(frame, pixels)
    except CodecError:
        return False


def _encode(data: bytes, pixels: PixelLayout, target: str) -> bytes:
    if target == uids.RLE_LOSSLESS:
        return _rle(data, pixels)
    array = np.ascontiguousarray(read_signed_cells(data, pixels))
    bits = count_needed_bits(array, pixels)
    if bits > transcodetargets.most_bits(target):
        raise CodecError(f"{bits} bits a sample are more than {transcodetargets.most_bits(target)}")
    if transcodetargets.is_lossy(target) and bits > pixels.bits_stored:
        raise CodecError("there is more in the cells than the samples, and it would be lost")
    if bits <= 8 < 8 * array.dtype.itemsize:
        array = array.astype(f"{array.dtype.kind}1")
    return _ENCODERS[target](EncodeJob(array, describe_by_pixel(pixels), bits, target))


# -- RLE, deflate ------------------------------------------------------------------------------------------


def _rle(data: bytes, pixels: PixelLayout) -> bytes:
    if pixels.bits_allocated == 1:
        # Packed rows where they end with a byte, else the frame as one.
        shape = (pixels.rows, pixels.columns // 8) if pixels.columns % 8 == 0 else (1, -1)
        return rle.encode(np.frombuffer(data, "u1").reshape(*shape, 1))
    return rle.encode(read_cells(data, pixels).reshape(pixels.rows, pixels.columns, pixels.samples))


def _even_deflated(data: bytes) -> bytes:
    """Deflate a frame, padded to even length, without zlib's header (PS3.5 A.4.13)."""
    deflater = isal_zlib.compressobj(
        isal_zlib.ISAL_BEST_COMPRESSION, isal_zlib.DEFLATED, -isal_zlib.MAX_WBITS
    )
    return bytes(deflater.compress(data) + deflater.compress(b"\0" * (len(data) % 2)) + deflater.flush())


# -- JPEG, JPEG-LS, JPEG XL --------------------------------------------------------------------------------


def _space(job: EncodeJob) -> str | None:
    """Return the colour space that the JPEG codestream declares."""
    if job.image.samples == 1:
        return None
    return "RGB" if job.image.photometric == "RGB" else "YCBCR"


def _jpeg_lossless(job: EncodeJob) -> bytes:
    """Encode with process 14 and predictor 1, which is valid in both lossless JPEG syntaxes.

    Samples of any colour space are coded unchanged: declared as RGB, they are not transformed. (Declared as
    YCbCr, libjpeg-turbo codes them wrongly.)
    """
    space = "RGB" if job.image.samples == 3 else None
    made: bytes | bytearray = imagecodecs.jpeg8_encode(
        job.unsigned,
        lossless=True,
        predictor=1,
        bitspersample=max(job.bits, 2),
        colorspace=space,
        outcolorspace=space,
    )
    return bytes(made)


def _jpeg(job: EncodeJob) -> bytes:
    """Encode 8 bits by JPEG Baseline, 12 by process 4; chrominance is halved across (PS3.5 8.2.1)."""
    colour = job.image.samples == 3
    made: bytes | bytearray = imagecodecs.jpeg8_encode(
        job.cells,
        JPEG_QUALITY,
        bitspersample=job.image.bits_stored,
        colorspace=_space(job),
        outcolorspace="YCBCR" if colour else None,
        subsampling="422" if colour else None,
    )
    return bytes(made)


def _jpegls(job: EncodeJob) -> bytes:
    """Encode whole cells: this encoder codes 8 or 16 bits, so the sign is their top bit.

    For JPEG-LS near-lossless, values are first clipped so that an error of up to NEAR cannot change their
    sign or set bits above the High Bit.
    """
    array, near = job.cells, NEAR if job.target == uids.JPEG_LS_NEAR_LOSSLESS else 0
    signed = array.dtype.kind == "i"
    if near and (signed or job.bits < 8 * array.dtype.itemsize):
        low, high = (-(1 << job.bits - 1), 1 << job.bits - 1) if signed else (-near, 1 << job.bits)
        array = np.clip(array, low + near, high - 1 - near)
    made: bytes | bytearray = imagecodecs.jpegls_encode(array.view(f"u{array.dtype.itemsize}"), near)
    return bytes(made)


def _jpegxl(job: EncodeJob) -> bytes:
    lossy = job.target == uids.JPEG_XL
    array = job.unsigned
    if lossy and job.image.samples == 3 and job.image.photometric != "RGB":
        array = ybr_to_rgb(array)
    kept = {"distance": JXL_DISTANCE} if lossy else {"lossless": True}
    made = bytes(
        imagecodecs.jpegxl_encode(
            array, effort=JXL_EFFORT, usecontainer=False, bitspersample=job.bits, numthreads=1, **kept
        )
    )
    return codestreamheaders.bare_jpegxl(made)


_ENCODERS: dict[str, Callable[[EncodeJob], bytes]] = {
    uids.JPEG_BASELINE_8_BIT: _jpeg,
    uids.JPEG_EXTENDED_12_BIT: _jpeg,
    uids.JPEG_LOSSLESS: _jpeg_lossless,
    uids.JPEG_LOSSLESS_SV1: _jpeg_lossless,
    uids.JPEG_LS_LOSSLESS: _jpegls,
    uids.JPEG_LS_NEAR_LOSSLESS: _jpegls,
    uids.JPEG_2000_LOSSLESS: jpeg2000.jpeg2000,
    uids.JPEG_2000: jpeg2000.jpeg2000,
    uids.HTJ2K_LOSSLESS: jpeg2000.htj2k,
    uids.HTJ2K_LOSSLESS_RPCL: jpeg2000.htj2k,
    uids.HTJ2K: jpeg2000.htj2k,
    uids.JPEG_XL_LOSSLESS: _jpegxl,
    uids.JPEG_XL: _jpegxl,
}
