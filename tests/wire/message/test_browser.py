"""A viewer in a real browser, on a page of another origin: CORS, ranges, caching, pictures and video."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from tests import browser, build, node
from tests.browser import Pages
from tests.live import LiveServer, serving
from tests.wire.renderedarchive import STUDY, Gallery, filled, video

HTML, SCRIPT = "text/html; charset=utf-8", "text/javascript; charset=utf-8"


@pytest.fixture(scope="module")
def ct() -> bytes:
    return Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()


@pytest.fixture(scope="module")
def pages(ct: bytes) -> Iterator[Pages]:
    scripts = node.installed()
    client = scripts / "node_modules" / "dicomweb-client" / "build" / "dicomweb-client.js"
    files = {
        "viewer.html": (HTML, (scripts / "viewer.html").read_bytes()),
        "viewer.js": (SCRIPT, (scripts / "viewer.js").read_bytes()),
        "dicomweb-client.js": (SCRIPT, client.read_bytes()),
        "ct.dcm": ("application/dicom", ct),
    }
    with browser.pages(files) as served:
        yield served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, pages: Pages) -> Iterator[LiveServer]:
    with serving(tmp_path_factory.mktemp("data"), "--cors-origin", pages.origin) as live:
        yield live


@pytest.fixture(scope="module")
def gallery(server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    with httpx.Client(base_url=server.root, timeout=60) as http:
        yield filled(http, tmp_path_factory.mktemp("gallery"))


@pytest.fixture(scope="module")
def seen(
    server: LiveServer, gallery: Gallery, pages: Pages, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What the page saw; nothing of it went wrong."""
    film = f"{server.root}{gallery.paths['video']}/rendered"
    profile = tmp_path_factory.mktemp("profile")
    found = browser.seen(pages, "viewer.html", profile, root=server.root, film=film)
    assert "error" not in found, found["error"]
    return found


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_client_stores_finds_and_reads(seen: dict[str, Any], ct: bytes) -> None:
    ds = pydicom.dcmread(BytesIO(ct))
    assert (seen["stored"], seen["patient"]) == (ds.SOPInstanceUID, str(ds.PatientName))
    assert seen["frame"] == seen["bulk"] == sha256(ds.PixelData)
    assert seen["file"] == sha256(ct)


def test_what_a_viewer_needs_of_headers_can_be_read(seen: dict[str, Any]) -> None:
    assert seen["range"] == [206, "bytes 10-19/32768", 10]
    assert seen["readable"] == ["etag", "server-timing", "content-type"]
    assert seen["unchanged"] == 304
    assert 'rel="next"' in seen["next"]
    assert seen["problem"] == [400, "limit"]


def test_a_picture_is_drawn(seen: dict[str, Any], server: LiveServer, ct: bytes) -> None:
    """Pixel by pixel what the answer holds."""
    with httpx.Client(base_url=server.root, timeout=60) as http:
        made = Gallery(http)
        ds = pydicom.dcmread(BytesIO(ct))
        ds.SOPInstanceUID = "1.2.99.1"
        made.store("copy", build.part10(ds))
        png = made.get("copy", accept="image/png").content
    with Image.open(BytesIO(png)) as picture:
        grey = np.asarray(picture.convert("L"))
    assert seen["image"] == [128, 128]
    assert seen["grey"] == sha256(grey.tobytes())


def test_a_video_plays_and_is_sought(seen: dict[str, Any], tmp_path: Path) -> None:
    """Twelve frames of a tenth of a second, each brighter than the one before."""
    assert video(tmp_path / "made.mp4")
    assert seen["film"] == [64, 48, 1.2]
    assert abs(seen["late"] - (20 * 8 + 10)) <= 6


def test_what_is_deleted_is_gone(seen: dict[str, Any]) -> None:
    assert (seen["deleted"], seen["gone"]) == (204, 410)


def test_no_other_origin_reads_or_changes_anything(
    server: LiveServer, pages: Pages, tmp_path: Path, gallery: Gallery
) -> None:
    with browser.pages(pages.files) as stranger:
        found = browser.seen(stranger, "viewer.html", tmp_path, root=server.root, stranger="yes")
    assert found == {"GET": "refused", "POST": "refused", "DELETE": "refused"}


def test_a_report_is_a_page(server: LiveServer, gallery: Gallery, tmp_path: Path) -> None:
    shown = browser.text(f"{server.root}{gallery.paths['report']}/rendered", tmp_path)
    assert "Jörg Müller" in shown or "Müller Jörg" in shown
    assert STUDY in gallery.paths["report"]


def test_the_home_page_and_a_failure_are_pages(server: LiveServer, tmp_path: Path) -> None:
    assert "dicomweb" in browser.text(f"{server.base}/", tmp_path / "one").lower()
    assert "404" in browser.text(f"{server.root}/studies/1.2.3.4.5", tmp_path / "two")
