"""Images through presentation states, over a real socket: PS3.18 8.3.5.1.6, 9.5.1.2.7, 9.5.2.3, 10.4.3.3.3."""

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
from tests.wire.rendered.test_rendered import ramp
from tests.wire.renderedarchive import MULTI, Gallery, bodies, frames_of_grey, grey, opened, picture
from tests.wire.transfer import related

GSPS, BLENDING = (f"1.2.840.10008.5.1.4.1.1.11.{n}" for n in (1, 4))
STUDY, PNG = "1.2.70", "image/png"
CENTER, WIDTH = 1000, 800


def reference(of: Dataset, *frames: int) -> Dataset:
    image, series = Dataset(), Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = of.SOPClassUID, of.SOPInstanceUID
    if frames:
        image.ReferencedFrameNumber = list(frames)
    series.SeriesInstanceUID, series.ReferencedImageSequence = of.SeriesInstanceUID, [image]
    return series


def state(uid: str, *references: Dataset, sop_class: str = GSPS, **members: Any) -> bytes:
    """A state with a linear window, of the whole image."""
    ds = build.dataset(
        SOPClassUID=sop_class,
        SOPInstanceUID=f"{STUDY}.9.{uid}",
        StudyInstanceUID=STUDY,
        SeriesInstanceUID=f"{STUDY}.9",
        Modality="PR",
        PixelData=None,
        **dict.fromkeys(("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")),
        SamplesPerPixel=None,
        PhotometricInterpretation=None,
    )
    ds.ReferencedSeriesSequence = list(references)
    window = Dataset()
    window.WindowCenter, window.WindowWidth = CENTER, WIDTH
    ds.SoftcopyVOILUTSequence = [window]
    ds.PresentationLUTShape = "IDENTITY"
    for keyword, value in members.items():
        setattr(ds, keyword, value)
    return build.part10(ds)


def area(mode: str = "SCALE TO FIT", *, ratio: float | None = None) -> list[Dataset]:
    """Columns 5 to 16, rows 3 to 10: 12 by 8 pixels."""
    item = Dataset()
    item.DisplayedAreaTopLeftHandCorner, item.DisplayedAreaBottomRightHandCorner = [5, 3], [16, 10]
    item.PresentationSizeMode, item.PresentationPixelAspectRatio = mode, [1, 1]
    if mode == "TRUE SIZE":
        del item.PresentationPixelAspectRatio
        item.PresentationPixelSpacing = [0.5, 0.5]
    if ratio is not None:
        item.PresentationPixelMagnificationRatio = ratio
    return [item]


def text() -> list[Dataset]:
    words, item = Dataset(), Dataset()
    words.BoundingBoxAnnotationUnits, words.UnformattedTextValue = "DISPLAY", "W"
    words.BoundingBoxTopLeftHandCorner, words.BoundingBoxBottomRightHandCorner = [0.0, 0.0], [1.0, 1.0]
    item.GraphicLayer, item.TextObjectSequence = "ONE", [words]
    return [item]


@pytest.fixture(scope="module")
def gallery(server: LiveServer) -> Iterator[Gallery]:
    with httpx.Client(base_url=server.root, timeout=60) as http:
        made = Gallery(http)
        _fill(made)
        yield made


def _fill(made: Gallery) -> None:
    one = picture(
        grey(), StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1", ImagePositionPatient=[0, 0, 20]
    )
    two = picture(grey()[::-1].copy(), StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1")
    two.ImagePositionPatient, two.InstanceNumber = [0, 0, 10], 2
    one.ImageOrientationPatient = two.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    multi = picture(
        frames_of_grey(), SOPClassUID=MULTI, StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.2"
    )
    other = picture(grey(), StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.3")
    for name, ds in (("one", one), ("two", two), ("multi", multi), ("other", other)):
        made.store(name, build.part10(ds))
    level = Dataset()
    level.WindowCenter, level.WindowWidth = 128, 256
    flat: dict[str, Any] = {"SoftcopyVOILUTSequence": [level]}
    states = {
        "of one": state("1", reference(one)),
        "of both": state("2", reference(one), reference(two)),
        "of frames": state("3", reference(multi, 2, 3), **flat),
        "of all frames": state("4", reference(multi), **flat),
        "fit": state("5", reference(one), DisplayedAreaSelectionSequence=area()),
        "true": state("6", reference(one), DisplayedAreaSelectionSequence=area("TRUE SIZE")),
        "magnified": state("7", reference(one), DisplayedAreaSelectionSequence=area("MAGNIFY", ratio=2.5)),
        "turned": state("8", reference(one), ImageRotation=90, ImageHorizontalFlip="Y"),
        "inverse": state("9", reference(one), PresentationLUTShape="INVERSE"),
        "written": state("10", reference(one), GraphicAnnotationSequence=text()),
        "blending": state("11", reference(one), sop_class=BLENDING),
        "of nothing": state("12"),
    }
    for name, data in states.items():
        made.store(name, data)


def windowed() -> Array:
    made: Array = np.rint(ramp(grey(), CENTER, WIDTH, "linear"))
    return made


@pytest.mark.row("R-RN-3")
def test_all_frames_of_all_images(gallery: Gallery) -> None:
    """Each through the state, from the place that it was made of."""
    one = gallery.get("of one", accept="*/*")
    assert one.headers["content-type"] == "image/jpeg"
    assert one.headers["content-location"].endswith(gallery.paths["one"])
    assert np.abs(gallery.shown("of one").astype(int) - windowed()).max() <= 1
    frames = bodies(gallery.get("of frames", accept=related(PNG)))
    assert [part.location.rsplit("/", 1)[1] for part in frames] == ["2", "3"]
    assert [round(float(opened(part.body).mean())) for part in frames] == [120, 200]
    assert len(bodies(gallery.get("of all frames"))) == 3


@pytest.mark.row("R-RN-5", "R-RN-3")
def test_images_come_by_their_position(gallery: Gallery) -> None:
    found = bodies(gallery.get("of both", accept=related(PNG)))
    places = [part.location.removeprefix(str(gallery.http.base_url).rstrip("/")) for part in found]
    assert places == [gallery.paths["two"], gallery.paths["one"]]
    assert np.array_equal(opened(found[1].body), gallery.shown("of one"))


@pytest.mark.row("R-Q-34")
def test_no_window_of_a_state(gallery: Gallery) -> None:
    answer = gallery.get("of one", "/rendered?window=40,400,linear")
    assert (answer.status_code, answer.json()["parameter"]) == (400, "window")


@pytest.mark.row("R-Q-22")
def test_of_the_viewport_only_the_size(gallery: Gallery) -> None:
    answer = gallery.get("of one", "/rendered?viewport=9,9,1,1,5,5")
    assert (answer.status_code, answer.json()["parameter"]) == (400, "viewport")
    assert gallery.shown("of one", "/rendered?viewport=12,12").shape == (8, 12)


@pytest.mark.row("U-77", "U-78")
@pytest.mark.parametrize(
    ("name", "query", "shape"),
    [
        ("fit", "", (8, 12)),
        ("fit", "?viewport=48,48", (32, 48)),
        ("true", "", (8, 12)),
        ("true", "?viewport=24,100", (16, 24)),
        ("magnified", "", (20, 30)),
    ],
)
def test_displayed_area(gallery: Gallery, name: str, query: str, shape: tuple[int, int]) -> None:
    assert gallery.shown(name, f"/rendered{query}").shape == shape


def test_transformations(gallery: Gallery) -> None:
    plain = gallery.shown("of one")
    assert np.array_equal(gallery.shown("fit"), plain[2:10, 4:16])
    assert np.array_equal(gallery.shown("turned"), np.rot90(plain, -1)[:, ::-1])
    assert np.abs(gallery.shown("inverse").astype(int) - (255 - plain.astype(int))).max() <= 1


def test_text(gallery: Gallery) -> None:
    """Where it is, the picture is another; the rest stays."""
    size = "/rendered?viewport=240,160"
    changed = gallery.shown("written", size) != gallery.shown("of one", size)
    assert changed[:40, :40].any()
    assert not changed[60:, 60:].any()


@pytest.mark.parametrize("name", ["blending", "of nothing"])
def test_states_that_show_nothing(gallery: Gallery, name: str) -> None:
    answer = gallery.get(name)
    assert answer.status_code == 406
    assert "presentation state" in answer.json()["detail"]


def wado(gallery: Gallery, name: str, through: str, more: str = "") -> httpx.Response:
    series, uid = gallery.paths[through].split("/")[4::2]
    query = f"presentationSeriesUID={series}&presentationUID={uid}&contentType={PNG}&{more}"
    return gallery.http.get(f"/wado?{gallery.query(name)}&{query}")


@pytest.mark.row("U-73")
def test_beside_an_image(gallery: Gallery) -> None:
    answer = wado(gallery, "one", "of one")
    assert answer.headers["content-location"].endswith(gallery.paths["one"])
    assert np.array_equal(opened(answer.content), gallery.shown("of one"))
    assert round(float(opened(wado(gallery, "multi", "of frames").content).mean())) == 120


@pytest.mark.row("U-75")
@pytest.mark.parametrize(
    ("series", "uid"),
    [(f"{STUDY}.9", "1.2.3"), ("1.2.3", f"{STUDY}.9.1"), (f"{STUDY}.1", "one"), (f"{STUDY}.9", "9.9")],
)
def test_states_that_are_not_known(gallery: Gallery, series: str, uid: str) -> None:
    """Also where an image is named instead: 400, not 404."""
    uid = gallery.paths["one"].rsplit("/", 1)[1] if uid == "one" else uid
    query = f"presentationSeriesUID={series}&presentationUID={uid}"
    answer = gallery.http.get(f"/wado?{gallery.query('one')}&{query}")
    assert (answer.status_code, answer.json()["parameter"]) == (400, "presentationUID")


def test_a_state_of_another_image(gallery: Gallery) -> None:
    answer = wado(gallery, "other", "of one")
    assert (answer.status_code, answer.json()["parameter"]) == (400, "presentationUID")


@pytest.mark.row("U-77", "U-78", "U-68")
@pytest.mark.parametrize(
    ("through", "more", "shape"),
    [
        ("fit", "", (8, 12)),
        ("fit", "rows=16&columns=100", (16, 24)),
        ("true", "", (8, 12)),
        ("true", "columns=24", (16, 24)),
        ("magnified", "", (20, 30)),
        ("fit", "region=0,0,0.5,1", (8, 6)),
        ("fit", "region=0,0,0.5,1&rows=16", (16, 12)),
    ],
)
def test_size_and_region(gallery: Gallery, through: str, more: str, shape: tuple[int, int]) -> None:
    """The region is of what the state shows, the size of that region."""
    assert opened(wado(gallery, "one", through, more).content).shape == shape


@pytest.mark.row("U-76")
def test_what_may_stand_beside(gallery: Gallery) -> None:
    more = "rows=160&annotation=patient&imageQuality=50&region=0,0,1,1"
    assert wado(gallery, "one", "of one", more).status_code == 200


def test_entity_tags_tell_states_apart(gallery: Gallery) -> None:
    tags = {wado(gallery, "one", name).headers["etag"] for name in ("of one", "inverse", "turned")}
    assert len(tags | {gallery.get("one").headers["etag"]}) == 4
