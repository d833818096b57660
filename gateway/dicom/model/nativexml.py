"""Write DICOM JSON data sets as Native DICOM Model documents (PS3.19 A.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape

from gateway.dicom.dataset import Attribute, ReadOnlyDataSet
from gateway.dicom.dictionary import keyword_of

NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
_HEAD = f'<?xml version="1.0" encoding="UTF-8"?>\n<NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">'
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")


def to_xml(dataset: ReadOnlyDataSet) -> bytes:
    """Return one document; characters that XML cannot hold become U+FFFD."""
    return "".join((_HEAD, *_attributes(dataset), "</NativeDicomModel>")).encode()


def _text(value: object) -> str:
    return escape(_ILLEGAL.sub("\ufffd", str(value)), {"\r": "&#13;"})


def _quote_xml(value: object) -> str:
    return escape(
        _ILLEGAL.sub("\ufffd", str(value)), {'"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}
    )


def _attributes(dataset: ReadOnlyDataSet) -> Iterator[str]:
    for tag in sorted(dataset):
        number = int(tag, 16)
        if number & 0xFFFF == 0 or number >> 16 == 2:
            continue  # group lengths and file meta are not part of the model
        if number >> 16 & 1 and 0x10 <= number & 0xFFFF <= 0xFF:
            continue  # the elements of its block name the creator
        yield from _attribute(tag, number, dataset[tag], _creator(dataset, number))


def _creator(dataset: ReadOnlyDataSet, tag: int) -> str | None:
    """Return the private creator of an element; None where it has none.

    A private element without creator keeps its tag: without the block number, elements of two blocks would
    have the same tag.
    """
    if not tag >> 16 & 1:
        return None
    values = dataset.get(f"{tag >> 16:04X}{tag >> 8 & 0xFF:04X}", {}).get("Value") or [""]
    return str(values[0] or "") or None


def _attribute(tag: str, number: int, attribute: Attribute, creator: str | None) -> Iterator[str]:
    shown = tag if creator is None else f"{tag[:4]}00{tag[6:]}"
    keyword = keyword_of(number)
    yield f'<DicomAttribute tag="{shown}" vr="{attribute["vr"]}"'
    if keyword:
        yield f' keyword="{keyword}"'
    if creator is not None:
        yield f' privateCreator="{_quote_xml(creator)}"'
    yield ">"
    if "BulkDataURI" in attribute:
        yield f'<BulkData uri="{_quote_xml(attribute["BulkDataURI"])}"/>'
    elif "InlineBinary" in attribute:
        yield f"<InlineBinary>{attribute['InlineBinary']}</InlineBinary>"
    else:
        for place, value in enumerate(attribute.get("Value", ()), 1):
            yield from _value(attribute["vr"], place, value)
    yield "</DicomAttribute>"


def _value(vr: str, place: int, value: Any) -> Iterator[str]:
    if vr == "SQ":
        yield f'<Item number="{place}">'
        yield from _attributes(value or {})
        yield "</Item>"
    elif vr == "PN":
        yield f'<PersonName number="{place}">'
        for group in ("Alphabetic", "Ideographic", "Phonetic"):
            if value and value.get(group):
                yield from _group(group, value[group])
        yield "</PersonName>"
    else:
        yield f'<Value number="{place}">{"" if value is None else _text(value)}</Value>'


def _group(group: str, text: str) -> Iterator[str]:
    yield f"<{group}>"
    for name, component in zip(_COMPONENTS, text.split("^", 4), strict=False):
        if component:
            yield f"<{name}>{_text(component)}</{name}>"
    yield f"</{group}>"
