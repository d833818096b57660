"""The URI service over a real socket: PS3.18 chapter 9."""

from __future__ import annotations

import io
from collections.abc import Iterator

import httpx
import numpy as np
import pydicom
import pytest
from gateway.render.rendering import Array
from PIL import Image as Pillow
from tests.live import LiveServer, serving
from tests.wire.rendered.test_rendered import brightness, ramp
from tests.wire.renderedarchive import DOCUMENT, FRAMES, HIGH, WIDE, Gallery, filled, grey, opened
from tests.wire.transfer import BE, ELE, HT, IMPLICIT, JLS, RLE

PNG = "contentType=image/png"
OBJECT = "contentType=application/dicom"


def rows(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.row(*names)


@pytest.fixture(scope="module")
def gallery(server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    with httpx.Client(base_url=server.root, timeout=60) as http:
        yield filled(http, tmp_path_factory.mktemp("gallery"))


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    folder = tmp_path_factory.mktemp("strict")
    environment = {"GATEWAY_STRICT": "yes"}
    with (
        serving(folder, environment=environment) as live,
        httpx.Client(base_url=live.root, timeout=60) as http,
    ):
        yield filled(http, tmp_path_factory.mktemp("strict gallery"))


def wado(gallery: Gallery, name: str, query: str = "", accept: str = "*/*", **fields: str) -> httpx.Response:
    url = f"/wado?{gallery.query(name)}&{query}"
    return gallery.http.get(url, headers={"Accept": accept, **fields})


def shown(gallery: Gallery, name: str, query: str = "") -> Array:
    answer = wado(gallery, name, f"{PNG}&{query}")
    assert answer.status_code == 200, answer.text
    return opened(answer.content)


@pytest.mark.row("U-1")
def test_at_the_root_and_below_the_service(gallery: Gallery, server: LiveServer) -> None:
    query = "&".join(reversed(gallery.query("grey").split("&")))
    answers = [httpx.get(f"{base}/wado?{query}&x=y") for base in (server.base, server.root)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert answers[0].headers["content-location"] == server.root + gallery.paths["grey"]


CHOSEN = [
    pytest.param("grey", "", "*/*", "image/jpeg", marks=rows("U-8", "U-79")),
    pytest.param("grey", "", "", "image/jpeg", marks=rows("U-12")),
    pytest.param("grey", OBJECT, "*/*", "application/dicom", marks=rows("U-9", "U-20", "U-45")),
    pytest.param("grey", "", "application/dicom", "application/dicom", marks=rows("U-9", "U-45")),
    *(
        pytest.param("grey", f"contentType={media}", "*/*", media, marks=rows("U-10", "U-79"))
        for media in ("image/gif", "image/png", "image/jp2", "image/jph", "image/jxl")
    ),
    pytest.param(
        "grey",
        "contentType=image/gif;q=0.5,image/png;q=0.6,image/tiff",
        "*/*",
        "image/png",
        marks=rows("U-21"),
    ),
    pytest.param("grey", "contentType=image/tiff", "image/gif", "image/gif", marks=rows("U-25")),
    pytest.param("pdf", "", "*/*", "application/pdf", marks=rows("U-11", "U-79")),
    ("raw", "", "*/*", "application/dicom"),
    pytest.param("multi", "", "*/*", "image/jpeg", marks=rows("U-55")),
    ("multi", "contentType=image/gif", "*/*", "image/gif"),
    ("multi", "contentType=video/mp4", "*/*", "video/mp4"),
    ("video", "", "*/*", "video/mp4"),
    ("video", "contentType=image/jpeg", "*/*", "image/jpeg"),
]


@pytest.mark.row("U-80", "U-81")
@pytest.mark.parametrize(("name", "query", "accept", "media"), CHOSEN)
def test_content_type(gallery: Gallery, name: str, query: str, accept: str, media: str) -> None:
    """Always one part, with its length and the resource that it is of."""
    answer = wado(gallery, name, query, accept)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == media
    assert {"content-length", "transfer-encoding"} & set(answer.headers)
    root = str(gallery.http.base_url).rstrip("/")
    assert answer.headers["content-location"].startswith(root + gallery.paths[name])


NONE = [
    pytest.param("grey", "contentType=image/tiff", "image/webp", marks=rows("U-25")),
    pytest.param("grey", "contentType=image/tiff", "application/dicom", marks=rows("U-50")),
    pytest.param("grey", "", 'multipart/related; type="image/png"', marks=rows("U-81")),
    ("pdf", PNG, "image/png"),
    ("raw", PNG, "*/*"),
]


@pytest.mark.parametrize(("name", "query", "accept"), NONE)
def test_nothing_acceptable(gallery: Gallery, name: str, query: str, accept: str) -> None:
    answer = wado(gallery, name, query, accept)
    assert answer.status_code == 406
    assert "application/dicom" in answer.text


@pytest.mark.row("U-12")
def test_without_accept(gallery: Gallery, strict: Gallery) -> None:
    for archive, query, status in (
        (gallery, "", 200),
        (strict, "", 406),
        (strict, PNG, 406),
        (strict, OBJECT, 200),
    ):
        assert wado(archive, "grey", query, "").status_code == status


@pytest.mark.row("U-6")
@pytest.mark.parametrize("name", ["studyUID", "seriesUID", "objectUID"])
def test_unknown(gallery: Gallery, name: str) -> None:
    """Also where the object is there, but not in that series or study."""
    pieces = [
        f"{name}=1.2.99" if piece.startswith(name) else piece for piece in gallery.query("grey").split("&")
    ]
    assert gallery.http.get(f"/wado?{'&'.join(pieces)}").status_code == 404


@pytest.mark.row("U-7")
def test_deleted(gallery: Gallery) -> None:
    assert wado(gallery, "gone").status_code == 410
    assert wado(gallery, "gone", OBJECT).status_code == 410


@pytest.mark.row("U-14")
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_other_methods(gallery: Gallery, method: str) -> None:
    answer = gallery.http.request(method, f"/wado?{gallery.query('grey')}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.row("U-13")
@pytest.mark.parametrize(
    "more", ["accept=image/gif", "viewport=1", "window=x", "quality=0", "iccprofile=z", "%=1", "x"]
)
def test_unknown_parameters(gallery: Gallery, more: str) -> None:
    """Those of the RESTful services are unknown here, too."""
    assert wado(gallery, "grey", f"{PNG}&{more}").content == wado(gallery, "grey", PNG).content


# -- the object --------------------------------------------------------------------------------------------

SYNTAXES = [
    pytest.param("", ELE, marks=rows("U-30")),
    *(pytest.param(syntax, syntax, marks=rows("U-31")) for syntax in (ELE, RLE, JLS, HT)),
    pytest.param("*", ELE, marks=rows("U-35")),
]


@pytest.mark.row("U-44", "U-45")
@pytest.mark.parametrize(("asked", "sent"), SYNTAXES)
def test_transfer_syntax(gallery: Gallery, asked: str, sent: str) -> None:
    query = f"{OBJECT}&transferSyntax={asked}" if asked else OBJECT
    answer = wado(gallery, "grey", query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom"
    assert {"content-length", "transfer-encoding"} & set(answer.headers)
    assert answer.headers["content-location"].endswith(gallery.paths["grey"])
    ds = pydicom.dcmread(io.BytesIO(answer.content))
    assert ds.file_meta.TransferSyntaxUID == sent
    assert np.array_equal(ds.pixel_array if sent != HT else grey(), grey())


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        *(pytest.param(text, 400, marks=rows("U-32")) for text in ("", "x", f"{ELE},{RLE}", "1.2 ", "**")),
        pytest.param(f"{ELE}&transferSyntax={RLE}", 400, marks=rows("U-32")),
        *(pytest.param(text, 406, marks=rows("U-33")) for text in ("1.2.840.10008.1.2.4.102", "1.2.3.4")),
        *(pytest.param(text, 406, marks=rows("U-34")) for text in (IMPLICIT, BE)),
    ],
)
def test_transfer_syntaxes_that_cannot_be_had(gallery: Gallery, asked: str, status: int) -> None:
    answer = wado(gallery, "grey", f"{OBJECT}&transferSyntax={asked}")
    assert answer.status_code == status, answer.text
    if status == 400:
        assert answer.json()["parameter"] == "transferSyntax"
    else:
        assert any(ELE in have for have in answer.json()["available"])


@pytest.mark.row("U-40", "U-37")
@pytest.mark.parametrize(
    ("text", "status"), [("yes", 403), ("no", 400), ("", 400), ("yes&anonymize=yes", 400)]
)
@pytest.mark.parametrize("kind", [OBJECT, PNG, ""])
def test_nothing_identified_is_sent_for_anonymous(
    gallery: Gallery, text: str, status: int, kind: str
) -> None:
    answer = wado(gallery, "grey", f"{kind}&anonymize={text}")
    assert (answer.status_code, answer.json()["parameter"]) == (status, "anonymize")
    assert b"Doe" not in answer.content


@pytest.mark.row("U-41", "U-43")
@pytest.mark.parametrize(
    "query",
    ["annotation=patient", "rows=5", "columns=5", "region=0,0,1,1", "frameNumber=1", "imageQuality=5"],
)
def test_what_does_not_fit_an_object(gallery: Gallery, strict: Gallery, query: str) -> None:
    """Overlooked, unless strict."""
    assert wado(gallery, "grey", f"{OBJECT}&{query}").content == wado(gallery, "grey", OBJECT).content
    answer = wado(strict, "grey", f"{OBJECT}&{query}", "application/dicom, application/problem+json")
    assert (answer.status_code, answer.json()["parameter"]) == (400, query.partition("=")[0])


@pytest.mark.row("U-42")
@pytest.mark.parametrize("query", ["windowCenter=40&windowWidth=400", "windowCenter=40", "windowWidth=400"])
def test_no_window_of_an_object(gallery: Gallery, query: str) -> None:
    answer = wado(gallery, "grey", f"{OBJECT}&{query}")
    assert answer.status_code == 400
    assert answer.json()["parameter"] in {"windowCenter", "windowWidth"}


# -- pictures ----------------------------------------------------------------------------------------------


@pytest.mark.row("U-52", "U-55")
def test_frames(gallery: Gallery) -> None:
    assert [shown(gallery, "multi", f"frameNumber={n}").mean() for n in (1, 2, 3)] == [40, 120, 200]
    assert shown(gallery, "multi").mean() == 40
    assert wado(gallery, "multi", "frameNumber=2").headers["content-location"].endswith("/frames/2")
    assert abs(shown(gallery, "video", "frameNumber=7").mean() - 130) < 6


@pytest.mark.row("U-53", "U-54")
@pytest.mark.parametrize(
    ("name", "text"),
    [*(("multi", t) for t in ("0", "-1", "4", "1.5", "1,2", "")), ("grey", "2"), ("video", "13")],
)
def test_frames_that_are_not_there(gallery: Gallery, name: str, text: str) -> None:
    answer = wado(gallery, name, f"frameNumber={text}")
    assert (answer.status_code, answer.json()["parameter"]) == (400, "frameNumber")


@pytest.mark.row("U-54")
def test_frame_one_of_one_frame(gallery: Gallery, strict: Gallery) -> None:
    assert wado(gallery, "grey", f"{PNG}&frameNumber=1").content == wado(gallery, "grey", PNG).content
    assert wado(strict, "grey", f"{PNG}&frameNumber=1").status_code == 400
    assert wado(strict, "multi", f"{PNG}&frameNumber=1").status_code == 200


@pytest.mark.row("U-55")
def test_all_frames_in_one_body(gallery: Gallery) -> None:
    with Pillow.open(io.BytesIO(wado(gallery, "multi", "contentType=image/gif").content)) as film:
        assert getattr(film, "n_frames", 1) == FRAMES
    assert len(brightness(wado(gallery, "multi", "contentType=video/mp4").content)) == FRAMES
    one = wado(gallery, "multi", "contentType=image/gif&frameNumber=3")
    with Pillow.open(io.BytesIO(one.content)) as film:
        assert getattr(film, "n_frames", 1) == 1


@pytest.mark.row("U-56", "U-57")
def test_annotation(gallery: Gallery) -> None:
    plain = shown(gallery, "grey", "rows=160").astype(int)
    patient = shown(gallery, "grey", "rows=160&annotation=patient").astype(int)
    both = shown(gallery, "grey", "rows=160&imageAnnotation=patient,technique").astype(int)
    assert np.abs(patient - plain)[:80].max() > 50
    assert np.array_equal(patient[80:], plain[80:])
    assert np.abs(both - patient)[80:].max() > 50


@pytest.mark.row("U-59")
def test_unsupported_annotation(gallery: Gallery) -> None:
    answer = wado(gallery, "grey", "annotation=foo,patient")
    assert answer.status_code == 200
    assert answer.headers["warning"].endswith(": The following annotation values are not supported: foo")


@pytest.mark.row("U-60")
def test_image_quality(gallery: Gallery) -> None:
    sizes = [len(wado(gallery, "rgb", f"rows=160&imageQuality={q}").content) for q in (5, 60, 95)]
    assert sizes[0] < sizes[1] < sizes[2]


SIZES = [
    pytest.param("", (HIGH, WIDE), marks=rows("U-64")),
    pytest.param("rows=32&columns=32", (21, 32), marks=rows("U-62")),
    pytest.param("rows=8&columns=100", (8, 12), marks=rows("U-62")),
    pytest.param("rows=8", (8, 12), marks=rows("U-63")),
    pytest.param("columns=48", (32, 48), marks=rows("U-63")),
    pytest.param("region=0,0,0.5,1", (16, 12), marks=rows("U-64", "U-66")),
    pytest.param("region=0.5,0,1,0.5&rows=4&columns=100", (4, 6), marks=rows("U-66", "U-68")),
]


@pytest.mark.parametrize(("query", "shape"), SIZES)
def test_size(gallery: Gallery, query: str, shape: tuple[int, int]) -> None:
    assert shown(gallery, "grey", query).shape == shape


@pytest.mark.row("U-66", "U-68")
def test_region(gallery: Gallery) -> None:
    whole = shown(gallery, "grey")
    assert np.array_equal(shown(gallery, "grey", "region=0.25,0.125,0.75,1.0"), whole[2:, 6:18])
    half = shown(gallery, "grey", "region=0.5,0.5,1,1&rows=4").astype(float)
    assert np.abs(half - whole[8:, 12:].reshape(4, 2, 6, 2).mean(axis=(1, 3))).max() <= 1


@pytest.mark.row("U-69")
def test_window(gallery: Gallery) -> None:
    seen = shown(gallery, "grey", "windowCenter=+1e3&windowWidth=500").astype(int)
    assert np.abs(seen - np.rint(ramp(grey(), 1000, 500, "linear"))).max() <= 1


BAD = [
    pytest.param("requestType", "requestType=WADO", marks=rows("U-3")),
    pytest.param("contentType", f"{PNG},application/dicom", marks=rows("U-22")),
    pytest.param("contentType", "contentType=image/png;transfer-syntax=1.2", marks=rows("U-23")),
    pytest.param("contentType", "contentType=*/*", marks=rows("U-24")),
    pytest.param("annotation", "annotation=", marks=rows("U-58")),
    pytest.param("imageQuality", "imageQuality=101", marks=rows("U-61")),
    pytest.param("rows", "rows=0", marks=rows("U-65")),
    pytest.param("columns", "columns=20000", marks=rows("U-65")),
    pytest.param("region", "region=0,0,1", marks=rows("U-67")),
    pytest.param("windowWidth", "windowCenter=5", marks=rows("U-70")),
    pytest.param("windowWidth", "windowCenter=5&windowWidth=0", marks=rows("U-72")),
    pytest.param("presentationSeriesUID", "presentationUID=1.2", marks=rows("U-74")),
    pytest.param(
        "frameNumber", "presentationUID=1.2&presentationSeriesUID=1&frameNumber=1", marks=rows("U-76")
    ),
    pytest.param(
        "windowCenter",
        "presentationUID=1.2&presentationSeriesUID=1&windowCenter=1&windowWidth=1",
        marks=rows("U-71", "U-76"),
    ),
]


@pytest.mark.parametrize(("name", "query"), BAD)
def test_bad_parameters(gallery: Gallery, name: str, query: str) -> None:
    answer = wado(gallery, "grey", query)
    assert (answer.status_code, answer.json()["parameter"]) == (400, name)
    assert answer.json()["expected"]


@pytest.mark.row("U-51")
@pytest.mark.parametrize(
    "query", ["rows=5", "windowCenter=1&windowWidth=1", "region=0,0,1,1", "frameNumber=9"]
)
def test_parameters_of_pictures_and_documents(gallery: Gallery, strict: Gallery, query: str) -> None:
    """Overlooked, unless strict."""
    assert wado(gallery, "pdf", query).content == DOCUMENT
    answer = wado(strict, "pdf", query, "application/pdf, application/problem+json")
    assert (answer.status_code, answer.json()["parameter"]) == (400, query.partition("=")[0])


@pytest.mark.parametrize(
    "query", ["", PNG, OBJECT, "contentType=image/gif&frameNumber=2", "contentType=video/mp4"]
)
def test_entity_tags_and_head(gallery: Gallery, query: str) -> None:
    first = wado(gallery, "multi", query)
    again = wado(gallery, "multi", query, **{"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = gallery.http.head(f"/wado?{gallery.query('multi')}&{query}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == first.headers["etag"]
    assert head.headers.get("content-length") == first.headers.get("content-length")


@pytest.mark.row("U-27", "U-11")
@pytest.mark.parametrize(
    ("query", "fields", "charset"),
    [
        ("", {}, "UTF-8"),
        ("charset=ISO-8859-1", {}, "ISO-8859-1"),
        ("charset=x-foo,iso-8859-1", {}, "ISO-8859-1"),
        ("charset=x-foo", {}, "UTF-8"),
        ("charset=iso-8859-1;q=0.2,utf-8;q=0.4", {}, "UTF-8"),
        ("charset=ISO_IR%20100", {"Accept-Charset": "utf-8"}, "ISO-8859-1"),
        ("accept=*/*", {"Accept-Charset": "iso-8859-1"}, "ISO-8859-1"),
    ],
)
def test_charset(gallery: Gallery, query: str, fields: dict[str, str], charset: str) -> None:
    answer = wado(gallery, "report", f"contentType=text/plain&{query}", **fields)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].lower() == f"text/plain; charset={charset}".lower()
    assert "Müller" in answer.content.decode(charset)
    default = wado(gallery, "report", query, **fields)
    assert default.headers["content-type"].partition(";")[0] == "text/html"


@pytest.mark.row("U-27")
def test_charsets_that_cannot_hold_the_text(gallery: Gallery) -> None:
    answer = wado(gallery, "report", "charset=ISO-8859-5")
    assert (answer.status_code, answer.json()["available"]) == (406, ["charset=UTF-8"])
