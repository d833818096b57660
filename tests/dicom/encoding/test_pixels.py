"""The one description of pixels: how much a frame takes, how it is read and written, and how it is kept."""

from __future__ import annotations

import struct
from array import array
from dataclasses import fields, replace
from typing import Any, Literal

import pytest
from gateway.dicom import tagnumbers
from gateway.dicom.encoding import layoutbytes
from gateway.dicom.encoding.layout import InstanceLayout, PixelLayout
from gateway.dicom.encoding.pixels import (
    ImagePixel,
    describe_by_pixel,
    find_changes,
    read_image_pixel,
    write_members,
)

GREY = ImagePixel(4, 6, 1, 16, 12, 11, 0, "MONOCHROME2", 0)
COLOUR = ImagePixel(4, 6, 3, 8, 8, 7, 0, "RGB", 1)


@pytest.mark.parametrize(
    ("image", "native", "full"),
    [
        (GREY, 4 * 6 * 2, 4 * 6 * 2),
        (COLOUR, 4 * 6 * 3, 4 * 6 * 3),
        (replace(COLOUR, photometric="YBR_FULL_422"), 4 * 6 * 2, 4 * 6 * 3),
        (replace(COLOUR, photometric="YBR_PARTIAL_422"), 4 * 6 * 2, 4 * 6 * 3),
        (replace(COLOUR, photometric="YBR_FULL"), 4 * 6 * 3, 4 * 6 * 3),
        (replace(GREY, photometric="YBR_FULL_422"), 4 * 6 * 2, 4 * 6 * 2),
        (replace(GREY, columns=3, bits_allocated=1), 2, 2),
    ],
)
def test_how_much_a_frame_takes(image: ImagePixel, native: int, full: int) -> None:
    """PS3.3 C.7.6.3.1.2, PS3.5 8.1.1: single bits are packed, the last byte is a whole one."""
    assert (image.count_bytes(), image.count_bytes(full=True)) == (native, full)


@pytest.mark.parametrize("order", ["little", "big"])
def test_the_module_is_read_as_it_is_encoded(order: Literal["little", "big"]) -> None:
    numbers = {0x00280002: 3, 0x00280010: 258, 0x00280011: 6, 0x00280100: 8, 0x00280101: 7, 0x00280102: 6}
    numbers |= {0x00280103: 1, 0x00280006: 1}
    encoded = {
        tag: struct.pack("<H" if order == "little" else ">H", number) for tag, number in numbers.items()
    }
    found = read_image_pixel(encoded | {0x00280004: b"RGB \\YBR_FULL"}, order, tagnumbers.FLOAT_PIXEL_DATA)
    assert found == ImagePixel(258, 6, 3, 8, 7, 6, 1, "RGB", 1, tagnumbers.FLOAT_PIXEL_DATA)
    assert read_image_pixel({}, order, tagnumbers.PIXEL_DATA) == ImagePixel(0, 0, 0, 0, 0, 0, 0, "", 0)


@pytest.mark.parametrize(
    ("tag", "floating"),
    [
        (tagnumbers.PIXEL_DATA, False),
        (tagnumbers.FLOAT_PIXEL_DATA, True),
        (tagnumbers.DOUBLE_FLOAT_PIXEL_DATA, True),
    ],
)
def test_the_element_tells_what_floats(tag: int, floating: bool) -> None:
    assert replace(GREY, tag=tag).is_floating is floating


def test_planar_configuration_is_written_of_colour_alone() -> None:
    members = write_members(COLOUR)
    assert members["00280006"] == {"vr": "US", "Value": [1]}
    assert members["00280004"] == {"vr": "CS", "Value": ["RGB"]}
    assert set(members) - set(write_members(GREY)) == {"00280006"}
    assert [write_members(GREY)[f"0028010{n}"]["Value"] for n in range(4)] == [[16], [12], [11], [0]]


def test_by_pixel_each_has_all_its_samples() -> None:
    halved = replace(COLOUR, photometric="YBR_FULL_422")
    assert describe_by_pixel(halved) == replace(COLOUR, photometric="YBR_FULL", planar=0)
    assert describe_by_pixel(GREY) is GREY
    assert find_changes(halved, describe_by_pixel(halved)) == {"00280004": "YBR_FULL", "00280006": 0}
    assert find_changes(halved, halved) == {}


def layout(**changes: Any) -> InstanceLayout:
    place: dict[str, Any] = {"vr": "OW", "offset": 700, "length": 48, "encapsulated": False}
    image = {field.name: getattr(GREY, field.name) for field in fields(GREY)}
    pixels = PixelLayout(**image, **place, frames=1, declared_frames=2, frame_bits=384, problem="")
    return InstanceLayout(
        "1.2.840.10008.1.2.1", False, False, False, 600, 748, replace(pixels, **changes), {}
    )


def test_kinds_are_worded_as_indexes_hold_them() -> None:
    """Rows of an index written before say the same of the same pixels, or they would all be found changed."""
    kind = '["1.2.840.10008.1.2.1",2145386512,false,1,2,4,6,1,16,12,11,0,"MONOCHROME2",0,""]'
    assert layoutbytes.kind_of(layout()) == kind
    assert layoutbytes.kind_of(layout(offset=900, length=2, vr="OB", frame_bits=1)) == kind
    assert layoutbytes.kind_of(layoutbytes.from_kind(kind)) == kind


def test_every_field_of_a_layout_is_kept() -> None:
    """A field that is left out of the stored form would come back as another, or not at all."""
    other = {int: 9, str: "X", bool: True}
    tables = {"starts": array("Q", [9]), "lengths": array("Q", [9]), "first": array("L", [9])}
    for field in fields(PixelLayout):
        value = tables.get(field.name) or other[type(getattr(layout().pixels, field.name))]
        changed = layout(**{field.name: value})
        assert changed != layout(), field.name
        assert layoutbytes.decode(layoutbytes.encode(changed)) == changed, field.name
