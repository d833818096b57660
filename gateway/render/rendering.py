"""The parameters of a rendering, and its result (PS3.18 8.3.5, 9.5.1.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gateway.render.attributes import Attributes

Array: TypeAlias = NDArray[Any]


class VoiFunction(StrEnum):
    """VOI LUT Function (0028,1056) (PS3.3 C.11.2.1.2, C.11.2.1.3)."""

    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"


@dataclass(frozen=True, slots=True)
class Window:
    """The `window` parameter (PS3.18 8.3.5.1.4), in units of the Modality LUT's output.

    Raises ValueError for a width that the function does not define: below 1 for LINEAR, 0 or less for others.
    """

    center: float
    width: float
    function: VoiFunction = VoiFunction.LINEAR

    def __post_init__(self) -> None:
        if not valid_width(self.width, self.function):
            raise ValueError(f"no window of {self.function.value} has width {self.width}")


def valid_width(width: float, function: VoiFunction) -> bool:
    """Return whether the width is allowed: 1 or more for LINEAR, above 0 for others (PS3.3 C.11.2.1.2.1)."""
    return width >= 1 if function is VoiFunction.LINEAR else width > 0


@dataclass(frozen=True, slots=True)
class Viewport:
    """The `viewport` parameter (PS3.18 8.3.5.1.3): a source region, and the size that it is scaled to fit.

    The picture is the largest of its aspect ratio within vw x vh. Negative `sw` mirrors left-right, negative
    `sh` top-bottom; only the absolute values of `sx` and `sy` count. None means: from the left or top edge,
    to the right or bottom edge.
    """

    vw: int
    vh: int
    sx: float | None = None
    sy: float | None = None
    sw: float | None = None
    sh: float | None = None


@dataclass(frozen=True, slots=True)
class Region:
    """The `region` parameter of WADO-URI (PS3.18 9.5.1.2.5): corners in fractions of the image."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float


class IccTarget(StrEnum):
    """Values of the `iccprofile` parameter (PS3.18 8.3.5.1.5)."""

    NO = "no"
    YES = "yes"
    SRGB = "srgb"
    ADOBERGB = "adobergb"
    ROMMRGB = "rommrgb"
    DISPLAYP3 = "displayp3"


@dataclass(frozen=True, slots=True)
class Placement:
    """An affine map from points of the source image to points of the picture.

    x = a * column + b * row + c, y = d * column + e * row + f. Columns and rows count from 0 at the outer
    corner of the first pixel, so the centre of that pixel is (0.5, 0.5).
    """

    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0
    e: float = 1.0
    f: float = 0.0

    def point(self, column: float, row: float) -> tuple[float, float]:
        """Return x and y in the picture of a point in the source image."""
        return self.a * column + self.b * row + self.c, self.d * column + self.e * row + self.f

    def inverse(self) -> Placement:
        """Return the map from the picture to the source.

        Raises ZeroDivisionError where the source has no extent in the picture.
        """
        scale = 1 / (self.a * self.e - self.b * self.d)
        a, b, d, e = self.e * scale, -self.b * scale, -self.d * scale, self.a * scale
        return Placement(a, b, -(a * self.c + b * self.f), d, e, -(d * self.c + e * self.f))

    def then(self, after: Placement) -> Placement:
        """Return the map that applies this one first, then `after`."""
        s, t = self, after
        return Placement(
            t.a * s.a + t.b * s.d,
            t.a * s.b + t.b * s.e,
            t.a * s.c + t.b * s.f + t.c,
            t.d * s.a + t.e * s.d,
            t.d * s.b + t.e * s.e,
            t.d * s.c + t.e * s.f + t.f,
        )


@dataclass(frozen=True, slots=True)
class DisplayedArea:
    """A Displayed Area Selection (PS3.3 C.10.4): corners from 1, inclusive; they may lie outside the image.

    `aspect` is the height of a pixel divided by its width; `magnification` counts in mode MAGNIFY only.
    """

    left: int
    top: int
    right: int
    bottom: int
    mode: str = "SCALE TO FIT"
    magnification: float = 1.0
    aspect: float = 1.0


@dataclass(frozen=True, slots=True)
class Ink:
    """The colour of graphics: a share of the greatest P-Value, or an sRGB colour, which wins if present."""

    grey: float = 1.0
    colour: tuple[int, int, int] | None = None


_NOTHING = Attributes({})


@dataclass(frozen=True, slots=True)
class Presentation:
    """The values of a presentation state for one frame (PS3.4 N.2); they replace those of the object.

    Each `Attributes` holds the attributes of its module, and no attributes mean the identity (PS3.4 N.2.1.1):
    Modality LUT (C.11.1), Softcopy VOI LUT (the item, C.11.8), Softcopy Presentation LUT (C.11.6), Display
    and Bitmap Display Shutter (C.7.6.11, C.7.6.15), Overlay Plane (C.9.2: the overlays to draw, both the
    state's own and those of the image that it activates). `inks` maps an overlay group such as `6000` to its
    ink; without an entry the overlay is white. `palette` is None where the object's own palette holds.

    `blend` takes the picture of the pixels, before anything is drawn over it, and returns it blended with
    those of another image. `draw` takes the picture (grey or colour) and the placement of the source in it,
    and returns the picture with graphics; the result may be in colour.
    """

    modality: Attributes = _NOTHING
    voi: Attributes = _NOTHING
    lut: Attributes = _NOTHING
    shutter: Attributes = _NOTHING
    overlays: Attributes = _NOTHING
    inks: Mapping[str, Ink] = field(default_factory=dict)
    palette: Attributes | None = None
    icc: bytes | None = None
    blend: Callable[[Array], Array] | None = None
    flip: bool = False
    rotation: int = 0
    area: DisplayedArea | None = None
    draw: Callable[[Array, Placement], Array] | None = None


PresentationLike: TypeAlias = Presentation


@dataclass(frozen=True, slots=True)
class Rendering:
    """The rendering parameters of one frame; each default is the behaviour of the standard without it.

    `rows` and `columns` are the upper bounds of WADO-URI (PS3.18 9.5.1.2.4). `annotation` may hold `patient`
    and `technique`. With `icc` None the object decides: a profile is embedded if it has one. `bits` 16 keeps
    the depth of grey images for media types that have it. `beneath` takes rows and columns and returns the
    image of that size on which segments or doses are drawn, in RGB of 8 bits.
    """

    window: Window | None = None
    viewport: Viewport | None = None
    region: Region | None = None
    rows: int | None = None
    columns: int | None = None
    annotation: frozenset[str] = frozenset()
    icc: str | None = None
    quality: int = 90
    presentation: PresentationLike | None = None
    bits: int = 8
    beneath: Callable[[int, int], Array] | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """A picture ready to encode: rows x columns, or rows x columns x 3 in RGB; 8 or 16 bits."""

    pixels: Array
    icc: bytes | None = None
    space: str = field(default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "space", self.space or ("RGB" if self.pixels.ndim == 3 else "GRAY"))

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def colour(self) -> bool:
        return self.pixels.ndim == 3

    def eight_bit(self) -> Array:
        """Return the pixels in 8 bits, scaled down where they have 16."""
        if self.pixels.dtype == np.uint8:
            return self.pixels
        return ((self.pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
