"""Make dummy values (PS3.15 E.1.1, action D): valid for the VR, and the same for everybody."""

from __future__ import annotations

from typing import Any

from gateway.dicom import tags
from gateway.dicom.dataset import Attribute
from gateway.dicom.dictionary import keyword_of, vr_of

WORD = "ANONYMIZED"
_VALUES: dict[str, Any] = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "SH", "ST", "UC", "UT"), WORD),
    **dict.fromkeys(("DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"), 0),
    "AS": "000Y",
    "AT": "00000000",
    "DA": "19000101",
    "DT": "19000101000000",
    "PN": {"Alphabetic": "Anonymized"},
    "TM": "000000",
    "UI": "2.25.0",
    "UR": "about:blank",
}
_CODE = {
    tags.CODE_VALUE: {"vr": "SH", "Value": [WORD]},
    tags.CODING_SCHEME_DESIGNATOR: {"vr": "SH", "Value": ["99ANONYMIZED"]},
    tags.CODE_MEANING: {"vr": "LO", "Value": [WORD]},
}


def resolve_vr(tag: str, vr: str) -> str:
    """Return the VR that PS3.6 gives a tag; `vr` where PS3.6 has none or several."""
    known = vr_of(int(tag, 16))
    return known if len(known) == 2 else vr


def dummy(tag: str, vr: str) -> Attribute | None:
    """Return the member that replaces an attribute; None where it can only be left out.

    Sequences that do not hold codes are documents and annotations, which images do not have. Outside of the
    IOD for which the table lists them, they may be removed (E.1.1).
    """
    vr = resolve_vr(tag, vr)
    if vr == "SQ":
        coded = keyword_of(int(tag, 16)).endswith("CodeSequence")
        return {"vr": "SQ", "Value": [_CODE]} if coded else None
    if vr in _VALUES:
        return {"vr": vr, "Value": [_VALUES[vr]]}
    return {"vr": vr, "InlineBinary": "AAAAAAAAAAA="}
