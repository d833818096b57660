"""Burned-in text (PS3.18 8.3.5.1.1)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gateway.render.attributes import Attributes
from gateway.render.rendering import Array, Rendering, Viewport
from gateway.render.stages.annotate import break_line, length, patient_lines, technique_lines
from gateway.render.stages.fonts import drawable, font, list_covered, runs
from tests.render.factories import element, rendered

GREY = np.full((256, 256), 100, "u1")
PERSON: Any = {
    "t00100010": element(
        "PN", {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
    ),
    "t00100020": element("LO", "12345"),
    "t00100030": element("DA", "19700102"),
    "t00100040": element("CS", "M"),
}
HOW: Any = {
    "t00080060": element("CS", "CT"),
    "t0008103E": element("LO", "Abdomen"),
    "t00080020": element("DA", "20240229"),
    "t00080030": element("TM", "235959.5"),
    "t00200011": element("IS", 3),
    "t00200013": element("IS", 17),
    "t00280008": element("IS", 9),
    "t00180050": element("DS", "1.25"),
}


def asked(*kinds: str, **more: Any) -> Rendering:
    return Rendering(annotation=frozenset(kinds), **more)


def changed(picture: Array) -> tuple[bool, bool]:
    """Whether the upper and the lower half are not the plain ground any more."""
    half = picture.shape[0] // 2
    return bool((picture[:half] != 100).any()), bool((picture[half:] != 100).any())


KINDS = [
    pytest.param((), (False, False), marks=pytest.mark.row("R-Q-2")),
    pytest.param(("patient",), (True, False), marks=pytest.mark.row("R-Q-1")),
    pytest.param(("technique",), (False, True), marks=pytest.mark.row("R-Q-1")),
    pytest.param(("patient", "technique"), (True, True), marks=pytest.mark.row("R-Q-1")),
    (("colour",), (False, False)),
]


@pytest.mark.parametrize(("kinds", "where"), KINDS)
def test_text_is_burned_in_where_it_is_asked(kinds: tuple[str, ...], where: tuple[bool, bool]) -> None:
    """The patient's above, the technique's below; the ground stays as it is around them."""
    picture = rendered(GREY, asked(*kinds), **PERSON, **HOW).pixels
    assert changed(picture) == where
    assert picture[:, -30:].tolist() == GREY[:, -30:].tolist()


@pytest.mark.row("R-Q-1")
def test_text_is_the_last_step() -> None:
    """It has its size in the picture that is sent, whatever the viewport made of the source."""
    tiny = np.full((16, 16), 100, "u1")
    view = Viewport(256, 256, 0, 0, -16, 16)
    picture = rendered(tiny, asked("patient", viewport=view), **PERSON).pixels
    assert np.array_equal(picture, rendered(GREY, asked("patient"), **PERSON).pixels)


@pytest.mark.parametrize("kind", ["u1", "<u2"])
def test_letters_are_white_with_a_dark_edge(kind: str) -> None:
    colour = np.full((256, 256, 3), 100, kind) << (0 if kind == "u1" else 8)
    picture = rendered(colour, asked("patient"), **PERSON).pixels
    assert picture.dtype == np.uint8
    assert picture.min() == 0
    assert picture.max() >= 240


def test_what_is_written_of_the_patient() -> None:
    members = {tag[1:]: value for tag, value in PERSON.items()}
    lines = ["Yamada Tarou", "山田 太郎", "やまだ たろう", "12345", "1970-01-02  M"]
    assert patient_lines(Attributes(members)) == lines
    assert patient_lines(Attributes({})) == []
    assert patient_lines(Attributes({"00100010": element("PN", {"Ideographic": "王^小東"})})) == ["王 小東"]


def test_what_is_written_of_the_technique() -> None:
    members = {tag[1:]: value for tag, value in HOW.items()}
    lines = ["CT Abdomen", "2024-02-29 23:59:59", "Se 3  Im 17  Fr 2/9", "Thk 1.25 mm"]
    assert technique_lines(Attributes(members), 2) == lines
    assert technique_lines(Attributes({}), 1) == []


# A name in each of the character sets that PS3.3 C.12.1.1.2 defines.
NAMES = [
    "Äneas Rüdiger", "Buc^Jérôme", "Świętosław Łęcki Żaneta", "Ġorġ Ħal", "Люксембург", "Διονυσιος", "قباني لنزار",
    "שרון דבורה", "นาย สมชาย", "ﾔﾏﾀﾞ ﾀﾛｳ", "山田 太郎 やまだ", "김희중 金喜中", "王 小東 张 伟", "臺灣", "Đặng Thị Ngọc", "Čapek",
]  # fmt: skip


@pytest.mark.row("R-Q-1")
@pytest.mark.parametrize("name", NAMES)
def test_no_letter_of_a_name_is_a_box(name: str) -> None:
    """Each has a glyph, the font's own box for what it lacks is never drawn."""
    assert all(drawable(character) for character in name)
    for text, number in runs(name):
        assert all(ord(character) in list_covered(number) for character in text)
        box = font(number, 40).getmask("\U0010fffd")
        assert all(bytes(font(number, 40).getmask(c)) != bytes(box) for c in text if not c.isspace())


def test_what_no_font_has_is_written_as_its_number() -> None:
    assert "".join(text for text, _ in runs("a\u0915\U0001f600\0b")) == "a[0915][1F600]b"


def test_arabic_is_joined_and_runs_from_right_to_left() -> None:
    (text, _), *rest = runs("لا")
    assert (len(text), rest) == (1, [])
    seen = "".join(text for text, _ in runs("שלום A"))
    assert seen == "A םולש"


def test_long_lines_are_broken_and_nothing_is_left_out() -> None:
    line = "Wolfeschlegelsteinhausenbergerdorff Hubert Blaine the elder"
    parts = break_line(line, 12, 100)
    assert "".join(parts).replace(" ", "") == line.replace(" ", "")
    assert all(length(part, 12) <= 100 for part in parts)
    assert rendered(np.full((20, 3), 100, "u1"), asked("patient"), **PERSON).pixels.shape == (20, 3)
