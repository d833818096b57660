"""One native frame to a codestream (PS3.5 8.2, A.4): RLE, JPEG, JPEG-LS, JPEG 2000, HTJ2K, JPEG XL, deflate.

A codestream holds the cells of Bits Allocated as they are, in as many bits as they need: the High Bit and what
is below, or all of them where an overlay lies above. So what is decoded is the cells again, bit for bit.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import imagecodecs
import numpy as np

from gateway.dicom.layout import PixelLayout
from gateway.errors import CodecError
from gateway.model import EXPLICIT_VR_LE
from gateway.render import headers, targets
from gateway.render.codecs import DEFLATED_FRAME, RLE, DecodedFrame, decode_frame
from gateway.render.rle import HEADER
from gateway.render.samples import Array, ybr_to_rgb

# Of codecs, and of what is asked of them.
VERSION = f"{imagecodecs.__version__}-1"
# How much lossy syntaxes lose, where nobody says: hardly to be seen, in every one of them.
JPEG_QUALITY = 90
NEAR = 2
PSNR = 55
HT_STEP = 1 / 200
JXL_DISTANCE = 0.4
# Beyond this effort JPEG XL takes seconds for what is a few per cent.
JXL_EFFORT = 3

_FAILURES = (RuntimeError, ValueError, TypeError, OverflowError, MemoryError, NotImplementedError)
_HALVED = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})


@dataclass(frozen=True, slots=True)
class _Plane:
    """What an encoder is fed: rows, columns and samples by pixel; `bits` that the values need."""

    array: Array
    pixels: PixelLayout
    bits: int
    target: str

    @property
    def unsigned(self) -> Array:
        """Two's complement in `bits`, for codecs without a sign."""
        if self.array.dtype.kind == "u":
            return self.array
        whole: Array = self.array.view(f"u{self.array.dtype.itemsize}")
        masked: Array = whole & whole.dtype.type((1 << self.bits) - 1)
        return masked


def encode_frame(data: bytes, pixels: PixelLayout, target: str) -> bytes:
    """The codestream of a native frame that `pixels` describes. Raises CodecError, never anything else."""
    if reason := targets.unreachable(pixels, EXPLICIT_VR_LE, target):
        raise CodecError(f"the frame cannot be encoded to {target}: {reason}")
    try:
        return _even_deflated(data) if target == DEFLATED_FRAME else _encoded(data, pixels, target)
    except _FAILURES as error:
        raise CodecError(
            f"the frame cannot be encoded to {target}: {type(error).__name__}: {error}"
        ) from error


def recompressed(codestream: bytes) -> bytes:
    """JPEG Baseline as JPEG XL from which the same bytes can be had again (PS3.5 A.4.12). Raises CodecError."""
    try:
        made = bytes(imagecodecs.jpegxl_encode_jpeg(codestream, numthreads=1))
    except _FAILURES as error:
        raise CodecError(f"the JPEG codestream cannot be recompressed: {error}") from error
    return made


def reconstructed(codestream: bytes) -> bytes:
    """The JPEG that was recompressed as JPEG XL, byte for byte. Raises CodecError where none was."""
    try:
        return bytes(imagecodecs.jpegxl_decode_jpeg(codestream, numthreads=1))
    except _FAILURES as error:
        raise CodecError(f"no JPEG can be reconstructed from the JPEG XL codestream: {error}") from error


def pixel_hash(data: bytes, pixels: PixelLayout) -> bytes:
    """Of the values of a native frame, colour-by-pixel: the same however the frame is laid out."""
    array = cells(data, pixels)
    return hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16).digest()


def proves(codestream: bytes, frame: bytes, pixels: PixelLayout, target: str) -> bool:
    """Whether a lossless codestream decodes to the native `frame` that it was made of; never raises."""
    after = targets.described(pixels, EXPLICIT_VR_LE, target)
    try:
        back = decode_frame(codestream, after, target)
        return pixel_hash(back.data, _native(back, after)) == pixel_hash(frame, pixels)
    except CodecError:
        return False


def _native(back: DecodedFrame, after: PixelLayout) -> PixelLayout:
    return replace(after, photometric=back.photometric, planar=back.planar, encapsulated=False)


def cells(data: bytes, pixels: PixelLayout) -> Array:
    """Rows, columns and, where there are several, samples by pixel; single bits one to a byte.

    Halved chrominance is doubled: each sample stands for two pixels (PS3.3 C.7.6.3.1.2). Raises CodecError
    where the bytes are not one frame.
    """
    rows, columns, samples = pixels.rows, pixels.columns, pixels.samples
    if pixels.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(data, "u1"), bitorder="little")
        return _shaped(
            bits[: rows * columns * samples], (rows, columns) if samples == 1 else (rows, columns, samples)
        )
    kind = "i" if pixels.pixel_representation == 1 else "u"
    flat = np.frombuffer(data, f"<{kind}{pixels.bits_allocated // 8}")
    if samples == 1:
        return _shaped(flat, (rows, columns))
    if pixels.photometric in _HALVED and not pixels.encapsulated and samples == 3:
        return _doubled(_shaped(flat, (rows, columns // 2, 4)))
    if pixels.planar == 1:
        return _shaped(flat, (samples, rows, columns)).transpose(1, 2, 0)
    return _shaped(flat, (rows, columns, samples))


def _shaped(flat: Array, shape: tuple[int, ...]) -> Array:
    if flat.size != int(np.prod(shape)):
        raise CodecError(f"the frame has {flat.size} values, wanted {'x'.join(map(str, shape))}")
    return flat.reshape(shape)


def _doubled(pairs: Array) -> Array:
    """Two luminances, a blue and a red difference → two pixels of three samples."""
    rows, columns = pairs.shape[0], 2 * pairs.shape[1]
    out = np.empty((rows, columns, 3), pairs.dtype)
    out[:, 0::2, 0], out[:, 1::2, 0] = pairs[..., 0], pairs[..., 1]
    out[..., 1] = np.repeat(pairs[..., 2], 2, axis=1)
    out[..., 2] = np.repeat(pairs[..., 3], 2, axis=1)
    return out


def _encoded(data: bytes, pixels: PixelLayout, target: str) -> bytes:
    if target == RLE:
        return _rle(data, pixels)
    array = np.ascontiguousarray(cells(data, pixels))
    bits = _bits(array, pixels)
    if bits > targets.most_bits(target):
        raise CodecError(f"{bits} bits a sample are more than {targets.most_bits(target)}")
    if targets.is_lossy(target) and bits > pixels.bits_stored:
        raise CodecError("there is more in the cells than the samples, and it would be lost")
    if bits <= 8 < 8 * array.dtype.itemsize:
        array = array.astype(f"{array.dtype.kind}1")
    return _ENCODERS[target](_Plane(array, targets.full(pixels), bits, target))


def _bits(array: Array, pixels: PixelLayout) -> int:
    """Those up to the High Bit where nothing else is in the cells, else all."""
    if pixels.bits_allocated == 1:
        return 1
    due = pixels.high_bit + 1
    if not 1 < due < pixels.bits_allocated or not array.size:
        return pixels.bits_allocated
    low, high = int(array.min()), int(array.max())
    floor, top = (-(1 << due - 1), 1 << due - 1) if array.dtype.kind == "i" else (0, 1 << due)
    return due if floor <= low and high < top else pixels.bits_allocated


# -- RLE, deflate ------------------------------------------------------------------------------------------


def _rle(data: bytes, pixels: PixelLayout) -> bytes:
    """A segment for each byte of each sample, most significant first, packed row by row (PS3.5 G.2, G.3.1)."""
    if pixels.bits_allocated == 1:
        segments = [_packed(np.frombuffer(data, "u1").reshape(_bit_rows(pixels)))]
    else:
        array = cells(data, pixels).reshape(pixels.rows, pixels.columns, pixels.samples)
        width = array.dtype.itemsize
        planes = np.ascontiguousarray(array).view("u1").reshape(*array.shape, width)
        segments = [
            _packed(planes[:, :, sample, byte])
            for sample in range(pixels.samples)
            for byte in reversed(range(width))
        ]
    offsets, at = [], HEADER
    for segment in segments:
        offsets.append(at)
        at += len(segment)
    return struct.pack("<16I", len(segments), *offsets, *[0] * (15 - len(segments))) + b"".join(segments)


def _bit_rows(pixels: PixelLayout) -> tuple[int, int]:
    """Packed rows where they end with a byte, else the frame as one."""
    return (pixels.rows, pixels.columns // 8) if pixels.columns % 8 == 0 else (1, -1)


def _packed(plane: Array) -> bytes:
    # A copy, since a plane of one column passes for contiguous with steps that the codec does not take.
    segment = bytes(imagecodecs.packbits_encode(plane.copy(order="C")))
    return segment + b"\0" * (len(segment) % 2)


def _even_deflated(data: bytes) -> bytes:
    """Deflated Image Frame Compression (PS3.5 A.4.13): the frame, of even length, without zlib's header."""
    deflater = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.compress(b"\0" * (len(data) % 2)) + deflater.flush()


# -- JPEG, JPEG-LS, JPEG XL --------------------------------------------------------------------------------


def _space(plane: _Plane) -> str | None:
    """The colour that a JPEG codestream says it has."""
    if plane.pixels.samples == 1:
        return None
    return "RGB" if plane.pixels.photometric == "RGB" else "YCBCR"


def _jpeg_lossless(plane: _Plane) -> bytes:
    """Process 14, predictor 1: the first selection value, so right for both its syntaxes.

    Samples are coded as they are, whatever colour they make: said to be RGB, nobody transforms them. (Said to be
    YCbCr, libjpeg-turbo codes them wrongly.)
    """
    space = "RGB" if plane.pixels.samples == 3 else None
    made: bytes | bytearray = imagecodecs.jpeg8_encode(
        plane.unsigned,
        lossless=True,
        predictor=1,
        bitspersample=max(plane.bits, 2),
        colorspace=space,
        outcolorspace=space,
    )
    return bytes(made)


def _jpeg(plane: _Plane) -> bytes:
    """Baseline for 8 bits, process 4 for 12; colour with chrominance halved across (PS3.5 8.2.1)."""
    colour = plane.pixels.samples == 3
    made: bytes | bytearray = imagecodecs.jpeg8_encode(
        plane.array,
        JPEG_QUALITY,
        bitspersample=plane.pixels.bits_stored,
        colorspace=_space(plane),
        outcolorspace="YCBCR" if colour else None,
        subsampling="422" if colour else None,
    )
    return bytes(made)


def _jpegls(plane: _Plane) -> bytes:
    """Whole cells: this encoder codes 8 or 16 bits, so a sign goes to the top of them.

    What may be off by NEAR keeps that far from the ends of its range, beyond which it would have another sign,
    or bits above the High Bit.
    """
    array, near = plane.array, NEAR if plane.target == targets.JLS_NEAR else 0
    signed = array.dtype.kind == "i"
    if near and (signed or plane.bits < 8 * array.dtype.itemsize):
        low, high = (-(1 << plane.bits - 1), 1 << plane.bits - 1) if signed else (-near, 1 << plane.bits)
        array = np.clip(array, low + near, high - 1 - near)
    made: bytes | bytearray = imagecodecs.jpegls_encode(array.view(f"u{array.dtype.itemsize}"), near)
    return bytes(made)


def _jpegxl(plane: _Plane) -> bytes:
    lossy = plane.target == targets.JXL_ANY
    array = plane.unsigned
    if lossy and plane.pixels.samples == 3 and plane.pixels.photometric != "RGB":
        array = ybr_to_rgb(array)
    kept = {"distance": JXL_DISTANCE} if lossy else {"lossless": True}
    made = bytes(
        imagecodecs.jpegxl_encode(
            array, effort=JXL_EFFORT, usecontainer=False, bitspersample=plane.bits, numthreads=1, **kept
        )
    )
    return headers.bare_jpegxl(made)


# -- JPEG 2000, HTJ2K --------------------------------------------------------------------------------------


def _jpeg2000(plane: _Plane) -> bytes:
    lossy = plane.target == targets.J2K_ANY
    made: bytes | bytearray = imagecodecs.jpeg2k_encode(
        plane.array,
        PSNR if lossy else None,
        codecformat="j2k",
        reversible=not lossy,
        bitspersample=plane.bits,
        mct=targets.transformed(plane.pixels, plane.target),
        numthreads=1,
    )
    return bytes(made)


def _htj2k(plane: _Plane) -> bytes:
    """Progression by resolution, tile-part lengths and a smallest resolution within 64, as .202 wants it.

    The encoder knows no precision but that of whole bytes. So it is given values around zero, for which the
    codestream has no level shift, and the header is told afterwards what they are.
    """
    lossy = plane.target == targets.HT_ANY
    array, whole = plane.array, 8 * plane.array.dtype.itemsize
    signed = array.dtype.kind == "i"
    # A quantisation step in the header can be told to be finer by 2 to the 6th, not more.
    narrowed = plane.bits < whole or whole == 32
    spare = whole - plane.bits
    if lossy and spare > 6:
        raise CodecError(f"{plane.bits} of {whole} bits are too few to be compressed with loss")
    if narrowed and not signed:
        array = (array.astype("i8") - (1 << plane.bits - 1)).astype(f"i{array.dtype.itemsize}")
    colour = plane.pixels.samples == 3
    made = bytearray(
        imagecodecs.htj2k_encode(
            array,
            HT_STEP / (1 << spare) if lossy else None,
            reversible=not lossy,
            rgb=targets.transformed(plane.pixels, plane.target) if colour else None,
            resolutions=_decompositions(plane.pixels),
            tlm=True,
        )
    )
    if narrowed:
        _tell_depth(made, plane.bits, plane.pixels.samples, signed=signed)
        if lossy:
            _tell_steps(made, spare)
    return bytes(made)


def _tell_depth(stream: bytearray, bits: int, components: int, *, signed: bool) -> None:
    """Ssiz of each component (ISO 15444-1 A.5.1)."""
    for component in range(components):
        stream[42 + 3 * component] = bits - 1 | (0x80 if signed else 0)


def _tell_steps(stream: bytearray, spare: int) -> None:
    """Quantisation steps count from the depth (ISO 15444-1 E.1.1): the same ones for `spare` bits less.

    The exponents fall, and the guard bits rise by as much, so that the bit-planes stay as many.
    """
    at = 2
    while stream[at : at + 2] != b"\xff\x5c":
        at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
        if at + 4 > len(stream):
            raise CodecError("the HTJ2K codestream has no quantisation")
    end = at + 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    guard, style = stream[at + 4] >> 5, stream[at + 4] & 0x1F
    if guard + spare > 7 or style != 2:
        raise CodecError("the HTJ2K codestream has no room for what it should say")
    stream[at + 4] = guard + spare << 5 | style
    for step in range(at + 5, end, 2):
        value = int.from_bytes(stream[step : step + 2], "big") - (spare << 11)
        if value < 0:
            raise CodecError("the HTJ2K codestream has steps that are too coarse")
        stream[step : step + 2] = value.to_bytes(2, "big")


def _decompositions(pixels: PixelLayout) -> int:
    """Halvings until a side is at most 64, five at least (PS3.5 10.18)."""
    side, count = min(pixels.rows, pixels.columns), 0
    while side > 64:
        side, count = (side + 1) // 2, count + 1
    return max(count, 5)


_ENCODERS: dict[str, Callable[[_Plane], bytes]] = {
    targets.BASELINE: _jpeg,
    targets.EXTENDED: _jpeg,
    targets.JPEG_LOSSLESS: _jpeg_lossless,
    targets.JPEG_SV1: _jpeg_lossless,
    targets.JLS: _jpegls,
    targets.JLS_NEAR: _jpegls,
    targets.J2K: _jpeg2000,
    targets.J2K_ANY: _jpeg2000,
    targets.HT: _htj2k,
    targets.HT_RPCL: _htj2k,
    targets.HT_ANY: _htj2k,
    targets.JXL: _jpegxl,
    targets.JXL_ANY: _jpegxl,
}
