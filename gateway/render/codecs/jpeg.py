"""Decode the JPEG family (ISO 10918-1): sequential, progressive, 12 bit and lossless."""

from __future__ import annotations

import imagecodecs

from gateway.dicom import uids
from gateway.dicom.encoding.pixels import ImagePixel
from gateway.errors import CodecError
from gateway.render.codecs.codestreamheaders import CodestreamHeader
from gateway.render.codecs.nativebytes import Array
from gateway.render.codecs.ybr import ybr_to_rgb

# Processes whose colour is decoded to RGB; lossless processes keep their declared colour space (PS3.5 8.2.1).
TO_RGB = frozenset(
    {
        uids.JPEG_BASELINE_8_BIT,
        uids.JPEG_EXTENDED_12_BIT,
        uids.JPEG_SPECTRAL_SELECTION_NON_HIERARCHICAL_68,
        uids.JPEG_FULL_PROGRESSION_NON_HIERARCHICAL_1012,
    }
)


def decode(stream: bytes, header: CodestreamHeader, pixels: ImagePixel, transfer_syntax: str) -> Array:
    """Decode to the colour space that the described Photometric Interpretation needs.

    Raises CodecError for components other than 1 or 3, and the codec's own exceptions.
    """
    stream = trim_after_end(stream)
    if header.components == 1:
        return imagecodecs.jpeg8_decode(stream)
    if header.components != 3:
        raise CodecError(f"the JPEG codestream has {header.components} components, wanted 1 or 3")
    rgb = is_coded_rgb(header, pixels)
    wants_rgb = transfer_syntax in TO_RGB or pixels.photometric == "RGB"
    if header.lossless:
        array = imagecodecs.jpeg8_decode(stream, colorspace="RGB", outcolorspace="RGB")
        return ybr_to_rgb(array) if transfer_syntax in TO_RGB and not rgb else array
    space = "RGB" if rgb else "YCBCR"
    target = "RGB" if wants_rgb or rgb else "YCBCR"
    return imagecodecs.jpeg8_decode(stream, colorspace=space, outcolorspace=target)


def trim_after_end(stream: bytes) -> bytes:
    """Return the codestream up to its End of Image marker, without padding.

    Raises CodecError where the marker is missing.

    Without the marker, the JPEG codec invents the rest of the picture, and the JPEG-LS codec spins for
    seconds reading zeros past the end. In neither format can these two bytes stand within a scan.
    """
    at = stream.rfind(b"\xff\xd9")
    if at < 0:
        raise CodecError("the codestream has no End of Image marker, it is cut short")
    return stream[: at + 2]


def is_coded_rgb(header: CodestreamHeader, pixels: ImagePixel) -> bool:
    """Return whether the three components are RGB: by the codestream if it says, else by the data set."""
    if header.coded_rgb is not None and not header.lossless:
        return header.coded_rgb
    return pixels.photometric == "RGB"
