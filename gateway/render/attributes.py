"""Read one DICOM JSON object (PS3.18 F.2) for rendering: typed getters that never raise on bad values."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

import numpy as np

from gateway.dicom import tags
from gateway.dicom.dataset import ReadOnlyDataSet

# Map each VR to the little endian NumPy type of one value.
_WORDS = {
    "US": "<u2",
    "SS": "<i2",
    "UL": "<u4",
    "SL": "<i4",
    "FL": "<f4",
    "FD": "<f8",
    "OB": "u1",
    "OW": "<u2",
    "OL": "<u4",
    "OF": "<f4",
    "OD": "<f8",
    "SV": "<i8",
    "UV": "<u8",
    "OV": "<u8",
}
# Sequences in which rendering may need a value that the metadata gives by reference.
_ENTERED = frozenset(
    {
        tags.SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
        tags.PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
        tags.REFERENCED_SERIES_SEQUENCE,  # Referenced Series of a presentation state
        tags.MODALITY_LUT_SEQUENCE,
        tags.VOI_LUT_SEQUENCE,
        tags.SOFTCOPY_VOI_LUT_SEQUENCE,
        tags.PRESENTATION_LUT_SEQUENCE,
        tags.FRAME_VOI_LUT_SEQUENCE,
        tags.PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
        tags.OPTICAL_PATH_SEQUENCE,
        tags.BLENDING_SEQUENCE,
        tags.SEGMENT_SEQUENCE,
        tags.GRAPHIC_ANNOTATION_SEQUENCE,
        tags.GRAPHIC_OBJECT_SEQUENCE,
    }
)
_WANTED = frozenset(
    {
        tags.ICC_PROFILE,
        tags.LUT_DATA,
        tags.WINDOW_CENTER,
        tags.WINDOW_WIDTH,
        tags.VERTICES_OF_THE_POLYGONAL_SHUTTER,
        tags.GRAPHIC_DATA,  # points of a graphic object
        tags.RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags.GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags.BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags.ALPHA_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags.SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags.SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags.SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    }
)


class Attributes:
    """A read-only view of a data set, or of an item in one.

    `bulk` maps a path such as `00283010/1/00283006` to the little endian bytes of a value that the metadata
    gives as BulkDataURI. A value by reference that is not in `bulk` reads as absent. Values of a wrong kind
    read as absent, too.
    """

    __slots__ = ("_at", "_bulk", "_members")

    def __init__(
        self, members: ReadOnlyDataSet, bulk: Mapping[str, bytes] | None = None, at: str = ""
    ) -> None:
        self._members = members
        self._bulk: Mapping[str, bytes] = bulk or {}
        self._at = at

    def __contains__(self, tag: str) -> bool:
        """Return whether the attribute is present with a value."""
        member = self._members.get(tag)
        if not isinstance(member, Mapping):
            return False
        return bool(member.get("Value")) or "InlineBinary" in member or "BulkDataURI" in member

    def tags(self) -> Iterator[str]:
        """Return an iterator over every tag, whether it has a value or not."""
        return iter(self._members)

    def with_changes(self, changes: Mapping[str, str | int]) -> Attributes:
        """Return a copy with other values for single-valued attributes.

        `changes` maps tags to new values, as `decode.describe_after` returns them: text becomes CS, numbers
        become US.
        """
        members = dict(self._members)
        for tag, value in changes.items():
            members[tag] = {"vr": "CS" if isinstance(value, str) else "US", "Value": [value]}
        return Attributes(members, self._bulk, self._at)

    def only(self, beginnings: tuple[str, ...]) -> Attributes:
        """Return the attributes whose tags begin with one of `beginnings`."""
        members = {tag: member for tag, member in self._members.items() if tag.startswith(beginnings)}
        return Attributes(members, self._bulk, self._at)

    def merge(self, other: Attributes) -> Attributes:
        """Return these attributes together with those of `other`; where both have a tag, these win."""
        bulk = {**other._bulk, **self._bulk}
        return Attributes({**other._members, **self._members}, bulk, self._at)

    def without(self, beginning: str) -> Attributes:
        """Return a copy without the attributes whose tags begin with `beginning`."""
        members = {tag: member for tag, member in self._members.items() if not tag.startswith(beginning)}
        return Attributes(members, self._bulk, self._at)

    def vr(self, tag: str) -> str:
        """Return the VR of the attribute; empty where the attribute is absent."""
        member = self._members.get(tag)
        return str(member.get("vr", "")) if isinstance(member, Mapping) else ""

    def values(self, tag: str) -> list[Any]:
        """Return the members of Value as JSON has them; an empty list where there are none."""
        member = self._members.get(tag)
        found = member.get("Value") if isinstance(member, Mapping) else None
        return found if isinstance(found, list) else []

    def text(self, tag: str) -> str:
        """Return the first value as text; empty where there is none.

        Of a person name, return the first component group that is present.
        """
        for value in self.values(tag)[:1]:
            if isinstance(value, Mapping):
                groups = (value.get(g) for g in ("Alphabetic", "Ideographic", "Phonetic"))
                return next((g for g in groups if isinstance(g, str) and g), "")
            return "" if value is None else str(value)
        return ""

    def groups(self, tag: str) -> list[str]:
        """Return the groups that the first name has, in the order alphabetic, ideographic, phonetic."""
        name = self.values(tag)[:1]
        if not name or not isinstance(name[0], Mapping):
            return [self.text(tag)] if self.text(tag) else []
        found = (name[0].get(group) for group in ("Alphabetic", "Ideographic", "Phonetic"))
        return [group for group in found if isinstance(group, str) and group]

    def texts(self, tag: str) -> list[str]:
        """Return every value as text."""
        return ["" if value is None else str(value) for value in self.values(tag)]

    def number(self, tag: str) -> float | None:
        """Return the first value as a finite number; None where it is absent or no such number."""
        found = self._numbers(tag, 1)
        return found[0] if found else None

    def integer(self, tag: str, default: int = 0) -> int:
        """Return the first value as a whole number, or `default` where there is none."""
        found = self.number(tag)
        return default if found is None else int(found)

    def numbers(self, tag: str) -> list[float]:
        """Return every value as a finite number; an empty list if any value is not one."""
        return self._numbers(tag, None)

    def _numbers(self, tag: str, most: int | None) -> list[float]:
        found = self.values(tag)[:most]
        if not found and tag in self:
            return self._read_referenced_numbers(tag)[:most]
        try:
            numbers = [float(value) for value in found]
        except (TypeError, ValueError, OverflowError):
            return []
        return numbers if all(map(isfinite, numbers)) else []

    def _read_referenced_numbers(self, tag: str) -> list[float]:
        data, vr = self.raw(tag) or b"", self.vr(tag)
        if vr in {"DS", "IS"}:
            try:
                numbers = [float(value) for value in data.decode("latin-1").strip(" \0").split("\\")]
            except ValueError:
                return []
        elif vr in _WORDS:
            kind = np.dtype(_WORDS[vr])
            numbers = np.frombuffer(data[: len(data) // kind.itemsize * kind.itemsize], kind).tolist()
        else:
            return []
        return numbers if all(map(isfinite, numbers)) else []

    def items(self, tag: str) -> list[Attributes]:
        """Return the items of a sequence."""
        return [
            Attributes(item if isinstance(item, Mapping) else {}, self._bulk, f"{self._at}{tag}/{number}/")
            for number, item in enumerate(self.values(tag), 1)
        ]

    def item(self, tag: str) -> Attributes | None:
        """Return the first item of a sequence; None where there is none."""
        found = self.items(tag)
        return found[0] if found else None

    def raw(self, tag: str) -> bytes | None:
        """Return the little endian bytes of a value; None where there are none.

        The value may be given by reference, inline, or as numbers of a binary VR, which are packed again.
        """
        member = self._members.get(tag)
        if not isinstance(member, Mapping):
            return None
        if "BulkDataURI" in member:
            return self._bulk.get(self._at + tag)
        if isinstance(member.get("InlineBinary"), str):
            try:
                return b64decode(member["InlineBinary"])
            except (Base64Error, ValueError):
                return None
        kind = _WORDS.get(self.vr(tag))
        if not kind or not member.get("Value"):
            return None
        return np.asarray(self.numbers(tag)).astype(kind).tobytes()

    def functional(self, frame: int, macro: str) -> Attributes | None:
        """Return the item of a functional group's sequence that holds for `frame` (from 1).

        It is the frame's own item if it has one, else the shared item; None where there is neither.
        """
        own = self.values(tags.PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)
        if 0 < frame <= len(own) and isinstance(own[frame - 1], Mapping):
            group = Attributes(
                own[frame - 1], self._bulk, f"{self._at}{tags.PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE}/{frame}/"
            )
            found = group.item(macro)
            if found is not None:
                return found
        shared = self.item(tags.SHARED_FUNCTIONAL_GROUPS_SEQUENCE)
        return shared.item(macro) if shared is not None else None


def bulk_wanted(members: ReadOnlyDataSet, at: str = "") -> list[str]:
    """Return the paths of the values by reference that rendering needs: LUTs, palettes, overlays, profiles.

    Pixel data is not among them. Their bytes go, in little endian order, into `Attributes(bulk=...)`.
    """
    paths: list[str] = []
    for tag, member in members.items():
        if not isinstance(member, Mapping):
            continue
        if tag in _ENTERED:
            for number, item in enumerate(member.get("Value") or [], 1):
                if isinstance(item, Mapping):
                    paths += bulk_wanted(item, f"{at}{tag}/{number}/")
        elif "BulkDataURI" in member and (tag in _WANTED or _is_overlay(tag)):
            paths.append(at + tag)
    return paths


def _is_overlay(tag: str) -> bool:
    return tag.startswith("60") and tag.endswith("3000")
