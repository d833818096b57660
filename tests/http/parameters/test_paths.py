"""Paths: UIDs, frame lists, bulk data."""

from __future__ import annotations

import pytest
from gateway.errors import BadParameter, NotFound
from gateway.http.parameters.paths import bulk_path, frame_list, resource_path
from gateway.model import ResourcePath


def test_a_path_of_three_uids() -> None:
    path = resource_path({"study": "1.2", "series": "1.2.3", "instance": "1.2.3.4"})
    assert path == ResourcePath("1.2", "1.2.3", "1.2.3.4")  # type: ignore[arg-type]


@pytest.mark.parametrize("uid", ["1", "0.1.02", "1..2", "1.2.", "9" * 64])
def test_digits_and_dots_are_looked_up(uid: str) -> None:
    assert resource_path({"study": uid}).study == uid


@pytest.mark.parametrize("uid", ["", "a", "1.2-3", "9" * 65, "1.2 ", "١.٢", "1\n"])
def test_anything_else_is_400(uid: str) -> None:
    with pytest.raises(BadParameter, match="1 to 64 digits and dots") as raised:
        resource_path({"study": "1.2", "series": uid})
    assert raised.value.parameter == "series"


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("1", [1]), ("3,7", [3, 7]), ("7,3,3", [7, 3, 3]), ("01", [1]), ("100000", [100000])],
)
def test_frames_in_the_order_asked(text: str, numbers: list[int]) -> None:
    assert frame_list(text) == numbers


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "1,", ",1", "1,,2", "1-3", "a", "1.5", "+1", " 1", "1" * 12, "١"]
)
def test_malformed_frame_lists(text: str) -> None:
    with pytest.raises(BadParameter) as raised:
        frame_list(text)
    assert raised.value.detail == (
        f"frame list '{text}': want 1-based numbers separated by commas, such as 1,3,7"
    )


def test_bulk_paths() -> None:
    assert bulk_path("7FE00010") == "7FE00010"
    assert bulk_path("00400275/1/0040a124") == "00400275/1/0040A124"
    for text in ("", "7FE0", "7FE00010/1", "00400275/0/00400007", "../etc/passwd", "7FE00010/"):
        with pytest.raises(NotFound):
            bulk_path(text)
