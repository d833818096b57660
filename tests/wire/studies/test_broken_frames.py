"""Frames that do not decode behind one that does: a short answer says so in its status, and is never cut short."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from pydicom.encaps import encapsulate
from tests import build
from tests.live import LiveServer
from tests.wire.renderedarchive import Gallery, bodies, frames_of_grey, picture
from tests.wire.transfer import DICOM, ELE, J2K, OCTETS, RLE, parts, related

SIZE = 16 * 24


def rle(level: int) -> bytes:
    """A frame of one level in one segment (PS3.5 G)."""
    head = b"".join(n.to_bytes(4, "little") for n in (1, 64, *[0] * 14))
    return head + bytes((129, level)) * (SIZE // 128)


def stored(gallery: Gallery, name: str, frames: list[bytes], study: str) -> None:
    ds = picture(frames_of_grey()[0], StudyInstanceUID=study, SeriesInstanceUID=f"{study}.1")
    ds.NumberOfFrames = len(frames)
    ds.PixelData = encapsulate(frames)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    gallery.store(name, build.part10(ds, RLE))


@pytest.fixture(scope="module")
def broken(server: LiveServer) -> Iterator[Gallery]:
    with httpx.Client(base_url=server.root, timeout=60) as http:
        made = Gallery(http)
        stored(made, "frames", [rle(10), rle(20), bytes(100), rle(40)], "1.4.1")
        stored(made, "first", [rle(10)], "1.4.2")
        stored(made, "second", [bytes(100)], "1.4.2")
        stored(made, "third", [rle(30)], "1.4.2")
        yield made


@pytest.mark.parametrize(
    ("below", "accept"),
    [
        ("/frames/1,2,3,4", related(OCTETS)),
        ("/frames/1,2,3,4", related("image/jp2", J2K)),
        ("", related(DICOM, ELE)),
        ("", f"{DICOM}; transfer-syntax={J2K}"),
        ("/bulkdata/7FE00010", related(OCTETS)),
    ],
)
def test_one_body_or_list_fails_as_a_whole(broken: Gallery, below: str, accept: str) -> None:
    answer = broken.get("frames", below, accept)
    assert answer.status_code == 406
    assert "RLE" in answer.json()["detail"] or "decode" in answer.json()["detail"]


def test_frames_that_are_whole_are_sent(broken: Gallery) -> None:
    answer = broken.get("frames", "/frames/4,1,4", related(OCTETS))
    assert answer.status_code == 200
    assert [part.body[:1] for part in parts(answer)] == [b"\x28", b"\x0a", b"\x28"]


def test_pictures_that_cannot_be_drawn_are_left_out(broken: Gallery) -> None:
    answer = broken.get("frames", "/rendered", related("image/png"))
    assert answer.status_code == 206
    assert [part.location.rpartition("/")[2] for part in bodies(answer)] == ["1", "2", "4"]
    assert "1 of what was asked for" in answer.headers["warning"]


@pytest.mark.parametrize("accept", [related(DICOM, ELE), related(DICOM, J2K)])
def test_instances_that_cannot_be_decoded_are_left_out(broken: Gallery, accept: str) -> None:
    answer = broken.http.get("/studies/1.4.2", headers={"Accept": accept})
    assert answer.status_code == 206
    assert len(parts(answer)) == 2
    assert "1 instances" in answer.headers["warning"]
