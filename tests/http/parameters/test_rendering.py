"""Rendering parameters: what is read of them, and what is refused (PS3.18 5.1.1, 8.3.5.1, 8.3.5.2)."""

from __future__ import annotations

import pytest
from gateway.errors import BadParameter
from gateway.http.parameters import rendering
from gateway.http.parameters.querystring import Params
from gateway.services.render.renderparameters import Rendering, RenderRequest, Viewport, VoiFunction, Window


def rows(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.row(*names)


def read(query: str) -> RenderRequest:
    return rendering.rendering(Params(query.encode()))


NUMBERS = [
    ("1e3", 1000.0),
    ("-0.5", -0.5),
    ("+40", 40.0),
    ("40", 40.0),
    ("1.50E-2", 0.015),
    ("1234567890123456", 1234567890123456.0),
    (".5", None),
    ("5.", None),
    ("NaN", None),
    ("inf", None),
    ("1_0", None),
    ("0x10", None),
    ("12345678901234567", None),
    ("1e999", None),
    ("1,5", None),
    (" 1", None),
    ("1 ", None),
    ("", None),
    ("٣", None),
]


@pytest.mark.parametrize(("text", "value"), NUMBERS)
def test_decimal(text: str, value: float | None) -> None:
    """PS3.18 5.1.1: sign, digits, fraction, exponent; 16 characters at most."""
    assert rendering.decimal(text) == value


READ = [
    pytest.param("", Rendering(), marks=rows("R-Q-2", "R-Q-11", "R-Q-36")),
    pytest.param("annotation=patient", Rendering(annotation=frozenset({"patient"})), marks=rows("R-Q-1")),
    pytest.param(
        "annotation=patient,technique",
        Rendering(annotation=frozenset({"patient", "technique"})),
        marks=rows("R-Q-1"),
    ),
    ("annotation=technique%2Cpatient", Rendering(annotation=frozenset({"patient", "technique"}))),
    pytest.param("quality=1", Rendering(quality=1), marks=rows("R-Q-5")),
    pytest.param("quality=100", Rendering(quality=100), marks=rows("R-Q-5")),
    ("viewport=512,256", Rendering(viewport=Viewport(512, 256))),
    ("viewport=512%2C256", Rendering(viewport=Viewport(512, 256))),
    ("viewport=512,256,1,2,30,40", Rendering(viewport=Viewport(512, 256, 1, 2, 30, 40))),
    pytest.param(
        "viewport=512,512,,,512,512",
        Rendering(viewport=Viewport(512, 512, None, None, 512, 512)),
        marks=rows("R-Q-13"),
    ),
    pytest.param(
        "viewport=512,512,10,20", Rendering(viewport=Viewport(512, 512, 10, 20)), marks=rows("R-Q-14")
    ),
    pytest.param(
        "viewport=512,512,10,20,30", Rendering(viewport=Viewport(512, 512, 10, 20, 30)), marks=rows("R-Q-14")
    ),
    pytest.param("viewport=512,512,,,,", Rendering(viewport=Viewport(512, 512)), marks=rows("R-Q-15")),
    pytest.param(
        "viewport=5,5,-1,-2,-3,-4",
        Rendering(viewport=Viewport(5, 5, -1, -2, -3, -4)),
        marks=rows("R-Q-16", "R-Q-17", "R-Q-18"),
    ),
    pytest.param(
        "viewport=5,5,10.5,0.5,+3.25,1e1",
        Rendering(viewport=Viewport(5, 5, 10.5, 0.5, 3.25, 10)),
        marks=rows("R-Q-19"),
    ),
    pytest.param("window=40,400,linear", Rendering(window=Window(40, 400)), marks=rows("R-Q-30")),
    pytest.param(
        "window=-0.5,0.25,linear-exact",
        Rendering(window=Window(-0.5, 0.25, VoiFunction.LINEAR_EXACT)),
        marks=rows("R-Q-30"),
    ),
    pytest.param(
        "window=+40,1e3,sigmoid",
        Rendering(window=Window(40, 1000, VoiFunction.SIGMOID)),
        marks=rows("R-Q-30"),
    ),
    *((f"iccprofile={name}", Rendering(icc=name)) for name in ("no", "yes", "srgb", "adobergb", "rommrgb")),
    ("iccprofile=displayp3", Rendering(icc="displayp3")),
    ("rows=5&columns=5&imageQuality=500&region=1&frameNumber=0&transferSyntax=x", Rendering()),
    ("Viewport=1&QUALITY=500", Rendering()),
    ('viewport="512,256"', Rendering(viewport=Viewport(512, 256))),
]


@pytest.mark.parametrize(("query", "how"), READ)
def test_read(query: str, how: Rendering) -> None:
    assert read(query).how == how


ANNOTATION = "keywords separated by commas, of patient, technique"
QUALITY = "a whole number from 1 to 100"
VIEWPORT = "vw,vh or vw,vh,sx,sy,sw,sh"
WINDOW = "center,width,function"
DECIMALS = "decimals of 16 characters"
REFUSED = [
    *(
        pytest.param("annotation", text, ANNOTATION, marks=rows("R-Q-3"))
        for text in ("", ",", "patient,", "pat ient", "%C3%A4", "1", "patient;technique")
    ),
    *(
        pytest.param("quality", text, QUALITY, marks=rows("R-Q-6"))
        for text in ("", "0", "101", "1.5", "high", "-5", "+5", "1e1", "50,60")
    ),
    *(
        pytest.param("viewport", text, VIEWPORT, marks=rows("R-Q-20"))
        for text in ("", "512", "512,", ",512", "0,512", "512,0", "-512,512", "512.0,512", "1e2,512", "a,b")
    ),
    ("viewport", "1,1,1,1,1,1,1", VIEWPORT),
    ("viewport", "1,1,,,,,", VIEWPORT),
    ("viewport", "1,1,.5", VIEWPORT),
    ("viewport", "1,1,x,,,", VIEWPORT),
    ("viewport", "1,1,1_0", VIEWPORT),
    ("viewport", "1,1,12345678901234567", VIEWPORT),
    *(
        pytest.param("viewport", f"9,9,0,0,{size}", "sw and sh other than 0", marks=rows("R-Q-21"))
        for size in ("0,5", "5,0", "0.0,0", "-0,5")
    ),
    *(
        pytest.param("viewport", text, "16384", marks=rows("R-Q-23"))
        for text in ("16385,1", "1,16385", "16384,16384", "999999999,999999999")
    ),
    *(
        pytest.param("window", text, WINDOW, marks=rows("R-Q-31"))
        for text in ("", "40,400", "40", "40,400,", "40,400,linear,1", ",,", "linear,40,400")
    ),
    *(
        pytest.param("window", text, DECIMALS, marks=rows("R-Q-31"))
        for text in (
            ",400,linear",
            "40,,linear",
            "x,400,linear",
            "NaN,400,linear",
            "40,inf,linear",
            ".5,4,sigmoid",
        )
    ),
    *(
        pytest.param("window", f"40,400,{text}", "linear, linear-exact, sigmoid", marks=rows("R-Q-32"))
        for text in ("LINEAR", "linear_exact", "Sigmoid", " linear", "gamma")
    ),
    *(
        pytest.param("window", text, wanted, marks=rows("R-Q-33"))
        for text, wanted in (
            ("40,0.5,linear", "1 or more"),
            ("40,0,linear", "1 or more"),
            ("40,-1,linear", "1 or more"),
            ("40,0,linear-exact", "more than 0"),
            ("40,-0.5,sigmoid", "more than 0"),
        )
    ),
    *(
        pytest.param("iccprofile", text, "no, yes, srgb", marks=rows("R-Q-44"))
        for text in ("", "sRGB", "true", "cmyk", "yes,no")
    ),
]


@pytest.mark.parametrize(("name", "text", "expected"), REFUSED)
def test_refused(name: str, text: str, expected: str) -> None:
    with pytest.raises(BadParameter) as refused:
        read(f"{name}={text}")
    assert refused.value.parameter == name
    assert expected in str(refused.value.expected)


@pytest.mark.parametrize("name", ["annotation", "quality", "viewport", "window", "iccprofile"])
@pytest.mark.parametrize("form", ["{0}", "{0}=", "{0}=1&{0}=1", "{0}=%", "{0}=%FF"])
def test_no_value_or_several(name: str, form: str) -> None:
    with pytest.raises(BadParameter) as refused:
        read(form.format(name))
    assert refused.value.parameter == name


@pytest.mark.row("R-Q-4")
@pytest.mark.parametrize(
    ("text", "known", "unsupported"),
    [
        ("patient,foo", {"patient"}, "foo"),
        ("foo", set(), "foo"),
        ("foo,bar,foo", set(), "foo,bar"),
        ("Patient,TECHNIQUE", set(), "Patient,TECHNIQUE"),
        ("x-1,technique", {"technique"}, "x-1"),
    ],
)
def test_unsupported_keywords_are_warned_of(text: str, known: set[str], unsupported: str) -> None:
    asked = read(f"annotation={text}")
    assert asked.how.annotation == known
    expected = f"299 http://h/d: The following annotation values are not supported: {unsupported}"
    assert asked.warning("http://h/d") == expected
    assert read("annotation=patient").warning("http://h/d") == ""


@pytest.mark.row("R-T-4")
def test_a_thumbnail_has_a_size() -> None:
    asked = rendering.thumbnail(Params(b"viewport=100,80"))
    assert asked.how == Rendering(viewport=Viewport(100, 80))
    assert rendering.thumbnail(Params(b"")).how == Rendering()


@pytest.mark.row("R-T-5", "R-Q-22")
@pytest.mark.parametrize("text", ["9,9,1", "9,9,,,5", "9,9,0,0,5,5", "9,9,,1"])
def test_a_thumbnail_has_nothing_else(text: str) -> None:
    with pytest.raises(BadParameter) as refused:
        rendering.thumbnail(Params(f"viewport={text}".encode()))
    assert (refused.value.parameter, refused.value.expected) == ("viewport", "vw,vh")


@pytest.mark.row("R-T-6")
@pytest.mark.parametrize("query", ["window=1", "quality=500", "annotation=%20", "iccprofile=x"])
def test_other_parameters_are_none_of_a_thumbnail(query: str) -> None:
    assert rendering.thumbnail(Params(query.encode())) == rendering.thumbnail(Params(b""))


def test_keys_tell_pictures_apart() -> None:
    """Whatever the order of keywords; quality only where the type is lossy."""
    queries = [
        "",
        "quality=5",
        "window=1,2,linear",
        "window=1,2,sigmoid",
        "viewport=1,2",
        "annotation=patient",
    ]
    queries += ["iccprofile=yes", "viewport=1,2,,,-1", "annotation=technique", "annotation=patient,technique"]
    assert len({read(query).key() for query in queries}) == len(queries)
    assert read("annotation=technique,patient").key() == read("annotation=patient,technique").key()
    assert read("quality=5").key(lossy=False) == read("quality=6").key(lossy=False)
