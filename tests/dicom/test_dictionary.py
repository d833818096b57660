"""VRs and keywords of PS3.6, of repeating groups (PS3.5 7.6) and of private creators (PS3.5 7.8.1)."""

from __future__ import annotations

import pytest
from gateway.dicom.dictionary import keyword_of, tag_of, vr_of


@pytest.mark.parametrize(
    ("tag", "vr"),
    [
        (0x0009000F, ""),
        (0x00090010, "LO"),
        (0x000900FF, "LO"),
        (0x00090100, ""),
        (0x00091001, ""),
        (0x00090000, "UL"),
        (0x00080000, "UL"),
        (0x00080018, "UI"),
        (0x60023000, "OB or OW"),
        (0x0008FFFE, ""),
    ],
)
def test_vr_of_a_tag(tag: int, vr: str) -> None:
    """A private creator is LO; of other private elements only their creator knows."""
    assert vr_of(tag) == vr


def test_keywords_of_repeating_groups() -> None:
    assert keyword_of(0x60020010) == "OverlayRows"
    assert tag_of("OverlayRows") == 0x60000010
    assert (tag_of("SOPInstanceUID"), tag_of("sopinstanceuid")) == (0x00080018, None)
    assert keyword_of(0x00090010) == ""
