"""The data set before its Pixel Data, written anew for other pixels (PS3.3 C.7.6.1.1.5, C.7.6.3; PS3.10 7.1)."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from gateway.dicom import tagnumbers, tags, uids
from gateway.dicom.dictionary import vr_of
from gateway.dicom.encoding.elementwriter import (
    CLOSE_ITEM,
    CLOSE_SEQUENCE,
    OPEN_ITEM,
    write_element,
    write_header,
    write_sequence,
    write_text,
)
from gateway.dicom.encoding.filemeta import file_meta
from gateway.dicom.encoding.structure import UNDEFINED
from gateway.dicom.encoding.topelements import top_elements
from gateway.errors import DicomError
from gateway.model import Identity, InstanceUID

_OFFSET_TABLES = frozenset({tagnumbers.EXTENDED_OFFSET_TABLE, tagnumbers.EXTENDED_OFFSET_TABLE_LENGTHS})
# Made from a UUID; names what a lossy representation of ours is derived by.
_NAMESPACE = uuid.UUID("0d8f2f0e-7a0c-4d8c-9a53-7f1b3b8f6d21")

# What an element becomes; it is given the element as it was, empty where there was none.
Edit = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Loss:
    """A step of lossy compression: its method (0028,2114), and the ratio that the first frame came to.

    (0028,2112) is 'approximate', and stands before the frames; so the first frame speaks for all.
    """

    method: str
    ratio: float


def derive_uid(instance: str, version: str, transfer_syntax: str) -> InstanceUID:
    """The SOP Instance UID of a lossy representation: the same for the same content and transfer syntax.

    PS3.3 C.7.6.1.1.5 gives the lossy version of a DICOM image a new UID. Drawn from what it is made of, it is
    the same whenever and by whichever process it is made (PS3.5 B.2).
    """
    name = f"{instance}|{version}|{transfer_syntax}"
    return InstanceUID(f"2.25.{uuid.uuid5(_NAMESPACE, name).int}")


def write_decoded_head(head: bytes, identity: Identity, changes: Mapping[str, str | int]) -> bytes:
    """A Part 10 head in Explicit VR Little Endian, `changes` mapping tags of 8 hex digits to new values."""
    return write_edited_head(head, identity, uids.EXPLICIT_VR_LITTLE_ENDIAN, replacing(changes))


def write_edited_head(
    head: bytes, identity: Identity, transfer_syntax: str, edits: Mapping[int, Edit]
) -> bytes:
    """A Part 10 head of the data set bytes before Pixel Data, in Explicit VR Little Endian.

    The extended offset tables go, since no fragment lies where it did, and group lengths, which would be wrong.
    Raises DicomError where the bytes are no whole elements.
    """
    elements: list[tuple[int, bytes]] = []
    at = 0
    for tag, start, at in top_elements(head):
        kept = tag in edits or (tag & 0xFFFF and tag not in _OFFSET_TABLES)
        elements.append((tag, head[start:at] if kept else b""))
    if at != len(head):
        raise DicomError("the header does not end where the pixel data begins", tag=tags.PIXEL_DATA)
    return file_meta(identity, transfer_syntax) + b"".join(apply_edits(elements, edits))


def apply_edits(elements: Iterable[tuple[int, bytes]], edits: Mapping[int, Edit]) -> Iterator[bytes]:
    """Yield each element as its edit has it, and where they belong those that were not there."""
    left = dict(edits)
    for tag, element in elements:
        yield from (left.pop(due)(b"") for due in sorted(left) if due < tag)
        yield left.pop(tag)(element) if tag in left else element
    yield from (left[tag](b"") for tag in sorted(left))


def replacing(changes: Mapping[str, str | int]) -> dict[int, Edit]:
    """Edits that set these values, whatever was there."""
    return {int(tag, 16): _setting(int(tag, 16), value) for tag, value in changes.items()}


def lossy_once() -> dict[int, Edit]:
    """Lossy Image Compression '01', which is never taken back (PS3.3 C.7.6.1.1.5)."""
    return {tagnumbers.LOSSY_IMAGE_COMPRESSION: _setting(tagnumbers.LOSSY_IMAGE_COMPRESSION, "01")}


def derive(
    source: Identity, version: str, transfer_syntax: str, loss: Loss
) -> tuple[Identity, dict[int, Edit]]:
    """The identity and the edits of an image that is a lossy version of `source` (PS3.3 C.7.6.1.1.5, C.12.4).

    A new SOP Instance UID; Image Type value 1 DERIVED; how and of what it was derived; ratio and method put
    after those of earlier steps.
    """
    uid = derive_uid(source.instance, version, transfer_syntax)
    predecessor = _code("121320", "Uncompressed predecessor")
    reference = _text(tagnumbers.REFERENCED_SOP_CLASS_UID, source.sop_class) + _text(
        tagnumbers.REFERENCED_SOP_INSTANCE_UID, source.instance
    )
    reference += write_sequence(tagnumbers.PURPOSE_OF_REFERENCE_CODE_SEQUENCE, [predecessor])
    return replace(source, instance=uid), {
        tagnumbers.IMAGE_TYPE: _image_type,
        tagnumbers.SOP_INSTANCE_UID: _setting(tagnumbers.SOP_INSTANCE_UID, uid),
        tagnumbers.DERIVATION_DESCRIPTION: lambda old: (
            old if len(old) > 8 else _text(tagnumbers.DERIVATION_DESCRIPTION, "Lossy compression")
        ),
        tagnumbers.SOURCE_IMAGE_SEQUENCE: lambda old: _with_item(
            tagnumbers.SOURCE_IMAGE_SEQUENCE, old, reference
        ),
        tagnumbers.DERIVATION_CODE_SEQUENCE: lambda old: _with_item(
            tagnumbers.DERIVATION_CODE_SEQUENCE, old, _code("113040", "Lossy Compression")
        ),
        **lossy_once(),
        tagnumbers.LOSSY_IMAGE_COMPRESSION_RATIO: lambda old: _with_value(
            tagnumbers.LOSSY_IMAGE_COMPRESSION_RATIO, old, f"{loss.ratio:.4g}"
        ),
        tagnumbers.LOSSY_IMAGE_COMPRESSION_METHOD: lambda old: _with_value(
            tagnumbers.LOSSY_IMAGE_COMPRESSION_METHOD, old, loss.method
        ),
    }


def _setting(tag: int, value: str | int) -> Edit:
    number = struct.pack("<H", value) if isinstance(value, int) else None
    element = _text(tag, str(value)) if number is None else write_element(tag, "US", number)
    return lambda _: element


def _text(tag: int, value: str) -> bytes:
    return write_text(tag, vr_of(tag) or "CS", value)


def _value(element: bytes) -> str:
    """Return the value of an element whose length has two bytes, without padding."""
    return element[8:].decode("latin-1").strip(" \0")


def _image_type(old: bytes) -> bytes:
    _, *others = _value(old).split("\\")
    return _text(tagnumbers.IMAGE_TYPE, "\\".join(["DERIVED", *(others or ["SECONDARY"])]))


def _with_value(tag: int, old: bytes, value: str) -> bytes:
    before = _value(old)
    return _text(tag, f"{before}\\{value}" if before else value)


def _code(value: str, meaning: str) -> bytes:
    """The content of an item of the Code Sequence Macro (PS3.3 8.8), from DCM."""
    return (
        _text(tagnumbers.CODE_VALUE, value)
        + _text(tagnumbers.CODING_SCHEME_DESIGNATOR, "DCM")
        + _text(tagnumbers.CODE_MEANING, meaning)
    )


def _with_item(tag: int, old: bytes, item: bytes) -> bytes:
    """The sequence with an item more; one that is not coded as SQ stays as it is."""
    if not old:
        return write_sequence(tag, [item])
    if old[4:6] != b"SQ":
        return old
    endless = old[8:12] == b"\xff\xff\xff\xff"
    content = old[12:-8] if endless else old[12:]
    return write_header(tag, "SQ", UNDEFINED) + content + OPEN_ITEM + item + CLOSE_ITEM + CLOSE_SEQUENCE
