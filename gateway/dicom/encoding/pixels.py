"""The Image Pixel Module: the description of the samples of one frame (PS3.3 C.7.6.3).

This one description is shared by readers of objects, codecs and rendering; `layout.PixelLayout` adds offsets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from gateway.dicom import tagnumbers, tags
from gateway.dicom.dataset import DataSet

# Interpretations in which two pixels of a row share their chrominance: Y1 Y2 CB CR (PS3.3 C.7.6.3.1.2).
HALVED = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})

_NUMBERS = {
    "samples": tagnumbers.SAMPLES_PER_PIXEL,
    "rows": tagnumbers.ROWS,
    "columns": tagnumbers.COLUMNS,
    "bits_allocated": tagnumbers.BITS_ALLOCATED,
    "bits_stored": tagnumbers.BITS_STORED,
    "high_bit": tagnumbers.HIGH_BIT,
    "pixel_representation": tagnumbers.PIXEL_REPRESENTATION,
    "planar": tagnumbers.PLANAR_CONFIGURATION,
}


@dataclass(frozen=True, slots=True)
class ImagePixel:
    """The attributes of the Image Pixel Module by their names; 0 or empty where absent.

    `tag` is that of the element with the pixels: Pixel Data, Float Pixel Data or Double Float Pixel Data.
    """

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    pixel_representation: int
    photometric: str
    planar: int
    tag: int = tagnumbers.PIXEL_DATA

    @property
    def is_signed(self) -> bool:
        """Whether samples are two's complement."""
        return self.pixel_representation == 1

    @property
    def is_floating(self) -> bool:
        """Whether the pixels are Float or Double Float Pixel Data."""
        return self.tag in {tagnumbers.FLOAT_PIXEL_DATA, tagnumbers.DOUBLE_FLOAT_PIXEL_DATA}

    @property
    def is_halved(self) -> bool:
        """Whether two pixels share their chrominance: four samples for two pixels (PS3.3 C.7.6.3.1.2)."""
        return self.samples == 3 and self.photometric in HALVED

    def count_bits(self, *, full: bool = False) -> int:
        """Return the bits of one native frame; with `full`, chrominance is counted as not halved."""
        samples = 2 if self.is_halved and not full else self.samples
        return self.rows * self.columns * samples * self.bits_allocated

    def count_bytes(self, *, full: bool = False) -> int:
        """Return the bytes of one native frame that begins with a byte; `full` as in `count_bits`."""
        return (self.count_bits(full=full) + 7) // 8


# A function returns the same type of description that it takes: a layout stays a layout.
AnyImagePixel = TypeVar("AnyImagePixel", bound=ImagePixel)


def read_image_pixel(elements: Mapping[int, bytes], order: Literal["little", "big"], tag: int) -> ImagePixel:
    """Return the module, read from encoded values by tag, the first of each; `tag` is that of the pixels."""
    numbers = {name: int.from_bytes(elements.get(at, b"")[:2], order) for name, at in _NUMBERS.items()}
    photometric = (
        elements.get(tagnumbers.PHOTOMETRIC_INTERPRETATION, b"")
        .split(b"\\")[0]
        .strip(b" \0")
        .decode("latin-1")
    )
    return ImagePixel(**numbers, photometric=photometric, tag=tag)


def write_members(image: ImagePixel) -> DataSet:
    """Return the Image Pixel Description macro as DICOM JSON members.

    Planar Configuration is included where it applies.
    """
    numbers = {
        tag: getattr(image, name) for name, tag in _NUMBERS.items() if name != "planar" or image.samples > 1
    }
    return {
        tags.PHOTOMETRIC_INTERPRETATION: {"vr": "CS", "Value": [image.photometric]},
        **{f"{tag:08X}": {"vr": "US", "Value": [number]} for tag, number in numbers.items()},
    }


def describe_by_pixel(image: AnyImagePixel) -> AnyImagePixel:
    """Return the description of the same frame by pixel, with all samples of each, as encoders take it."""
    if image.samples == 1:
        return image
    photometric = "YBR_FULL" if image.photometric in HALVED else image.photometric
    return replace(image, photometric=photometric, planar=0)


def find_changes(before: ImagePixel, after: ImagePixel) -> dict[str, str | int]:
    """Return the description's changes after a codec: tag to new value; empty where nothing changes."""
    changes: dict[str, str | int] = {}
    if after.photometric != before.photometric:
        changes[tags.PHOTOMETRIC_INTERPRETATION] = after.photometric
    if after.planar != before.planar:
        changes[tags.PLANAR_CONFIGURATION] = after.planar
    return changes
