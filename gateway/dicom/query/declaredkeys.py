"""Query keys beyond the built-in ones: any attribute, standard or private, also within sequences.

A key is written as in a search, a private element with its creator in brackets: `00181030`,
`RequestAttributesSequence.ScheduledProcedureStepID`, `00231001[Acme 1.0]`. Where no dictionary knows the VR,
it follows a colon: `00231001[Acme 1.0]:DS`. In a creator, `%2C` is a comma and `%5D` a bracket.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from gateway.dicom.dataset import Attribute, ReadOnlyDataSet
from gateway.dicom.dictionary import keyword_of, private_vr, tag_of, vr_of
from gateway.dicom.model.private import PrivateTag, is_creator, is_private, where
from gateway.dicom.query import searchkeys
from gateway.dicom.query.levels import level_of
from gateway.dicom.query.match import NUMERIC, TEMPORAL
from gateway.dicom.query.query import Path
from gateway.dicom.query.timezones import zone_of
from gateway.errors import BadParameter
from gateway.model import Level

TEXTS = frozenset({"AE", "AS", "AT", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UI", "UR", "UT"})
INDEXABLE = TEXTS | NUMERIC | TEMPORAL.keys()
MOST_CHARACTERS = 512
MOST_VALUES = 1000
MOST_DEPTH = 16

_PIECE = re.compile(r"([0-9A-Fa-f]{8}|[A-Z][A-Za-z0-9]*)(?:\[([^\]]{1,200})\])?")
_FORM = (
    "a keyword, a tag of 8 hex digits, or these joined by dots; a private tag with [its creator]; then :VR"
)


@dataclass(frozen=True, slots=True)
class Definition:
    """A declared key: the path of an attribute, and the VR by which its values are compared."""

    path: Path
    vr: str

    @property
    def level(self) -> Level:
        """The level of the searches that may use the key: that of its first attribute (PS3.18 10.6.1.2.1)."""
        return level_of(self.path[0])

    def __str__(self) -> str:
        return f"{'.'.join(map(_format_tag, self.path))}:{self.vr}"


@dataclass(frozen=True, slots=True)
class KeyValue:
    """One value of one item, normalised; `text` is empty where the value cannot be compared."""

    item: str
    ordinal: int
    text: str
    ideographic: str = ""
    phonetic: str = ""
    words: str = ""


def _format_tag(tag: int) -> str:
    if isinstance(tag, PrivateTag):
        return f"{tag:08X}[{quote(tag.creator, safe=' ._-/()+&')}]"
    return f"{tag:08X}"


def name(definition: Definition) -> str:
    """Return the key as people know it: with keywords where there are any."""
    return ".".join(keyword_of(tag) or _format_tag(tag) for tag in definition.path)


def parse_definition(text: str, vr: str = "") -> Definition:
    """Return the definition of a declared key. Raises BadParameter that names the mistake."""
    path: list[int] = []
    position = 0
    while True:
        found = _PIECE.match(text, position)
        if found is None:
            raise _bad(text, _FORM)
        path.append(_tag(text, found[1], unquote(found[2]) if found[2] else ""))
        position = found.end()
        if text[position : position + 1] != ".":
            break
        position += 1
    rest = text[position:]
    if rest and not re.fullmatch(r":[A-Z]{2}", rest):
        raise _bad(text, _FORM)
    return _check_definition(text, tuple(path), vr or rest[1:])


def _tag(text: str, name: str, creator: str) -> int:
    tag = int(name, 16) if re.fullmatch(r"[0-9A-Fa-f]{8}", name) else tag_of(name)
    if tag is None or tag >> 16 in (0x0000, 0x0002, 0xFFFE):
        raise _bad(text, f"a data element where '{name}' stands")
    if not is_private(tag):
        if creator:
            raise _bad(text, f"no creator behind {name}, which is not private")
        return tag
    if not creator or is_creator(tag) or tag & 0xFFFF < 0x1000:
        raise _bad(text, f"a private element with its creator, such as {tag >> 16:04X}1001[Acme 1.0]")
    return PrivateTag(tag, creator.strip())


def _check_definition(text: str, path: Path, vr: str) -> Definition:
    if len(path) > MOST_DEPTH:
        raise _bad(text, f"at most {MOST_DEPTH} attributes")
    if any(_find_vr(tag) not in ("SQ", "") for tag in path[:-1]):
        raise _bad(text, "sequences before the last dot")
    known = _find_vr(path[-1])
    if known and vr and vr != known and not is_private(path[-1]):
        raise _bad(text, f"VR {known}")
    vr = vr or known
    if not vr:
        raise _bad(text, "a VR behind a colon: no dictionary knows this element")
    if vr not in INDEXABLE:
        raise _bad(text, f"a VR whose values can be compared; {vr} has none")
    return Definition(path, vr)


def _find_vr(tag: int) -> str:
    vr = private_vr(tag.creator, tag) if isinstance(tag, PrivateTag) else vr_of(tag)
    return "US" if vr == "US or SS" else vr


def _bad(text: str, wanted: str) -> BadParameter:
    return BadParameter(f"query key '{text[:200]}': want {wanted}", parameter="key", expected=wanted)


# -- values -----------------------------------------------------------------------------------------------


def values(dataset: ReadOnlyDataSet, definition: Definition) -> tuple[list[KeyValue], str]:
    """Return the values of a data set of DICOM JSON, and why some cannot be compared; empty where all can."""
    found: list[KeyValue] = []
    reasons: dict[str, None] = {}
    zone = zone_of(dataset)
    for item, attribute in _leaves(dataset, definition.path, ()):
        place = "/".join(map(str, item))
        for ordinal, value in enumerate(_several(attribute)):
            if len(found) == MOST_VALUES:
                reasons[f"more than {MOST_VALUES} values: the others are not indexed"] = None
                break
            made, reason = _value(definition.vr, value, zone)
            if made is not None:
                found.append(KeyValue(place, ordinal, *made))
            if reason:
                reasons[reason] = None
    return found, "; ".join(reasons)


def _leaves(
    dataset: ReadOnlyDataSet, path: Path, item: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], Attribute]]:
    attribute = dataset.get(where(dataset, path[0]))
    if not isinstance(attribute, Mapping):
        return
    if len(path) == 1:
        yield item, attribute
        return
    for number, inner in enumerate(attribute.get("Value", ())):
        if isinstance(inner, Mapping):
            yield from _leaves(inner, path[1:], (*item, number))


def _several(attribute: Attribute) -> Sequence[Any]:
    if "Value" in attribute:
        several: Sequence[Any] = attribute["Value"]
        return several
    return (attribute,) if "BulkDataURI" in attribute or "InlineBinary" in attribute else ()


def _value(vr: str, value: Any, zone: str) -> tuple[tuple[str, ...] | None, str]:
    """Return the fields to index, None for nothing, and why they are not the whole value."""
    if value is None or value == "":
        return None, ""
    if isinstance(value, Mapping) and vr != "PN":
        bulk = "BulkDataURI" in value or "InlineBinary" in value
        return ("",), "the value is bulk data" if bulk else "the value is not of this VR"
    if vr == "PN":
        return _name(value)
    text = str(value).replace("\0", "")
    if vr in TEMPORAL:
        key = searchkeys.datetime_key(text, zone) if vr == "DT" else TEMPORAL[vr](text)
        return (key,), "" if key else f"the value is no {vr}"
    if vr in NUMERIC:
        key = searchkeys.number_key(text, vr)
        return ((key,), "") if _is_number(key) else (("",), "the value is no number")
    cut = (
        f"longer than {MOST_CHARACTERS} characters: compared by these" if len(text) > MOST_CHARACTERS else ""
    )
    return (text[:MOST_CHARACTERS],), cut


def _name(value: Any) -> tuple[tuple[str, ...] | None, str]:
    if isinstance(value, Mapping) and ("BulkDataURI" in value or "InlineBinary" in value):
        return ("",), "the value is bulk data"
    groups = [group.replace("\0", "")[:MOST_CHARACTERS] for group in searchkeys.split_stored_groups(value)]
    if not any(groups):
        return None, ""
    words = searchkeys.fuzzy_tokens(searchkeys.name_text(value)).replace("\0", "")
    return (*groups, words), ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
