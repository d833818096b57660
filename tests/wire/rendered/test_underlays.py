"""Segments and doses over the images at their place (PS3.3 C.7.6.16.2.6, C.8.8.3), over a real socket."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from gateway.render.objects.dose import OPACITY
from gateway.render.rendering import Array
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from tests import build
from tests.live import LiveServer
from tests.wire.renderedarchive import Gallery, picture

CT, DOSE, SEGMENTATION = (f"1.2.840.10008.5.1.4.1.1.{n}" for n in ("2", "481.2", "66.4"))
RAW = "1.2.840.10008.5.1.4.1.1.66"
SPACE = "1.2.74.1"
ACROSS = [1, 0, 0, 0, 1, 0]


def placed(pixels: Array, corner: list[float], spacing: float, **more: object) -> Dataset:
    """A transversal plane, of which `corner` is the centre of the first pixel."""
    place = {
        "ImagePositionPatient": corner,
        "ImageOrientationPatient": ACROSS,
        "PixelSpacing": [spacing, spacing],
        "FrameOfReferenceUID": SPACE,
    }
    return picture(pixels, **(place | more))


def slice_at(study: str, z: float, level: int) -> Dataset:
    """Levels are what is shown: its window is all of 0 to 255. To the right it is a tenth brighter."""
    pixels = np.full((8, 8), level, "<u2")
    pixels[:, 4:] = round(level * 1.1)
    window = {"WindowCenter": "128", "WindowWidth": "256"}
    more = {"SOPClassUID": CT, "StudyInstanceUID": study, "SliceThickness": "2", **window}
    return placed(pixels, [0, 0, z], 1, **more)


def segments(study: str, *sources: Dataset | None) -> Dataset:
    """The upper half of each frame is of a red segment; every frame names what it was made of, or only its place."""
    mask = np.zeros((len(sources), 8, 8), "u1")
    mask[:, :4] = 255
    segment = Dataset()
    segment.SegmentNumber, segment.RecommendedDisplayCIELabValue = 1, [35574, 53663, 50860]
    groups = []
    for number, source in enumerate(sources):
        group, which, place = Dataset(), Dataset(), Dataset()
        which.ReferencedSegmentNumber = 1
        place.ImagePositionPatient = [0, 0, 2.0 * number]
        group.SegmentIdentificationSequence, group.PlanePositionSequence = [which], [place]
        if source is not None:
            group.DerivationImageSequence = [_derived(source)]
        groups.append(group)
    return picture(
        mask,
        SOPClassUID=SEGMENTATION,
        StudyInstanceUID=study,
        FrameOfReferenceUID=SPACE,
        ImageOrientationPatient=ACROSS,
        PixelSpacing=[1, 1],
        SegmentationType="FRACTIONAL",
        MaximumFractionalValue=255,
        SegmentSequence=[segment],
        PerFrameFunctionalGroupsSequence=groups,
    )


def _derived(source: Dataset) -> Dataset:
    image, derivation = Dataset(), Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
    derivation.SourceImageSequence = [image]
    return derivation


@pytest.fixture
def gallery(server: LiveServer) -> Iterator[Gallery]:
    with httpx.Client(base_url=server.root, timeout=60) as http:
        yield Gallery(http)


@pytest.mark.parametrize("named", [True, False])
def test_segments_lie_over_what_they_were_made_of(gallery: Gallery, named: bool) -> None:
    study = generate_uid()
    slices = [slice_at(study, z, level) for z, level in ((0.0, 100), (2.0, 200))]
    gallery.store("segments", build.part10(segments(study, *(slices if named else (None, None)))))
    alone = gallery.get("segments", "/frames/1/rendered", "image/png")
    assert not gallery.shown("segments", "/frames/1/rendered")[4:].any()
    for n, ct in enumerate(slices):
        gallery.store(f"slice {n}", build.part10(ct))
    for frame, level in ((1, 100), (2, 200)):
        shown = gallery.shown("segments", f"/frames/{frame}/rendered")
        assert shown.shape == (8, 8, 3)
        assert np.abs(shown[4:, :4].astype(int) - level).max() <= 1
        assert shown[0, 0, 0] > level
        assert abs(int(shown[0, 0, 1]) - level // 2) <= 1
    together = gallery.get("segments", "/frames/1/rendered", "image/png")
    assert together.headers["etag"] != alone.headers["etag"]
    assert together.headers["content-location"].endswith("/frames/1")
    query = f"/wado?{gallery.query('segments')}&contentType=image/png&frameNumber=1"
    assert gallery.http.get(query).content == together.content
    assert gallery.http.delete(gallery.paths["slice 0"]).status_code == 204
    assert gallery.get("segments", "/frames/1/rendered", "image/png").content == alone.content


def test_what_a_segment_names_goes_before_what_lies_at_its_place(gallery: Gallery) -> None:
    study = generate_uid()
    named, near = slice_at(study, 50.0, 100), slice_at(study, 0.0, 200)
    gallery.store("segments", build.part10(segments(study, named)))
    gallery.store("near", build.part10(near))
    for stored, level in ((None, 200), (named, 100)):
        if stored is not None:
            gallery.store("named", build.part10(stored))
        shown = gallery.shown("segments", "/frames/1/rendered").astype(int)
        assert np.abs(shown[4:, :4] - level).max() <= 1


def test_a_segment_may_name_what_has_no_picture_or_no_such_frame(gallery: Gallery) -> None:
    """What lies at its place is shown then, as if nothing was named."""
    study = generate_uid()
    raw = build.dataset(SOPClassUID=RAW, StudyInstanceUID=study, PixelData=None, Modality="OT")
    short = slice_at(study, 50.0, 100)
    gallery.store("raw", build.part10(raw))
    gallery.store("short", build.part10(short))
    gallery.store("near", build.part10(slice_at(study, 0.0, 200)))
    for name, source, frame in (("of raw", raw, None), ("of short", short, 2)):
        made = segments(study, source)
        group = made.PerFrameFunctionalGroupsSequence[0]
        if frame is not None:
            group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber = frame
        gallery.store(name, build.part10(made))
        shown = gallery.shown(name, "/frames/1/rendered").astype(int)
        assert np.abs(shown[4:, :4] - 200).max() <= 1


def test_doses_lie_over_the_slice_at_their_place(gallery: Gallery) -> None:
    """The grid is half as fine, begins inside of the slice, and its second frame is at the second slice."""
    study = generate_uid()
    for z, level in ((0.0, 60), (3.0, 120)):
        gallery.store(f"at {z}", build.part10(slice_at(study, z, level)))
    grid = np.zeros((3, 3, 4), "<u2")
    grid[:, 0] = 400
    dose = placed(
        grid,
        [1.5, 1.5, 0],
        2,
        SOPClassUID=DOSE,
        StudyInstanceUID=study,
        DoseGridScaling="0.1",
        DoseUnits="GY",
        GridFrameOffsetVector=["0", "3", "30"],
        SliceThickness=None,
    )
    gallery.store("dose", build.part10(dose))
    for frame, level in ((1, 60), (2, 120)):
        shown = gallery.shown("dose", f"/frames/{frame}/rendered").astype(int)
        assert shown[2, 0].tolist() == [level] * 3
        assert shown[2, 2, 0] == round(level * 1.1)
        assert abs(shown[0, 0, 0] - (255 * OPACITY + level * (1 - OPACITY))) <= 1
        assert abs(shown[0, 0, 1] - level * (1 - OPACITY)) <= 1
    beyond = gallery.shown("dose", "/frames/3/rendered")
    assert (beyond[0, 0].tolist(), beyond[2].any()) == ([255, 0, 0], False)
    values = gallery.shown("dose", "/frames/1/rendered?window=200,400,linear")
    assert values.ndim == 2
