"""Text by reference is UTF-8, in pieces of any size (PS3.18 F.2.2 note 4)."""

from __future__ import annotations

from typing import Any

import pytest
from gateway.dicom.encoding.charsets import charset
from gateway.dicom.encoding.recode import ToUtf8, charset_at
from hypothesis import given
from hypothesis import strategies as st

TEXTS = [
    (b"", "plain\r\n"),
    (b"ISO_IR 100", "Müller\\größer"),
    (b"ISO_IR 192", "王小东 😀"),
    (b"GB18030", "王^小东\\x"),
    (b"ISO_IR 13", "ｱｲｳ¥"),
]
ESCAPED = [
    (
        rb"\ISO 2022 IR 87",
        b"a\x1b$B;3ED\x1b(B b\r\n" * 3 + b"c\x1b$BB@O:\x1b(B",
        "a山田 b\r\n" * 3 + "c太郎",
    ),
    (rb"\ISO 2022 IR 149", b"\x1b$)C\xfb\xf3\n\x1b$)C\xd1\xce", "洪\n吉"),
    (rb"ISO 2022 IR 100\ISO 2022 IR 144", b"\xfc \x1b-L\xbb\xee\n\xfc", "ü Лю\nü"),
]


def recoded(declared: bytes, raw: bytes, step: int) -> str:
    change = ToUtf8(charset(declared))
    pieces = [change.feed(raw[at : at + step]) for at in range(0, len(raw), step)]
    return (b"".join(pieces) + change.finish()).decode("utf-8")


@pytest.mark.row("J-CS-4", "J-CS-9", "R-B-11")
@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("declared", "raw", "text"),
    [(d, t.replace("¥", "\\").encode(charset(d).codec), t) for d, t in TEXTS] + ESCAPED,
)
def test_pieces_of_any_size_give_the_text(declared: bytes, raw: bytes, text: str, step: int) -> None:
    assert recoded(declared, raw, step) == text


@pytest.mark.row("J-CS-6")
@given(
    raw=st.binary(max_size=60),
    step=st.integers(1, 9),
    declared=st.sampled_from([b"", b"ISO_IR 192", b"GB18030", rb"\ISO 2022 IR 87", b"no such set"]),
)
def test_whatever_the_bytes_the_result_is_utf_8(raw: bytes, step: int, declared: bytes) -> None:
    assert recoded(declared, raw, step).isascii() or not raw.isascii() or b"\x1b" in raw


def test_a_line_that_does_not_end_is_not_held_for_ever() -> None:
    change = ToUtf8(charset(rb"\ISO 2022 IR 87"))
    change.feed(b"\x1b(B")
    assert sum(len(change.feed(b"x" * 100_000)) for _ in range(40)) > 2_000_000


@pytest.mark.row("J-53")
def test_an_item_may_have_a_set_of_its_own() -> None:
    own = {"00080005": {"vr": "CS", "Value": ["ISO_IR 144"]}}
    model: dict[str, Any] = {
        "00080005": {"vr": "CS", "Value": [None, "ISO 2022 IR 87"]},
        "0040A730": {"vr": "SQ", "Value": [{}, own]},
    }
    assert charset_at(model, "0040A160") == charset(rb"\ISO 2022 IR 87")
    assert charset_at(model, "0040A730/1/0040A160") == charset(rb"\ISO 2022 IR 87")
    assert charset_at(model, "0040A730/2/0040A160") == charset(b"ISO_IR 144")
    assert charset_at({}, "0040A160") == charset(b"")
