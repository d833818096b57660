"""Categories of what is rendered (PS3.18 8.7.2)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gateway.dicom import uids
from gateway.dicom.encoding.layout import BulkValue, InstanceLayout, PixelLayout
from gateway.index.base import StoredInstance
from gateway.model import (
    Identity,
    InstanceUID,
    Locator,
    SeriesUID,
    StudyUID,
    VersionId,
)
from gateway.services.render.rendertarget import Category, RenderTarget, subject_of
from gateway.services.retrieve.layouts import StoredLayout
from tests import build

STORAGE = "1.2.840.10008.5.1.4.1.1"
CT, ENHANCED, VIDEO, SECONDARY = f"{STORAGE}.2", f"{STORAGE}.2.1", f"{STORAGE}.77.1.1.1", f"{STORAGE}.7"
MPEG2, MPEG2_FRAGMENTABLE, H264, HEVC, JPIP, JPIP_HT = (
    f"1.2.840.10008.1.2.4.{n}" for n in ("100", "100.1", "102", "107", "94", "205")
)
PIXELS = build.pixel_layout(vr="OW", length=4, encapsulated=False, rows=1, columns=1)
MANY = replace(PIXELS, frames=3, declared_frames=3)
STREAM = replace(
    PIXELS, frames=0, declared_frames=30, encapsulated=True, problem="the pixel data is one video stream"
)


def subject(
    sop_class: str,
    pixels: PixelLayout | None = None,
    syntax: str = uids.EXPLICIT_VR_LITTLE_ENDIAN,
    bulk: dict[str, BulkValue] | None = None,
) -> RenderTarget:
    identity = Identity(StudyUID("1"), SeriesUID("2"), InstanceUID("3"), sop_class)
    stored = StoredInstance(VersionId("0" * 32), identity, syntax, Locator("", "", 0, 0), b"", b"", 0)
    layout = InstanceLayout(syntax, False, False, False, 0, 0, pixels, bulk or {})
    return subject_of(StoredLayout(stored, layout))


def rows(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.row(*names)


CATEGORIES = [
    pytest.param(subject(CT, PIXELS), Category.SINGLE, 1, marks=rows("C-CAT-1")),
    pytest.param(subject(ENHANCED, PIXELS), Category.SINGLE, 1, marks=rows("C-CAT-1")),
    pytest.param(subject(ENHANCED, MANY), Category.MULTI, 3, marks=rows("C-CAT-2")),
    pytest.param(subject(SECONDARY, MANY), Category.MULTI, 3, marks=rows("C-CAT-2")),
    *(
        pytest.param(subject(VIDEO, STREAM, syntax), Category.VIDEO, 30, marks=rows("C-CAT-3"))
        for syntax in (MPEG2, MPEG2_FRAGMENTABLE, H264, HEVC)
    ),
    pytest.param(
        subject(VIDEO, replace(STREAM, declared_frames=1), H264), Category.SINGLE, 1, marks=rows("C-CAT-1")
    ),
    *(
        pytest.param(subject(f"{STORAGE}.{last}"), Category.TEXT, 0, marks=rows("C-CAT-4"))
        for last in ("88.11", "88.22", "88.33", "88.59", "88.67", "104.1", "104.2", "104.3", "79.1", "78.6")
    ),
    pytest.param(
        subject("1.2.3", bulk={"00420011": BulkValue("OB", 0, 5000)}), Category.TEXT, 0, marks=rows("C-CAT-4")
    ),
    *(
        pytest.param(subject(f"{STORAGE}.{last}"), Category.OTHER, 0, marks=rows("C-CAT-5"))
        for last in ("9.1.1", "481.3", "481.5", "11.1", "66", "78.1")
    ),
    pytest.param(subject(CT, None, JPIP), Category.SINGLE, 0, marks=rows("C-CAT-6")),
    pytest.param(subject(ENHANCED, None, JPIP_HT), Category.SINGLE, 0, marks=rows("C-CAT-6")),
]


@pytest.mark.parametrize(("of", "category", "frames"), CATEGORIES)
def test_category(of: RenderTarget, category: Category, frames: int) -> None:
    assert (of.category, of.frames) == (category, frames)


@pytest.mark.parametrize(
    ("of", "reason"),
    [
        (subject(CT, PIXELS), ""),
        (subject(VIDEO, STREAM, H264), ""),
        (subject(CT), "no pixel data"),
        (subject(CT, None, JPIP), "JPIP"),
        (subject(CT, replace(PIXELS, frames=0)), "no frames"),
        (subject(CT, replace(PIXELS, problem="odd")), "odd"),
        (subject(CT, replace(PIXELS, encapsulated=True), "1.2.3.4"), "cannot be decoded"),
        (subject(CT, replace(PIXELS, samples=4)), "4 samples"),
    ],
)
def test_obstacle(of: RenderTarget, reason: str) -> None:
    assert reason in of.obstacle
    assert bool(reason) == bool(of.obstacle)
