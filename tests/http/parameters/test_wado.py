"""Parameters of the URI service: what is read of them, and what is refused (PS3.18 9.1.2, 9.4.1.2, 9.5.1.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from gateway.errors import BadParameter
from gateway.http.negotiation.accept import Offer
from gateway.http.parameters import wado
from gateway.http.parameters.querystring import Params
from gateway.model import InstanceUID, ResourcePath, SeriesUID, StudyUID
from gateway.services.render.renderparameters import Region, Rendering, Window

WADO = "requestType=WADO&studyUID=1.2&seriesUID=1.3&objectUID=1.4"
STUDY = StudyUID("1.2")
UIDS = "presentationSeriesUID=1.8&presentationUID=1.9"
STILLS = ("image/jpeg", "image/png", "image/gif")


def rows(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.row(*names)


def params(query: str) -> Params:
    return Params(query.encode())


def chosen(query: str, header: str | None, *, strict: bool = False) -> list[str]:
    """What is ranked of the pictures and the object itself."""
    asked = wado.content_type(params(query), header, strict=strict)
    offers = [Offer(media, rendered=True) for media in STILLS]
    if not asked.rendered:
        offers.append(Offer("application/dicom"))
    return [offer.media for offer in asked.accept.rank(offers)]


@pytest.mark.row("U-1")
@pytest.mark.parametrize("query", [WADO, "&".join(reversed(WADO.split("&"))), f"{WADO}&x=1&requesttype=y"])
def test_target(query: str) -> None:
    """In any order, whatever else there is."""
    path = ResourcePath(STUDY, SeriesUID("1.3"), InstanceUID("1.4"))
    assert wado.target(params(query)) == path


CHOSEN = [
    pytest.param("", "*/*", ["image/jpeg", "image/png", "image/gif", "application/dicom"], marks=rows("U-8")),
    pytest.param("", None, ["image/jpeg", "image/png", "image/gif", "application/dicom"], marks=rows("U-12")),
    pytest.param("contentType=application/dicom", "*/*", ["application/dicom"], marks=rows("U-9", "U-20")),
    pytest.param("", "application/dicom", ["application/dicom"], marks=rows("U-9")),
    pytest.param("contentType=image/png", "*/*", ["image/png"], marks=rows("U-10")),
    pytest.param(
        "contentType=image/gif;q=0.4,image/png;q=0.5,image/tiff",
        "*/*",
        ["image/png", "image/gif"],
        marks=rows("U-21"),
    ),
    ("contentType=image/gif%2Cimage/png", "*/*", ["image/png", "image/gif"]),
    ("contentType=image/gif&contentType=image/png", "*/*", ["image/png", "image/gif"]),
    pytest.param("contentType=image/tiff", "image/gif", ["image/gif"], marks=rows("U-25")),
    pytest.param("contentType=image/tiff", "image/webp", [], marks=rows("U-25")),
    pytest.param("contentType=image/png", "image/gif", ["image/png"], marks=rows("U-26")),
    pytest.param("contentType=image/tiff", "application/dicom", [], marks=rows("U-50")),
    ("contentType=image/png;q=0", "image/gif", ["image/gif"]),
    ("", "multipart/related", []),
    ("accept=image/png", "*/*", ["image/jpeg", "image/png", "image/gif", "application/dicom"]),
    ("", "image/*;q=0.5, text/html", ["image/jpeg", "image/png", "image/gif"]),
]


@pytest.mark.parametrize(("query", "header", "ranked"), CHOSEN)
def test_content_type(query: str, header: str | None, ranked: list[str]) -> None:
    assert chosen(query, header) == ranked


STRICT = [
    pytest.param("", None, [], marks=rows("U-12")),
    pytest.param("contentType=image/png", None, [], marks=rows("U-12")),
    pytest.param("contentType=application/dicom", None, ["application/dicom"], marks=rows("U-12")),
    pytest.param("contentType=image/png", "image/gif", [], marks=rows("U-26")),
    ("contentType=image/png", "image/*", ["image/png"]),
]


@pytest.mark.parametrize(("query", "header", "ranked"), STRICT)
def test_content_type_strictly(query: str, header: str | None, ranked: list[str]) -> None:
    assert chosen(query, header, strict=True) == ranked


READ = [
    pytest.param("", Rendering(), marks=rows("U-64")),
    pytest.param("rows=7&columns=9", Rendering(rows=7, columns=9), marks=rows("U-62")),
    pytest.param("rows=7", Rendering(rows=7), marks=rows("U-63")),
    pytest.param("columns=9", Rendering(columns=9), marks=rows("U-63")),
    pytest.param("region=0,0.25,0.5,1", Rendering(region=Region(0, 0.25, 0.5, 1)), marks=rows("U-66")),
    pytest.param("region=0,0,1e-1,1.0", Rendering(region=Region(0, 0, 0.1, 1)), marks=rows("U-66")),
    pytest.param("windowCenter=+40&windowWidth=4e2", Rendering(window=Window(40, 400)), marks=rows("U-69")),
    pytest.param("imageQuality=1", Rendering(quality=1), marks=rows("U-60")),
    pytest.param("imageQuality=100", Rendering(quality=100), marks=rows("U-60")),
    pytest.param("annotation=patient", Rendering(annotation=frozenset({"patient"})), marks=rows("U-56")),
    pytest.param("imageAnnotation=patient", Rendering(annotation=frozenset({"patient"})), marks=rows("U-57")),
    ("viewport=1&window=1&quality=0&iccprofile=x", Rendering()),
]


@pytest.mark.parametrize(("query", "how"), READ)
def test_rendering(query: str, how: Rendering) -> None:
    assert wado.rendering(params(query)).how == how


@pytest.mark.row("U-59")
def test_unsupported_annotation_is_warned_of() -> None:
    asked = wado.rendering(params("annotation=foo,patient,bar"))
    assert asked.how.annotation == {"patient"}
    assert asked.warning("http://h") == (
        "299 http://h: The following annotation values are not supported: foo,bar"
    )


def _target(query: str) -> Any:
    return wado.target(params(query))


def _content_type(query: str) -> Any:
    return wado.content_type(params(query), "*/*", strict=False)


def _anonymize(query: str) -> Any:
    return wado.check_anonymize(params(query))


def _rendering(query: str) -> Any:
    return wado.rendering(params(query))


def _frame(query: str) -> Any:
    return wado.frame_number(params(query), 3, several=True, strict=False)


def _single_frame(query: str) -> Any:
    return wado.frame_number(params(query), 1, several=False, strict=False)


def _strict_frame(query: str) -> Any:
    return wado.frame_number(params(query), 1, several=False, strict=True)


def _state(query: str) -> Any:
    return wado.presentation(params(query), STUDY)


def _uids(name: str) -> list[str]:
    others = [piece for piece in WADO.split("&") if not piece.startswith(name)]
    return ["&".join([*others, f"{name}={text}"]) for text in ("a", "1..x", "1.2,1.3", "1" * 65, "1.2 ", "*")]


REFUSED = [
    pytest.param(_target, "", "requestType", "WADO", marks=rows("U-2")),
    *(
        pytest.param(_target, WADO.replace("WADO", text), "requestType", "WADO", marks=rows("U-3"))
        for text in ("", "wado", "WADO2", "WADO,WADO")
    ),
    *(
        pytest.param(_target, WADO.replace(f"{name}=", f"x{name}="), name, "a UID", marks=rows("U-4"))
        for name in ("studyUID", "seriesUID", "objectUID")
    ),
    (_target, WADO.replace("objectUID=1.4", "objectUID="), "objectUID", "a UID"),
    (_target, WADO + "&objectUID=1.4", "objectUID", "once"),
    *(
        pytest.param(_target, query, name, "1 to 64 digits and dots", marks=rows("U-5"))
        for name in ("studyUID", "seriesUID", "objectUID")
        for query in _uids(name)
    ),
    *(
        pytest.param(_content_type, f"contentType={text}", "contentType", "either", marks=rows("U-22"))
        for text in (
            "application/dicom,image/jpeg",
            "image/png,application/dicom;q=0.1",
            "text/html,application/dicom",
        )
    ),
    *(
        pytest.param(_content_type, f"contentType={text}", "contentType", other, marks=rows("U-23"))
        for text, other in (
            ("application/dicom;transfer-syntax=1.2.840.10008.1.2.1", "transferSyntax"),
            ("image/jpeg;transfer-syntax=*", "transferSyntax"),
            ("text/html;charset=utf-8", "charset"),
            ("image/png,text/html;charset=utf-8", "charset"),
        )
    ),
    *(
        pytest.param(
            _content_type, f"contentType={text}", "contentType", "without wildcards", marks=rows("U-24")
        )
        for text in ("*/*", "image/*", "image/png,*/*;q=0.1", "*")
    ),
    *(
        (_content_type, f"contentType={text}", "contentType", "media types")
        for text in ("", "image", "a b/c", "/png")
    ),
    *(
        pytest.param(_anonymize, query, "anonymize", wanted, marks=rows("U-37"))
        for query, wanted in (
            ("anonymize=", "yes"),
            ("anonymize", "yes"),
            ("anonymize=no", "yes"),
            ("anonymize=YES", "yes"),
            ("anonymize=yes&anonymize=yes", "once"),
        )
    ),
    *(
        pytest.param(_frame, f"frameNumber={text}", "frameNumber", "1 to 3", marks=rows("U-53"))
        for text in ("0", "-1", "4", "1.0", "1,2", "", "one", "+1", "1e0")
    ),
    pytest.param(_frame, "frameNumber=1&frameNumber=2", "frameNumber", "once", marks=rows("U-53")),
    pytest.param(_single_frame, "frameNumber=2", "frameNumber", "1 to 1", marks=rows("U-53")),
    pytest.param(_strict_frame, "frameNumber=1", "frameNumber", "no frameNumber", marks=rows("U-54")),
    *(
        pytest.param(_rendering, f"{name}={text}", name, "keywords", marks=rows("U-58"))
        for name in ("annotation", "imageAnnotation")
        for text in ("", "patient,", "a b", "1", "%C3%A4")
    ),
    (_rendering, "annotation=patient&imageAnnotation=patient", "imageAnnotation", "one of"),
    *(
        pytest.param(_rendering, f"imageQuality={text}", "imageQuality", "1 to 100", marks=rows("U-61"))
        for text in ("0", "101", "50.5", "", "best", "-1")
    ),
    *(
        pytest.param(_rendering, f"{name}={text}", name, "1 to 16384", marks=rows("U-65"))
        for name in ("rows", "columns")
        for text in ("0", "-5", "5.5", "", "x", "16385", "1e2")
    ),
    pytest.param(_rendering, "rows=16384&columns=16384", "rows", "pixels at most", marks=rows("U-65")),
    *(
        pytest.param(_rendering, f"region={text}", "region", "xmin,ymin,xmax,ymax", marks=rows("U-67"))
        for text in (
            "",
            "0,0,1",
            "0,0,1,1,1",
            "0,0,1.1,1",
            "-0.1,0,1,1",
            "0.5,0,0.5,1",
            "0,1,1,0",
            "0,0,.5,1",
        )
    ),
    *(
        pytest.param(_rendering, f"region={text}", "region", "xmin,ymin,xmax,ymax", marks=rows("U-67"))
        for text in ("0,0,x,1", "0,,1,1", "NaN,0,1,1", "0,0,1,1,")
    ),
    *(
        pytest.param(_rendering, query, name, wanted, marks=rows("U-70"))
        for query, name, wanted in (
            ("windowCenter=40", "windowWidth", "both, or neither"),
            ("windowWidth=40", "windowCenter", "both, or neither"),
            ("windowCenter=&windowWidth=40", "windowCenter", "a decimal"),
            ("windowCenter=x&windowWidth=40", "windowCenter", "a decimal"),
            ("windowCenter=40&windowWidth=.5", "windowWidth", "a decimal"),
            ("windowCenter=40&windowWidth=1&windowWidth=1", "windowWidth", "once"),
        )
    ),
    *(
        pytest.param(
            _rendering, f"windowCenter=0&windowWidth={text}", "windowWidth", "1 or more", marks=rows("U-72")
        )
        for text in ("0.5", "0", "-1")
    ),
    *(
        pytest.param(_state, query, name, "both, or neither", marks=rows("U-74"))
        for query, name in (
            ("presentationUID=1.9", "presentationSeriesUID"),
            ("presentationSeriesUID=1.8", "presentationUID"),
            ("presentationUID=&presentationSeriesUID=1.8", "presentationUID"),
        )
    ),
    pytest.param(_state, f"{UIDS}&frameNumber=1", "frameNumber", "no frameNumber", marks=rows("U-76")),
    *(
        pytest.param(_state, f"{UIDS}&{name}=40", name, f"no {name}", marks=rows("U-71", "U-76"))
        for name in ("windowCenter", "windowWidth")
    ),
    (_state, UIDS.replace("1.9", "x"), "presentationUID", "digits and dots"),
    (_state, UIDS.replace("1.8", "x"), "presentationSeriesUID", "digits and dots"),
]


@pytest.mark.parametrize(("reader", "query", "name", "expected"), REFUSED)
def test_refused(reader: Callable[[str], Any], query: str, name: str, expected: str) -> None:
    with pytest.raises(BadParameter) as refused:
        reader(query)
    assert refused.value.parameter == name
    assert expected in str(refused.value.expected)


@pytest.mark.row("U-54")
def test_frame_one_of_one_frame_is_overlooked() -> None:
    """Many clients send it; strict refuses it (D-6)."""
    assert _single_frame("frameNumber=1") == 1


@pytest.mark.row("U-52")
def test_frame_number() -> None:
    assert [_frame(f"frameNumber={n}") for n in (1, 2, 3)] == [1, 2, 3]
    assert _frame("") is None


@pytest.mark.row("U-76")
@pytest.mark.parametrize(
    "beside", ["annotation=patient", "imageQuality=5", "region=0,0,1,1", "rows=5&columns=5"]
)
def test_what_may_stand_beside_a_state(beside: str) -> None:
    assert _state(f"{UIDS}&{beside}") == ResourcePath(STUDY, SeriesUID("1.8"), InstanceUID("1.9"))
