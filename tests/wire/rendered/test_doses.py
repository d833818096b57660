"""Doses and segments over a real socket (PS3.3 C.8.8.3, C.8.20), and states that take a mask away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from gateway.render.rendering import Array
from pydicom.dataset import Dataset
from tests import build
from tests.live import LiveServer
from tests.wire.renderedarchive import Gallery, opened, picture

DOSE, SEGMENTATION = "1.2.840.10008.5.1.4.1.1.481.2", "1.2.840.10008.5.1.4.1.1.66.4"
STUDY, PNG = "1.2.72", "image/png"


def grid() -> Array:
    """Three frames of which the last has the highest dose."""
    return np.stack([np.full((8, 8), value, "<u2") for value in (100, 200, 400)])


def segments() -> Dataset:
    mask = np.zeros((8, 8), "u1")
    mask[2:4] = 200
    segment, identification, group = Dataset(), Dataset(), Dataset()
    segment.SegmentNumber, segment.RecommendedDisplayCIELabValue = 1, [35574, 53663, 50860]
    identification.ReferencedSegmentNumber = 1
    group.SegmentIdentificationSequence = [identification]
    return picture(
        mask,
        SOPClassUID=SEGMENTATION,
        StudyInstanceUID=STUDY,
        SegmentationType="FRACTIONAL",
        MaximumFractionalValue=200,
        SegmentSequence=[segment],
        SharedFunctionalGroupsSequence=[group],
    )


def masked(of: Dataset, operation: str) -> bytes:
    pixels = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
    more: dict[str, Any] = dict.fromkeys(
        (*pixels, "SamplesPerPixel", "PhotometricInterpretation", "PixelData")
    )
    ds = build.dataset(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.11.1", StudyInstanceUID=STUDY, Modality="PR", **more
    )
    reference, series, mask = Dataset(), Dataset(), Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = of.SOPClassUID, of.SOPInstanceUID
    series.SeriesInstanceUID, series.ReferencedImageSequence = of.SeriesInstanceUID, [reference]
    mask.MaskOperation = operation
    ds.ReferencedSeriesSequence, ds.MaskSubtractionSequence = [series], [mask]
    return build.part10(ds)


@pytest.fixture(scope="module")
def gallery(server: LiveServer) -> Iterator[Gallery]:
    dose = picture(grid(), SOPClassUID=DOSE, StudyInstanceUID=STUDY, DoseGridScaling="0.1", DoseUnits="GY")
    plain = picture(grid()[0], StudyInstanceUID=STUDY)
    with httpx.Client(base_url=server.root, timeout=60) as http:
        made = Gallery(http)
        made.store("dose", build.part10(dose))
        made.store("segments", build.part10(segments()))
        made.store("plain", build.part10(plain))
        made.store("subtracted", masked(plain, "AVG_SUB"))
        made.store("not subtracted", masked(plain, "NONE"))
        yield made


def test_all_frames_of_a_dose_have_one_scale(gallery: Gallery) -> None:
    """A quarter, half and all of the highest dose of the grid."""
    shown = [gallery.shown("dose", f"/frames/{number}/rendered")[0, 0].tolist() for number in (1, 2, 3)]
    assert shown == [[0, 255, 255], [0, 255, 0], [255, 0, 0]]


def test_a_window_shows_the_values_of_a_dose(gallery: Gallery) -> None:
    assert gallery.shown("dose", "/frames/1/rendered?window=200,400,linear").ndim == 2


def test_segments_are_shown_in_their_colour(gallery: Gallery) -> None:
    shown = gallery.shown("segments")
    assert shown[2, 0].tolist() == [255, 0, 0]
    assert not shown[4:].any()


def test_a_mask_is_not_left_out_in_silence(gallery: Gallery) -> None:
    answer = gallery.get("subtracted")
    assert answer.status_code == 406
    assert "mask" in answer.json()["detail"]
    assert opened(gallery.get("not subtracted", accept=PNG).content).shape == (8, 8)
