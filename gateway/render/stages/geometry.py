"""Crop, scale and flip (PS3.18 8.3.5.1.3, 9.5.1.2.4, 9.5.1.2.5; PS3.3 C.10.4, C.10.6).

Pixels that are not square are made square only where a size is requested. Without a size the picture has the
pixel matrix of its source, as 8.3.5.1.3 says. The aspect ratio that 8.3.5.1.3 keeps is that of the picture as
it is seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
from PIL import Image as Pillow

from gateway.dicom import tags
from gateway.errors import BadParameter, CodecError
from gateway.render.attributes import Attributes
from gateway.render.rendering import (
    Array,
    DisplayedArea,
    Placement,
    Presentation,
    Region,
    Rendering,
    Viewport,
)

# The longest side of a picture, and its most pixels: 16384 x 16384 in colour takes 768 MiB.
SIDE_AT_MOST = 1 << 16
PIXELS_AT_MOST = 1 << 28


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a picture, in pixels from its upper left corner, and whether it is mirrored."""

    left: float
    top: float
    right: float
    bottom: float
    mirrored: bool = False
    upended: bool = False

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top


def pixel_aspect(attributes: Attributes) -> float:
    """Return the height of a pixel divided by its width.

    It comes from Pixel Aspect Ratio, or else from the first spacing that is present; 1 where there is none.
    """
    for tag in (
        tags.PIXEL_ASPECT_RATIO,
        tags.PIXEL_SPACING,
        tags.IMAGER_PIXEL_SPACING,
        tags.NOMINAL_SCANNED_PIXEL_SPACING,
    ):
        pair = attributes.numbers(tag)
        if len(pair) == 2 and pair[0] > 0 and pair[1] > 0:
            return _sane(pair[0] / pair[1])
    measures = attributes.functional(1, tags.PIXEL_MEASURES_SEQUENCE)
    pair = measures.numbers(tags.PIXEL_SPACING) if measures is not None else []
    return _sane(pair[0] / pair[1]) if len(pair) == 2 and pair[0] > 0 and pair[1] > 0 else 1.0


def _sane(aspect: float) -> float:
    """Return the ratio, or 1 where it is not within 1 : 100 and 100 : 1.

    Such a ratio is a mistake, and would make an enormous picture.
    """
    return aspect if isfinite(aspect) and 0.01 <= aspect <= 100 else 1.0


def place(picture: Array, aspect: float, how: Rendering) -> tuple[Array, Placement]:
    """Return the picture cropped, scaled and flipped as requested, and the placement of the source in it.

    The order is that of U-68: presentation, region, viewport. Raises BadParameter where the region of the
    viewport is not on the picture, CodecError where the result would be too large.
    """
    placement, zoom = Placement(), None
    if how.presentation is not None:
        picture, placement, aspect = _present(picture, aspect, how.presentation)
        zoom = _zoom(how.presentation)
    box = Box(0, 0, picture.shape[1], picture.shape[0])
    if how.region is not None:
        box = crop_region(how.region, picture.shape[1], picture.shape[0])
    if how.viewport is not None:
        box = crop_viewport(how.viewport, box)
    size = target_size(how, box, aspect)
    if zoom is not None:
        box, size = _magnify(box, (zoom, zoom * aspect), _bounds(how))
    elif size is None:
        box = _whole(box, picture.shape[1], picture.shape[0])
        size = round(box.width), round(box.height)
    return resize(picture, box, size), placement.then(_place_box(box, size))


def crop_region(region: Region, width: int, height: int) -> Box:
    """Return the crop of WADO-URI's region in pixels (PS3.18 9.5.1.2.5)."""
    return Box(region.xmin * width, region.ymin * height, region.xmax * width, region.ymax * height)


def crop_viewport(viewport: Viewport, within: Box) -> Box:
    """Return the part that `viewport` crops from `within`; a part beyond the edge is cut off.

    Raises BadParameter where nothing is left.
    """
    left = within.left + abs(viewport.sx or 0.0)
    top = within.top + abs(viewport.sy or 0.0)
    right = within.right if viewport.sw is None else min(left + abs(viewport.sw), within.right)
    bottom = within.bottom if viewport.sh is None else min(top + abs(viewport.sh), within.bottom)
    if right <= left or bottom <= top:
        raise BadParameter(
            f"the region of the viewport is not on the picture of {within.width:g} by {within.height:g} pixels",
            parameter="viewport",
            expected="sx,sy,sw,sh of a region within the picture",
        )
    mirrored, upended = (viewport.sw or 0) < 0, (viewport.sh or 0) < 0
    return Box(left, top, right, bottom, mirrored, upended)


def target_size(how: Rendering, box: Box, aspect: float) -> tuple[int, int] | None:
    """Return columns and rows of the picture; None where no size is requested."""
    width, height = box.width, box.height * aspect
    if how.viewport is not None:
        return fit(width, height, how.viewport.vw, how.viewport.vh)
    if how.rows is not None or how.columns is not None:
        return fit(width, height, how.columns, how.rows)
    return None


def fit(width: float, height: float, most_width: int | None, most_height: int | None) -> tuple[int, int]:
    """Return the largest size of the same aspect ratio within the bounds; one side equals its bound.

    Raises CodecError where that is too large.
    """
    ratios = [most / side for most, side in ((most_width, width), (most_height, height)) if most is not None]
    scale = min(ratios)
    size = (
        max(1, min(round(width * scale), most_width or SIDE_AT_MOST)),
        max(1, min(round(height * scale), most_height or SIDE_AT_MOST)),
    )
    return check_limits(size)


def check_limits(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size. Raises CodecError where it is beyond `SIDE_AT_MOST` or `PIXELS_AT_MOST`."""
    if max(size) > SIDE_AT_MOST or size[0] * size[1] > PIXELS_AT_MOST:
        raise CodecError(
            f"a picture of {size[0]} by {size[1]} pixels is beyond the limit of {PIXELS_AT_MOST}"
        )
    return size


def _whole(box: Box, width: int, height: int) -> Box:
    """Return the box with corners on pixel borders, at least one pixel apart.

    So each pixel of the picture is one pixel of the source.
    """
    left, top = min(round(box.left), width - 1), min(round(box.top), height - 1)
    right, bottom = max(round(box.right), left + 1), max(round(box.bottom), top + 1)
    return Box(left, top, min(right, width), min(bottom, height), box.mirrored, box.upended)


def _place_box(box: Box, size: tuple[int, int]) -> Placement:
    x, y = size[0] / box.width, size[1] / box.height
    across = (-x, box.right * x) if box.mirrored else (x, -box.left * x)
    down = (-y, box.bottom * y) if box.upended else (y, -box.top * y)
    return Placement(across[0], 0.0, across[1], 0.0, down[0], down[1])


def resize(picture: Array, box: Box, size: tuple[int, int]) -> Array:
    """Return the part of the picture in the box, scaled to columns x rows, mirrored as the box says."""
    whole = (box.width, box.height) == size and box.left == int(box.left) and box.top == int(box.top)
    part = picture[int(box.top) : int(box.bottom), int(box.left) : int(box.right)]
    out = part if whole else _scale(picture, box, size)
    if box.mirrored:
        out = out[:, ::-1]
    return out[::-1] if box.upended else out


def _scale(picture: Array, box: Box, size: tuple[int, int]) -> Array:
    """Return the part in the box, scaled to columns x rows.

    A pixel is the mean of its source pixels where these are whole, else it is interpolated. Bilinear
    interpolation takes in all source pixels that fall into a pixel.
    """
    corners = (box.left, box.top, box.right, box.bottom)
    deep = picture.dtype != np.uint8
    source = Pillow.fromarray(picture.astype(np.float32) if deep else np.ascontiguousarray(picture))
    mean = all(float(side).is_integer() for side in (*corners, box.width / size[0], box.height / size[1]))
    way = Pillow.Resampling.BOX if mean else Pillow.Resampling.BILINEAR
    made = np.asarray(source.resize(size, way, box=corners))
    return np.clip(np.rint(made), 0, 65535).astype(picture.dtype) if deep else made.copy()


def _present(picture: Array, aspect: float, state: Presentation) -> tuple[Array, Placement, float]:
    """Return the picture after displayed area, rotation and flip, its placement and its new pixel aspect."""
    placement = Placement()
    if state.area is not None:
        aspect = _sane(state.area.aspect)
        picture, placement = _area(picture, state.area)
    for _ in range(_turns(state)):
        placement = placement.then(Placement(0, -1, picture.shape[0], 1, 0, 0))
        picture, aspect = np.rot90(picture, -1), 1 / aspect
    if state.flip:
        placement = placement.then(Placement(-1, 0, picture.shape[1], 0, 1, 0))
        picture = picture[:, ::-1]
    return picture, placement, aspect


def _turns(state: Presentation) -> int:
    """Return the rotation in quarter turns clockwise."""
    return state.rotation // 90 % 4


def _zoom(state: Presentation) -> float | None:
    """Return how many picture columns show one presented column; None in modes other than MAGNIFY."""
    if state.area is None or state.area.mode != "MAGNIFY":
        return None
    ratio = state.area.magnification
    factor = ratio if isfinite(ratio) and ratio > 0 else 1.0
    return factor * _sane(state.area.aspect) if _turns(state) % 2 else factor


def _bounds(how: Rendering) -> tuple[int | None, int | None]:
    """Return the most columns and rows that are requested."""
    return (how.viewport.vw, how.viewport.vh) if how.viewport is not None else (how.columns, how.rows)


def _magnify(
    box: Box, zoom: tuple[float, float], most: tuple[int | None, int | None]
) -> tuple[Box, tuple[int, int]]:
    """Return the middle of the box, as much as fits the bounds at this magnification, and its size.

    PS3.18 8.3.5.1.6. Raises CodecError where the size is too large.
    """
    left, right, width = _middle(box.left, box.right, zoom[0], most[0])
    top, bottom, height = _middle(box.top, box.bottom, zoom[1], most[1])
    return replace(box, left=left, top=top, right=right, bottom=bottom), check_limits((width, height))


def _middle(low: float, high: float, zoom: float, most: int | None) -> tuple[float, float, int]:
    size = max(1, round((high - low) * zoom))
    if most is None or size <= most:
        return low, high, size
    margin = ((high - low) - most / zoom) / 2
    return low + margin, high - margin, most


def _area(picture: Array, area: DisplayedArea) -> tuple[Array, Placement]:
    """Return the part that the corners enclose, and its placement.

    It is black outside the image. The corners may come in either order.
    """
    left, right = sorted((area.left, area.right))
    top, bottom = sorted((area.top, area.bottom))
    width, height = check_limits((right - left + 1, bottom - top + 1))
    rows, columns = picture.shape[:2]
    if left >= 1 and top >= 1 and right <= columns and bottom <= rows:
        return picture[top - 1 : bottom, left - 1 : right], Placement(c=1 - left, f=1 - top)
    out = np.zeros((height, width, *picture.shape[2:]), picture.dtype)
    y, x = slice(max(top, 1), min(bottom, rows) + 1), slice(max(left, 1), min(right, columns) + 1)
    if y.start < y.stop and x.start < x.stop:
        part = picture[y.start - 1 : y.stop - 1, x.start - 1 : x.stop - 1]
        out[y.start - top : y.stop - top, x.start - left : x.stop - left] = part
    return out, Placement(c=1 - left, f=1 - top)
