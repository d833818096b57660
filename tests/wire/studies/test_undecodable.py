"""Codestreams that cannot be decoded are still to be had: negotiated first, as they are stored (PS3.18 8.7.3.3)."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from pydicom.encaps import encapsulate
from tests import build
from tests.live import LiveServer
from tests.wire.renderedarchive import Gallery, frames_of_grey, picture
from tests.wire.studies.test_broken_frames import rle
from tests.wire.transfer import OCTETS, RLE, parts, related

JLS = "1.2.840.10008.1.2.4.80"
# Retired, and no decoder has it.
RETIRED = "1.2.840.10008.1.2.4.53"
BROKEN = bytes(range(100))
STUDY = "1.7.1"


@pytest.fixture(scope="module")
def broken(server: LiveServer) -> Iterator[Gallery]:
    """One study: a whole image, two whose codestream is none, one of a transfer syntax that no decoder has."""
    with httpx.Client(base_url=server.root, timeout=60) as http:
        made = Gallery(http)
        for name, syntax, frames in (
            ("whole", RLE, [rle(10)]),
            ("jls", JLS, [BROKEN, BROKEN + b"ab"]),
            ("single", JLS, [BROKEN]),
            ("retired", RETIRED, [BROKEN]),
            ("late", RLE, [rle(10), BROKEN, rle(30)]),
        ):
            study = "1.7.2" if name == "late" else STUDY
            ds = picture(frames_of_grey()[0], StudyInstanceUID=study, SeriesInstanceUID=f"{study}.1")
            ds.NumberOfFrames = len(frames)
            ds.PixelData = encapsulate(frames)
            ds["PixelData"].VR = "OB"
            ds["PixelData"].is_undefined_length = True
            made.store(name, build.part10(ds, syntax))
        yield made


@pytest.mark.parametrize("name", ["jls", "single", "retired"])
@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        related("*/*"),
        f"{related(OCTETS)}; transfer-syntax=*",
        "stored",
        "stored*",
        f"{related(OCTETS)}, */*;q=0.1",
    ],
)
def test_bulk_data_is_had_as_it_is_stored(broken: Gallery, name: str, accept: str) -> None:
    media, syntax = ("image/jls", JLS) if name != "retired" else (OCTETS, RETIRED)
    if accept.startswith("stored"):
        accept = related(media, "*" if accept == "stored*" else syntax)
    answer = broken.get(name, "/bulkdata/7FE00010", accept)
    assert answer.status_code == 200, answer.text
    found = parts(answer)
    assert [(part.media, part.syntax) for part in found] == [(media, syntax)] * len(found)
    assert found[0].body == BROKEN
    assert len(found) == (2 if name == "jls" else 1)


@pytest.mark.parametrize("name", ["jls", "retired"])
def test_who_takes_native_bytes_only_is_told_what_there_is(broken: Gallery, name: str) -> None:
    answer = broken.get(name, "/bulkdata/7FE00010", related(OCTETS))
    assert answer.status_code == 406
    stored = JLS if name == "jls" else RETIRED
    assert any(stored in one for one in answer.json()["available"])


@pytest.mark.parametrize("below", ["/bulkdata", "/pixeldata"])
@pytest.mark.parametrize("accept", ["*/*", related("*/*")])
def test_a_study_with_some_is_whole(broken: Gallery, below: str, accept: str) -> None:
    answer = broken.http.get(f"/studies/{STUDY}{below}", headers={"Accept": accept})
    assert answer.status_code == 200
    assert "warning" not in answer.headers
    found = parts(answer)
    assert sum(part.body == BROKEN for part in found) == 3
    assert len(found) == 5


def test_values_that_cannot_be_had_are_told_of(broken: Gallery) -> None:
    answer = broken.http.get(f"/studies/{STUDY}/bulkdata", headers={"Accept": related(OCTETS)})
    assert answer.status_code == 206
    assert len(parts(answer)) == 1
    assert "3 values" in answer.headers["warning"]


def test_a_later_frame_that_fails_is_known_in_time(broken: Gallery) -> None:
    answer = broken.get("late", "/bulkdata", related(OCTETS))
    assert answer.status_code == 406
    whole = broken.get("late", "/bulkdata", "*/*")
    assert whole.status_code == 200
    assert [part.body[:100] for part in parts(whole)][1] == BROKEN
