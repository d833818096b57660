"""Tell which transfer syntaxes a frame can be encoded to, and how it is described afterwards.

Offers are made from this, so it uses the attributes alone and never looks at a pixel (PS3.5 8.2, PS3.18
8.7.3).
"""

from __future__ import annotations

from dataclasses import replace

from gateway.dicom import tagnumbers, uids
from gateway.dicom.encoding.layout import PixelLayout
from gateway.dicom.encoding.pixels import ImagePixel, describe_by_pixel, find_changes
from gateway.render.codecs.decode import decodable, describe_decoded

# In the order in which they are offered: the most widely supported of each kind first, lossy after lossless.
LOSSLESS_TARGETS = (
    uids.HTJ2K_LOSSLESS,
    uids.HTJ2K_LOSSLESS_RPCL,
    uids.JPEG_LOSSLESS_SV1,
    uids.JPEG_LOSSLESS,
    uids.JPEG_LS_LOSSLESS,
    uids.JPEG_2000_LOSSLESS,
    uids.JPEG_XL_LOSSLESS,
    uids.JPEG_XL_JPEG_RECOMPRESSION,
    uids.RLE_LOSSLESS,
    uids.DEFLATED_IMAGE_FRAME_COMPRESSION,
)
LOSSY_TARGETS = (
    uids.JPEG_BASELINE_8_BIT,
    uids.JPEG_EXTENDED_12_BIT,
    uids.JPEG_LS_NEAR_LOSSLESS,
    uids.JPEG_2000,
    uids.HTJ2K,
    uids.JPEG_XL,
)
TARGETS = LOSSLESS_TARGETS + LOSSY_TARGETS

# Lossy Image Compression Method (0028,2114) of each lossy target (PS3.3 C.7.6.1.1.5.2).
METHODS = {
    uids.JPEG_BASELINE_8_BIT: "ISO_10918_1",
    uids.JPEG_EXTENDED_12_BIT: "ISO_10918_1",
    uids.JPEG_LS_NEAR_LOSSLESS: "ISO_14495_1",
    uids.JPEG_2000: "ISO_15444_1",
    uids.HTJ2K: "ISO_15444_15",
    uids.JPEG_XL: "ISO_18181_1",
}
# Pixels stored in these have certainly lost something, whatever (0028,2110) says.
LOST = frozenset(
    {
        uids.JPEG_BASELINE_8_BIT,
        uids.JPEG_EXTENDED_12_BIT,
        uids.JPEG_SPECTRAL_SELECTION_NON_HIERARCHICAL_68,
        uids.JPEG_FULL_PROGRESSION_NON_HIERARCHICAL_1012,
    }
)

# Each codestream of the first syntax is also valid in the second, which has fewer requirements (PS3.5 A.4.1, A.4.8).
SAME_CODESTREAM = frozenset(
    {(uids.JPEG_LOSSLESS_SV1, uids.JPEG_LOSSLESS), (uids.HTJ2K_LOSSLESS_RPCL, uids.HTJ2K_LOSSLESS)}
)

_REACHABLE: dict[tuple[object, ...], tuple[str, ...]] = {}
_REMEMBERED = 1000
_J2K_FAMILY = frozenset(
    {uids.JPEG_2000_LOSSLESS, uids.JPEG_2000, uids.HTJ2K_LOSSLESS, uids.HTJ2K_LOSSLESS_RPCL, uids.HTJ2K}
)
_MOST_BITS = {uids.JPEG_2000_LOSSLESS: 26, uids.HTJ2K_LOSSLESS: 32, uids.HTJ2K_LOSSLESS_RPCL: 32}


def is_lossy(target: str) -> bool:
    """Return whether encoding to this transfer syntax changes the values of pixels."""
    return target in METHODS


def native(pixels: PixelLayout, source: str) -> PixelLayout:
    """Return the description of the frames once they are native; a native source keeps its own."""
    return describe_decoded(pixels, source) if pixels.encapsulated else pixels


def describe(pixels: PixelLayout, source: str, target: str) -> PixelLayout:
    """Return the description of the frames once they are encoded in `target` (PS3.5 8.2.1 to 8.2.16)."""
    if (
        (source, target) in SAME_CODESTREAM
        or target == uids.JPEG_XL_JPEG_RECOMPRESSION
        or (source == uids.JPEG_XL_JPEG_RECOMPRESSION and target == uids.JPEG_BASELINE_8_BIT)
    ):
        return pixels
    before = native(pixels, source)
    if target == uids.DEFLATED_IMAGE_FRAME_COMPRESSION:
        return before
    if target == uids.RLE_LOSSLESS:
        return describe_by_pixel(before) if before.is_halved else before
    after = describe_by_pixel(before)
    if after.samples == 1:
        return after
    return replace(after, photometric=_photometric(after, target))


def _photometric(after: ImagePixel, target: str) -> str:
    if target in {uids.JPEG_BASELINE_8_BIT, uids.JPEG_EXTENDED_12_BIT}:
        return "YBR_FULL_422"
    if target == uids.JPEG_XL:
        return "XYB"
    if is_transformed(after, target):
        return "YBR_ICT" if is_lossy(target) else "YBR_RCT"
    return after.photometric


def is_transformed(after: ImagePixel, target: str) -> bool:
    """Return whether JPEG 2000 turns RGB into luminance and colour differences while it encodes."""
    return target in _J2K_FAMILY and after.photometric == "RGB" and after.pixel_representation == 0


def header_changes(pixels: PixelLayout, source: str, target: str) -> dict[str, str | int]:
    """Return the attributes that describe the pixels differently after transcoding: tag to new value."""
    after = (
        native(pixels, source)
        if target == uids.EXPLICIT_VR_LITTLE_ENDIAN
        else describe(pixels, source, target)
    )
    return find_changes(pixels, after)


def unreachable(pixels: PixelLayout, source: str, target: str) -> str:
    """Return why frames stored in `source` cannot be sent in `target`; empty where no reason is known."""
    if pixels.problem:
        return pixels.problem
    if target == uids.EXPLICIT_VR_LITTLE_ENDIAN or (target == source and pixels.encapsulated):
        return (
            "" if target == source or not pixels.encapsulated or decodable(source) else _undecodable(source)
        )
    if target not in TARGETS:
        return f"nothing is encoded to transfer syntax {target} here"
    if pixels.encapsulated and not decodable(source):
        return _undecodable(source)
    if (source, target) in SAME_CODESTREAM:
        return ""
    if target == uids.JPEG_XL_JPEG_RECOMPRESSION:
        return (
            "" if source == uids.JPEG_BASELINE_8_BIT else "only JPEG Baseline can be recompressed as JPEG XL"
        )
    return _unfit(native(pixels, source), target)


def reachable(pixels: PixelLayout, source: str) -> tuple[str, ...]:
    """Return all targets except `source` itself that are not known to be unreachable.

    The answers are remembered by the attributes that they depend on.
    """
    bits = (pixels.bits_allocated, pixels.bits_stored, pixels.high_bit, pixels.pixel_representation)
    rest = (pixels.samples, pixels.photometric, pixels.planar, pixels.problem, pixels.encapsulated)
    key = (source, pixels.tag, bool(pixels.rows), bool(pixels.columns), *bits, *rest)
    found = _REACHABLE.get(key)
    if found is None:
        found = tuple(t for t in TARGETS if t != source and not unreachable(pixels, source, t))
        if len(_REACHABLE) < _REMEMBERED:
            _REACHABLE[key] = found
    return found


def _undecodable(source: str) -> str:
    return f"what is stored in transfer syntax {source} cannot be decoded here"


def _unfit(before: ImagePixel, target: str) -> str:
    """Return why the codec or PS3.5 8.2 does not allow these samples; empty where it does."""
    if before.tag != tagnumbers.PIXEL_DATA:
        return "pixels in floating point cannot be compressed"
    if before.samples not in {1, 3}:
        return f"{before.samples} samples a pixel cannot be compressed"
    if before.bits_allocated not in {1, 8, 16, 32} or not before.rows or not before.columns:
        return f"frames of {before.rows} by {before.columns} in {before.bits_allocated} bits cannot be compressed"
    if target == uids.DEFLATED_IMAGE_FRAME_COMPRESSION:
        return ""
    if target == uids.RLE_LOSSLESS:
        segments = before.samples * max(before.bits_allocated // 8, 1)
        return "" if segments <= 15 else f"{segments} segments are more than the 15 of RLE"
    if is_lossy(target):
        return _unfit_for_loss(before, target)
    return _unfit_lossless(before, target)


def _unfit_lossless(before: ImagePixel, target: str) -> str:
    bits = before.bits_allocated
    if target in _MOST_BITS:
        needed = before.high_bit + 1 if bits > most_bits(target) else bits
        return (
            "" if needed <= most_bits(target) else f"{needed} bits a sample are more than {most_bits(target)}"
        )
    if bits not in {8, 16}:
        return f"Bits Allocated is {bits}, wanted 8 or 16"
    if target == uids.JPEG_XL_LOSSLESS and before.samples == 3 and before.photometric != "RGB":
        return f"{before.photometric} cannot be told in JPEG XL, wanted RGB"
    return ""


def _unfit_for_loss(before: ImagePixel, target: str) -> str:
    bits, stored = before.bits_allocated, before.bits_stored
    if before.photometric == "PALETTE COLOR":
        return "indices into a palette cannot be compressed with loss"
    if bits not in {8, 16} or before.high_bit + 1 != stored or stored < 2:
        return f"{stored} bits of {bits} up to bit {before.high_bit} cannot be compressed with loss"
    if before.pixel_representation and target not in {uids.JPEG_LS_NEAR_LOSSLESS, uids.JPEG_2000, uids.HTJ2K}:
        return "signed samples cannot be compressed by this process"
    if target == uids.HTJ2K and stored == 9:
        # The two bytes of a quantisation step cannot express so few bits.
        return "9 bits cannot be compressed with loss by this process"
    if target == uids.JPEG_BASELINE_8_BIT and (bits, stored) != (8, 8):
        return f"Bits Stored is {stored}, wanted 8"
    if target == uids.JPEG_EXTENDED_12_BIT and (bits, stored) not in {(8, 8), (16, 12)}:
        return f"Bits Stored is {stored}, wanted 8 or 12"
    if target == uids.JPEG_EXTENDED_12_BIT and stored == 12 and before.samples != 1:
        return "colour of 12 bits cannot be compressed by this process"
    return ""


def most_bits(target: str) -> int:
    """Return the most bits a sample may need."""
    return _MOST_BITS.get(target, 16)
