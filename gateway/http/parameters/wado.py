"""Parse the query parameters of the URI service. Pure, tested as a table.

PS3.18 9.1.2, 9.4.1.2, 9.5.1.2. Decisions: `annotation` and `imageAnnotation` are the same (U-57); one of
`rows` and `columns` is enough (U-63); the names of the RESTful services are not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import BadParameter
from gateway.http.negotiation.accept import RENDERED, Accept, MediaRange
from gateway.http.negotiation.media import DICOM, parse_media_type, split_quoted
from gateway.http.parameters.paths import uid
from gateway.http.parameters.querystring import Params
from gateway.http.parameters.rendering import (
    SIDE_AT_MOST,
    annotation_words,
    bad,
    check_size,
    decimal,
    find_given,
    positive,
    quality,
    window,
)
from gateway.model import InstanceUID, ResourcePath, SeriesUID, StudyUID
from gateway.services.render.renderparameters import Region, Rendering, RenderRequest, VoiFunction, Window

WINDOW = ("windowCenter", "windowWidth")
STATE = ("presentationUID", "presentationSeriesUID")
FRAME = "frameNumber"
SHAPING = ("annotation", "imageAnnotation", "rows", "columns", "region", "imageQuality", FRAME)
ANNOTATION = ("annotation", "imageAnnotation")


@dataclass(frozen=True, slots=True)
class ContentType:
    """The media types of `contentType` and the Accept field. `rendered`: only rendered types are named."""

    accept: Accept
    rendered: bool


def target(params: Params) -> ResourcePath:
    """Return the instance that the query names (9.1.2.1). Raises BadParameter."""
    kind = params.one("requestType")
    if kind != "WADO":
        said = "is missing" if kind is None else f"is '{kind[:60]}'"
        raise BadParameter(
            f"requestType {said}: want requestType=WADO", parameter="requestType", expected="WADO"
        )
    found = []
    for name in ("studyUID", "seriesUID", "objectUID"):
        text = params.one(name)
        if not text:
            raise BadParameter(f"{name} is missing: want a UID", parameter=name, expected="a UID")
        found.append(uid(name, text))
    study, series, instance = found
    return ResourcePath(StudyUID(study), SeriesUID(series), InstanceUID(instance))


def content_type(params: Params, header: str | None, *, strict: bool) -> ContentType:
    """Return the acceptable types, `contentType` first (8.7.8.1, 9.1.2.2.1). Raises BadParameter.

    Under `strict`, without an Accept field only `application/dicom` in `contentType` is acceptable (9.5.1.3).
    """
    text = params.join("contentType")
    missing = header is None or not header.strip()
    if text is None:
        accept = Accept.parse(header, strict=strict)
        _check_mixture("Accept", [r.named for tier in accept.tiers for r in tier if r.quality > 0])
        return ContentType(accept, False)
    ranges = _read_content_types(text)
    names = [item.named for item in ranges if item.quality > 0]
    _check_mixture("contentType", names)
    if missing and strict:
        fit = tuple(item for item in ranges if item.named == DICOM)
        return ContentType(Accept((fit,) if fit else ()), DICOM not in names)
    header_tiers = Accept.parse(header).tiers
    return ContentType(Accept((ranges, *header_tiers), strict), DICOM not in names)


def _read_content_types(text: str) -> tuple[MediaRange, ...]:
    """Return the media types of `contentType`; a weight is the only parameter they may have."""
    for piece in split_quoted(text, ","):
        media = parse_media_type(piece)
        if media is None or "*" in media.essence:
            wanted = "media types without wildcards, separated by commas, such as image/jpeg"
            raise bad("contentType", text, wanted)
        for name in ("transfer-syntax", "charset"):
            if media.get(name) is not None:
                other = "transferSyntax" if name == "transfer-syntax" else "charset"
                raise bad("contentType", text, f"no {name} in a media type; there is the parameter {other}")
    try:
        return Accept.parse(None, text).tiers[0]
    except BadParameter as error:
        raise bad("contentType", text, "media types separated by commas, such as image/jpeg") from error


def _check_mixture(name: str, named: Sequence[str]) -> None:
    """Raise BadParameter where DICOM and rendered types are mixed.

    Here image/jpeg is always a rendered type (9.1.2.2.1).
    """
    if DICOM in named and any(n in RENDERED or n.startswith(("image/", "video/")) for n in named):
        raise bad(name, ", ".join(named), f"either {DICOM} or rendered media types")


def check_anonymize(params: Params) -> bool:
    """Return whether the instance is to be de-identified (9.4.2.3). Raises BadParameter."""
    text = params.one("anonymize")
    if text is not None and text != "yes":
        raise bad("anonymize", text, "yes, or no such parameter")
    return text == "yes"


def rendering(params: Params) -> RenderRequest:
    """Return the parameters of the picture. Raises BadParameter."""
    both = [name for name in ANNOTATION if params.all(name)]
    if len(both) > 1:
        raise bad(both[1], params.one(both[1]) or "", "one of annotation and imageAnnotation")
    words, unsupported = annotation_words(params, both[0] if both else ANNOTATION[0])
    rows, columns = _side(params, "rows"), _side(params, "columns")
    if rows and columns:
        check_size("rows", columns, rows)
    how = Rendering(
        window=_window(params),
        region=_region(params),
        rows=rows,
        columns=columns,
        annotation=words,
        quality=quality(params, "imageQuality"),
    )
    return RenderRequest(how, unsupported, find_given(params, (*WINDOW, *STATE, *SHAPING)))


def _window(params: Params) -> Window | None:
    """Return a linear window (9.5.2.2). Raises BadParameter."""
    center, width = (params.one(name) for name in WINDOW)
    if center is None and width is None:
        return None
    if center is None or width is None:
        missing, there = WINDOW if center is None else WINDOW[::-1]
        raise BadParameter(
            f"{missing} is missing: it goes with {there}", parameter=missing, expected="both, or neither"
        )
    for name, text in zip(WINDOW, (center, width), strict=True):
        if decimal(text) is None:
            raise bad(name, text, "a decimal of 16 characters at most, such as 40 or -1.5e2")
    return window("windowWidth", center, width, VoiFunction.LINEAR)


def _region(params: Params) -> Region | None:
    text = params.one("region")
    if text is None:
        return None
    values = [value for piece in text.split(",") if (value := decimal(piece)) is not None]
    if len(values) == 4 == text.count(",") + 1:
        left, top, right, bottom = values
        if 0 <= left < right <= 1 and 0 <= top < bottom <= 1:
            return Region(left, top, right, bottom)
    raise bad("region", text, "xmin,ymin,xmax,ymax: decimals, 0 <= min < max <= 1")


def _side(params: Params, name: str) -> int | None:
    text = params.one(name)
    if text is None:
        return None
    value = positive(text)
    if value is None or value > SIDE_AT_MOST:
        raise bad(name, text, f"a whole number from 1 to {SIDE_AT_MOST}")
    return value


def frame_number(params: Params, frames: int, *, several: bool, strict: bool) -> int | None:
    """Return the requested frame number, None for none (9.5.2.1). Raises BadParameter.

    For an object with a single frame it is 1; under `strict` it must be absent.
    """
    text = params.one(FRAME)
    if text is None:
        return None
    if strict and not several:
        raise bad(FRAME, text, "no frameNumber: the object is no multi-frame image and no video")
    value = positive(text)
    if value is None or value > frames:
        raise bad(FRAME, text, f"a whole number from 1 to {frames}")
    return value


def presentation(params: Params, study: StudyUID) -> ResourcePath | None:
    """Return the presentation state, of the same study (9.5.1.2.7). Raises BadParameter."""
    state, series = (params.one(name) for name in STATE)
    if state is None and series is None:
        return None
    if not state or not series:
        missing, there = STATE if not state else STATE[::-1]
        raise BadParameter(
            f"{missing} is missing: it goes with {there}", parameter=missing, expected="both, or neither"
        )
    for name in (FRAME, *WINDOW):
        if params.all(name):
            raise bad(name, params.one(name) or "", f"no {name} beside a presentation state")
    return ResourcePath(study, SeriesUID(uid(STATE[1], series)), InstanceUID(uid(STATE[0], state)))
