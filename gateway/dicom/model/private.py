"""Private attributes by creator (PS3.5 7.8.1), whose block is looked up in each data set.

In paths of queries a private element is a `PrivateTag`; `where` finds the element of a data set that it
stands for.
"""

from __future__ import annotations

from gateway.dicom.dataset import Attribute, ReadOnlyDataSet

CREATORS = range(0x10, 0x100)


class PrivateTag(int):
    """The tag (gggg,xxee) of a creator; as a number it is in block 10, whatever its block in a data set."""

    creator: str

    def __new__(cls, tag: int, creator: str) -> PrivateTag:
        made = super().__new__(cls, tag & 0xFFFF_0000 | 0x1000 | tag & 0xFF)
        made.creator = creator
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PrivateTag) and int(self) == int(other) and self.creator == other.creator

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((int(self), self.creator))

    def __repr__(self) -> str:
        return f"PrivateTag({int(self):#010x}, {self.creator!r})"


def is_private(tag: int) -> bool:
    """Return whether the group number is odd."""
    return bool(tag >> 16 & 1)


def is_creator(tag: int) -> bool:
    """Return whether the tag is a creator element, (gggg,0010) to (gggg,00FF) of a private group."""
    return is_private(tag) and tag & 0xFFFF in CREATORS


def creator_of(tag: int) -> int:
    """Return the tag of the creator element of a private element's block."""
    return tag & 0xFFFF_0000 | tag >> 8 & 0xFF


def where(dataset: ReadOnlyDataSet, tag: int) -> str:
    """Return the key of an attribute in a DICOM JSON data set; empty where its creator has no block."""
    if not isinstance(tag, PrivateTag):
        return f"{tag:08X}"
    group = f"{tag >> 16:04X}"
    for key, attribute in dataset.items():
        if key.startswith(group) and key[4:6] == "00" and _first(attribute) == tag.creator:
            return f"{group}{key[6:]}{tag & 0xFF:02X}"
    return ""


def creator_key(key: str) -> str:
    """Return the key of the creator element for a private element's key."""
    return f"{key[:4]}00{key[4:6]}"


def _first(attribute: Attribute) -> str:
    values = attribute.get("Value")
    return str(values[0]).strip() if values else ""
