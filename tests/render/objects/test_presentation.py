"""Presentation states beside dcmtk's renderer, and graphics by geometry (PS3.3 A.33, C.10.5; PS3.4 N.2)."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gateway.dicom import uids
from gateway.dicom.encoding.part10 import Part10Reader
from gateway.render.attributes import Attributes
from gateway.render.objects.presentation import read_applied, refers
from gateway.render.pipeline import render_frame
from gateway.render.rendering import Rendering
from numpy.typing import NDArray
from pydicom import Dataset
from tests import build
from tests.servers import missing

ROWS, COLUMNS = 60, 80
y, x = np.mgrid[0:ROWS, 0:COLUMNS]
GREY = ((x * 29 + y * 13) % 4096).astype("<u2")


def image() -> Dataset:
    ds = build.dataset(Rows=ROWS, Columns=COLUMNS, BitsStored=12, HighBit=11, PixelData=GREY.tobytes())
    ds.RescaleIntercept, ds.RescaleSlope = "-1024", "1"
    return ds


def state(of: Dataset, **members: Any) -> Dataset:
    """A grayscale softcopy presentation state of one image, minimal and whole."""
    ds = build.dataset(
        PixelData=None,
        StudyInstanceUID=of.StudyInstanceUID,
        SOPClassUID=uids.GRAYSCALE_SOFTCOPY_PRESENTATION_STATE_STORAGE,
        Modality="PR",
    )
    for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        if keyword in ds:
            delattr(ds, keyword)
    for keyword in ("SamplesPerPixel", "PhotometricInterpretation"):
        if keyword in ds:
            delattr(ds, keyword)
    referenced = Dataset()
    referenced.ReferencedSOPClassUID, referenced.ReferencedSOPInstanceUID = of.SOPClassUID, of.SOPInstanceUID
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedImageSequence = of.SeriesInstanceUID, [referenced]
    ds.ReferencedSeriesSequence = [series]
    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner, area.DisplayedAreaBottomRightHandCorner = [1, 1], [COLUMNS, ROWS]
    area.PresentationSizeMode, area.PresentationPixelAspectRatio = "SCALE TO FIT", [1, 1]
    ds.DisplayedAreaSelectionSequence = [area]
    ds.PresentationLUTShape, ds.ContentLabel, ds.InstanceNumber = "IDENTITY", "TEST", 1
    ds.ContentDescription, ds.ContentCreatorName = "", ""
    ds.PresentationCreationDate, ds.PresentationCreationTime = "20240101", "120000"
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "-1024", "1", "HU"
    for keyword, value in members.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    for at in range(len(ds.get("ModalityLUTSequence", []))):
        ds.ModalityLUTSequence[at].ModalityLUTType = "US"
    return ds


def voi(center: float, width: float) -> Dataset:
    item = Dataset()
    item.WindowCenter, item.WindowWidth = center, width
    return item


def attributes(ds: Dataset) -> Attributes:
    reader = Part10Reader(version="0" * 32)
    reader.feed(build.part10(ds))
    return Attributes(json.loads(reader.finish().metadata.replace(b"\0", b"")))


def ours(of: Dataset, ps: Dataset) -> NDArray[Any]:
    shown = read_applied(
        attributes(ps),
        uids.GRAYSCALE_SOFTCOPY_PRESENTATION_STATE_STORAGE,
        attributes(of),
        of.SOPInstanceUID,
        1,
    )
    return render_frame(GREY.tobytes(), attributes(of), 1, Rendering(presentation=shown)).pixels


def theirs(of: Dataset, ps: Dataset, folder: Path) -> NDArray[Any]:
    """What dcmtk's dcmp2pgm draws."""
    if shutil.which("dcmp2pgm") is None:
        missing("dcmtk", "dcmp2pgm of Debian's dcmtk is not there")
    (folder / "image.dcm").write_bytes(build.part10(of))
    (folder / "state.dcm").write_bytes(build.part10(ps))
    done = subprocess.run(
        ["dcmp2pgm", "-p", "state.dcm", "image.dcm", "out.pgm"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    data = (folder / "out.pgm").read_bytes()
    assert data.startswith(b"P5")
    header = b" ".join(line for line in data[:200].split(b"\n") if not line.startswith(b"#"))
    columns, rows = (int(token) for token in header.split()[1:3])
    return np.frombuffer(data[-rows * columns :], "u1").reshape(rows, columns)


def table(first: int, entries: list[int], bits: int = 8) -> list[Dataset]:
    """A LUT sequence of one item."""
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), first, bits])
    item.add_new("LUTData", "US", entries)
    return [item]


def looked_up(lut: list[Dataset]) -> list[Dataset]:
    item = Dataset()
    item.VOILUTSequence = lut
    return [item]


def overlay_plane(group: int, layer: str, **members: Any) -> dict[Any, Any]:
    """An overlay of a state that is shown in a layer: a rectangle of columns 20 to 39 and rows 10 to 29."""
    bits = np.zeros((ROWS, COLUMNS), np.uint8)
    bits[10:30, 20:40] = 1
    return {
        (group, 0x0010): ("US", ROWS),
        (group, 0x0011): ("US", COLUMNS),
        (group, 0x0040): ("CS", "G"),
        (group, 0x0050): ("SS", [1, 1]),
        (group, 0x0100): ("US", 1),
        (group, 0x0102): ("US", 0),
        (group, 0x1001): ("CS", layer),
        (group, 0x3000): ("OW", np.packbits(bits.reshape(-1), bitorder="little").tobytes()),
        **members,
    }


def layered(**members: Any) -> list[Dataset]:
    layer = Dataset()
    layer.GraphicLayer, layer.GraphicLayerOrder = "ONE", 1
    for keyword, value in members.items():
        setattr(layer, keyword, value)
    return [layer]


RAMP = [(n * 37) % 256 for n in range(256)]
STATES: dict[str, dict[str, Any]] = {
    "modality table": {
        "ModalityLUTSequence": table(0, RAMP),
        **dict.fromkeys(("RescaleIntercept", "RescaleSlope", "RescaleType")),
    },
    "table of values": {"SoftcopyVOILUTSequence": looked_up(table(100, RAMP))},
    "table of P-Values": {
        "SoftcopyVOILUTSequence": [voi(600, 1500)],
        # Flat enough for an index that is rounded otherwise.
        "PresentationLUTSequence": table(0, [40 + n * 3 // 4 for n in range(256)]),
        "PresentationLUTShape": None,
    },
    "window": {"SoftcopyVOILUTSequence": [voi(600, 1500)]},
    "narrow window": {"SoftcopyVOILUTSequence": [voi(300.5, 71)]},
    "inverse": {"SoftcopyVOILUTSequence": [voi(600, 1500)], "PresentationLUTShape": "INVERSE"},
    "other rescale": {
        "SoftcopyVOILUTSequence": [voi(600, 1500)],
        "RescaleIntercept": "-500",
        "RescaleSlope": "2",
    },
    "turned": {"SoftcopyVOILUTSequence": [voi(600, 1500)], "ImageRotation": 90, "ImageHorizontalFlip": "N"},
    "turned and flipped": {
        "SoftcopyVOILUTSequence": [voi(600, 1500)],
        "ImageRotation": 270,
        "ImageHorizontalFlip": "Y",
    },
    "no window": {},
}


def with_plane(ds: Dataset, group: int, layer: str) -> Dataset:
    for tag, (vr, value) in overlay_plane(group, layer).items():
        ds.add_new(tag, vr, value)
    return ds


@pytest.mark.row("R-RN-3", "U-73", "U-77")
@pytest.mark.parametrize("name", STATES)
def test_dcmtk_draws_the_same(tmp_path: Path, name: str) -> None:
    """Within 1 of 255: roundings of the window differ."""
    of = image()
    ps = state(of, **STATES[name])
    mine, other = ours(of, ps), theirs(of, ps, tmp_path)
    assert mine.shape == other.shape
    assert int(np.abs(mine.astype(int) - other.astype(int)).max()) <= 1


@pytest.mark.row("R-RN-3")
@pytest.mark.parametrize(
    ("layer", "level"),
    [({}, 255), ({"GraphicLayerRecommendedDisplayGrayscaleValue": 32768}, 128)],
)
def test_overlays_are_shown_in_their_layer(layer: dict[str, Any], level: int) -> None:
    """In its grey; without a layer not at all (C.11.7)."""
    of = image()
    window = {"SoftcopyVOILUTSequence": [voi(600, 1500)]}
    plain = ours(of, state(of, **window))
    mine = ours(of, with_plane(state(of, **window, GraphicLayerSequence=layered(**layer)), 0x6000, "ONE"))
    inside = np.zeros((ROWS, COLUMNS), bool)
    inside[10:30, 20:40] = True
    assert set(mine[inside].tolist()) == {level}
    assert np.array_equal(mine[~inside], plain[~inside])
    assert np.array_equal(ours(of, with_plane(state(of, **window), 0x6000, "")), plain)


def test_overlays_of_the_image_are_shown_where_the_state_names_a_layer() -> None:
    of = with_plane(image(), 0x6002, "")
    window = {"SoftcopyVOILUTSequence": [voi(600, 1500)]}
    shown = state(of, **window, GraphicLayerSequence=layered())
    shown.add_new((0x6002, 0x1001), "CS", "ONE")
    assert not (ours(of, state(of, **window))[10:30, 20:40] == 255).all()
    assert (ours(of, shown)[10:30, 20:40] == 255).all()


def test_a_layer_of_colour_makes_a_picture_of_colour() -> None:
    of = image()
    red = layered(GraphicLayerRecommendedDisplayCIELabValue=[35574, 53663, 50860])
    mine = ours(of, with_plane(state(of, GraphicLayerSequence=red), 0x6000, "ONE"))
    assert mine[20, 30].tolist() == [255, 0, 0]
    assert len(set(mine[40, 50].tolist())) == 1


def test_a_rectangular_shutter_covers(tmp_path: Path) -> None:
    of = image()
    ps = state(
        of, SoftcopyVOILUTSequence=[voi(600, 1500)], ShutterShape="RECTANGULAR", ShutterPresentationValue=0
    )
    ps.ShutterLeftVerticalEdge, ps.ShutterRightVerticalEdge = "10", "50"
    ps.ShutterUpperHorizontalEdge, ps.ShutterLowerHorizontalEdge = "5", "40"
    mine = ours(of, ps)
    assert not mine[:4].any()
    assert not mine[:, 51:].any()
    assert mine[5:39, 10:49].any()


def plane(of: Dataset, ps: Dataset, layer: str | None) -> None:
    """An overlay whose left half is set."""
    bits = np.zeros((ROWS, COLUMNS), bool)
    bits[:, :40] = True
    ps.add_new(0x60000010, "US", ROWS)
    ps.add_new(0x60000011, "US", COLUMNS)
    ps.add_new(0x60000040, "CS", "G")
    ps.add_new(0x60000050, "SS", [1, 1])
    ps.add_new(0x60000100, "US", 1)
    ps.add_new(0x60000102, "US", 0)
    if layer is not None:
        ps.add_new(0x60001001, "CS", layer)
    ps.add_new(0x60003000, "OW", np.packbits(bits, bitorder="little").tobytes())


@pytest.mark.parametrize(("layer", "shown"), [("ONE", True), ("", False), (None, False)])
def test_overlays_are_drawn_where_a_layer_activates_them(layer: str | None, shown: bool) -> None:
    of = image()
    black = Dataset()
    black.WindowCenter, black.WindowWidth = 100_000, 2
    ps = state(of, SoftcopyVOILUTSequence=[black])
    plane(of, ps, layer)
    mine = ours(of, ps)
    assert bool(mine[:, :40].all()) is shown
    assert not mine[:, 40:].any()


def test_a_bitmap_shutter_needs_no_layer() -> None:
    of = image()
    ps = state(of, SoftcopyVOILUTSequence=[voi(600, 1500)], ShutterShape="BITMAP", ShutterPresentationValue=0)
    ps.ShutterOverlayGroup = 0x6000
    plane(of, ps, None)
    mine = ours(of, ps)
    assert not mine[:, :40].any()
    assert mine[:, 40:].any()


@pytest.mark.row("U-78")
def test_a_displayed_area_is_cut_out_and_magnified() -> None:
    of = image()
    ps = state(of, SoftcopyVOILUTSequence=[voi(600, 1500)])
    area = ps.DisplayedAreaSelectionSequence[0]
    area.DisplayedAreaTopLeftHandCorner, area.DisplayedAreaBottomRightHandCorner = [11, 21], [30, 40]
    whole = ours(of, state(of, SoftcopyVOILUTSequence=[voi(600, 1500)]))
    assert np.array_equal(ours(of, ps), whole[20:40, 10:30])
    area.PresentationSizeMode, area.PresentationPixelMagnificationRatio = "MAGNIFY", 2.0
    assert ours(of, ps).shape == (40, 40)


def graphic(kind: str, points: list[float], *, units: str = "PIXEL", filled: str = "N") -> Dataset:
    item = Dataset()
    item.GraphicAnnotationUnits, item.GraphicDimensions = units, 2
    item.NumberOfGraphicPoints, item.GraphicData = len(points) // 2, points
    item.GraphicType, item.GraphicFilled = kind, filled
    return item


def noted(of: Dataset, *objects: Dataset, text: Dataset | None = None, **layer: Any) -> Dataset:
    note, found = Dataset(), Dataset()
    note.GraphicLayer = "ONE"
    if objects:
        note.GraphicObjectSequence = list(objects)
    if text is not None:
        note.TextObjectSequence = [text]
    found.GraphicLayer, found.GraphicLayerOrder = "ONE", 1
    for keyword, value in layer.items():
        setattr(found, keyword, value)
    black = Dataset()
    black.WindowCenter, black.WindowWidth = 100_000, 2
    return state(
        of, SoftcopyVOILUTSequence=[black], GraphicAnnotationSequence=[note], GraphicLayerSequence=[found]
    )


@pytest.mark.parametrize(
    ("item", "inside", "outside"),
    [
        (graphic("POLYLINE", [10, 10, 60, 10]), [(10, 30)], [(20, 30)]),
        (graphic("POLYLINE", [10, 10, 60, 10, 60, 40, 10, 10], filled="Y"), [(15, 55)], [(38, 15)]),
        (graphic("CIRCLE", [40, 30, 40, 10]), [(10, 40), (30, 20), (30, 60)], [(30, 40)]),
        (graphic("ELLIPSE", [10, 30, 70, 30, 40, 20, 40, 40], filled="Y"), [(30, 40), (22, 40)], [(12, 40)]),
        (graphic("POINT", [40, 30]), [(30, 40)], [(40, 40)]),
        (graphic("INTERPOLATED", [10, 10, 40, 30, 70, 10]), [(30, 40)], [(50, 40)]),
        (graphic("POLYLINE", [0.5, 0.0, 0.5, 1.0], units="DISPLAY"), [(5, 40), (55, 40)], [(30, 20)]),
    ],
    ids=lambda v: getattr(v, "GraphicType", ""),
)
def test_objects_are_where_they_belong(
    item: Dataset, inside: list[tuple[int, int]], outside: list[tuple[int, int]]
) -> None:
    of = image()
    mine = ours(of, noted(of, item))
    near = [mine[max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2].max() for r, c in inside]
    assert min(near) > 200
    assert [mine[r, c] for r, c in outside] == [0] * len(outside)


def test_text_stands_in_its_box() -> None:
    of = image()
    text = Dataset()
    text.UnformattedTextValue, text.BoundingBoxAnnotationUnits = "Größe 12 mm", "PIXEL"
    text.BoundingBoxTopLeftHandCorner, text.BoundingBoxBottomRightHandCorner = [5, 5], [75, 25]
    text.BoundingBoxTextHorizontalJustification = "LEFT"
    mine = ours(of, noted(of, text=text))
    assert mine[5:30].any()
    assert not mine[40:].any()


def test_items_are_for_whom_they_name() -> None:
    def item(*pairs: tuple[str, list[int]]) -> Attributes:
        named = [
            {
                "00081155": {"vr": "UI", "Value": [uid]},
                **({"00081160": {"vr": "IS", "Value": frames}} if frames else {}),
            }
            for uid, frames in pairs
        ]
        return Attributes({"00081140": {"vr": "SQ", "Value": named}} if named else {})

    assert refers(item(), "1.2", 5)
    assert refers(item(("1.2", [])), "1.2", 5)
    assert refers(item(("1.2", [1, 5])), "1.2", 5)
    assert not refers(item(("1.2", [1])), "1.2", 5)
    assert not refers(item(("1.3", [])), "1.2", 5)
