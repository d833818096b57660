"""Frames are selected once: what a selection names is there, and nothing after it asks again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gateway.dicom import uids
from gateway.dicom.encoding.layout import InstanceLayout, PixelLayout
from gateway.errors import NotFound
from gateway.model import FrameNumber
from gateway.services.retrieve.frames import select_all_frames, select_frames
from gateway.services.retrieve.layouts import StoredLayout
from tests.http.fakes import pixels, stored

PIXELS = pixels(encapsulated=False)


def located(pixels: PixelLayout | None) -> StoredLayout:
    layout = InstanceLayout(uids.EXPLICIT_VR_LITTLE_ENDIAN, False, False, False, 0, 0, pixels, {})
    return StoredLayout(stored(), layout)


def test_frames_are_selected_in_the_order_in_which_they_are_wanted() -> None:
    numbers = [FrameNumber(number) for number in (9, 1, 9)]
    selection = select_frames(located(PIXELS), numbers)
    assert (selection.pixels, selection.numbers) == (PIXELS, numbers)
    assert list(select_all_frames(located(PIXELS)).numbers) == list(range(1, 10))


def test_all_of_many_frames_take_no_room() -> None:
    everything = select_all_frames(located(replace(PIXELS, frames=1 << 40)))
    assert len(everything.numbers) == 1 << 40


@pytest.mark.parametrize(
    ("pixels", "number", "detail"),
    [
        (None, 1, "instance 1.4.1 has no pixel data, so no frames"),
        (
            replace(PIXELS, problem="it is a video"),
            1,
            "instance 1.4.1 has no single frames to offer: it is a video",
        ),
        (PIXELS, 10, "frame 10: the instance has 9"),
    ],
)
def test_what_is_not_there_is_named(pixels: PixelLayout | None, number: int, detail: str) -> None:
    with pytest.raises(NotFound) as raised:
        select_frames(located(pixels), [FrameNumber(number)])
    assert (raised.value.detail, raised.value.uid) == (detail, "1.4.1")
