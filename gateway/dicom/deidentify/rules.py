"""Choose the action for each attribute (PS3.15 E.1.1, E.3): by the table first, else by its VR.

The table is a minimum (E.1.1). Attributes that it does not list are judged by their VR here: names of people,
times and free text are removed or emptied. Attributes that PS3.6 does not know, and those of the patient and
visit groups, are removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.dicom import tags
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
_CODED = frozenset(
    {
        tags.CODING_SCHEME_EXTERNAL_ID,
        tags.CODING_SCHEME_NAME,
        tags.CODING_SCHEME_RESPONSIBLE_ORGANIZATION,
        tags.LONG_CODE_VALUE,
        tags.URN_CODE_VALUE,
        tags.CODING_SCHEME_URL,
    }
)
# Groups of the study's subject, visits, requests and results: none of their attributes describes the image.
_PERSONAL = frozenset({"0010", "0032", "0038", "4008"})
# Attributes that say how the identity was removed; the patch writes them itself.
OWN = frozenset(
    {tags.PATIENT_IDENTITY_REMOVED, tags.DEIDENTIFICATION_METHOD, tags.DEIDENTIFICATION_METHOD_CODE_SEQUENCE}
)
# UIDs that identify no instance and no person: classes, transfer syntaxes, coding schemes, context groups.
_CLASSES = frozenset(
    {
        tags.SOP_CLASS_UID,
        tags.RELATED_GENERAL_SOP_CLASS_UID,
        tags.ORIGINAL_SPECIALIZED_SOP_CLASS_UID,
        tags.SOP_CLASSES_IN_STUDY,
        tags.CODING_SCHEME_UID,
        tags.CONTEXT_GROUP_EXTENSION_CREATOR_UID,
        tags.CONTEXT_UID,
        tags.MAPPING_RESOURCE_UID,
        tags.STORED_INSTANCE_TRANSFER_SYNTAX_UID,
        tags.REFERENCED_SOP_CLASS_UID,
        tags.SOP_CLASSES_SUPPORTED,
        tags.AVAILABLE_TRANSFER_SYNTAX_UID,
        tags.FLOW_TRANSFER_SYNTAX_UID,
        tags.MAC_CALCULATION_TRANSFER_SYNTAX_UID,
        tags.ENCRYPTED_CONTENT_TRANSFER_SYNTAX_UID,
        tags.PERTINENT_SOP_CLASSES_IN_STUDY,
        tags.PERTINENT_SOP_CLASSES_IN_SERIES,
    }
)
# Identifiers of devices, addresses and confidentiality codes that the table does not list.
_MORE = frozenset({tags.DEVICE_ID, tags.GRID_ID, tags.NTP_SOURCE_ADDRESS, tags.CONFIDENTIALITY_CODE})
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
    if known in _FREE or (known.startswith(_OCTETS) and tag != tags.ICC_PROFILE):
        return True
    if is_retired(int(tag, 16)) and known in _SHORT:
        return True
    other = vr not in known and (vr in _TEXTS or "SQ" in (vr, known))
    return other and not (vr in _SHORT and known in _SHORT)
