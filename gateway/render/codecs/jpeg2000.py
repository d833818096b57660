"""Encode a native frame to JPEG 2000 and HTJ2K (ISO 15444-1, 15444-15, PS3.5 8.2.4, 10.18)."""

from __future__ import annotations

import imagecodecs

from gateway.dicom import uids
from gateway.dicom.encoding.pixels import ImagePixel
from gateway.errors import CodecError
from gateway.render.codecs import transcodetargets
from gateway.render.codecs.encodejob import EncodeJob

# The loss of the lossy syntaxes, hardly visible: in decibels, and as a part of the range.
PSNR = 55
HT_STEP = 1 / 200


def jpeg2000(job: EncodeJob) -> bytes:
    """Encode to JPEG 2000. Raises the codec's own exceptions."""
    lossy = job.target == uids.JPEG_2000
    made: bytes | bytearray = imagecodecs.jpeg2k_encode(
        job.cells,
        PSNR if lossy else None,
        codecformat="j2k",
        reversible=not lossy,
        bitspersample=job.bits,
        mct=transcodetargets.is_transformed(job.image, job.target),
        numthreads=1,
    )
    return bytes(made)


def htj2k(job: EncodeJob) -> bytes:
    """Encode to HTJ2K. Raises CodecError and the codec's own exceptions.

    Progression is by resolution, with tile-part lengths and a smallest resolution within 64, as .202
    requires.

    The encoder supports only the precision of whole bytes. So it gets values around zero, for which the
    codestream has no level shift, and the true precision is written into the header afterwards.
    """
    lossy = job.target == uids.HTJ2K
    array, whole = job.cells, 8 * job.cells.dtype.itemsize
    signed = array.dtype.kind == "i"
    # A quantisation step in the header can be rewritten up to 2**6 times finer, not more.
    narrowed = job.bits < whole or whole == 32
    spare = whole - job.bits
    if lossy and spare > 6:
        raise CodecError(f"{job.bits} of {whole} bits are too few to be compressed with loss")
    if narrowed and not signed:
        array = (array.astype("i8") - (1 << job.bits - 1)).astype(f"i{array.dtype.itemsize}")
    colour = job.image.samples == 3
    made = bytearray(
        imagecodecs.htj2k_encode(
            array,
            HT_STEP / (1 << spare) if lossy else None,
            reversible=not lossy,
            rgb=transcodetargets.is_transformed(job.image, job.target) if colour else None,
            resolutions=_decompositions(job.image),
            tlm=True,
        )
    )
    if narrowed:
        _tell_depth(made, job.bits, job.image.samples, signed=signed)
        if lossy:
            _tell_steps(made, spare)
    return bytes(made)


def _tell_depth(stream: bytearray, bits: int, components: int, *, signed: bool) -> None:
    """Write Ssiz of each component (ISO 15444-1 A.5.1)."""
    for component in range(components):
        stream[42 + 3 * component] = bits - 1 | (0x80 if signed else 0)


def _tell_steps(stream: bytearray, spare: int) -> None:
    """Rewrite the quantisation steps for a depth of `spare` bits less (ISO 15444-1 E.1.1).

    The exponents fall, and the guard bits rise by as much, so that the number of bit-planes stays the same.
    Raises CodecError where the header has no room for them.
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


def _decompositions(image: ImagePixel) -> int:
    """Return how many halvings bring the shorter side to at most 64; at least five (PS3.5 10.18)."""
    side, count = min(image.rows, image.columns), 0
    while side > 64:
        side, count = (side + 1) // 2, count + 1
    return max(count, 5)
