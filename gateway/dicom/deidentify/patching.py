"""Make the header patch that de-identifies a data set.

It follows the Basic Profile with Clean Pixel Data (PS3.15 E.2, E.3.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

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
_METHOD, _CODES, _REMOVED = "00120063", "00120064", "00120062"
# Registered UIDs are the same for everybody: classes, well-known frames of reference. These are never registered.
_REGISTERED = "1.2.840.10008."
_NEVER = frozenset({"00080018", "00081155", "0020000D", "0020000E"})
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
    kept: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def level(self, model: Mapping[str, Any], prefix: str, within: str) -> Iterator[AttributeChange]:
        place = RulePlace(self.sop_class, within)
        for tag, member in model.items():
            if tag == "00080005" or (not prefix and (tag in OWN or not "0008" <= tag < "7FE0")):
                continue  # the character set, pixel data and `OWN` are written elsewhere
            yield from self._member(tag, member, f"{prefix}{tag}", place)

    def _member(
        self, tag: str, member: Mapping[str, Any], path: str, place: RulePlace
    ) -> Iterator[AttributeChange]:
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

    def _keep(self, tag: str, member: Mapping[str, Any], path: str) -> Iterator[AttributeChange]:
        if member.get("vr") == "SQ":
            for number, item in enumerate(member.get("Value") or (), 1):
                yield from self.level(item or {}, f"{path}/{number}/", tag)
        elif "BulkDataURI" in member and member.get("vr") in (*_SCANNED, "UN"):
            yield AttributeChange(path, None)  # such long text does not describe pixels
        elif _odd(member):
            yield AttributeChange(path, _make_empty(member))
        elif member.get("vr") in _SCANNED and (tag[:4], member.get("vr")) != (_IMAGE, "IS"):
            self.kept.append((path, member))

    def _learn(self, tag: str, member: Mapping[str, Any]) -> None:
        if member.get("vr") != "SQ":
            self.known.learn(tag, member)
            return
        for item in member.get("Value") or ():
            for inner, one in (item or {}).items():
                self._learn(inner, one)

    def _uids(self, tag: str, member: Mapping[str, Any]) -> dict[str, Any] | None:
        if member.keys() & {"BulkDataURI", "InlineBinary"}:
            return None
        values = [str(one or "").strip(" \0") for one in member.get("Value") or ()]
        kept = "" if tag in _NEVER else _REGISTERED
        new = [self.replace(one) if one and not (kept and one.startswith(kept)) else one for one in values]
        return {"vr": "UI", "Value": [one or None for one in new]} if new else {"vr": "UI"}


def _instead(due: AttributeAction, tag: str, vr: str) -> Mapping[str, Any] | None:
    if due is AttributeAction.DUMMY:
        return dummy(tag, vr)
    return {"vr": resolve_vr(tag, vr)} if due is AttributeAction.EMPTY else None


def make_deidentifying_patch(model: Mapping[str, Any], replace: Replace, *, pixels: bool) -> Patch:
    """Return the patch that de-identifies a data set. Raises DicomError.

    `pixels` says that the data set has pixels, and that they were found free of text. `replace` maps each old
    UID to a new one, always the same one, so that references still hold.
    """
    sop_class = _text(model, "00080016")
    walk = _Walk(sop_class, replace)
    changes = list(walk.level(model, "", ""))
    finder = walk.known.finder()
    changes += [
        AttributeChange(path, _make_empty(member)) for path, member in walk.kept if finder.holds(member)
    ]
    changes += [change for change in _own(model, finder, pixels=pixels) if not _same(model, change)]
    return Patch(tuple(changes))


def _odd(member: Mapping[str, Any]) -> bool:
    """Return whether a code or a number is text that its VR does not allow."""
    conforming = _CONFORMING.get(str(member.get("vr")))
    values = [one for one in member.get("Value") or () if isinstance(one, str)]
    return conforming is not None and not all(conforming.fullmatch(one) for one in values)


def _make_empty(member: Mapping[str, Any]) -> dict[str, Any]:
    return {"vr": member["vr"]}


def _same(model: Mapping[str, Any], change: AttributeChange) -> bool:
    return change.member is not None and model.get(change.path) == change.member


def _own(model: Mapping[str, Any], finder: Finder, *, pixels: bool) -> Iterator[AttributeChange]:
    """Yield the changes that record how the data set was de-identified (PS3.15 E.1.1, PS3.3 C.7.1.1)."""
    again = _text(model, _REMOVED) == "YES"
    yield AttributeChange(_REMOVED, {"vr": "CS", "Value": ["YES"]})
    said = model.get(_METHOD, {})
    before = list(said.get("Value") or ()) if again and not finder.holds(said) else []
    methods = dict.fromkeys([one for one in before if isinstance(one, str) and one] + list(METHODS))
    yield AttributeChange(_METHOD, {"vr": "LO", "Value": list(methods)})
    codes = [BASIC, CLEAN_PIXELS] if pixels else [BASIC]
    earlier = _earlier(model) if again else []
    items = [_code(code, _MEANINGS[code]) for code in dict.fromkeys([*earlier, *codes]) if code in _MEANINGS]
    yield AttributeChange(_CODES, {"vr": "SQ", "Value": items})
    yield AttributeChange("00280303", {"vr": "CS", "Value": ["REMOVED"]})
    if pixels:
        yield AttributeChange("00280301", {"vr": "CS", "Value": ["NO"]})
    yield AttributeChange("0018A001", {"vr": "SQ", "Value": [_EQUIPMENT]})


def _earlier(model: Mapping[str, Any]) -> list[str]:
    """Return the codes of methods that were applied before, of coding scheme DCM."""
    items = model.get(_CODES, {}).get("Value") or ()
    return [_text(item or {}, "00080100") for item in items if _text(item or {}, "00080102") == "DCM"]


def _code(value: str, meaning: str) -> dict[str, Any]:
    return {
        "00080100": {"vr": "SH", "Value": [value]},
        "00080102": {"vr": "SH", "Value": ["DCM"]},
        "00080104": {"vr": "LO", "Value": [meaning]},
    }


_EQUIPMENT: dict[str, Any] = {
    "00080070": {"vr": "LO", "Value": ["dicomweb-gateway"]},
    "0040A170": {"vr": "SQ", "Value": [_code("109104", "De-identifying Equipment")]},
}


def _text(model: Mapping[str, Any], tag: str) -> str:
    values = model.get(tag, {}).get("Value") or [""]
    return str(values[0] or "").strip(" \0")
