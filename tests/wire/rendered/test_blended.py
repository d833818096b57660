"""Blending presentation states over a real socket (PS3.18 10.4.3.3.3, PS3.4 N.2.4)."""

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
from tests.wire.renderedarchive import Gallery, bodies, opened, picture
from tests.wire.transfer import related

BLENDING = "1.2.840.10008.5.1.4.1.1.11.4"
STUDY, PNG = "1.2.71", "image/png"
SIZE = 16


def image(series: str, z: float, level: int, spacing: float, space: str = "1.2.71.99") -> Dataset:
    """A flat one; that of the finer series covers only a part of the coarser one."""
    return picture(
        np.full((SIZE, SIZE), level, "<u2"),
        StudyInstanceUID=STUDY,
        SeriesInstanceUID=f"{STUDY}.{series}",
        ImagePositionPatient=[0, 0, z],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        PixelSpacing=[spacing, spacing],
        FrameOfReferenceUID=space,
    )


def part(position: str, images: list[Dataset]) -> Dataset:
    item, series, window = Dataset(), Dataset(), Dataset()
    item.BlendingPosition, item.StudyInstanceUID = position, STUDY
    series.SeriesInstanceUID, series.ReferencedImageSequence = images[0].SeriesInstanceUID, []
    for one in images:
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = (
            one.SOPClassUID,
            one.SOPInstanceUID,
        )
        series.ReferencedImageSequence.append(reference)
    window.WindowCenter, window.WindowWidth = 50.5, 101  # 0 to 100
    item.ReferencedSeriesSequence, item.SoftcopyVOILUTSequence = [series], [window]
    return item


def state(uid: str, beneath: list[Dataset], above: list[Dataset]) -> bytes:
    """A quarter of red over grey: the palette goes from black to red."""
    pixels = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
    more: dict[str, Any] = dict.fromkeys(
        (*pixels, "SamplesPerPixel", "PhotometricInterpretation", "PixelData")
    )
    ds = build.dataset(
        SOPClassUID=BLENDING,
        SOPInstanceUID=f"{STUDY}.9.{uid}",
        StudyInstanceUID=STUDY,
        SeriesInstanceUID=f"{STUDY}.9",
        Modality="PR",
        **more,
    )
    ds.BlendingSequence = [part("SUPERIMPOSED", above), part("UNDERLYING", beneath)]
    ds.RelativeOpacity = 0.25
    for colour, entries in (("Red", range(256)), ("Green", [0] * 256), ("Blue", [0] * 256)):
        setattr(ds, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 8])
        setattr(ds, f"{colour}PaletteColorLookupTableData", bytes(entries))
    return build.part10(ds)


@pytest.fixture(scope="module")
def gallery(server: LiveServer) -> Iterator[Gallery]:
    with httpx.Client(base_url=server.root, timeout=60) as http:
        made = Gallery(http)
        coarse = [image("1", z, level, 2.0) for z, level in ((0, 20), (10, 60), (40, 80))]
        fine = [image("2", z, level, 1.0) for z, level in ((11, 100), (1, 0))]
        elsewhere = [image("3", 0, 100, 1.0, "1.2.71.98")]
        for one in (*coarse, *fine, *elsewhere):
            made.store(str(one.SOPInstanceUID), build.part10(one))
        made.store("blending", state("1", coarse, fine))
        made.store("elsewhere", state("2", coarse, elsewhere))
        yield made


@pytest.mark.row("R-RN-4", "R-RN-3")
def test_parts_are_the_frames_beneath(gallery: Gallery) -> None:
    """Each blended with the one above that is at its place, as far as that reaches; where there is none, alone."""
    found = bodies(gallery.get("blending", accept=related(PNG)))
    assert len(found) == 3
    shown: list[Array] = [opened(one.body) for one in found]
    black, red = [shown[0][2, 2].tolist(), shown[1][2, 2].tolist()]
    assert black == [38, 38, 38]
    assert np.abs(np.array(red) - (178, 115, 115)).max() <= 1
    # The finer ones are half as wide: beyond them there is grey alone.
    assert [one[12, 12].tolist() for one in shown[:2]] == [[51] * 3, [153] * 3]
    assert shown[2].ndim == 2
    assert set(shown[2].flat) == {204}


def test_a_blend_may_be_asked_of_an_image(gallery: Gallery) -> None:
    shots = bodies(gallery.get("blending", accept=related(PNG)))
    uid = gallery.paths["blending"].split("/")[6]
    path = shots[1].location.split("/studies/", 1)[1].split("/")
    query = f"studyUID={path[0]}&seriesUID={path[2]}&objectUID={path[4]}&requestType=WADO"
    through = f"presentationSeriesUID={STUDY}.9&presentationUID={uid}&contentType={PNG}"
    answer = gallery.http.get(f"/wado?{query}&{through}")
    assert answer.status_code == 200, answer.text
    assert np.array_equal(opened(answer.content), opened(shots[1].body))


def test_images_of_another_space_are_not_blended(gallery: Gallery) -> None:
    answer = gallery.get("elsewhere")
    assert answer.status_code == 406
    assert "frames of reference" in answer.json()["detail"]
