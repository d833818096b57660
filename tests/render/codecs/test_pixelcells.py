"""Cells of native frames: the same values however a frame is laid out (PS3.5 8.1, PS3.3 C.7.6.3.1)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from gateway.dicom import tagnumbers
from gateway.dicom.encoding.pixels import ImagePixel
from gateway.errors import CodecError
from gateway.render.codecs.pixelcells import hash_pixels, read_cells, read_signed_cells

COLOUR = ImagePixel(2, 2, 3, 8, 8, 7, 0, "RGB", 0)
HALVED = replace(COLOUR, photometric="YBR_FULL_422")
BY_PIXEL = bytes([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])


def test_by_plane_and_by_pixel_are_the_same_cells() -> None:
    by_plane = bytes([1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12])
    planar = replace(COLOUR, planar=1)
    assert read_cells(by_plane, planar).tolist() == read_cells(BY_PIXEL, COLOUR).tolist()
    assert read_cells(BY_PIXEL, COLOUR)[1, 0].tolist() == [7, 8, 9]
    assert hash_pixels(by_plane, planar) == hash_pixels(BY_PIXEL, COLOUR) != hash_pixels(by_plane, COLOUR)


def test_halved_chrominance_stands_for_two_pixels() -> None:
    """PS3.3 C.7.6.3.1.2: Y1 Y2 CB CR."""
    found = read_cells(bytes([1, 2, 30, 40, 5, 6, 70, 80]), HALVED)
    assert found.tolist() == [[[1, 30, 40], [2, 30, 40]], [[5, 70, 80], [6, 70, 80]]]
    with pytest.raises(CodecError, match="YBR_FULL_422 has 3 columns, wanted an even number"):
        read_cells(bytes(12), replace(HALVED, columns=3))


def test_what_comes_after_a_frame_is_left_out_and_what_is_missing_is_told() -> None:
    assert read_cells(BY_PIXEL + b"\xff", COLOUR).tolist() == read_cells(BY_PIXEL, COLOUR).tolist()
    with pytest.raises(CodecError, match="a frame has 11 bytes, wanted 12"):
        read_cells(BY_PIXEL[:-1], COLOUR)
    with pytest.raises(CodecError, match="a frame has 1 bytes, wanted 2"):
        read_cells(b"\xff", ImagePixel(3, 3, 1, 1, 1, 0, 0, "MONOCHROME2", 0))


def test_cells_have_no_sign_until_it_is_wanted() -> None:
    image = ImagePixel(1, 2, 1, 16, 16, 15, 1, "MONOCHROME2", 0)
    data = np.array([-2, 3], "<i2").tobytes()
    assert read_cells(data, image).tolist() == [[65534, 3]]
    assert read_signed_cells(data, image).tolist() == [[-2, 3]]
    assert read_signed_cells(data, replace(image, pixel_representation=0)).tolist() == [[65534, 3]]


def test_single_bits_and_floats() -> None:
    bits = ImagePixel(2, 5, 1, 1, 1, 0, 1, "MONOCHROME2", 0)
    assert read_signed_cells(b"\x61\x02", bits).tolist() == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 1]]
    floats = ImagePixel(1, 2, 1, 32, 32, 31, 1, "MONOCHROME2", 0, tagnumbers.FLOAT_PIXEL_DATA)
    assert read_signed_cells(np.array([-1.5, 2.25], "<f4").tobytes(), floats).tolist() == [[-1.5, 2.25]]
