"""Rendered resources over a real socket: PS3.18 8.3.5.1, 8.7.2, 8.7.4, 10.4.1.1.3, 10.4.3.3.3."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import av
import httpx
import numpy as np
import pytest
from gateway.render.rendering import Array
from PIL import Image as Pillow
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit
from tests import build
from tests.live import LiveServer, serving
from tests.wire.renderedarchive import DOCUMENT, FRAMES, HIGH, WIDE, Gallery, bodies, filled, opened, picture
from tests.wire.transfer import related

SIDE = 256
PICTURES = ("image/jpeg", "image/png", "image/gif", "image/jp2", "image/jph", "image/jxl")
BEGINS = {
    "image/jpeg": b"\xff\xd8\xff",
    "image/png": b"\x89PNG",
    "image/gif": b"GIF8",
    "image/jp2": b"\0\0\0\x0cjP  ",
    "image/jph": b"\0\0\0\x0cjP  ",
    "image/jxl": b"\xff\x0a",
}


def rows(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.row(*names)


@pytest.fixture(scope="module")
def gallery(server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    with httpx.Client(base_url=server.root, timeout=60) as http:
        yield filled(http, tmp_path_factory.mktemp("gallery"))


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    folder: Path = tmp_path_factory.mktemp("strict")
    environment = {"GATEWAY_STRICT": "yes"}
    with (
        serving(folder, environment=environment) as live,
        httpx.Client(base_url=live.root, timeout=60) as http,
    ):
        yield filled(http, tmp_path_factory.mktemp("strict gallery"))


# -- media types by category -------------------------------------------------------------------------------

PARTS_OF_MULTI = "multipart/related"
MEDIA = [
    pytest.param("grey", "*/*", 200, "image/jpeg", marks=rows("C-CAT-1", "C-RT-1", "R-MT-9")),
    *(
        pytest.param("grey", media, 200, media, marks=rows("C-RT-2", "R-RN-8", "R-MT-3"))
        for media in ("image/gif", "image/png")
    ),
    *(
        pytest.param("grey", media, 200, media, marks=rows("C-RT-3"))
        for media in ("image/jp2", "image/jph", "image/jxl")
    ),
    ("grey", "image/*", 200, "image/jpeg"),
    ("grey", "image/png;q=0.5, image/jpeg;q=0.4, text/html", 200, "image/png"),
    ("grey", "text/html", 406, ""),
    ("grey", "video/mp4", 406, ""),
    pytest.param("grey", "image/png; transfer-syntax=*, image/gif", 200, "image/gif", marks=rows("C-TS-9")),
    pytest.param("grey", "image/png; transfer-syntax=1.2.840.10008.1.2.1", 406, "", marks=rows("C-TS-9")),
    pytest.param("multi", "*/*", 200, PARTS_OF_MULTI, marks=rows("C-CAT-2", "C-RND-3", "R-MT-9")),
    pytest.param("multi", "image/gif", 200, "image/gif", marks=rows("R-MT-6", "C-RT-4")),
    pytest.param("multi", "image/*", 200, "image/gif", marks=rows("R-MT-6")),
    pytest.param("multi", "video/mp4", 200, "video/mp4", marks=rows("C-CAT-3", "C-RT-5")),
    pytest.param("multi", "image/jpeg", 200, "image/jpeg", marks=rows("R-MT-4")),
    *(
        pytest.param("multi", related(media), 200, PARTS_OF_MULTI, marks=rows("R-MT-5", "C-RT-4"))
        for media in PICTURES
    ),
    pytest.param("video", "*/*", 200, "video/mp4", marks=rows("C-CAT-3", "C-RT-5", "C-RND-3")),
    pytest.param("pdf", "*/*", 200, "application/pdf", marks=rows("C-CAT-4", "R-RN-7", "C-RT-9")),
    pytest.param("pdf", "application/pdf", 200, "application/pdf", marks=rows("R-RN-7", "C-RT-9")),
    ("pdf", "image/jpeg", 406, ""),
    pytest.param("report", "application/pdf", 200, "application/pdf", marks=rows("C-RT-9")),
    ("report", "text/rtf", 406, ""),
    pytest.param("raw", "*/*", 406, "", marks=rows("C-CAT-5", "C-RND-3")),
    pytest.param("ecg", "*/*", 406, "", marks=rows("C-CAT-5")),
    ("gone", "*/*", 410, ""),
]


@pytest.mark.parametrize(("name", "accept", "status", "media"), MEDIA)
def test_media_types(gallery: Gallery, name: str, accept: str, status: int, media: str) -> None:
    answer = gallery.get(name, accept=accept)
    assert answer.status_code == status, answer.text
    if status == 200:
        assert answer.headers["content-type"].partition(";")[0] == media
        assert answer.content.startswith(BEGINS.get(media, b""))
    else:
        assert str(status) in answer.text


@pytest.mark.row("R-MT-4")
def test_one_picture_of_several_frames_is_told_to_be_one(gallery: Gallery, strict: Gallery) -> None:
    lenient = gallery.get("multi", accept="image/jpeg")
    assert "the picture is one of 3 frames" in lenient.headers["warning"]
    assert lenient.headers["content-location"].endswith("/frames/1")
    for below in ("/rendered", "/frames/1,2/rendered"):
        answer = strict.get("multi", below, "image/jpeg")
        assert answer.status_code == 406
        assert "multipart/related; type=&quot;image/jpeg&quot;" in answer.text


@pytest.mark.row("R-MT-2")
@pytest.mark.parametrize("study", ["1.2.8", "1.2.7"])
@pytest.mark.parametrize("accept", ["image/jpeg", "image/png, image/gif", "video/mp4", "application/pdf"])
def test_no_single_part_of_studies_and_series(gallery: Gallery, study: str, accept: str) -> None:
    """Not even where there is only one instance of one frame."""
    series = gallery.paths["plain" if study == "1.2.8" else "grey"].rsplit("/instances", 1)[0]
    for path in (f"/studies/{study}", series):
        answer = gallery.http.get(f"{path}/rendered", headers={"Accept": accept})
        assert answer.status_code == 406
        assert all(media.startswith("multipart/") for media in answer.json()["available"])


@pytest.mark.row("R-MT-5", "R-RN-9", "C-HDR-3", "R-RN-10")
def test_a_part_for_each_frame(gallery: Gallery) -> None:
    answer = gallery.get("multi", accept=related("image/png"))
    found = bodies(answer)
    assert [opened(part.body).mean() for part in found] == [40, 120, 200]
    root = str(gallery.http.base_url).rstrip("/") + gallery.paths["multi"]
    assert [part.location for part in found] == [f"{root}/frames/{n}" for n in (1, 2, 3)]
    assert all(part.media == "image/png" and part.syntax is None for part in found)
    assert answer.content.count(b"Content-Length:") == FRAMES


@pytest.mark.row("R-RES-7", "R-MT-5")
def test_frames_come_as_they_are_asked(gallery: Gallery) -> None:
    answer = gallery.get("multi", "/frames/3,1/rendered", related("image/png"))
    assert [opened(part.body).mean() for part in bodies(answer)] == [200, 40]


@pytest.mark.row("R-RN-5")
def test_all_frames_come_by_their_dimensions(gallery: Gallery) -> None:
    answer = gallery.get("turned", accept=related("image/png"))
    assert [opened(part.body).mean() for part in bodies(answer)] == [120, 200, 40]
    assert [part.location[-1] for part in bodies(answer)] == ["2", "3", "1"]


@pytest.mark.row("R-MT-3", "C-CAT-1")
def test_one_frame_of_several(gallery: Gallery) -> None:
    assert gallery.shown("multi", "/frames/2/rendered").mean() == 120
    answer = gallery.get("multi", "/frames/2/rendered")
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-location"].endswith("/frames/2")


@pytest.mark.row("R-MT-6", "C-RT-4")
def test_an_animation_has_all_frames_and_their_time(gallery: Gallery) -> None:
    with Pillow.open(io.BytesIO(gallery.get("multi", accept="image/gif").content)) as film:
        assert getattr(film, "n_frames", 1) == FRAMES
        assert film.info["duration"] == 40
        levels = []
        for number in range(FRAMES):
            film.seek(number)
            levels.append(round(float(np.asarray(film.convert("L")).mean())))
    assert levels == [40, 120, 200]


@pytest.mark.row("C-RT-5", "C-CAT-3")
def test_frames_as_a_video(gallery: Gallery) -> None:
    answer = gallery.get("multi", accept="video/mp4")
    levels = brightness(answer.content)
    assert [abs(level - wanted) < 6 for level, wanted in zip(levels, (40, 120, 200), strict=True)] == [
        True
    ] * 3
    some = gallery.get("multi", "/frames/1,3/rendered", "video/mp4")
    assert len(brightness(some.content)) == 2


def brightness(film: bytes) -> list[float]:
    with av.open(io.BytesIO(film), "r") as container:
        return [float(f.to_ndarray(format="rgb24")[:HIGH, :WIDE].mean()) for f in container.decode(video=0)]


@pytest.mark.row("C-RT-5", "R-Q-8")
def test_a_stored_video_goes_out_as_it_is(gallery: Gallery) -> None:
    answer = gallery.get("video")
    again = gallery.get("video", accept="video/mp4")
    assert answer.content == again.content
    assert answer.content[4:8] == b"ftyp"
    assert len(brightness(answer.content)) == 12
    assert gallery.get("video", "/rendered?quality=5").content == answer.content
    part = gallery.get("video", Range="bytes=4-7")
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert part.headers["content-range"] == f"bytes 4-7/{len(answer.content)}"


@pytest.mark.row("R-Q-10")
def test_a_video_that_is_asked_smaller_is_made_anew(gallery: Gallery) -> None:
    answer = gallery.get("video", "/rendered?viewport=32,32", "video/mp4")
    with av.open(io.BytesIO(answer.content), "r") as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    assert (len(frames), frames[0].shape[:2]) == (12, (24, 32))


def test_a_frame_of_a_video(gallery: Gallery) -> None:
    for number in (1, 7, 12):
        level = gallery.shown("video", f"/frames/{number}/rendered").mean()
        assert abs(level - (20 * (number - 1) + 10)) < 6
    assert gallery.get("video", "/frames/13/rendered").status_code == 404


# -- studies and series ------------------------------------------------------------------------------------


@pytest.mark.row("R-RN-2")
def test_a_study_of_several_categories(gallery: Gallery) -> None:
    """What has no rendered form is left out, and that is said; the rest is 206."""
    answer = gallery.http.get("/studies/1.2.7/rendered", headers={"Accept": related("image/jpeg")})
    assert answer.status_code == 206
    assert answer.headers["warning"].startswith(f"299 {gallery.http.base_url}".rstrip("/"))
    assert {part.media for part in bodies(answer)} == {"image/jpeg"}
    places = [part.location.rsplit("/instances/", 1)[1] for part in bodies(answer)]
    assert {"1.2.7.1.1", "1.2.7.1.2"} <= set(places)
    series = gallery.paths["grey"].rsplit("/instances", 1)[0]
    whole = gallery.http.get(f"{series}/rendered", headers={"Accept": "*/*"})
    assert whole.status_code == 200
    assert [part.location[-9:] for part in bodies(whole)] == ["1.2.7.1.1", "1.2.7.1.2"]


def test_a_series_without_anything_to_show(gallery: Gallery) -> None:
    series = gallery.paths["raw"].rsplit("/instances", 1)[0]
    answer = gallery.http.get(f"{series}/rendered", headers={"Accept": "*/*"})
    assert answer.status_code == 406
    assert answer.json()["detail"].startswith("none of the instances here can be rendered")


# -- parameters --------------------------------------------------------------------------------------------


@pytest.mark.row("R-Q-11", "R-Q-36")
def test_the_picture_is_as_large_as_its_source(gallery: Gallery) -> None:
    shown = gallery.shown("grey")
    assert shown.shape == (HIGH, WIDE)
    assert (np.diff(shown.astype(int), axis=1) > 0).all()


def test_without_a_window_all_values_are_seen(gallery: Gallery) -> None:
    shown = gallery.shown("plain")
    assert (shown.min(), shown.max()) == (0, 255)


SHAPES = [
    pytest.param("48,48", (32, 48), marks=rows("R-Q-10")),
    pytest.param("12,100", (8, 12), marks=rows("R-Q-10")),
    pytest.param("100,4", (4, 6), marks=rows("R-Q-10")),
    pytest.param("12,8,12,8,12,8", (8, 12), marks=rows("R-Q-12")),
    pytest.param("12,12,,,12,12", (12, 12), marks=rows("R-Q-12", "R-Q-13")),
    pytest.param("100,100,14,6", (100, 100), marks=rows("R-Q-14")),
    pytest.param("9,9,0.5,1.5,6.0,6", (9, 9), marks=rows("R-Q-19")),
]


@pytest.mark.parametrize(("viewport", "shape"), SHAPES)
def test_viewport(gallery: Gallery, viewport: str, shape: tuple[int, int]) -> None:
    assert gallery.shown("grey", f"/rendered?viewport={viewport}").shape == shape


REGIONS = [
    pytest.param("8,8,4,2,8,8", (slice(2, 10), slice(4, 12)), marks=rows("R-Q-12")),
    pytest.param("8,8,-4,-2,8,8", (slice(2, 10), slice(4, 12)), marks=rows("R-Q-18")),
    pytest.param("8,8,,,8,8", (slice(0, 8), slice(0, 8)), marks=rows("R-Q-13")),
    pytest.param("8,8,16,8,,", (slice(8, 16), slice(16, 24)), marks=rows("R-Q-14", "R-Q-15")),
    pytest.param("8,8,4,2,-8,8", (slice(2, 10), slice(11, 3, -1)), marks=rows("R-Q-16")),
    pytest.param("8,8,4,2,8,-8", (slice(9, 1, -1), slice(4, 12)), marks=rows("R-Q-17")),
    pytest.param(
        "24,16,0,0,-24,-16", (slice(None, None, -1), slice(None, None, -1)), marks=rows("R-Q-16", "R-Q-17")
    ),
]


@pytest.mark.parametrize(("viewport", "region"), REGIONS)
def test_region(gallery: Gallery, viewport: str, region: tuple[slice, slice]) -> None:
    """Pixel by pixel that of the whole picture."""
    whole = gallery.shown("grey")
    assert np.array_equal(gallery.shown("grey", f"/rendered?viewport={viewport}"), whole[region])


@pytest.mark.row("R-Q-21")
@pytest.mark.parametrize("viewport", ["9,9,24,0", "9,9,0,16,5,5", "9,9,500,500,5,5"])
def test_a_region_beside_the_picture(gallery: Gallery, viewport: str) -> None:
    answer = gallery.get("grey", f"/rendered?viewport={viewport}")
    assert (answer.status_code, answer.json()["parameter"]) == (400, "viewport")


def ramp(values: Array, center: float, width: float, function: str) -> Array:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3, in plain floating point."""
    x = values.astype(float)
    if function == "sigmoid":
        return 255 / (1 + np.exp(-4 * (x - center) / width))
    if function == "linear":
        return np.clip(((x - (center - 0.5)) / (width - 1) + 0.5) * 255, 0, 255)
    return np.clip(((x - center) / width + 0.5) * 255, 0, 255)


@pytest.mark.row("R-Q-30")
@pytest.mark.parametrize(
    "window", ["1000,500,linear", "1000,500,linear-exact", "1000.5,1e3,sigmoid", "0,1,linear"]
)
def test_window(gallery: Gallery, window: str) -> None:
    from tests.wire.renderedarchive import grey

    center, width, function = window.split(",")
    values = grey()
    if float(width) == 1:
        wanted = np.where(values <= float(center) - 0.5, 0, 255)
    else:
        wanted = np.rint(ramp(values, float(center), float(width), function))
    shown = gallery.shown("grey", f"/rendered?window={window}").astype(int)
    assert np.abs(shown - wanted).max() <= 1


@pytest.mark.row("R-Q-35")
def test_a_window_changes_no_colours(gallery: Gallery) -> None:
    plain = gallery.shown("rgb")
    assert plain.shape == (HIGH, WIDE, 3)
    assert np.array_equal(gallery.shown("rgb", "/rendered?window=5,5,linear"), plain)


@pytest.mark.row("R-Q-5")
@pytest.mark.parametrize("media", ["image/jpeg", "image/jp2", "image/jph", "image/jxl"])
def test_quality(gallery: Gallery, media: str) -> None:
    sizes = [
        len(gallery.get("rgb", f"/rendered?viewport=240,160&quality={q}", media).content) for q in (5, 60, 95)
    ]
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.mark.row("R-Q-7")
@pytest.mark.parametrize("media", ["image/png", "image/gif"])
def test_quality_of_what_loses_nothing(gallery: Gallery, media: str) -> None:
    assert (
        gallery.get("grey", "/rendered?quality=1", media).content == gallery.get("grey", accept=media).content
    )


@pytest.mark.row("R-Q-1", "R-Q-2")
def test_annotation(gallery: Gallery) -> None:
    """The last step: text of the same size whatever the source, each kind in its corner."""
    size = "viewport=240,160"
    plain = gallery.shown("grey", f"/rendered?{size}").astype(int)
    patient = gallery.shown("grey", f"/rendered?{size}&annotation=patient").astype(int)
    both = gallery.shown("grey", f"/rendered?{size}&annotation=patient,technique").astype(int)
    assert np.abs(patient - plain)[:80].max() > 50
    assert np.array_equal(patient[80:], plain[80:])
    assert np.abs(both - patient)[80:].max() > 50


@pytest.mark.row("R-Q-4")
def test_unsupported_annotation(gallery: Gallery) -> None:
    answer = gallery.get("grey", "/rendered?annotation=patient,foo,bar")
    assert answer.status_code == 200
    base = str(gallery.http.base_url).rstrip("/")
    assert answer.headers["warning"] == (
        f"299 {base}: The following annotation values are not supported: foo,bar"
    )
    assert answer.content == gallery.get("grey", "/rendered?annotation=patient").content
    assert "warning" not in gallery.get("grey", "/rendered?annotation=patient").headers


PROFILES = [
    pytest.param("", False, marks=rows("R-Q-40")),
    pytest.param("no", False, marks=rows("R-Q-40")),
    pytest.param("yes", True, marks=rows("R-Q-41")),
    *(
        pytest.param(space, True, marks=rows("R-Q-42"))
        for space in ("srgb", "adobergb", "rommrgb", "displayp3")
    ),
]
PLACES = {
    "image/jpeg": b"\xff\xe2",
    "image/png": b"iCCP",
    "image/jp2": b"acsp",
    "image/jph": b"acsp",
}


@pytest.mark.row("R-Q-45")
@pytest.mark.parametrize("media", PLACES)
@pytest.mark.parametrize(("space", "there"), PROFILES)
def test_profile(gallery: Gallery, media: str, space: str, there: bool) -> None:
    query = f"?iccprofile={space}" if space else ""
    answer = gallery.get("rgb", f"/rendered{query}", media)
    assert answer.status_code == 200
    assert (PLACES[media] in answer.content) is there


@pytest.mark.row("R-Q-43")
@pytest.mark.parametrize(
    ("name", "media"), [("rgb", "image/gif"), ("multi", "image/gif"), ("multi", "video/mp4")]
)
def test_profile_where_there_is_no_place_for_it(gallery: Gallery, name: str, media: str) -> None:
    answer = gallery.get(name, "/rendered?iccprofile=srgb", media)
    assert (answer.status_code, answer.json()["parameter"]) == (400, "iccprofile")
    assert gallery.get(name, "/rendered?iccprofile=no", media).status_code == 200


@pytest.mark.row("R-Q-50")
@pytest.mark.parametrize("query", ["window=40,400,linear", "viewport=5,5", "quality=5", "iccprofile=yes"])
def test_parameters_change_no_documents(gallery: Gallery, query: str) -> None:
    answer = gallery.get("pdf", f"/rendered?{query}")
    assert (answer.status_code, answer.content) == (200, DOCUMENT)


BAD = [
    ("annotation", "annotation="),
    ("annotation", "annotation=a,,b"),
    ("quality", "quality=0"),
    ("quality", "quality=5&quality=5"),
    ("viewport", "viewport=0,5"),
    ("viewport", "viewport=16385,5"),
    ("window", "window=40,400"),
    ("window", "window=40,400,LINEAR"),
    ("iccprofile", "iccprofile=cmyk"),
    ("accept", "accept=*/*"),
]


@pytest.mark.parametrize(("name", "query"), BAD)
@pytest.mark.parametrize("target", ["grey", "pdf", "raw"])
def test_bad_parameters(gallery: Gallery, target: str, name: str, query: str) -> None:
    """Whatever the target: a parameter that is known has to be right (8.3)."""
    answer = gallery.get(target, f"/rendered?{query}")
    assert (answer.status_code, answer.json()["parameter"]) == (400, name)
    assert answer.json()["expected"]


@pytest.mark.parametrize(
    ("below", "status"),
    [
        ("/frames/0/rendered", 400),
        ("/frames/4/rendered", 404),
        ("/frames/1,4/rendered", 404),
        ("/frames/1-2/rendered", 400),
        ("/frames/x/thumbnail", 400),
        ("/frames/4/thumbnail", 404),
    ],
)
def test_frames_that_are_not_there(gallery: Gallery, below: str, status: int) -> None:
    answer = gallery.get("multi", below)
    assert (answer.status_code, answer.json()["parameter"]) == (status, "frames")


@pytest.mark.row("R-RES-11")
def test_frames_of_what_has_none(gallery: Gallery) -> None:
    for name in ("pdf", "raw", "report"):
        assert gallery.get(name, "/frames/1/rendered").status_code == 404


# -- caching -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", ["image/png", related("image/png"), "image/gif", "video/mp4"])
def test_entity_tags(gallery: Gallery, accept: str) -> None:
    first = gallery.get("multi", accept=accept)
    again = gallery.get("multi", accept=accept, **{"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert gallery.get("multi", accept=accept).content == first.content
    other = gallery.get("multi", "/rendered?viewport=5,5", accept, **{"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200
    assert other.headers["etag"] != first.headers["etag"]


@pytest.mark.row("C-CA-7")
@pytest.mark.parametrize("below", ["/rendered", "/thumbnail"])
def test_head(gallery: Gallery, below: str) -> None:
    answer = gallery.http.head(gallery.paths["grey"] + below, headers={"Accept": "image/png"})
    got = gallery.get("grey", below, "image/png")
    assert (answer.status_code, answer.content) == (200, b"")
    for name in ("content-length", "content-type", "etag", "content-location"):
        assert answer.headers[name] == got.headers[name]


# -- thumbnails --------------------------------------------------------------------------------------------


@pytest.mark.row("R-T-1", "R-T-2", "R-MT-7")
@pytest.mark.parametrize("cut", ["/studies/1.2.7", "/studies/1.2.7/series/1.2.7.1", "grey", "grey/frames/1"])
def test_a_thumbnail_at_each_level(gallery: Gallery, cut: str) -> None:
    path = cut.replace("grey", gallery.paths["grey"])
    answer = gallery.http.get(f"{path}/thumbnail", headers={"Accept": "*/*"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert opened(answer.content).shape[:2] in {(171, 256), (170, 256)}
    assert "/instances/1.2.7.1." in answer.headers["content-location"]


@pytest.mark.row("R-T-2")
def test_a_thumbnail_is_one_image(gallery: Gallery) -> None:
    for accept in PICTURES:
        assert gallery.get("grey", "/thumbnail", accept).headers["content-type"] == accept
    for accept in (related("image/jpeg"), "text/html", "video/mp4"):
        assert gallery.get("grey", "/thumbnail", accept).status_code == 406


@pytest.mark.row("R-T-4", "R-T-9")
def test_the_size_of_a_thumbnail(gallery: Gallery) -> None:
    assert gallery.shown("grey", "/thumbnail?viewport=12,12").shape == (8, 12)
    assert gallery.shown("grey", "/thumbnail?viewport=100,100").shape in {(66, 100), (67, 100)}
    # Without one it is our own size, which is that of a viewport of so many pixels.
    own = gallery.shown("grey", "/thumbnail")
    assert max(own.shape) == SIDE
    assert np.array_equal(own, gallery.shown("grey", f"/thumbnail?viewport={SIDE},{SIDE}"))


@pytest.mark.row("R-Q-8")
def test_a_stored_still_jpeg_is_made_anew_as_it_is_asked_and_kept_as_it_is(gallery: Gallery) -> None:
    """It is lossy and of the asked format; what is rendered obeys `quality`, the stored stream is a frame's."""
    stream = io.BytesIO()
    pixels = np.add.outer(np.arange(64), np.arange(96)).astype("u1")
    Pillow.fromarray(pixels).save(stream, "JPEG", quality=60)
    stored = stream.getvalue()
    ds = picture(pixels, StudyInstanceUID="1.2.14", LossyImageCompression="01")
    ds.PixelData = encapsulate([stored])
    ds["PixelData"].is_undefined_length = True
    ds["PixelData"].VR = "OB"
    gallery.store("still", build.part10(ds, JPEGBaseline8Bit))
    sizes = [len(gallery.get("still", f"/rendered?quality={n}", "image/jpeg").content) for n in (5, 60, 100)]
    assert sizes[0] < sizes[1] < sizes[2]
    shown = gallery.shown("still", "/rendered?quality=100", "image/jpeg").astype(int)
    assert np.abs(shown - opened(stored).astype(int)).max() <= 2
    assert gallery.get("still", "/frames/1", "image/jpeg").content.removesuffix(b"\0") == stored


@pytest.mark.row("R-T-3", "R-T-6")
def test_a_thumbnail_says_nothing(gallery: Gallery) -> None:
    """No text on it whatever is asked; what has the name burned in is not shown at all."""
    plain = gallery.get("grey", "/thumbnail")
    assert (
        gallery.get("grey", "/thumbnail?annotation=patient&window=5,5,linear&quality=1").content
        == plain.content
    )
    burned = gallery.shown("burned", "/thumbnail?viewport=24,16").astype(int)
    real = gallery.shown("burned", "/rendered").astype(int)
    assert burned.shape == (16, 16)
    assert real.shape == (HIGH, WIDE)


@pytest.mark.row("R-T-10")
def test_a_thumbnail_of_frames_is_one_of_them(gallery: Gallery) -> None:
    for frames, level in (("1", 40), ("1,2,3", 120), ("3,1", 200)):
        assert gallery.shown("multi", f"/frames/{frames}/thumbnail").mean() == level
    assert gallery.shown("multi", "/thumbnail").mean() == 120


@pytest.mark.row("R-T-8")
@pytest.mark.parametrize("name", ["report", "raw", "ecg", "pdf"])
def test_what_is_no_image_has_a_sign(gallery: Gallery, name: str) -> None:
    study = "/".join(gallery.paths[name].split("/")[:3])
    sign = gallery.shown(name, "/thumbnail")
    assert sign.shape == (256, 256)
    assert sign.std() > 5
    if study != "/studies/1.2.7":
        assert np.array_equal(opened(gallery.http.get(f"{study}/thumbnail?accept=image/png").content), sign)


def test_signs_differ(gallery: Gallery) -> None:
    signs = [gallery.shown(name, "/thumbnail").tobytes() for name in ("report", "raw", "ecg", "pdf")]
    assert len(set(signs)) == 4


def test_thumbnail_of_what_is_gone(gallery: Gallery) -> None:
    assert gallery.get("gone", "/thumbnail").status_code == 410
    assert gallery.http.get("/studies/9.9/thumbnail").status_code == 404


@pytest.mark.parametrize("below", ["renderedmpr", "rendered3d", "frames/1/metadata"])
def test_what_is_not_offered(gallery: Gallery, below: str) -> None:
    assert gallery.get("grey", f"/{below}").status_code == 404


@pytest.mark.row("R-MT-8")
@pytest.mark.parametrize(
    "below", ["/frames/1", "/frames/1,2", "/bulkdata/7FE00010", "/bulkdata", "/pixeldata"]
)
def test_pixels_for_who_takes_anything(gallery: Gallery, below: str) -> None:
    """No type is marked as the default there: the required one is sent, never a picture."""
    answer = gallery.get("multi", below)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith('multipart/related; type="application/octet-stream"')
