"""Header patches: ordered changes of attributes by path (PS3.3 C.12.1.1.9 says how they are recorded).

A patch is applied to a model (`apply_patch`) and to the bytes of a data set (`patchbytes.Patcher`) with the
same result. It never holds bulk data, and never changes pixel data or groups below 0008.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.dicom import tags
from gateway.dicom.dataset import Attribute, DataSet, ReadOnlyDataSet
from gateway.dicom.dictionary import vr_of
from gateway.errors import DicomError

_PATH = re.compile(r"[0-9A-F]{8}(?:/[1-9][0-9]{0,6}/[0-9A-F]{8})*\Z")
_PIXEL_GROUP = "7FE0"


@dataclass(frozen=True, slots=True)
class AttributeChange:
    """A change of one attribute: `member` is its new DICOM JSON object; None removes it.

    `path` has tags and item numbers from 1: `00100020`, `00400275/1/00400007`. It may name the item after the
    last one, which is then created, as is a missing sequence. To remove an item, replace its sequence.
    """

    path: str
    member: Attribute | None

    def __post_init__(self) -> None:
        """Raise DicomError where no such change is possible."""
        if not _PATH.match(self.path):
            raise DicomError(f"'{self.path[:60]}' is no path of tags and item numbers")
        if self.path < "0008" or self.path.startswith(_PIXEL_GROUP) or _writers(self.tags[-1]):
            raise DicomError(f"{self.path} is nothing that a header patch may change", tag=self.path)
        if self.member is not None and _has_reference(self.member):
            raise DicomError(f"{self.path}: a header patch holds its values itself", tag=self.path)

    @property
    def parts(self) -> list[str]:
        return self.path.split("/")

    @property
    def tags(self) -> list[str]:
        return self.parts[::2]


@dataclass(frozen=True, slots=True)
class Patch:
    """Changes in the order in which they are made."""

    changes: tuple[AttributeChange, ...]

    def dump(self) -> list[dict[str, Any]]:
        """Return the patch as JSON for the journal.

        `{"path": …}` removes an attribute, `{"path": …, "member": …}` sets it.
        """
        return [
            {"path": change.path, **({} if change.member is None else {"member": dict(change.member)})}
            for change in self.changes
        ]

    @staticmethod
    def load(entries: Iterable[Mapping[str, Any]]) -> Patch:
        """Return the patch that `dump` wrote. Raises DicomError."""
        return Patch(tuple(AttributeChange(entry["path"], entry.get("member")) for entry in entries))


@dataclass(frozen=True, slots=True)
class Modification:
    """The author, time and reason of a change.

    `reason` is COERCE or CORRECT; `source` is the source of the old values.
    """

    when: datetime
    system: str
    reason: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Nonconforming:
    """A value that its VR cannot hold, kept as octets (PS3.3 C.12.1.1.9)."""

    path: str
    vr: str
    value: bytes


def _writers(tag: str) -> bool:
    """Return whether the attribute describes how others are encoded: group length, character set."""
    return tag.endswith("0000") or tag == tags.SPECIFIC_CHARACTER_SET


def apply_patch(model: ReadOnlyDataSet, patch: Patch) -> DataSet:
    """Return the model with all changes made; `model` itself stays unchanged.

    Raises DicomError with the path where an item does not exist, or a private block has no creator.
    """
    found = dict(model)
    made: dict[int, Any] = {}
    for change in patch.changes:
        apply_to(found, change.parts, change, made)
    return dict(sorted(found.items()))


def apply_to(
    level: DataSet, parts: Sequence[str], change: AttributeChange, made: dict[int, Any] | None = None
) -> None:
    """Make one change in a data set; `parts` is the part of its path below this data set. Raises DicomError.

    `made` are the sequences that earlier changes have copied already, by identity, so that thousands of items
    are not copied for each change.
    """
    tag = parts[0]
    if len(parts) > 1:
        _apply_within(level, parts, change, made)
    elif change.member is None:
        level.pop(tag, None)
    else:
        _check_creator(level, tag, change)
        level[tag] = change.member


def _apply_within(
    level: DataSet, parts: Sequence[str], change: AttributeChange, made: dict[int, Any] | None
) -> None:
    tag, number = parts[0], int(parts[1])
    held = level.get(tag, {"vr": "SQ"})
    if held["vr"] != "SQ":
        raise DicomError(f"{change.path}: {tag} is no sequence", tag=change.path)
    copied = made is not None and id(held) in made
    items = held["Value"] if copied else list(held.get("Value", ()))
    if number > len(items) + 1:
        raise DicomError(f"{change.path}: {tag} has {len(items)} items", tag=change.path)
    if number > len(items):
        if change.member is None:
            return
        items.append({})
    item = dict(items[number - 1] or {})
    apply_to(item, parts[2:], change, made)
    items[number - 1] = dict(sorted(item.items()))
    if not copied:
        level[tag] = {"vr": "SQ", "Value": items}
    if made is not None:
        made[id(level[tag])] = level[tag]


def _check_creator(level: ReadOnlyDataSet, tag: str, change: AttributeChange) -> None:
    group, element = int(tag[:4], 16), int(tag[4:], 16)
    if group & 1 and element >= 0x1000 and f"{tag[:4]}00{tag[4:6]}" not in level:
        raise DicomError(f"{change.path}: no creator has reserved its private block", tag=change.path)


def _has_reference(member: Attribute) -> bool:
    if "BulkDataURI" in member:
        return True
    items: list[ReadOnlyDataSet] = [
        value for value in member.get("Value") or () if isinstance(value, Mapping)
    ]
    return any(
        _has_reference(inner) for item in items for inner in item.values() if isinstance(inner, Mapping)
    )


def original_attributes(
    model: ReadOnlyDataSet,
    patch: Patch,
    modification: Modification,
    nonconforming: Sequence[Nonconforming] = (),
) -> DataSet:
    """Return the item of Original Attributes Sequence for the changes of `patch` (PS3.3 C.12.1.1.9).

    A change in a sequence records the whole sequence; a new attribute is recorded without value. Values that
    are bulk data are left out: they are in the version before.
    """
    old: DataSet = {}
    for change in patch.changes:
        tag = change.tags[0]
        if tag in old or tag == tags.ORIGINAL_ATTRIBUTES_SEQUENCE:
            continue
        if tag in model:
            old[tag] = _without_references(model[tag])
            old |= _creator(model, tag)
        else:
            given = change.member.get("vr") if change.member is not None and len(change.parts) == 1 else None
            old[tag] = {"vr": given or ("SQ" if len(change.parts) > 1 else vr_of(int(tag, 16))[:2] or "UN")}
    item: DataSet = {
        tags.MODIFIED_ATTRIBUTES_SEQUENCE: {"vr": "SQ", "Value": [dict(sorted(old.items()))]},
        tags.ATTRIBUTE_MODIFICATION_DATE_TIME: {"vr": "DT", "Value": [_date_time(modification.when)]},
        tags.MODIFYING_SYSTEM: {"vr": "LO", "Value": [modification.system]},
        tags.SOURCE_OF_PREVIOUS_VALUES: {"vr": "LO", "Value": [modification.source]}
        if modification.source
        else {"vr": "LO"},
        tags.REASON_FOR_THE_ATTRIBUTE_MODIFICATION: {"vr": "CS", "Value": [modification.reason]},
    }
    if nonconforming:
        item[tags.NONCONFORMING_MODIFIED_ATTRIBUTES_SEQUENCE] = {
            "vr": "SQ",
            "Value": [_nonconforming(one) for one in nonconforming],
        }
    return dict(sorted(item.items()))


def remember_originals(model: ReadOnlyDataSet, item: ReadOnlyDataSet) -> Iterator[AttributeChange]:
    """Yield the changes that append `item` to Original Attributes Sequence; existing items stay unchanged."""
    number = len(model.get(tags.ORIGINAL_ATTRIBUTES_SEQUENCE, {}).get("Value", ())) + 1
    for tag, member in item.items():
        yield AttributeChange(f"{tags.ORIGINAL_ATTRIBUTES_SEQUENCE}/{number}/{tag}", member)


def _date_time(when: datetime) -> str:
    """Return a DT with its offset from UTC, where one is known (PS3.5 6.2)."""
    return when.strftime("%Y%m%d%H%M%S.%f") + when.strftime("%z")


def _creator(model: ReadOnlyDataSet, tag: str) -> DataSet:
    key = f"{tag[:4]}00{tag[4:6]}"
    return {key: model[key]} if int(tag[3], 16) & 1 and tag[4:6] != "00" and key in model else {}


def _without_references(member: Attribute) -> Attribute:
    if "BulkDataURI" in member:
        return {"vr": member["vr"]}
    if member.get("vr") != "SQ" or "Value" not in member:
        return member.copy()
    items = [{tag: _without_references(one) for tag, one in (item or {}).items()} for item in member["Value"]]
    return {"vr": "SQ", "Value": items}


def _nonconforming(one: Nonconforming) -> DataSet:
    """Return the Selector Attribute macro (PS3.3 Table 10-20) and the octets."""
    parts = one.path.split("/")
    item: DataSet = {
        tags.SELECTOR_ATTRIBUTE: {"vr": "AT", "Value": [parts[-1]]},
        tags.SELECTOR_ATTRIBUTE_VR: {"vr": "CS", "Value": [one.vr]},
        tags.NONCONFORMING_DATA_ELEMENT_VALUE: {
            "vr": "OB",
            "InlineBinary": b64encode(one.value).decode("ascii"),
        },
    }
    if len(parts) > 1:
        item[tags.SELECTOR_SEQUENCE_POINTER] = {"vr": "AT", "Value": parts[:-1:2]}
        item[tags.SELECTOR_SEQUENCE_POINTER_ITEMS] = {
            "vr": "IS",
            "Value": [int(number) for number in parts[1::2]],
        }
    return dict(sorted(item.items()))
