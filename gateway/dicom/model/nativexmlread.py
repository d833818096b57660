"""Read Native DICOM Model documents as DICOM JSON data sets (PS3.19 A.1, PS3.18 F.3.1)."""

from __future__ import annotations

import re
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from gateway.dicom.dataset import Attribute, DataSet
from gateway.dicom.limits import LIMITS, MODEL
from gateway.errors import DicomError, LimitExceeded

_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_WHOLE = frozenset({"US", "SS", "UL", "SL", "UV", "SV"})
_REAL = frozenset({"FL", "FD"})
# A tag, whose quoted values may hold the characters that end it; possessive, so that it never backtracks.
_HEAD = re.compile(rb"""<(?![!?])[^<>"']*+(?:"[^"<]*+"[^<>"']*+|'[^'<]*+'[^<>"']*+)*+""")


def dataset(document: bytes) -> DataSet:
    """Return the data set of a document.

    Raises DicomError where it is not such a document, LimitExceeded where it is nested too deeply or too
    large. Document type declarations and entities are refused. A missing namespace and other cases of
    attribute names (`Tag`, `VR`) are accepted (X-24).
    """
    _check_heads(document)
    try:
        parser = DefusedXMLParser(target=_Counted(), forbid_dtd=True)
        parser.feed(document)
        root = parser.close()
    except DefusedXmlException as error:
        raise DicomError("the XML declares a document type or entities, which is not taken") from error
    except (ParseError, ValueError, LookupError) as error:
        raise DicomError(f"the XML is malformed: {error}") from error
    if _name(root) != "NativeDicomModel":
        raise DicomError(f"the XML is no NativeDicomModel but '{_name(root)[:40]}'")
    return _attributes(root, 0)


def _check_heads(document: bytes) -> None:
    """Raise LimitExceeded where there are too many tags, or the attributes of one are too long.

    The parser takes all attributes of an element at once, and everything else waits for it.
    """
    if len(document) <= MODEL.head:
        return
    if document.count(b"<") > 3 * MODEL.elements:  # each begins and ends, and some have comments between them
        raise LimitExceeded(f"the XML has more than {3 * MODEL.elements} tags; send it in several requests")
    if b"\0" in document[:4] or document[:2] in (b"\xff\xfe", b"\xfe\xff"):
        big = document[:1] in (b"\0", b"\xfe")
        document = document.decode("utf-16-be" if big else "utf-16-le", "replace").encode()
    if any(found.end() - found.start() > MODEL.head for found in _HEAD.finditer(document)):
        raise LimitExceeded(f"the XML has an element whose attributes are longer than {MODEL.head} bytes")


class _Counted(TreeBuilder):
    """A tree builder that stops at a number of elements and attributes.

    A count in advance would depend on the encoding of the document.
    """

    def __init__(self) -> None:
        super().__init__()
        self._elements, self._attributes = MODEL.elements, MODEL.values

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        self._elements -= 1
        self._attributes -= len(attrs)
        if self._elements < 0 or self._attributes < 0:
            raise LimitExceeded(
                f"the XML has more than {MODEL.elements} elements or {MODEL.values} attributes; "
                "send it in several requests"
            )
        return super().start(tag, attrs)


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _get(element: Element, name: str) -> str | None:
    found = element.get(name)
    if found is None:
        found = next((v for k, v in element.attrib.items() if k.lower() == name.lower()), None)
    return found


def _attributes(parent: Element, depth: int) -> DataSet:
    if depth > LIMITS.depth:
        raise LimitExceeded(f"sequences nested deeper than {LIMITS.depth}")
    found: DataSet = {}
    blocks = _Blocks(parent)
    for element in parent:
        if _name(element) != "DicomAttribute":
            raise DicomError(f"'{_name(element)[:40]}' where a DicomAttribute was due")
        tag = blocks.tag(element)
        if tag in found:
            raise DicomError(f"{tag} is there twice", tag=tag)
        found[tag] = _attribute(element, tag, depth)
    return dict(sorted({**blocks.creators(), **found}.items()))


class _Blocks:
    """The private blocks of one data set.

    The document names only creators; PS3.5 7.8.1 requires that they reserve blocks.
    """

    def __init__(self, parent: Element) -> None:
        self._blocks: dict[tuple[str, str], int] = {}
        # Blocks that are already used by elements without a creator, or by creator elements.
        tags = [(_get(e, "tag") or "").upper() for e in parent if not _get(e, "privateCreator")]
        self._taken = {(t[:4], int(t[6:], 16)) for t in tags if len(t) == 8 and t[4:6] == "00" and _odd(t)}
        self._taken |= {(t[:4], int(t[4:6], 16)) for t in tags if len(t) == 8 and t[4:6] != "00" and _odd(t)}

    def tag(self, element: Element) -> str:
        tag = (_get(element, "tag") or "").upper()
        if len(tag) != 8 or not all(c in "0123456789ABCDEF" for c in tag):
            raise DicomError(f"'{tag[:40]}' is no tag: want 8 hex digits")
        creator = _get(element, "privateCreator")
        if not creator or not _odd(tag):
            return tag
        key = (tag[:4], creator)
        if key not in self._blocks:
            block = next((b for b in range(0x10, 0x100) if (tag[:4], b) not in self._taken), None)
            if block is None:
                raise DicomError(f"group {tag[:4]} has no block left for '{creator[:40]}'", tag=tag)
            self._taken.add((tag[:4], block))
            self._blocks[key] = block
        return f"{tag[:4]}{self._blocks[key]:02X}{tag[6:]}"

    def creators(self) -> DataSet:
        return {
            f"{group}00{block:02X}": {"vr": "LO", "Value": [creator]}
            for (group, creator), block in self._blocks.items()
        }


def _odd(tag: str) -> bool:
    return int(tag[3], 16) % 2 == 1


def _attribute(element: Element, tag: str, depth: int) -> Attribute:
    vr = _get(element, "vr")
    member: Attribute = {"vr": vr} if vr else {}
    kinds = {_name(child) for child in element}
    if len(kinds) > 1:
        raise DicomError(f"{tag} has {' and '.join(sorted(kinds))}: want one kind (PS3.19 A.1.5)", tag=tag)
    if kinds == {"BulkData"}:
        (bulk,) = element if len(element) == 1 else (None,)
        uri = None if bulk is None else _get(bulk, "uri") or _get(bulk, "uuid")
        if not uri:
            raise DicomError(f"{tag}: want one BulkData with uri or uuid", tag=tag)
        return {**member, "BulkDataURI": uri}
    if kinds == {"InlineBinary"}:
        return {**member, "InlineBinary": "".join(element[0].itertext())}
    if kinds - {"Value", "Item", "PersonName"}:
        raise DicomError(f"{tag} holds '{kinds.pop()[:40]}', which the model has not", tag=tag)
    values = [_value(child, vr or "", tag, depth) for child in _order_by_number(element, tag)]
    return {**member, "Value": values} if values else member


def _order_by_number(element: Element, tag: str) -> list[Element]:
    """Return the values in the order of their numbers, or as they stand where they have none.

    Raises DicomError unless the numbers count from 1 without gaps.
    """
    numbers = [_get(child, "number") for child in element]
    if not any(numbers):
        return list(element)
    try:
        ordered = sorted(element, key=lambda child: int(_get(child, "number") or ""))
    except ValueError as error:
        raise DicomError(f"{tag}: the numbers of its values are no numbers", tag=tag) from error
    if [int(_get(child, "number") or 0) for child in ordered] != list(range(1, len(ordered) + 1)):
        raise DicomError(f"{tag}: the numbers of its values do not count from 1", tag=tag)
    return ordered


def _value(child: Element, vr: str, tag: str, depth: int) -> Any:
    kind = _name(child)
    if kind == "Item":
        return _attributes(child, depth + 1)
    if kind == "PersonName":
        return _person(child) or None
    text = "".join(child.itertext())
    if not text:
        return None
    try:
        if vr in _WHOLE:
            return int(text)
        if vr in _REAL:
            number = float(text)
            return number if number == number and abs(number) != float("inf") else text
    except ValueError as error:
        raise DicomError(f"{tag}: '{text[:40]}' is no number", tag=tag) from error
    return text


def _person(element: Element) -> dict[str, str]:
    groups = {_name(group): group for group in element}
    found = {}
    for name in _GROUPS:
        if name in groups:
            parts = {_name(part): "".join(part.itertext()) for part in groups[name]}
            text = "^".join(parts.get(component, "") for component in _COMPONENTS).rstrip("^")
            if text:
                found[name] = text
    return found
