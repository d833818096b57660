"""Which action an attribute gets (PS3.15 E.1.1, E.3): the table first, then what it says nothing about.

The table is a minimum (E.1.1). What it does not list is judged by its VR here: what names people, tells times or is
free text goes; so do attributes that PS3.6 does not know, and those of the patient and visit groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.dicom.deidentify.tables import find_code, type_of
from gateway.dicom.dictionary import is_retired, vr_of


class AttributeAction(StrEnum):
    """Codes of PS3.15 E.1.1; combined ones are decided before."""

    DUMMY = "D"
    EMPTY = "Z"
    REMOVE = "X"
    KEEP = "K"
    UID = "U"


# Which codes fit which Type, the first that holds the IOD's Type (E.1.1).
_COMBINED = {
    "Z/D": {1: AttributeAction.DUMMY, 2: AttributeAction.EMPTY, 3: AttributeAction.EMPTY},
    "X/Z": {1: AttributeAction.EMPTY, 2: AttributeAction.EMPTY, 3: AttributeAction.REMOVE},
    "X/D": {1: AttributeAction.DUMMY, 2: AttributeAction.DUMMY, 3: AttributeAction.REMOVE},
    "X/Z/D": {1: AttributeAction.DUMMY, 2: AttributeAction.EMPTY, 3: AttributeAction.REMOVE},
    # U*: the sequence stays, the UIDs in its items are replaced as all are.
    "X/Z/U*": {1: AttributeAction.KEEP, 2: AttributeAction.EMPTY, 3: AttributeAction.REMOVE},
}
_EMPTIED = frozenset({"AE", "AS", "DA", "DT", "PN", "TM"})
_SHORT = frozenset({"CS", "LO", "SH"})
_FREE = frozenset({"LT", "ST", "UC", "UR", "UT"})
# Long codes and what says whose codes they are (PS3.3 8.8): their meaning is public.
_CODED = frozenset({"00080114", "00080115", "00080116", "00080119", "00080120", "0008010E"})
# Subject of a study, visits, requests, results: nothing there describes the image.
_PERSONAL = frozenset({"0010", "0032", "0038", "4008"})
# How the identity was removed, which is written anew.
OWN = frozenset({"00120062", "00120063", "00120064"})
# UIDs that name no instance and no person: classes, transfer syntaxes, coding schemes, context groups.
_CLASSES = frozenset(
    {
        *("00080016", "0008001A", "0008001B", "00080062", "0008010C", "0008010D", "00080117", "00080118"),
        *("0008040E", "00081150", "0008115A", "00083002", "00340003", "04000010", "04000510", "30100052"),
        "30100053",
    }
)
# Identifiers of devices, addresses, and codes of confidentiality that the table leaves.
_MORE = frozenset({"00181003", "00181006", "00181803", "00401008"})
_PROFILE = "00282000"  # of colours
_OCTETS = ("OB", "OV", "UN")
_TEXTS = _EMPTIED | _FREE | {"CS", "LO", "SH", "UI", "UN"}


@dataclass(frozen=True, slots=True)
class RulePlace:
    """Where an attribute is: its SOP class, and the sequence that it is an item of, empty at the top."""

    sop_class: str
    within: str = ""


def action(tag: str, vr: str, place: RulePlace) -> AttributeAction:
    """What becomes of an attribute that a data set has; `vr` is the one that it has there."""
    if int(tag[3], 16) & 1 or tag[:2] == "60":
        return (
            AttributeAction.REMOVE
        )  # private; overlays whole: without their data the rest of the group says nothing
    code = find_code(tag)
    if code in _COMBINED:
        return _COMBINED[code][type_of(tag, place.within, place.sop_class)]
    if code == "C":
        return AttributeAction.REMOVE  # what cannot be cleaned here
    if code:
        return AttributeAction(code)
    return _choose_unlisted_action(tag, vr)


def _choose_unlisted_action(tag: str, vr: str) -> AttributeAction:
    known = vr_of(int(tag, 16))
    if not known or tag[:4] in _PERSONAL or tag[:4] >= "7FE0" or tag in _MORE:
        return AttributeAction.REMOVE
    if tag in _CODED:
        return AttributeAction.KEEP
    if _may_hold_anything(tag, vr, known):
        return AttributeAction.REMOVE
    if known in _EMPTIED:
        return AttributeAction.EMPTY
    if known == "UI" and tag not in _CLASSES:
        return AttributeAction.UID
    return AttributeAction.KEEP


def _may_hold_anything(tag: str, vr: str, known: str) -> bool:
    """Free text, octets, what nobody looks after any more, and a VR that is not that of PS3.6, such as text in a number."""
    if known in _FREE or (known.startswith(_OCTETS) and tag != _PROFILE):
        return True
    if is_retired(int(tag, 16)) and known in _SHORT:
        return True
    other = vr not in known and (vr in _TEXTS or "SQ" in (vr, known))
    return other and not (vr in _SHORT and known in _SHORT)
