"""Parse the rendering parameters of the RESTful services. Pure, tested as a table.

PS3.18 8.3.5.1, 8.3.5.2. Decisions: in `annotation`, words of letters, digits and hyphens are keywords, and a
warning names the unsupported ones (R-Q-4); commas at the end of `viewport` are ignored (R-Q-15); the
standard's values of `iccprofile` and displayp3 are accepted.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from math import isfinite

from gateway.errors import BadParameter
from gateway.http.parameters.querystring import Params
from gateway.services.render.renderparameters import (
    KNOWN,
    IccTarget,
    Rendering,
    RenderRequest,
    Viewport,
    VoiFunction,
    Window,
    valid_width,
)

# Longest side of a requested picture, and its most pixels: 8K fits.
SIDE_AT_MOST = 16384
PIXELS_AT_MOST = 1 << 25

_DECIMAL = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")
_KEYWORD = re.compile(r"[A-Za-z][A-Za-z0-9-]*\Z")
_FUNCTIONS = {
    "linear": VoiFunction.LINEAR,
    "linear-exact": VoiFunction.LINEAR_EXACT,
    "sigmoid": VoiFunction.SIGMOID,
}
_NAMES = ("annotation", "quality", "viewport", "window", "iccprofile")


def rendering(params: Params) -> RenderRequest:
    """Return the parameters of a rendered resource.

    Raises BadParameter naming the parameter and what is accepted.
    """
    annotation, unsupported = annotation_words(params, "annotation")
    how = Rendering(
        annotation=annotation,
        quality=quality(params, "quality"),
        viewport=viewport(params),
        window=_window(params),
        icc=_icc(params),
    )
    return RenderRequest(how, unsupported, find_given(params, _NAMES))


def thumbnail(params: Params) -> RenderRequest:
    """Return the one parameter of a thumbnail: two values of `viewport` (8.3.5.2). Raises BadParameter."""
    found = viewport(params)
    if found is not None:
        check_unregioned(found, "a thumbnail")
    return RenderRequest(Rendering(viewport=found), (), find_given(params, ("viewport",)))


def find_given(params: Params, names: Collection[str]) -> frozenset[str]:
    """Return the names in `names` that the request has."""
    return frozenset(name for name, _ in params.pairs if name in names)


def check_unregioned(found: Viewport, what: str) -> None:
    """Raise BadParameter where `viewport` has more than width and height (8.3.5.1.3)."""
    if any(value is not None for value in (found.sx, found.sy, found.sw, found.sh)):
        raise BadParameter(
            f"viewport: of {what}, only width and height can be asked",
            parameter="viewport",
            expected="vw,vh",
        )


def decimal(text: str) -> float | None:
    """Return a number as PS3.18 5.1.1 defines it, of at most 16 characters; else None.

    A point has digits on both sides.
    """
    if len(text) > 16 or not _DECIMAL.match(text):
        return None
    value = float(text)
    return value if isfinite(value) else None


def positive(text: str) -> int | None:
    """Return a whole number, 1 or more; else None."""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) and int(text) else None


def annotation_words(params: Params, name: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the known keywords and the other words (8.3.5.1.1).

    Raises BadParameter for what is no keyword.
    """
    text = params.one(name)
    if text is None:
        return frozenset(), ()
    words = [word.strip() for word in text.split(",")]
    if not all(map(_KEYWORD.match, words)):
        raise bad(name, text, f"keywords separated by commas, of {', '.join(sorted(KNOWN))}")
    return KNOWN.intersection(words), tuple(dict.fromkeys(word for word in words if word not in KNOWN))


def quality(params: Params, name: str) -> int:
    """Return a number from 1 to 100 (8.3.5.1.2), the default where absent. Raises BadParameter."""
    text = params.one(name)
    if text is None:
        return Rendering().quality
    value = positive(text)
    if value is None or value > 100:
        raise bad(name, text, "a whole number from 1 to 100")
    return value


def viewport(params: Params) -> Viewport | None:
    """Return `vw,vh` or `vw,vh,sx,sy,sw,sh`; inner values may be empty (8.3.5.1.3). Raises BadParameter."""
    text = params.one("viewport")
    if text is None:
        return None
    wanted = "vw,vh or vw,vh,sx,sy,sw,sh: two whole numbers from 1, then decimals"
    pieces = text.rstrip(",").split(",")
    width, height = (positive(piece) for piece in (*pieces, "", "")[:2])
    if width is None or height is None or len(pieces) > 6 or text.count(",") > 5:
        raise bad("viewport", text, wanted)
    check_size("viewport", width, height)
    region: list[float | None] = []
    for piece in (*pieces[2:], "", "", "", "")[:4]:
        value = decimal(piece) if piece else None
        if piece and value is None:
            raise bad("viewport", text, wanted)
        region.append(value)
    sx, sy, sw, sh = region
    if sw == 0 or sh == 0:
        raise bad("viewport", text, "sw and sh other than 0")
    return Viewport(width, height, sx, sy, sw, sh)


def check_size(name: str, width: int, height: int) -> None:
    """Raise BadParameter for a picture beyond the limits."""
    if max(width, height) > SIDE_AT_MOST or width * height > PIXELS_AT_MOST:
        limit = f"sides of {SIDE_AT_MOST} and {PIXELS_AT_MOST} pixels at most"
        raise BadParameter(
            f"{name}: a picture of {width} by {height} pixels is beyond the limit; want {limit}",
            parameter=name,
            expected=limit,
        )


def _window(params: Params) -> Window | None:
    """Return `center,width,function` (8.3.5.1.4). Raises BadParameter."""
    text = params.one("window")
    if text is None:
        return None
    pieces = text.split(",")
    if len(pieces) != 3 or pieces[2] not in _FUNCTIONS:
        raise bad("window", text, f"center,width,function; function is one of {', '.join(_FUNCTIONS)}")
    return window("window", pieces[0], pieces[1], _FUNCTIONS[pieces[2]])


def window(name: str, center: str, width: str, function: VoiFunction) -> Window:
    """Return a window. Raises BadParameter for bad decimals or widths (PS3.3 C.11.2.1.2)."""
    middle, extent = decimal(center), decimal(width)
    if middle is None or extent is None:
        raise bad(name, f"{center},{width}", "decimals of 16 characters at most, such as 40,400")
    if not valid_width(extent, function):
        least = "1 or more" if function is VoiFunction.LINEAR else "more than 0"
        raise bad(name, f"{center},{width}", f"a width of {least} for {function.value}")
    return Window(middle, extent, function)


def _icc(params: Params) -> str | None:
    text = params.one("iccprofile")
    if text is not None and text not in set(IccTarget):
        raise bad("iccprofile", text, ", ".join(IccTarget))
    return text


def bad(name: str, value: str, wanted: str) -> BadParameter:
    """Return the error that names the parameter and what is accepted."""
    return BadParameter(f"{name} '{value[:60]}': want {wanted}", parameter=name, expected=wanted)
