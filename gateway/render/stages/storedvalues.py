"""Stored values out of the native bytes of one frame (PS3.3 C.7.6.3.1, PS3.5 8.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.errors import CodecError
from gateway.render.attributes import Attributes
from gateway.render.rendering import Array

_FLOAT, _DOUBLE = "7FE00008", "7FE00009"
_HALVED = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})


@dataclass(frozen=True, slots=True)
class Shape:
    """How the bytes of a frame are laid out; `floating` where they are Float or Double Float Pixel Data."""

    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    high: int
    signed: bool
    photometric: str
    planar: bool
    floating: bool

    @property
    def is_halved(self) -> bool:
        """Whether two pixels share their chrominance: four samples for two pixels (PS3.3 C.7.6.3.1.2)."""
        return self.samples == 3 and self.photometric in _HALVED

    @property
    def length(self) -> int:
        """Bytes of one frame."""
        samples = 2 if self.is_halved else self.samples
        return (self.rows * self.columns * samples * self.allocated + 7) // 8


def shape_of(attributes: Attributes) -> Shape:
    """From the Image Pixel Module. Raises CodecError where it describes no picture."""
    allocated = attributes.integer("00280100")
    floating = _FLOAT in attributes or _DOUBLE in attributes
    if floating:
        allocated = 64 if _DOUBLE in attributes else 32
    stored = attributes.integer("00280101", allocated)
    stored = stored if 0 < stored <= allocated else allocated
    high = attributes.integer("00280102", stored - 1)
    shape = Shape(
        rows=attributes.integer("00280010"),
        columns=attributes.integer("00280011"),
        samples=attributes.integer("00280002", 1),
        allocated=allocated,
        stored=stored,
        high=high if stored <= high + 1 <= allocated else stored - 1,
        signed=attributes.integer("00280103") == 1 and not floating,
        photometric=attributes.text("00280004").strip() or "MONOCHROME2",
        planar=attributes.integer("00280006") == 1,
        floating=floating,
    )
    _check(shape)
    return shape


def _check(shape: Shape) -> None:
    if shape.rows <= 0 or shape.columns <= 0:
        raise CodecError(f"no picture has {shape.rows} rows and {shape.columns} columns")
    if shape.samples not in {1, 3}:
        raise CodecError(f"Samples per Pixel is {shape.samples}, wanted 1 or 3", tag="00280002")
    if shape.allocated not in {1, 8, 16, 32, 64}:
        raise CodecError(f"Bits Allocated is {shape.allocated}, wanted 1, 8, 16, 32 or 64", tag="00280100")
    if shape.samples == 3 and (shape.allocated == 1 or shape.floating):
        raise CodecError("colour has whole samples of 8 bits or more", tag="00280100")


def words(native: bytes, shape: Shape) -> Array:
    """Each allocated cell as it is, without masking: rows x columns, or by colour with samples last.

    Raises CodecError where bytes are missing.
    """
    if len(native) < shape.length:
        raise CodecError(f"a frame has {len(native)} bytes, wanted {shape.length}")
    size = (shape.rows, shape.columns)
    if shape.allocated == 1:
        bits = np.unpackbits(np.frombuffer(native, "u1"), bitorder="little")
        cells: Array = bits[: size[0] * size[1] * shape.samples]
    else:
        kind = np.dtype(f"<{'f' if shape.floating else 'u'}{shape.allocated // 8}")
        cells = np.frombuffer(native, kind, count=shape.length // kind.itemsize)
    if shape.samples == 1:
        return cells.reshape(size)
    if shape.is_halved:
        return _double(cells, shape)
    if shape.planar:
        return cells.reshape(3, *size).transpose(1, 2, 0)
    return cells.reshape(*size, 3)


def _double(cells: Array, shape: Shape) -> Array:
    """Y1 Y2 CB CR for two pixels, to Y CB CR for each."""
    if shape.columns % 2:
        raise CodecError(f"{shape.photometric} has {shape.columns} columns, wanted an even number")
    pairs = cells.reshape(shape.rows, shape.columns // 2, 4)
    full = np.empty((shape.rows, shape.columns // 2, 2, 3), cells.dtype)
    full[..., 0] = pairs[..., :2]
    full[..., 1] = pairs[..., 2:3]
    full[..., 2] = pairs[..., 3:4]
    return full.reshape(shape.rows, shape.columns, 3)


def read_stored_values(cells: Array, shape: Shape) -> Array:
    """The bits up to High Bit, with the sign that Pixel Representation says; floating values as they are."""
    if shape.floating or shape.allocated == 1:
        return cells
    width = cells.dtype.itemsize
    spare = shape.allocated - shape.high - 1
    unused = shape.allocated - shape.stored
    if not unused:
        return cells.view(f"<i{width}") if shape.signed else cells
    lifted = cells << np.array(spare, cells.dtype) if spare else cells
    kind = f"<i{width}" if shape.signed else f"<u{width}"
    lowered: Array = lifted.view(kind) >> np.array(unused, kind)
    return lowered
