"""Search keys in their normal form."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from gateway.dicom.dataset import DataSet
from gateway.dicom.query import searchkeys
from gateway.dicom.query.match import satisfies
from gateway.dicom.query.query import Fuzzy
from hypothesis import given
from hypothesis import strategies as st
from tests.dicom.query.names import NAMES

TEXT = st.text(st.sampled_from("abÄ *?^=[山𠮷%_\\"), max_size=8)


def person(name: str) -> DataSet:
    groups = zip(("Alphabetic", "Ideographic", "Phonetic"), name.split("="), strict=False)
    return {"00100010": {"vr": "PN", "Value": [{key: group for key, group in groups if group}]}}


def is_found(name: str, asked: str) -> bool:
    return satisfies(person(name), (Fuzzy((0x00100010,), tuple(asked.split())),))


def test_there_are_forty_names() -> None:
    assert len(NAMES) == 40


@pytest.mark.parametrize(("name", "hits", "misses"), NAMES, ids=[name for name, _, _ in NAMES])
def test_names_are_found_as_expected(name: str, hits: tuple[str, ...], misses: tuple[str, ...]) -> None:
    assert [asked for asked in hits if not is_found(name, asked)] == []
    assert [asked for asked in misses if is_found(name, asked)] == []


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Müller", "muller"),
        ("GROẞ", "gross"),
        ("Ｓｍｉｔｈ", "smith"),
        ("ﾔﾏﾀﾞ", "ヤマダ"),
        ("パク", "パク"),
        ("ﬁ", "fi"),
        ("홍", "홍"),
        ("İ", "i"),
        ("Ørsted", "orsted"),
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert searchkeys.fold(text) == folded
    assert searchkeys.fold(searchkeys.fold(text)) == folded


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("10", "100000.000000"),
        ("1015", "101500.000000"),
        ("101559.5", "101559.500000"),
        ("10:15:59", "101559.000000"),
        ("101559.1234567", "101559.123456"),
        ("101", ""),
        ("noon", ""),
        ("", ""),
    ],
)
def test_times(value: str, key: str) -> None:
    assert searchkeys.time_key(value) == key


@pytest.mark.parametrize(
    ("value", "key"),
    [("20240131", "20240131"), ("2024.01.31", "20240131"), ("2024", ""), ("x", ""), ("", "")],
)
def test_dates(value: str, key: str) -> None:
    assert searchkeys.date_key(value) == key


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("2024", "20240101000000.000000"),
        ("20240131101559.5", "20240131101559.500000"),
        ("20240131101559+0200", "20240131081559.000000"),
        ("20240101003000-0130", "20240101020000.000000"),
        ("00010101000000+1400", ""),
        ("20241399", ""),
        ("20241231235960.25", "20241231235959.250000"),
        ("0099", "00990101000000.000000"),
        ("", ""),
    ],
)
def test_date_times(value: str, key: str) -> None:
    assert searchkeys.datetime_key(value) == key


@pytest.mark.parametrize(
    ("value", "key"),
    [("007", "7"), ("+7", "7"), (7, "7"), ("7.0", "7"), ("1e1", "10"), ("x", "x"), (7.5, "7.5")],
)
def test_numbers(value: object, key: str) -> None:
    assert searchkeys.number_key(value) == key


def test_numbers_of_64_and_of_32_bits() -> None:
    assert searchkeys.number_key("9007199254740993") != searchkeys.number_key("9007199254740992")
    assert searchkeys.number_key("0.1", "FL") == searchkeys.number_key(0.10000000149011612, "FL")
    assert searchkeys.number_key("0.1", "FD") != searchkeys.number_key(0.10000000149011612, "FD")
    assert searchkeys.number_key("1e300", "FL") == "1e300"


@pytest.mark.parametrize(
    "alike", [("meyer", "maier"), ("schmidt", "smith"), ("philip", "filip"), ("kate", "cate")]
)
def test_these_sound_alike(alike: tuple[str, str]) -> None:
    left, right = alike
    assert searchkeys.sound(left) == searchkeys.sound(right) != ""


@pytest.mark.parametrize("word", ["li", "山田太郎", "o1x", ""])
def test_these_have_no_sound(word: str) -> None:
    assert searchkeys.sound(word) == ""


@given(TEXT, TEXT)
def test_whatever_matches_a_pattern_has_its_ngrams(text: str, pattern: str) -> None:
    from gateway.dicom.query.match import _is_like

    if text and _is_like(text, pattern):
        assert searchkeys.pattern_ngrams(pattern) <= searchkeys.ngrams(text)


@given(TEXT, st.text(st.sampled_from("abÄ山"), min_size=1, max_size=3))
def test_whatever_a_word_finds_has_its_ngrams(name: str, word: str) -> None:
    tokens = searchkeys.fuzzy_tokens(name)
    for prefix in searchkeys.fuzzy_asked(word)[0]:
        if f" {prefix}" in tokens:
            assert searchkeys.pattern_ngrams(f"{prefix}*") <= searchkeys.word_ngrams(tokens)


def _every_pattern(group: str) -> list[str]:
    """Each component that may be empty left out, one after the other: as many patterns as there are."""
    found = [group]
    while found[-1].endswith("^*"):
        found.append(found[-1][:-1].rstrip("^ "))
    return [pattern for pattern in found if pattern]


@given(st.text("a^* ?", max_size=9), st.text("ab^ ", min_size=1, max_size=7))
def test_two_patterns_stand_for_all_that_a_name_may_leave_out(group: str, name: str) -> None:
    patterns = searchkeys.name_patterns(group)
    assert len(patterns) <= 2
    every = any(fnmatchcase(name, pattern) for pattern in _every_pattern(group))
    assert any(fnmatchcase(name, pattern) for pattern in patterns) is every


@given(st.text("a*?", max_size=9), st.text("ab", max_size=7))
def test_a_collapsed_pattern_matches_the_same(pattern: str, text: str) -> None:
    short = searchkeys.collapse(pattern)
    assert fnmatchcase(text, short) is fnmatchcase(text, pattern)
    assert len(short) <= len(pattern)
    assert "**" not in short
    assert "*?" not in short


def test_no_name_makes_many_patterns() -> None:
    assert searchkeys.name_patterns("*" + "^*" * 30_000) == ("*",)
    assert searchkeys.name_patterns("a" + "^*" * 30_000) == ("a^*", "a")
