"""What one search may ask: every parameter has a bound, and who goes beyond it is told which one (PS3.18 8.3)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from gateway.dicom.dictionary import vr_of
from gateway.errors import BadParameter
from gateway.http.parameters.matching import WILDCARD_VRS
from gateway.http.parameters.querystring import Params
from gateway.http.parameters.search import Limits, ParsedSearch, Target, search_query
from gateway.model import Level
from hypothesis import given, settings
from hypothesis import strategies as st

# A request target has 60 KiB.
LONG = 56_000
TEXTS = ("PatientID", "StudyDescription", "AccessionNumber", "StudyID", "PatientComments", "00081030")
# Lines of our own code that may be run for each character of a query, and for every query.
LINES_A_CHARACTER, LINES = 50, 4000


def asked(text: str) -> ParsedSearch:
    return search_query(Params(text.encode()), Target(Level.INSTANCE), Limits(200, 5000))


ATTACKS: tuple[tuple[str, str], ...] = (
    ("PatientName=" + "*^" * (LONG // 2), "PatientName"),
    ("PatientName=" + "a" * LONG, "PatientName"),
    ("PatientName=" + "a%20" * 500 + "&fuzzymatching=true", ""),
    ("PatientName=" + "a" * 50_000 + "&fuzzymatching=true", "PatientName"),
    ("PatientName=" + "a" * 65 + "&fuzzymatching=true", "PatientName"),
    ("PatientName=" + "%CC%80" * 5000, "PatientName"),
    ("PatientID=" + "a*" * 9000, "PatientID"),
    ("PatientID=" + "*" * LONG, ""),
    ("PatientID=" + "*?" * 400, ""),
    ("PatientID=" + "?" * 1025 + "a", "PatientID"),
    ("&".join(f"{tag:08X}={'a*' * 60}" for tag in range(0x00380050, 0x00380060)), ""),
    ("SelectorCSValue=" + "1" * 65, ""),
    ("PatientSize=" + "1" * LONG + "x", "PatientSize"),
    ("InstanceNumber=" + "1" * LONG, "InstanceNumber"),
    ("StudyDate=" + "1" * LONG, "StudyDate"),
    ("StudyDate=" + "-" * LONG, "StudyDate"),
    ("StudyTime=" + "1" * LONG, "StudyTime"),
    ("AcquisitionDateTime=" + "2024" * (LONG // 4), "AcquisitionDateTime"),
    ("StudyInstanceUID=" + ",".join(f"1.{n}" for n in range(8000)), "StudyInstanceUID"),
    ("SOPClassesInStudy=" + ",".join(f"1.{n}" for n in range(300)), "SOPClassesInStudy"),
    (
        "includefield=" + ",".join(f"{tag:08X}" for tag in range(0x00081030, 0x00081030 + 5000)),
        "includefield",
    ),
    ("&".join(f"{tag:08X}=" for tag in range(0x00080001, 0x00081400)), "00080401"),
    ("RequestAttributesSequence." * 65 + "StudyInstanceUID=1", ("RequestAttributesSequence." * 4)[:80]),
)


@pytest.mark.parametrize(("text", "parameter"), ATTACKS, ids=[text[:40] for text, _ in ATTACKS])
def test_what_is_too_much_is_a_400_that_names_it(text: str, parameter: str) -> None:
    lines = counted(lambda: _refused(text, parameter))
    assert lines < LINES + LINES_A_CHARACTER * len(text)


def _refused(text: str, parameter: str) -> None:
    if parameter == "":  # either way, but soon
        _either_way(text)
        return
    with pytest.raises(BadParameter) as raised:
        asked(text)
    assert raised.value.expected
    assert raised.value.parameter == parameter
    assert len(raised.value.detail) < 400


def _either_way(text: str) -> None:
    named: str | None = "nothing"
    try:
        asked(text)
    except BadParameter as error:
        named = error.parameter
    assert named


@pytest.mark.parametrize("wild", ["a*" * 60, "*" + "ab?*" * 60])
def test_sixty_patterns_of_many_pieces_are_refused(wild: str) -> None:
    keys = [f"{tag:08X}" for tag in range(0x00081010, 0x00081100)]
    known = [key for key in keys if _is_text(key)][:20]
    assert len(known) > 10
    with pytest.raises(BadParameter) as raised:
        asked("&".join(f"{key}={wild}" for key in known))
    assert raised.value.parameter in known


def _is_text(key: str) -> bool:
    return vr_of(int(key, 16)) in WILDCARD_VRS


def test_what_people_ask_is_not_refused() -> None:
    uids = ",".join(f"1.2.826.0.1.3680043.8.498.{10**20 + n}" for n in range(1000))
    assert asked(f"StudyInstanceUID={uids}").query.matches
    name = "*".join(["Baron", "von", "Münchhausen", "zu", "Bodenwerder"])
    assert asked(f"PatientName={name}^*^*^*^*").query.matches
    assert asked("PatientName=" + "^".join(["Wolfeschlegelsteinhausenbergerdorff"] * 5)).query.matches
    assert asked("StudyDescription=*" + "a" * 600 + "*").query.matches


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                (*TEXTS, "PatientName", "StudyInstanceUID", "StudyDate", "ModalitiesInStudy", "includefield")
            ),
            st.text("a*?^=,.\\1- %\u0300", max_size=6),
            st.integers(1, 6000),
        ),
        max_size=6,
        unique_by=lambda one: one[0],
    ),
    st.booleans(),
)
def test_no_search_is_read_in_more_than_linear_time(parts: list[tuple[str, str, int]], fuzzy: bool) -> None:
    text = "&".join(f"{name}={value * count}" for name, value, count in parts)
    text += "&fuzzymatching=true" * fuzzy

    assert counted(lambda: _either_way(text)) < LINES + LINES_A_CHARACTER * len(text)


def counted(work: Callable[[], Any]) -> int:
    """Lines of the gateway's code that are run."""
    lines = 0

    def line(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return line

    def call(frame: FrameType, event: str, arg: Any) -> Any:
        return line if "gateway" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        work()
    finally:
        sys.settrace(before)
    return lines
