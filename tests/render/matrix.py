"""Every transfer syntax to every other: which are exact, and how far the others are off.

`python -m tests.render.matrix` prints the table; test_encoders.py holds it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from gateway.dicom import uids
from gateway.dicom.encoding.layout import PixelLayout
from gateway.render.codecs import encode, transcodetargets
from gateway.render.codecs.decode import decode_frame
from gateway.render.codecs.pixelcells import read_signed_cells
from gateway.render.codecs.ybr import ybr_to_rgb
from tests.build import pixel_layout

SYNTAXES = (
    uids.EXPLICIT_VR_LITTLE_ENDIAN,
    uids.RLE_LOSSLESS,
    uids.DEFLATED_IMAGE_FRAME_COMPRESSION,
    *sorted(set(transcodetargets.TARGETS) - {uids.RLE_LOSSLESS, uids.DEFLATED_IMAGE_FRAME_COMPRESSION}),
)
NAMES = {
    uids.EXPLICIT_VR_LITTLE_ENDIAN: "native",
    uids.RLE_LOSSLESS: "RLE",
    uids.DEFLATED_IMAGE_FRAME_COMPRESSION: "deflate",
}

# What a lossy step may change, in per cent of the range of the samples, and where it is in the mean.
TOLERANCE = {
    uids.JPEG_BASELINE_8_BIT: (5.0, 1.0),
    uids.JPEG_EXTENDED_12_BIT: (5.0, 1.0),
    uids.JPEG_LS_NEAR_LOSSLESS: (7.0, 3.5),
    uids.JPEG_2000: (7.0, 1.5),
    uids.HTJ2K: (3.0, 0.5),
    uids.JPEG_XL: (12.0, 1.2),
}


def picture(
    allocated: int,
    stored: int,
    *,
    high: int | None = None,
    signed: bool = False,
    photometric: str = "MONOCHROME2",
    planar: int = 0,
    rows: int = 70,
    columns: int = 90,
    overlay: bool = False,
) -> tuple[bytes, PixelLayout]:
    """A native frame from the lowest to the highest value, with a little noise; odd in each direction.

    `overlay`: one bit above the High Bit is set.
    """
    high = stored - 1 if high is None else high
    samples = 3 if photometric in {"RGB", "YBR_FULL"} else 1
    low, top = (-(1 << stored - 1), 1 << stored - 1) if signed else (0, 1 << stored)
    shape = (rows, columns, samples)
    across = np.linspace(low, top - 1, rows * columns).reshape(rows, columns, 1)
    noise = np.random.default_rng(stored).normal(0, (top - low) / 300, shape)
    values = np.clip(np.rint(np.repeat(across, samples, 2)[..., :] + noise), low, top - 1).astype("i8")
    if samples == 3:
        values[..., 1] = values[:, ::-1, 1]
    pixels = pixel_layout(
        rows=rows,
        columns=columns,
        samples=samples,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high,
        pixel_representation=int(signed),
        photometric=photometric,
        planar=planar,
        encapsulated=False,
    )
    if planar:
        values = values.transpose(2, 0, 1)
    if allocated == 1:
        return np.packbits(values.astype(bool).reshape(-1), bitorder="little").tobytes(), pixels
    values = values << high + 1 - stored
    if overlay:
        values.reshape(-1)[5] ^= 1 << high + 1
    return (values & (1 << allocated) - 1).astype(f"<u{allocated // 8}").tobytes(), pixels


def describe(pixels: PixelLayout) -> dict[str, Any]:
    """The Image Pixel attributes of a data set with such frames, by keyword."""
    return {
        "Rows": pixels.rows,
        "Columns": pixels.columns,
        "SamplesPerPixel": pixels.samples,
        "PhotometricInterpretation": pixels.photometric,
        "PlanarConfiguration": pixels.planar if pixels.samples > 1 else None,
        "BitsAllocated": pixels.bits_allocated,
        "BitsStored": pixels.bits_stored,
        "HighBit": pixels.high_bit,
        "PixelRepresentation": pixels.pixel_representation,
    }


KINDS: dict[str, dict[str, Any]] = {
    "1 bit": {"allocated": 1, "stored": 1},
    "8": {"allocated": 8, "stored": 8},
    "8 signed": {"allocated": 8, "stored": 8, "signed": True},
    "5 of 8": {"allocated": 8, "stored": 5},
    "1 of 8": {"allocated": 8, "stored": 1},
    "12 of 16": {"allocated": 16, "stored": 12},
    "12 of 16 signed": {"allocated": 16, "stored": 12, "signed": True},
    "12 of 16 from the top": {"allocated": 16, "stored": 12, "high": 15},
    "12 of 16 from the top, signed": {"allocated": 16, "stored": 12, "high": 15, "signed": True},
    "12 of 16 and an overlay": {"allocated": 16, "stored": 12, "overlay": True},
    "12 of 16 signed and an overlay": {"allocated": 16, "stored": 12, "signed": True, "overlay": True},
    "8 of 16": {"allocated": 16, "stored": 8},
    "10 of 16": {"allocated": 16, "stored": 10},
    "16": {"allocated": 16, "stored": 16},
    "16 signed": {"allocated": 16, "stored": 16, "signed": True},
    "24 of 32": {"allocated": 32, "stored": 24},
    "32": {"allocated": 32, "stored": 32},
    "32 signed": {"allocated": 32, "stored": 32, "signed": True},
    "palette of 8": {"allocated": 8, "stored": 8, "photometric": "PALETTE COLOR"},
    "palette of 16": {"allocated": 16, "stored": 16, "photometric": "PALETTE COLOR"},
    "RGB": {"allocated": 8, "stored": 8, "photometric": "RGB"},
    "RGB by plane": {"allocated": 8, "stored": 8, "photometric": "RGB", "planar": 1},
    "RGB of 16": {"allocated": 16, "stored": 16, "photometric": "RGB"},
    "YBR": {"allocated": 8, "stored": 8, "photometric": "YBR_FULL"},
    "YBR by plane": {"allocated": 8, "stored": 8, "photometric": "YBR_FULL", "planar": 1},
}


@cache
def stored(kind: str, syntax: str) -> tuple[bytes, PixelLayout] | None:
    """A frame of this kind as it lies in a file of this transfer syntax; None where it cannot."""
    data, pixels = picture(**KINDS[kind])
    if syntax == uids.EXPLICIT_VR_LITTLE_ENDIAN:
        return data, pixels
    if syntax == uids.JPEG_XL_JPEG_RECOMPRESSION:
        baseline = stored(kind, uids.JPEG_BASELINE_8_BIT)
        return (encode.recompress(baseline[0]), baseline[1]) if baseline else None
    if transcodetargets.unreachable(pixels, uids.EXPLICIT_VR_LITTLE_ENDIAN, syntax) or holds_more(
        pixels, data, syntax
    ):
        return None
    described = replace(
        transcodetargets.describe(pixels, uids.EXPLICIT_VR_LITTLE_ENDIAN, syntax), encapsulated=True
    )
    return encode.encode_frame(data, pixels, syntax), described


def holds_more(pixels: PixelLayout, data: bytes, syntax: str) -> bool:
    """Whether the cells have bits above the High Bit, which no lossy syntax takes."""
    array = read_signed_cells(data, pixels).astype("i8")
    if pixels.bits_allocated == 1 or not transcodetargets.is_lossy(syntax):
        return False
    low, top = (
        (-(1 << pixels.high_bit), 1 << pixels.high_bit)
        if pixels.pixel_representation
        else (0, 2 << pixels.high_bit)
    )
    return bool(array.min() < low or array.max() >= top)


def seen(frame: bytes, pixels: PixelLayout, syntax: str) -> np.ndarray[Any, Any]:
    """The values that a reader of this representation gets, colour as RGB where it is not kept."""
    if syntax == uids.EXPLICIT_VR_LITTLE_ENDIAN:
        return read_signed_cells(frame, pixels).astype("i8")
    decoded = decode_frame(frame, pixels, syntax)
    native = replace(
        pixels, photometric=decoded.image.photometric, planar=decoded.image.planar, encapsulated=False
    )
    return read_signed_cells(decoded.data, native).astype("i8")


def converted(kind: str, source: str, target: str) -> tuple[bytes, PixelLayout] | None:
    """The frame of a file in `source`, sent in `target`; None where it cannot be."""
    have = stored(kind, source)
    if have is None or transcodetargets.unreachable(have[1], source, target):
        return None
    frame, pixels = have
    after = replace(transcodetargets.describe(pixels, source, target), encapsulated=True)
    if source == target or (source, target) in transcodetargets.SAME_CODESTREAM:
        return frame, pixels
    if (source, target) == (uids.JPEG_XL_JPEG_RECOMPRESSION, uids.JPEG_BASELINE_8_BIT):
        return encode.reconstruct(frame), after
    if target == uids.JPEG_XL_JPEG_RECOMPRESSION:
        return encode.recompress(frame), after
    native = replace(transcodetargets.native(pixels, source), encapsulated=False)
    data = frame if source == uids.EXPLICIT_VR_LITTLE_ENDIAN else decode_frame(frame, pixels, source).data
    if target == uids.EXPLICIT_VR_LITTLE_ENDIAN:
        return data, native
    return None if holds_more(native, data, target) else (encode.encode_frame(data, native, target), after)


def difference(kind: str, source: str, target: str) -> tuple[float, float] | None:
    """Largest and mean difference in per cent of the range; None where the conversion is not offered."""
    sent = converted(kind, source, target)
    have = stored(kind, source)
    if sent is None or have is None:
        return None
    before, after = seen(*have, source), seen(*sent, target)
    if not np.array_equal(before, after) and had_ybr(have[1], source) and not had_ybr(sent[1], target):
        before = ybr_to_rgb(before).astype("i8")
    apart = np.abs(before - after)
    span = 2.0 ** have[1].bits_stored / 100
    return float(apart.max() / span), float(apart.mean() / span)


def had_ybr(pixels: PixelLayout, syntax: str) -> bool:
    """Whether a decoded frame is still luminance and chrominance."""
    return (
        pixels if syntax == uids.EXPLICIT_VR_LITTLE_ENDIAN else transcodetargets.native(pixels, syntax)
    ).photometric == "YBR_FULL"


def name(syntax: str) -> str:
    return NAMES.get(syntax, "." + syntax.rpartition(".")[2])


def cell(source: str, target: str) -> str:
    """Over all kinds: '=' where every one is exact, the worst difference otherwise, '-' where none can be had."""
    found = [d for kind in KINDS if (d := difference(kind, source, target)) is not None]
    if not found:
        return "-"
    worst = max(d[0] for d in found)
    return "=" if worst == 0 else f"{worst:.1f}%"


def main() -> None:
    print("from \\ to |", " | ".join(map(name, SYNTAXES)))
    for source in SYNTAXES:
        print(f"{name(source):9} |", " | ".join(cell(source, target) for target in SYNTAXES))


if __name__ == "__main__":
    main()
