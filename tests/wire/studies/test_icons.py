"""Encapsulated pixel data within sequences: made native with the rest, and sent as frames are (PS3.5 A.4)."""

from __future__ import annotations

import io
from collections.abc import Iterator

import httpx
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from tests import build
from tests.live import LiveServer
from tests.wire.renderedarchive import Gallery, frames_of_grey, picture
from tests.wire.studies.test_broken_frames import rle
from tests.wire.transfer import DEFLATED, DICOM, ELE, J2K, OCTETS, RLE, parts, related

ICON = rle(77)
NATIVE = b"\x4d" * 384


def icon(codestream: bytes, *, open_ended: bool) -> Dataset:
    ds = Dataset()
    ds.Rows, ds.Columns = 16, 24
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    half = len(codestream) // 4 * 2
    ds.PixelData = encapsulate([codestream], fragments_per_frame=2 if half else 1)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    ds.is_undefined_length_sequence_item = open_ended
    return ds


@pytest.fixture(scope="module")
def icons(server: LiveServer) -> Iterator[Gallery]:
    with httpx.Client(base_url=server.root, timeout=60) as http:
        made = Gallery(http)
        for name, codestream in (("defined", ICON), ("open", ICON), ("broken", bytes(100))):
            ds = picture(frames_of_grey()[0], StudyInstanceUID="1.8", SeriesInstanceUID="1.8.1")
            within = Dataset()
            within.IconImageSequence = [icon(codestream, open_ended=name == "open")]
            within.CodeMeaning = "behind"
            ds.IconImageSequence = [icon(codestream, open_ended=name == "open")]
            ds.ReferencedImageSequence = [within]
            ds.PixelData = encapsulate([rle(10)])
            ds["PixelData"].VR = "OB"
            ds["PixelData"].is_undefined_length = True
            for sequence in ("IconImageSequence", "ReferencedImageSequence"):
                ds[sequence].is_undefined_length = name == "open"
            made.store(name, build.part10(ds, RLE))
        yield made


def sent(icons: Gallery, name: str, syntax: str) -> Dataset:
    answer = icons.get(name, "", f"{DICOM}; transfer-syntax={syntax}")
    assert answer.status_code == 200, answer.text
    return pydicom.dcmread(io.BytesIO(answer.content))


@pytest.mark.parametrize("name", ["defined", "open"])
@pytest.mark.parametrize("syntax", [ELE, DEFLATED, J2K])
def test_icons_are_made_native(icons: Gallery, name: str, syntax: str) -> None:
    ds = sent(icons, name, syntax)
    for found in (ds.IconImageSequence[0], ds.ReferencedImageSequence[0].IconImageSequence[0]):
        assert found["PixelData"].value == NATIVE
        assert found.Rows == 16
    assert ds.ReferencedImageSequence[0].CodeMeaning == "behind"
    assert ds.PatientName == "Doe^Jane"


@pytest.mark.parametrize("name", ["defined", "open"])
def test_as_stored_they_stay_as_they_are(icons: Gallery, name: str) -> None:
    ds = sent(icons, name, RLE)
    assert ds.IconImageSequence[0]["PixelData"].value[:4] == b"\xfe\xff\x00\xe0"


def test_one_that_cannot_be_decoded_is_left_out(icons: Gallery) -> None:
    ds = sent(icons, "broken", ELE)
    assert "IconImageSequence" not in ds
    assert "IconImageSequence" not in ds.ReferencedImageSequence[0]
    assert ds.ReferencedImageSequence[0].CodeMeaning == "behind"
    assert len(ds.PixelData) == 384


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", "image/dicom-rle"),
        (related(OCTETS), OCTETS),
        (related("image/dicom-rle"), "image/dicom-rle"),
        (f"{related(OCTETS)}; transfer-syntax=*", None),
    ],
)
@pytest.mark.parametrize("where", ["00880200/1/7FE00010", "00081140/1/00880200/1/7FE00010"])
def test_bulk_data_is_the_codestream(icons: Gallery, where: str, accept: str, media: str | None) -> None:
    answer = icons.get("defined", f"/bulkdata/{where}", accept)
    assert answer.status_code == 200
    (part,) = parts(answer)
    assert part.body == ICON
    assert part.syntax == RLE
    assert media in (None, part.media)


def test_all_bulk_data_has_the_codestreams(icons: Gallery) -> None:
    answer = icons.get("open", "/bulkdata", "*/*")
    assert answer.status_code == 200
    assert sum(part.body == ICON for part in parts(answer)) == 2
