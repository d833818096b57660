"""Choose the action for each attribute (PS3.15 E.1.1, E.3): by the table first, else by its VR.

The table is a minimum (E.1.1). Attributes that it does not list are judged by their VR here: names of people,
times and free text are removed or emptied. Attributes that PS3.6 does not know, and those of the patient and
visit groups, are removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.dicom.deidentify.tables import find_code, type_of
from gateway.dicom.dictionary import is_retired, vr_of


class AttributeAction(StrEnum):
    """The action codes of PS3.15 E.1.1; combined codes are resolved to one of them first."""

    DUMMY = "D"
    EMPTY = "Z"
    REMOVE = "X"
    KEEP = "K"
    UID = "U"


# The action for each Type of the attribute in the IOD, by combined code (E.1.1).
_COMBINED = {
    "Z/D": {1: AttributeAction.DUMMY, 2: AttributeAction.EMPTY, 3: AttributeAction.EMPTY},
    "X/Z": {1: AttributeAction.EMPTY, 2: AttributeAction.EMPTY, 3: AttributeAction.REMOVE},
    "X/D": {1: AttributeAction.DUMMY, 2: AttributeAction.DUMMY, 3: AttributeAction.REMOVE},
    "X/Z/D": {1: AttributeAction.DUMMY, 2: AttributeAction.EMPTY, 3: AttributeAction.REMOVE},
    # U*: the sequence stays, and the UIDs in its items are replaced like all others.
    "X/Z/U*": {1: AttributeAction.KEEP, 2: AttributeAction.EMPTY, 3: AttributeAction.REMOVE},
}
_EMPTIED = frozenset({"AE", "AS", "DA", "DT", "PN", "TM"})
_SHORT = frozenset({"CS", "LO", "SH"})
_FREE = frozenset({"LT", "ST", "UC", "UR", "UT"})
# Long codes, and the attributes of their coding schemes (PS3.3 8.8): their meaning is public.
_CODED = frozenset({"00080114", "00080115", "00080116", "00080119", "00080120", "0008010E"})
# Groups of the study's subject, visits, requests and results: none of their attributes describes the image.
_PERSONAL = frozenset({"0010", "0032", "0038", "4008"})
# Attributes that say how the identity was removed; the patch writes them itself.
OWN = frozenset({"00120062", "00120063", "00120064"})
# UIDs that identify no instance and no person: classes, transfer syntaxes, coding schemes, context groups.
_CLASSES = frozenset(
    {
        *("00080016", "0008001A", "0008001B", "00080062", "0008010C", "0008010D", "00080117", "00080118"),
        *("0008040E", "00081150", "0008115A", "00083002", "00340003", "04000010", "04000510", "30100052"),
        "30100053",
    }
)
# Identifiers of devices, addresses and confidentiality codes that the table does not list.
_MORE = frozenset({"00181003", "00181006", "00181803", "00401008"})
_PROFILE = "00282000"  # ICC Profile
_OCTETS = ("OB", "OV", "UN")
_TEXTS = _EMPTIED | _FREE | {"CS", "LO", "SH", "UI", "UN"}


@dataclass(frozen=True, slots=True)
class RulePlace:
    """The place of an attribute: its SOP class, and the sequence that contains it, empty at the top level."""

    sop_class: str
    within: str = ""


def action(tag: str, vr: str, place: RulePlace) -> AttributeAction:
    """Return the action for an attribute; `vr` is its VR in the data set."""
    if int(tag[3], 16) & 1 or tag[:2] == "60":
        # Private attributes, and overlay groups as a whole: without its data, the rest of a group is useless.
        return AttributeAction.REMOVE
    code = find_code(tag)
    if code in _COMBINED:
        return _COMBINED[code][type_of(tag, place.within, place.sop_class)]
    if code == "C":
        return AttributeAction.REMOVE  # values that would have to be cleaned, which is not done here
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
    """Return whether an attribute may hold any text.

    This is so for free text, octets, retired short texts, and a VR that is not the one of PS3.6, such as text
    in place of a number.
    """
    if known in _FREE or (known.startswith(_OCTETS) and tag != _PROFILE):
        return True
    if is_retired(int(tag, 16)) and known in _SHORT:
        return True
    other = vr not in known and (vr in _TEXTS or "SQ" in (vr, known))
    return other and not (vr in _SHORT and known in _SHORT)
