"""What is asked of a rendering, and what comes out of it (PS3.18 8.3.5, 9.5.1.2)."""

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
    """PS3.3 C.11.2.1.2.1: at least 1 for LINEAR, above 0 for the others."""
    return width >= 1 if function is VoiFunction.LINEAR else width > 0


@dataclass(frozen=True, slots=True)
class Viewport:
    """The `viewport` parameter (PS3.18 8.3.5.1.3): the largest size inside vw x vh, of a region of the source.

    Negative `sw` mirrors left-right, negative `sh` top-bottom; of `sx` and `sy` only the absolute value counts.
    None: from the left and top, to the right and bottom.
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
    """Where a point of the source image lies in the picture: x = a * column + b * row + c, y = d * column + e * row + f.

    Columns and rows count from 0 at the outer corner of the first pixel, so that its centre is (0.5, 0.5).
    """

    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0
    e: float = 1.0
    f: float = 0.0

    def point(self, column: float, row: float) -> tuple[float, float]:
        return self.a * column + self.b * row + self.c, self.d * column + self.e * row + self.f

    def inverse(self) -> Placement:
        """From the picture to the source. Raises ZeroDivisionError where the source has no extent in the picture."""
        scale = 1 / (self.a * self.e - self.b * self.d)
        a, b, d, e = self.e * scale, -self.b * scale, -self.d * scale, self.a * scale
        return Placement(a, b, -(a * self.c + b * self.f), d, e, -(d * self.c + e * self.f))

    def then(self, after: Placement) -> Placement:
        """This one, then `after`."""
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
    """Displayed Area Selection (PS3.3 C.10.4): corners from 1, both inclusive; they may lie outside the image.

    `aspect` is the height of a pixel over its width; `magnification` only of mode MAGNIFY.
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
    """What graphics are drawn in: a share of the greatest P-Value, or a colour of sRGB, which goes before."""

    grey: float = 1.0
    colour: tuple[int, int, int] | None = None


_NOTHING = Attributes({})


@dataclass(frozen=True, slots=True)
class Presentation:
    """What a presentation state says of one frame (PS3.4 N.2), in place of all that the object says itself.

    Each `Attributes` holds the attributes of its module, none of them being the identity (PS3.4 N.2.1.1):
    Modality LUT (C.11.1), Softcopy VOI LUT (the item, C.11.8), Softcopy Presentation LUT (C.11.6), Display and
    Bitmap Display Shutter (C.7.6.11, C.7.6.15), Overlay Plane (C.9.2: those to be drawn, its own and the
    image's that it activates); `inks` has that of an overlay group such as `6000`, white if it has not.
    `palette` is None where the object's own holds. `blend` gets the picture of the pixels, before all that is
    laid over them, and gives it back with those of another image. `draw` gets the picture (grey or colour) and where the
    source lies in it, and gives it back with graphics, in colour if it likes.
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
    """What is asked of one frame; every default is what the standard does where nothing is asked.

    `rows` and `columns` are WADO-URI's upper bounds (PS3.18 9.5.1.2.4). `annotation` holds `patient`,
    `technique`. `icc` None leaves it to the object: a profile is embedded if it has one. `bits` 16 keeps
    the depth of grey images for media types that have it. `beneath` gets rows and columns and gives what
    segments or doses of that size lie over, in RGB of 8 bits.
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
    """A picture fit to be encoded: rows x columns, or rows x columns x 3 in RGB; 8 or 16 bits."""

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
        """The pixels in 8 bits, whatever they are kept in."""
        if self.pixels.dtype == np.uint8:
            return self.pixels
        return ((self.pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
