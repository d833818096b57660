"""RLE Lossless (PS3.5 Annex G): a header of offsets, then one PackBits segment for each byte of a sample."""

from __future__ import annotations

import struct
from itertools import pairwise

import imagecodecs
import numpy as np

from gateway.errors import CodecError
from gateway.render.codecs.nativebytes import Array

HEADER = 64


def decode(codestream: bytes, samples: int, width: int, plane: int) -> bytes:
    """Return colour-by-plane bytes, little endian: `samples` planes of `plane` bytes, `width` bytes a value.

    Raises CodecError where the number of segments is wrong or a segment does not fill its plane.
    """
    wanted = samples * width
    part = plane // width
    out = bytearray(samples * plane)
    view = np.frombuffer(out, "u1").reshape(samples, part, width)
    for number, segment in enumerate(_segments(codestream, wanted)):
        sample, byte = divmod(number, width)
        # Segments come with the most significant byte first (PS3.5 G.2).
        view[sample, :, width - 1 - byte] = np.frombuffer(_unpack(segment, part, number), "u1")
    return bytes(out)


def _segments(codestream: bytes, wanted: int) -> list[bytes]:
    if len(codestream) < HEADER:
        raise CodecError(f"the RLE codestream has {len(codestream)} bytes, less than its header of {HEADER}")
    count, *offsets = struct.unpack_from("<16I", codestream)
    if count != wanted:
        raise CodecError(f"the RLE header names {count} segments, wanted {wanted}")
    bounds = [*offsets[:count], len(codestream)]
    if bounds[0] < HEADER or any(a >= b for a, b in pairwise(bounds)):
        raise CodecError(f"the RLE segments begin at {offsets[:count]} of {len(codestream)} bytes")
    return [codestream[a:b] for a, b in pairwise(bounds)]


def _unpack(segment: bytes, wanted: int, number: int) -> bytes:
    """Return the `wanted` bytes of a segment. Raises CodecError where it holds less.

    A segment may go on after its plane is full: a byte of padding, or bytes that an encoder left there.
    """
    if wanted > 64 * len(segment):
        raise CodecError(f"RLE segment {number + 1} of {len(segment)} bytes cannot hold {wanted}")
    try:
        data = bytes(imagecodecs.packbits_decode(segment, out=wanted))
    except (RuntimeError, ValueError) as error:
        raise CodecError(f"RLE segment {number + 1} cannot be decoded") from error
    if len(data) != wanted:
        raise CodecError(f"RLE segment {number + 1} holds {len(data)} bytes, wanted {wanted}")
    return data


def by_pixel(planes: bytes, samples: int, width: int) -> bytes:
    """Return colour-by-plane values as colour-by-pixel."""
    values = np.frombuffer(planes, f"V{width}").reshape(samples, -1)
    return values.T.tobytes()


def encode(values: Array) -> bytes:
    """Encode rows x columns x samples of any width as one frame.

    It has a segment for each byte of each sample, the most significant first (PS3.5 G.2). Raises the codec's
    own exceptions.
    """
    width = values.dtype.itemsize
    planes = np.ascontiguousarray(values).view("u1").reshape(*values.shape, width)
    wanted = [(sample, byte) for sample in range(values.shape[2]) for byte in reversed(range(width))]
    segments = [_pack(planes[:, :, sample, byte]) for sample, byte in wanted]
    offsets, at = [], HEADER
    for segment in segments:
        offsets.append(at)
        at += len(segment)
    return struct.pack("<16I", len(segments), *offsets, *[0] * (15 - len(segments))) + b"".join(segments)


def _pack(plane: Array) -> bytes:
    """Return the segment of a plane, each row packed by itself (PS3.5 G.3.1), padded to even length."""
    # Copy, since NumPy calls a plane of one column contiguous although its strides are ones that the codec refuses.
    segment = bytes(imagecodecs.packbits_encode(plane.copy(order="C")))
    return segment + b"\0" * (len(segment) % 2)
