"""Make the header patch that de-identifies a data set.

It follows the Basic Profile with Clean Pixel Data (PS3.15 E.2, E.3.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from gateway.dicom import tags, uids
from gateway.dicom.dataset import Attribute, DataSet, ReadOnlyDataSet
from gateway.dicom.deidentify.dummies import dummy, resolve_vr
from gateway.dicom.deidentify.identifiers import Finder, Identifiers
from gateway.dicom.deidentify.rules import OWN, AttributeAction, RulePlace, action
from gateway.dicom.deidentify.tables import EDITION
from gateway.dicom.model.patch import AttributeChange, Patch

BASIC, CLEAN_PIXELS, _FEATURES = "113100", "113101", "113102"
# Codes of CID 7050 that are done here, or still hold if done before: the others retain attributes that are removed
# here.
_MEANINGS = {
    BASIC: "Basic Application Confidentiality Profile",
    CLEAN_PIXELS: "Clean Pixel Data Option",
    _FEATURES: "Clean Recognizable Visual Features Option",
}
METHODS = (
    f"PS3.15 {EDITION} Basic Profile, Clean Pixel Data Option",
    "Only images that have no text burned in are let through",
    "Recognizable visual features are not removed",
)
# Registered UIDs are the same for everybody: classes, well-known frames of reference. These are never registered.
_NEVER = frozenset(
    {
        tags.SOP_INSTANCE_UID,
        tags.REFERENCED_SOP_INSTANCE_UID,
        tags.STUDY_INSTANCE_UID,
        tags.SERIES_INSTANCE_UID,
    }
)
_SCANNED = frozenset({"AE", "IS", "LO", "LT", "SH", "ST", "UC", "UR", "UT"})
_IMAGE = "0028"  # in this group, numbers describe the pixels
_CONFORMING = {
    "CS": re.compile(r"[A-Za-z0-9_ \0./+-]{0,20}"),
    "DS": re.compile(r"[0-9eE+. \0-]{0,40}"),
    "IS": re.compile(r"[0-9+ \0.-]{0,40}"),
}

Replace = Callable[[str], str]


@dataclass(slots=True)
class _Walk:
    """One pass over a data set; `replace` returns the new UID for an old one."""

    sop_class: str
    replace: Replace
    known: Identifiers = field(default_factory=Identifiers)
    kept: list[tuple[str, Attribute]] = field(default_factory=list)

    def level(self, model: ReadOnlyDataSet, prefix: str, within: str) -> Iterator[AttributeChange]:
        place = RulePlace(self.sop_class, within)
        for tag, member in model.items():
            if tag == tags.SPECIFIC_CHARACTER_SET or (
                not prefix and (tag in OWN or not "0008" <= tag < "7FE0")
            ):
                continue  # the character set, pixel data and `OWN` are written elsewhere
            yield from self._member(tag, member, f"{prefix}{tag}", place)

    def _member(self, tag: str, member: Attribute, path: str, place: RulePlace) -> Iterator[AttributeChange]:
        vr = str(member.get("vr", "UN"))
        due = action(tag, vr, place)
        if due is AttributeAction.KEEP:
            yield from self._keep(tag, member, path)
            return
        self._learn(tag, member)
        if due is AttributeAction.UID:
            replaced = self._uids(tag, member)
            if replaced != member:
                yield AttributeChange(path, replaced)
        else:
            yield AttributeChange(path, _instead(due, tag, vr))

    def _keep(self, tag: str, member: Attribute, path: str) -> Iterator[AttributeChange]:
        if member.get("vr") == "SQ":
            for number, item in enumerate(member.get("Value") or (), 1):
                yield from self.level(item or {}, f"{path}/{number}/", tag)
        elif "BulkDataURI" in member and member.get("vr") in (*_SCANNED, "UN"):
            yield AttributeChange(path, None)  # such long text does not describe pixels
        elif _odd(member):
            yield AttributeChange(path, _make_empty(member))
        elif member.get("vr") in _SCANNED and (tag[:4], member.get("vr")) != (_IMAGE, "IS"):
            self.kept.append((path, member))

    def _learn(self, tag: str, member: Attribute) -> None:
        if member.get("vr") != "SQ":
            self.known.learn(tag, member)
            return
        for item in member.get("Value") or ():
            for inner, one in (item or {}).items():
                self._learn(inner, one)

    def _uids(self, tag: str, member: Attribute) -> Attribute | None:
        if member.keys() & {"BulkDataURI", "InlineBinary"}:
            return None
        values = [str(one or "").strip(" \0") for one in member.get("Value") or ()]
        kept = "" if tag in _NEVER else uids.REGISTERED
        new = [self.replace(one) if one and not (kept and one.startswith(kept)) else one for one in values]
        return {"vr": "UI", "Value": [one or None for one in new]} if new else {"vr": "UI"}


def _instead(due: AttributeAction, tag: str, vr: str) -> Attribute | None:
    if due is AttributeAction.DUMMY:
        return dummy(tag, vr)
    return {"vr": resolve_vr(tag, vr)} if due is AttributeAction.EMPTY else None


def make_deidentifying_patch(model: ReadOnlyDataSet, replace: Replace, *, pixels: bool) -> Patch:
    """Return the patch that de-identifies a data set. Raises DicomError.

    `pixels` says that the data set has pixels, and that they were found free of text. `replace` maps each old
    UID to a new one, always the same one, so that references still hold.
    """
    sop_class = _text(model, tags.SOP_CLASS_UID)
    walk = _Walk(sop_class, replace)
    changes = list(walk.level(model, "", ""))
    finder = walk.known.finder()
    changes += [
        AttributeChange(path, _make_empty(member)) for path, member in walk.kept if finder.holds(member)
    ]
    changes += [change for change in _own(model, finder, pixels=pixels) if not _same(model, change)]
    return Patch(tuple(changes))


def _odd(member: Attribute) -> bool:
    """Return whether a code or a number is text that its VR does not allow."""
    conforming = _CONFORMING.get(str(member.get("vr")))
    values = [one for one in member.get("Value") or () if isinstance(one, str)]
    return conforming is not None and not all(conforming.fullmatch(one) for one in values)


def _make_empty(member: Attribute) -> Attribute:
    return {"vr": member["vr"]}


def _same(model: ReadOnlyDataSet, change: AttributeChange) -> bool:
    return change.member is not None and model.get(change.path) == change.member


def _own(model: ReadOnlyDataSet, finder: Finder, *, pixels: bool) -> Iterator[AttributeChange]:
    """Yield the changes that record how the data set was de-identified (PS3.15 E.1.1, PS3.3 C.7.1.1)."""
    again = _text(model, tags.PATIENT_IDENTITY_REMOVED) == "YES"
    yield AttributeChange(tags.PATIENT_IDENTITY_REMOVED, {"vr": "CS", "Value": ["YES"]})
    said = model.get(tags.DEIDENTIFICATION_METHOD, {})
    before = list(said.get("Value") or ()) if again and not finder.holds(said) else []
    methods = dict.fromkeys([one for one in before if isinstance(one, str) and one] + list(METHODS))
    yield AttributeChange(tags.DEIDENTIFICATION_METHOD, {"vr": "LO", "Value": list(methods)})
    codes = [BASIC, CLEAN_PIXELS] if pixels else [BASIC]
    earlier = _earlier(model) if again else []
    items = [_code(code, _MEANINGS[code]) for code in dict.fromkeys([*earlier, *codes]) if code in _MEANINGS]
    yield AttributeChange(tags.DEIDENTIFICATION_METHOD_CODE_SEQUENCE, {"vr": "SQ", "Value": items})
    yield AttributeChange(tags.LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED, {"vr": "CS", "Value": ["REMOVED"]})
    if pixels:
        yield AttributeChange(tags.BURNED_IN_ANNOTATION, {"vr": "CS", "Value": ["NO"]})
    yield AttributeChange(tags.CONTRIBUTING_EQUIPMENT_SEQUENCE, {"vr": "SQ", "Value": [_EQUIPMENT]})


def _earlier(model: ReadOnlyDataSet) -> list[str]:
    """Return the codes of methods that were applied before, of coding scheme DCM."""
    items = model.get(tags.DEIDENTIFICATION_METHOD_CODE_SEQUENCE, {}).get("Value") or ()
    return [
        _text(item or {}, tags.CODE_VALUE)
        for item in items
        if _text(item or {}, tags.CODING_SCHEME_DESIGNATOR) == "DCM"
    ]


def _code(value: str, meaning: str) -> DataSet:
    return {
        tags.CODE_VALUE: {"vr": "SH", "Value": [value]},
        tags.CODING_SCHEME_DESIGNATOR: {"vr": "SH", "Value": ["DCM"]},
        tags.CODE_MEANING: {"vr": "LO", "Value": [meaning]},
    }


_EQUIPMENT: DataSet = {
    tags.MANUFACTURER: {"vr": "LO", "Value": ["dicomweb-gateway"]},
    tags.PURPOSE_OF_REFERENCE_CODE_SEQUENCE: {
        "vr": "SQ",
        "Value": [_code("109104", "De-identifying Equipment")],
    },
}


def _text(model: ReadOnlyDataSet, tag: str) -> str:
    values = model.get(tag, {}).get("Value") or [""]
    return str(values[0] or "").strip(" \0")
