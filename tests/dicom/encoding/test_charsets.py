"""Character sets: examples of PS3.5 Annexes H to K, and what real files get wrong."""

from __future__ import annotations

import pytest
from gateway.dicom.encoding.charsets import Charset, charset

NAMES = [
    # PS3.5 H.3.1, H.3.2: Kanji and Kana
    (
        rb"\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    (
        rb"ISO 2022 IR 13\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    # I.2: Hangul
    (
        rb"\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    # J, K: Chinese
    (rb"ISO_IR 192", "Wang^XiaoDong=王^小東=".encode(), "Wang^XiaoDong=王^小東="),
    (rb"GB18030", "Wang^XiaoDong=王^小东=".encode("gb18030"), "Wang^XiaoDong=王^小东="),
    (
        rb"\ISO 2022 IR 58",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        "Zhang^XiaoDong=张^小东=",
    ),
    (rb"ISO 2022 IR 100\ISO 2022 IR 144", b"B\xfcc^\x1b-L\xbb\xee\xda=B\xfc", "Büc^Люк=Bü"),
    (rb"ISO_IR 144", b"\xbb\xee\xda^\xbb", "Люк^Л"),
]


@pytest.mark.row("J-CS-1", "J-CS-9")
@pytest.mark.parametrize(("declared", "raw", "text"), NAMES)
def test_person_names(declared: bytes, raw: bytes, text: str) -> None:
    assert charset(declared).names(raw) == ([text], True)


@pytest.mark.row("J-28")
@pytest.mark.parametrize("declared", [b"GBK", b"GB18030"])
def test_a_trail_byte_5c_does_not_split(declared: bytes) -> None:
    raw = "誠".encode("gbk")
    assert raw[1] == 0x5C
    assert charset(declared).values(raw + b"\\" + raw) == (["誠", "誠"], True)


@pytest.mark.row("J-28")
def test_half_of_a_jis_character_may_be_5c() -> None:
    kanji = b"\x1b$B" + b"\x35\x5c" + b"\x1b(B"
    values, good = charset(rb"\ISO 2022 IR 87").values(kanji + b"\\b")
    assert (len(values), values[1], good) == (2, "b", True)


def test_a_delimiter_puts_the_first_set_back() -> None:
    mixed = charset(rb"ISO 2022 IR 100\ISO 2022 IR 144")
    assert mixed.values(b"\x1b-L\xbb\\\xfc") == (["Л", "ü"], True)
    assert mixed.text(b"\x1b-L\xbb\r\n\xfc") == ("Л\r\nü", True)


def test_without_g1_the_set_announced_last_is_the_likelier() -> None:
    assert charset(rb"\ISO 2022 IR 149").names(b"A=\x1b$)C\xfb\xf3^\xd1\xce") == (["A=洪^吉"], True)


@pytest.mark.row("J-28")
def test_yen_and_overline_of_jis_roman() -> None:
    assert charset(b"ISO_IR 13").text(b"\\1 ~") == ("¥1 ‾", True)
    assert charset(b"ISO_IR 13").values(b"a\\b") == (["a", "b"], True)


@pytest.mark.parametrize("declared", [b"ISO-IR 100", b"LATIN-1", b"ISO_IR_100", b"iso-ir 192"])
def test_terms_that_are_nearly_right_are_guessed(declared: bytes) -> None:
    assert charset(declared).problem.startswith("undefined term")


@pytest.mark.row("J-CS-6")
def test_unknown_terms_and_bytes_are_told() -> None:
    assert charset(b"KOI8").problem.startswith("unknown term")
    assert charset(b"ISO_IR 192").text(b"a\xffb") == ("a\ufffdb", False)
    assert Charset().text(b"M\xfc") == ("Mü", False)


@pytest.mark.row("J-CS-9")
def test_an_unknown_escape_does_not_stay() -> None:
    assert charset(rb"\ISO 2022 IR 87").text(b"a\x1b%Gb") == ("ab", False)


def test_every_defined_term_is_known() -> None:
    plain = ("6", "13", "100", "101", "109", "110", "126", "127", "138", "144", "148", "166", "192", "203")
    extended = (*plain[:-2], "58", "87", "149", "159", "203")
    terms = [f"ISO_IR {n}" for n in plain] + [f"ISO 2022 IR {n}" for n in extended] + ["GBK", "GB18030"]
    for term in terms:
        assert charset(term.encode()).problem == ""
        charset(term.encode()).text(bytes(range(32, 127)))
