"""Look up tags, value representations and keywords (PS3.6) in pydicom's tables."""

from __future__ import annotations

from functools import cache, lru_cache

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom._private_dict import private_dictionaries
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import keyword_dict


@cache
def _repeaters() -> dict[str, tuple[str, str]]:
    return {mask: (entry[0], entry[4]) for mask, entry in RepeatersDictionary.items()}


def _repeater(tag: int) -> tuple[str, str] | None:
    text = f"{tag:08x}"
    for mask, found in _repeaters().items():
        if all(m in ("x", c) for m, c in zip(mask.lower(), text, strict=True)):
            return found
    return None


@lru_cache(maxsize=65536)
def vr_of(tag: int) -> str:
    """Return the VR of a standard element as PS3.6 has it, possibly 'US or SS'; empty where it is unknown."""
    if tag & 0xFFFF == 0:
        return "UL"
    entry = DicomDictionary.get(tag)
    if entry is not None:
        return str(entry[0])
    if tag >> 16 & 1:
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else ""
    repeated = _repeater(tag)
    return repeated[0] if repeated else ""


@lru_cache(maxsize=65536)
def keyword_of(tag: int) -> str:
    """Return the keyword of a standard element; empty where it has none."""
    entry = DicomDictionary.get(tag)
    if entry is not None:
        return str(entry[4])
    repeated = None if tag >> 16 & 1 else _repeater(tag)
    return repeated[1] if repeated else ""


@cache
def _repeating_keywords() -> dict[str, int]:
    return {entry[1]: int(mask.replace("x", "0"), 16) for mask, entry in _repeaters().items() if entry[1]}


def tag_of(keyword: str) -> int | None:
    """Return the tag of a keyword; None where there is none. Case matters (PS3.18 8.3.1).

    The keyword of a repeating group stands for its first group.
    """
    tag = keyword_dict.get(keyword)
    return int(tag) if tag is not None else _repeating_keywords().get(keyword)


@lru_cache(maxsize=65536)
def private_vr(creator: str, tag: int) -> str:
    """Return the VR of a private element by its creator; empty where it is unknown."""
    entries = private_dictionaries.get(creator)
    if entries is None:
        return ""
    group, element = tag >> 16, tag & 0xFF
    found = entries.get(f"{group:04x}xx{element:02x}") or entries.get(f"{group:04X}xx{element:02X}")
    return str(found[0]) if found else ""


def is_multiple(tag: int) -> bool:
    """Return whether the element may hold several values (VM above 1)."""
    entry = DicomDictionary.get(tag)
    return entry is not None and str(entry[1]) != "1"


def is_retired(tag: int) -> bool:
    """Return whether PS3.6 has retired the element."""
    entry = DicomDictionary.get(tag)
    return entry is not None and str(entry[3]) == "Retired"


def uid_name(uid: str) -> str:
    """Return the name that PS3.6 Annex A gives a UID; empty where it has none."""
    entry = UID_dictionary.get(uid)
    return str(entry[0]).removesuffix(" (Retired)") if entry is not None else ""


def name_of(tag: int) -> str:
    """Return the keyword, or `(gggg,eeee)` where there is none, for use in messages."""
    return keyword_of(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
