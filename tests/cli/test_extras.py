"""Prove what works without the extras, what is said where one is missing, and that each brings what it says.

The wheel is installed where it sees just what it requires: what `pyproject.toml` forgets is missing here.
"""

from __future__ import annotations

import io
import json
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import packages_distributions
from pathlib import Path

import httpx
import imagecodecs
import pytest
from gateway.extras import MODULES, Extra
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image
from pydicom import Dataset, dcmread
from tests import build
from tests.cli.wheels import (
    ROOT,
    Installed,
    build_wheel,
    install_wheel,
    link_packages,
    list_required,
    run,
    serving,
)
from tests.wire.renderedarchive import MULTI, frames_of_grey, picture, stored_video, video

REPORT, VIDEO_SOP = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.77.1.4.1"
DICOM_JSON = "application/dicom+json"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("extras")
    return install_wheel(build_wheel(folder), folder)


def with_extras(installed: Installed, *extras: str) -> Installed:
    """Return the installation as it is with these extras alone."""
    folder = installed.elsewhere.parent / "-".join(("with", *extras))
    if not folder.exists():
        link_packages(folder, list_required(installed.wheel, *extras))
    return replace(installed, packages=folder)


@pytest.fixture(scope="module")
def plain(installed: Installed) -> Installed:
    return with_extras(installed)


def write_archive(folder: Path) -> None:
    """Write a picture, frames, a report, a document and a stored video."""
    many = {"Rows": 64, "Columns": 64, "PixelData": bytes(range(128)) * 64}
    named = {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "山田^太郎"}
    report = build.dataset(
        PixelData=None, SOPClassUID=REPORT, StudyInstanceUID="1.2", SeriesInstanceUID="3", SOPInstanceUID="4"
    )
    concept = Dataset()
    concept.CodeValue, concept.CodingSchemeDesignator, concept.CodeMeaning = "1", "99T", "Finding"
    report.ConceptNameCodeSequence = [concept]
    document = build.dataset(
        PixelData=None,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1",
        MIMETypeOfEncapsulatedDocument="application/pdf",
        EncapsulatedDocument=b"%PDF-1.4\n%%EOF\n\0",
        **uids("document"),
    )
    files = {
        "picture": build.instance(**many, **named, **uids("picture")),
        "frames": build.part10(picture(frames_of_grey(), SOPClassUID=MULTI, **uids("frames"))),
        "report": build.part10(report),
        "document": build.part10(document),
        "video": stored_video(video(folder / "film.mp4"), **uids("video")),
    }
    (folder / "film.mp4").unlink()
    for name, data in files.items():
        (folder / f"{name}.dcm").write_bytes(data)


NAMES = ("picture", "frames", "document", "video")


def uids(name: str) -> dict[str, str]:
    number = NAMES.index(name) + 1
    return {
        "StudyInstanceUID": f"1.{number}.1",
        "SeriesInstanceUID": f"1.{number}.2",
        "SOPInstanceUID": f"1.{number}.3",
    }


def path(name: str) -> str:
    study, series, instance = uids(name).values() if name != "report" else ("1.2", "3", "4")
    return f"/studies/{study}/series/{series}/instances/{instance}"


@pytest.fixture(scope="module")
def archive(installed: Installed) -> Path:
    """A folder of files that each test imports."""
    folder = installed.elsewhere / "files"
    folder.mkdir()
    write_archive(folder)
    return folder


@pytest.fixture(scope="module")
def web(plain: Installed, archive: Path) -> Iterator[httpx.Client]:
    """A client of the plain installation."""
    with serve_archive(plain, archive, "plain") as client:
        yield client


@pytest.fixture(scope="module")
def full(installed: Installed, archive: Path) -> Iterator[httpx.Client]:
    """A client of the installation with `all`."""
    with serve_archive(with_extras(installed, "all"), archive, "full") as client:
        yield client


@contextmanager
def serve_archive(installed: Installed, archive: Path, data: str) -> Iterator[httpx.Client]:
    imported = installed.run("import", "--data", data, str(archive))
    assert imported.returncode == 0, imported.stderr
    with serving(installed, data) as base, httpx.Client(base_url=base, timeout=30) as client:
        yield client


def get(web: httpx.Client, name: str, suffix: str, accept: str) -> httpx.Response:
    return web.get(path(name) + suffix, headers={"Accept": accept})


# -- the plain installation ---------------------------------------------------------------------------------


def test_plain_sees_no_extra(plain: Installed) -> None:
    """The folder of packages holds none of the modules that an extra brings: or the rest would prove nothing."""
    there = {entry.name.partition(".")[0] for entry in plain.packages.iterdir()}
    assert there.isdisjoint(module for modules in MODULES.values() for module in modules)
    assert {"numpy", "imagecodecs", "PIL", "uvicorn"} <= there


def test_plain_stores_and_searches(web: httpx.Client) -> None:
    data = build.instance(StudyInstanceUID="1.9.1", PatientID="stored")
    answer = web.post("/studies", content=data, headers={"Content-Type": "application/dicom"})
    assert answer.status_code == 200, answer.text
    (study,) = web.get("/studies?PatientID=stored", headers={"Accept": DICOM_JSON}).json()
    assert study["0020000D"]["Value"] == ["1.9.1"]


def test_plain_retrieves_and_transcodes(web: httpx.Client, archive: Path) -> None:
    whole = get(web, "picture", "", "application/dicom")
    assert whole.content == (archive / "picture.dcm").read_bytes()
    coded = get(web, "picture", "", "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90")
    assert dcmread(io.BytesIO(coded.content)).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.90"
    frame = get(web, "picture", "/frames/1", "image/jls")
    assert imagecodecs.jpegls_decode(frame.content).shape == (64, 64)


@pytest.mark.parametrize(
    "media", ["image/jpeg", "image/png", "image/gif", "image/jp2", "image/jph", "image/jxl"]
)
def test_plain_renders(web: httpx.Client, media: str) -> None:
    answer = get(web, "frames", "/frames/2/rendered", media)
    assert (answer.status_code, answer.headers["content-type"]) == (200, media)


@pytest.mark.parametrize("name", [*NAMES, "report"])
def test_plain_draws_thumbnails(web: httpx.Client, name: str) -> None:
    """A stored video, which nothing decodes here, has a drawn sign."""
    answer = get(web, name, "/thumbnail", "image/png")
    assert answer.status_code == 200
    assert max(Image.open(io.BytesIO(answer.content)).size) == 256


def test_plain_writes_reports_as_text(web: httpx.Client) -> None:
    answer = get(web, "report", "/rendered", "*/*")
    assert answer.headers["content-type"].startswith("text/html")
    assert "Finding" in answer.text


def test_plain_sends_stored_video_and_documents_as_they_are(web: httpx.Client) -> None:
    film = get(web, "video", "/rendered", "*/*")
    assert (film.headers["content-type"], film.content[4:8]) == ("video/mp4", b"ftyp")
    document = get(web, "document", "/rendered", "application/pdf")
    assert (document.status_code, document.content[:4]) == (200, b"%PDF")


def test_a_name_that_no_font_has_is_written_by_number(web: httpx.Client, full: httpx.Client) -> None:
    """Annotation works either way; the pictures differ by the letters alone."""
    suffix = "/rendered?viewport=512,512&annotation=patient"
    ours, theirs = (get(one, "picture", suffix, "image/png") for one in (web, full))
    assert (ours.status_code, theirs.status_code) == (200, 200)
    assert ours.content != theirs.content
    bare = [get(one, "picture", "/rendered", "image/png").content for one in (web, full)]
    assert bare[0] == bare[1]


@pytest.mark.parametrize(
    ("name", "suffix", "accept", "extra"),
    [
        ("frames", "/rendered", "video/mp4", "video"),
        ("frames", "/rendered", "multipart/related; type=video/mp4", "video"),
        ("video", "/frames/1/rendered", "image/jpeg", "video"),
        ("video", "/rendered?viewport=32,32", "video/mp4", "video"),
        ("report", "/rendered", "application/pdf", "reports"),
    ],
)
def test_what_is_missing_is_not_offered(
    web: httpx.Client, full: httpx.Client, name: str, suffix: str, accept: str, extra: str
) -> None:
    """406, whose text names the extra, and lists only what can be had; with `all` it is 200."""
    answer = get(web, name, suffix, accept)
    assert answer.status_code == 406
    problem = answer.json()
    assert f"pip install 'dicomweb-gateway[{extra}]'" in problem["detail"]
    assert accept.rpartition("=")[2] not in "".join(problem.get("available", ()))
    assert get(full, name, suffix, accept).status_code == 200


def test_the_next_best_is_taken(web: httpx.Client) -> None:
    answer = get(web, "frames", "/rendered", "video/mp4, image/gif;q=0.5")
    assert answer.headers["content-type"] == "image/gif"
    answer = get(web, "report", "/rendered", "application/pdf, text/plain;q=0.1")
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("name", "media", "extra"), [("frames", "video/mp4", "video"), ("report", "application/pdf", "reports")]
)
def test_the_uri_service_does_not_offer_it_either(
    web: httpx.Client, full: httpx.Client, name: str, media: str, extra: str
) -> None:
    study, _, series, _, instance = path(name).removeprefix("/studies/").split("/")
    query = (
        f"/wado?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}&contentType={media}"
    )
    answer = web.get(query, headers={"Accept": media})
    assert answer.status_code == 406
    assert f"dicomweb-gateway[{extra}]" in answer.json()["detail"]
    assert full.get(query, headers={"Accept": media}).status_code == 200


def test_a_video_that_comes_without_description_is_refused_with_the_extra(web: httpx.Client) -> None:
    """S-53: what describes a video is missing, and the metadata do not."""
    model = {
        "00080016": {"vr": "UI", "Value": [VIDEO_SOP]},
        "00080018": {"vr": "UI", "Value": ["1.8.3"]},
        "0020000D": {"vr": "UI", "Value": ["1.8.1"]},
        "0020000E": {"vr": "UI", "Value": ["1.8.2"]},
        "7FE00010": {"vr": "OB", "BulkDataURI": "v"},
    }
    parts = (
        (DICOM_JSON, "", json.dumps([model]).encode()),
        ("video/mp4", "v", b"\0\0\0\x18ftypmp42" + bytes(100)),
    )
    body = b"".join(
        f"--b\r\nContent-Type: {media}\r\nContent-Location: {where}\r\n\r\n".encode() + data + b"\r\n"
        for media, where, data in parts
    )
    kind = f'multipart/related; type="{DICOM_JSON}"; boundary=b'
    answer = web.post("/studies", content=body + b"--b--\r\n", headers={"Content-Type": kind})
    assert answer.status_code == 409
    assert "dicomweb-gateway[video]" in answer.headers["warning"]


def test_capabilities_say_what_is_missing(web: httpx.Client, full: httpx.Client) -> None:
    ours, theirs = (
        one.options("/studies", headers={"Accept": "application/json"}).text for one in (web, full)
    )
    assert "fonts, postgres, reports, s3, video" in ours
    assert "not installed" not in theirs


# -- by configuration ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("serve", "--store", "s3://bucket/prefix"), "s3"),
        (("import", "--in-place", "s3://bucket/prefix"), "s3"),
        (("verify", "--store", "s3://bucket/prefix"), "s3"),
        (("serve", "--index", "postgresql://127.0.0.1:1/x"), "postgres"),
        (("migrate", "--index", "postgresql://127.0.0.1:1/x"), "postgres"),
    ],
)
def test_one_line_names_the_extra(plain: Installed, arguments: tuple[str, ...], extra: str) -> None:
    done = plain.run(*arguments, "--data", "configured", AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b")
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.endswith(f"pip install 'dicomweb-gateway[{extra}]'")


def test_an_encoder_without_its_extra_is_refused_at_start(plain: Installed) -> None:
    done = plain.run("serve", "--data", "configured", "--port", "0", GATEWAY_VIDEO_ENCODER="libx264")
    assert done.returncode != 0
    assert "dicomweb-gateway[video]" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_encoder_is_refused_with_those_there_are(plain: Installed) -> None:
    done = plain.run("serve", "--data", "configured", GATEWAY_VIDEO_ENCODER="libx265")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "want libopenh264, libvpx-vp9 or libx264" in done.stderr


def test_the_tag_of_a_video_names_its_encoder(installed: Installed, archive: Path) -> None:
    """Another encoder makes other bytes: their tag is another, that of what is not encoded stays."""
    everything = with_extras(installed, "all")
    assert everything.run("import", "--data", "encoders", str(archive)).returncode == 0
    study, _, series, _, instance = path("frames").removeprefix("/studies/").split("/")
    uri = f"/wado?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}&contentType=video/mp4"
    tags = []
    for encoder in ("libvpx-vp9", "libx264"):
        chosen = {"GATEWAY_VIDEO_ENCODER": encoder, "GATEWAY_PUBLIC_URL": "http://images.example"}
        with serving(everything, "encoders", **chosen) as base, httpx.Client(base_url=base) as web:
            made = get(web, "frames", "/rendered", "video/mp4")
            answers = (
                made,
                web.get(uri, headers={"Accept": "video/mp4"}),
                get(web, "video", "/rendered", "video/mp4"),
                get(web, "frames", "/frames/1/rendered", "image/jpeg"),
            )
            assert (b"avc1" in made.content) == (encoder == "libx264")
            tags.append([answer.headers["etag"] for answer in answers])
    assert [one == other for one, other in zip(*tags, strict=True)] == [False, False, True, True]


@pytest.mark.parametrize(
    ("extra", "arguments", "said"),
    [
        ("s3", ("serve", "--store", "s3://bucket"), "AWS_ACCESS_KEY_ID is not set"),
        ("postgres", ("migrate", "--index", "postgresql://127.0.0.1:1/x"), "127.0.0.1:1"),
    ],
)
def test_with_its_extra_alone_a_driver_gets_further(
    installed: Installed, extra: str, arguments: tuple[str, ...], said: str
) -> None:
    done = with_extras(installed, extra).run(*arguments, "--data", "configured", AWS_ACCESS_KEY_ID="")
    assert "pip install" not in done.stderr
    assert said in done.stderr


@pytest.mark.parametrize("extra", list(Extra))
def test_each_extra_brings_its_modules(installed: Installed, extra: Extra) -> None:
    found = with_extras(installed, extra)
    program = "import sys, importlib; [importlib.import_module(name) for name in sys.argv[1:]]"
    names = [name for name in MODULES[extra] if not name.startswith(("font", "cvttf"))]
    run([str(found.python), "-c", program, *names], found.elsewhere, found.environment())
    there = {entry.name for entry in found.packages.iterdir()}
    assert set(MODULES[extra]) <= there


# -- what is written of them ---------------------------------------------------------------------------------


def test_the_extras_are_those_of_the_project() -> None:
    """`pyproject.toml` and `gateway/extras.py` name the same extras with the same packages; `all` is all of them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    written = project["optional-dependencies"]
    assert set(written) == {*Extra, "all", "test"}
    (everything,) = (Requirement(text) for text in written["all"])
    assert everything.extras == set(Extra)
    packages = packages_distributions()
    for extra in Extra:
        known = {canonicalize_name(packages[module][0]) for module in MODULES[extra]}
        required = [Requirement(text) for text in written[extra]]
        names = {canonicalize_name(one.name) for one in required if one.name != project["name"]}
        for one in required:
            for other in one.extras:
                names |= {canonicalize_name(Requirement(text).name) for text in written[other]}
        assert names == known, extra
