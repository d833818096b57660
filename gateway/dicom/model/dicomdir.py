"""Build a DICOMDIR from the metadata of the instances that it lists (PS3.3 Annex F, PS3.10 8). Pure.

A value that an instance lacks and a directory must have is set in the directory only, by the defaults below.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from struct import pack
from typing import Any

from gateway.dicom.encoding.elementwriter import write_element, write_header, write_item_header, write_text
from gateway.dicom.encoding.filemeta import file_meta
from gateway.dicom.model.encode import Octets, encode
from gateway.errors import DicomError
from gateway.model import EXPLICIT_VR_LE, Identity, InstanceUID, SeriesUID, StudyUID

BASIC_DIRECTORY = "1.2.840.10008.1.3.10"
_ITEM_HEADER = 8
_CHARSET = "00080005"

# Record type by the beginning of the SOP Class UID; the longest that fits wins (PS3.3 Table F.4-1, F-76, F-77).
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_TYPES = {
    _STORAGE: "IMAGE",
    _STORAGE + "4.2": "SPECTROSCOPY",
    _STORAGE + "9.": "WAVEFORM",
    _STORAGE + "11.": "PRESENTATION",
    _STORAGE + "30": "RAW DATA",
    _STORAGE + "66": "RAW DATA",
    _STORAGE + "66.1": "REGISTRATION",
    _STORAGE + "66.2": "FIDUCIAL",
    _STORAGE + "66.3": "REGISTRATION",
    _STORAGE + "66.4": "IMAGE",
    _STORAGE + "66.5": "SURFACE",
    _STORAGE + "66.6": "TRACT",
    _STORAGE + "66.7": "IMAGE",
    _STORAGE + "67": "VALUE MAP",
    _STORAGE + "68.": "SURFACE SCAN",
    _STORAGE + "77.1.5.3": "STEREOMETRIC",
    _STORAGE + "78.": "MEASUREMENT",
    _STORAGE + "79.1": "SR DOCUMENT",
    _STORAGE + "88.": "SR DOCUMENT",
    _STORAGE + "88.59": "KEY OBJECT DOC",
    _STORAGE + "90.1": "ASSESSMENT",
    _STORAGE + "91.1": "ANNOTATION",
    _STORAGE + "104.": "ENCAP DOC",
    _STORAGE + "481.1": "IMAGE",
    _STORAGE + "481.2": "RT DOSE",
    _STORAGE + "481.3": "RT STRUCTURE SET",
    _STORAGE + "481.4": "RT TREAT RECORD",
    _STORAGE + "481.5": "RT PLAN",
    _STORAGE + "481.6": "RT TREAT RECORD",
    _STORAGE + "481.7": "RT TREAT RECORD",
    _STORAGE + "481.8": "RT PLAN",
    _STORAGE + "481.9": "RT TREAT RECORD",
    **{f"{_STORAGE}481.{n}": "RADIOTHERAPY" for n in range(10, 26)},
}
_INSTANCE = ("00200013", "IS", "1")
_CONTENT = (("00080023", "DA", "19000101"), ("00080033", "TM", "000000"))
_LABELLED = (*_CONTENT, _INSTANCE, ("00700080", "CS", "UNNAMED"))
_DESCRIBED = (("00700081", "LO", ""), ("00700084", "PN", ""))
# Keys of each record: tag, VR, and the default for a missing value ('' where a key may be empty: Type 2).
_KEYS: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "PATIENT": (("00100010", "PN", ""), ("00100020", "LO", "UNKNOWN")),
    "STUDY": (
        *(("00080020", "DA", "19000101"), ("00080030", "TM", "000000"), ("00080050", "SH", "")),
        *(("00081030", "LO", ""), ("0020000D", "UI", ""), ("00200010", "SH", "0")),
    ),
    "SERIES": (("00080060", "CS", "OT"), ("0020000E", "UI", ""), ("00200011", "IS", "0")),
    "IMAGE": (_INSTANCE,),
    "RT DOSE": (_INSTANCE, ("3004000A", "CS", "PLAN")),
    "RT STRUCTURE SET": (
        *(_INSTANCE, ("30060002", "SH", "UNNAMED")),
        *(("30060008", "DA", ""), ("30060009", "TM", "")),
    ),
    "RT PLAN": (
        *(_INSTANCE, ("300A0002", "SH", "UNNAMED")),
        *(("300A0006", "DA", ""), ("300A0007", "TM", "")),
    ),
    "RT TREAT RECORD": (_INSTANCE, ("30080250", "DA", ""), ("30080251", "TM", "")),
    "PRESENTATION": (
        *(("00700082", "DA", "19000101"), ("00700083", "TM", "000000"), _INSTANCE),
        *(("00700080", "CS", "UNNAMED"), *_DESCRIBED),
    ),
    "WAVEFORM": (*_CONTENT, _INSTANCE),
    "RAW DATA": (*_CONTENT, _INSTANCE),
    "SR DOCUMENT": (*_CONTENT, _INSTANCE, ("0040A491", "CS", "PARTIAL"), ("0040A493", "CS", "UNVERIFIED")),
    "KEY OBJECT DOC": (*_CONTENT, _INSTANCE),
    "SPECTROSCOPY": (
        *(("00080008", "CS", "ORIGINAL"), *_CONTENT, _INSTANCE, ("00280008", "IS", "1")),
        *(("00280010", "US", "1"), ("00280011", "US", "1"), ("00289001", "UL", "1"), ("00289002", "UL", "1")),
    ),
    **dict.fromkeys(
        ("REGISTRATION", "FIDUCIAL", "VALUE MAP", "MEASUREMENT", "SURFACE", "TRACT", "ANNOTATION"),
        (*_LABELLED, *_DESCRIBED),
    ),
    "ENCAP DOC": (
        *(_INSTANCE, ("00080023", "DA", ""), ("00080033", "TM", ""), ("00420010", "ST", "")),
        ("00420012", "LO", "application/octet-stream"),
    ),
    "STEREOMETRIC": (),
    "SURFACE SCAN": _CONTENT,
    "ASSESSMENT": (_INSTANCE, ("00080012", "DA", "19000101"), ("00080013", "TM", "")),
    "RADIOTHERAPY": (_INSTANCE, *_DESCRIBED),
}
# The sequence that a record may have: Concept Name Code, which must not be missing in a report.
_CONCEPT = "0040A043"
_WITH_CONCEPT = frozenset({"SR DOCUMENT", "KEY OBJECT DOC"})
_DOCUMENT_TITLE = {
    "00080100": {"vr": "SH", "Value": ["121144"]},
    "00080102": {"vr": "SH", "Value": ["DCM"]},
    "00080104": {"vr": "LO", "Value": ["Document Title"]},
}


# Pixel data decides between two types of record.
_PIXELS = frozenset({"7FE00010", "7FE00008", "7FE00009"})
_READ = frozenset({_CHARSET, _CONCEPT, *_PIXELS, *(key[0] for keys in _KEYS.values() for key in keys)})


def pick_record_keys(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of an instance that a directory needs, a small part of a multi-frame image's."""
    return {tag: model[tag] for tag in _READ & model.keys()}


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the directory; `file_id` has components of A-Z, 0-9 and _, at most 8 characters each.

    `model` is its metadata as `pick_record_keys` returns it.
    """

    file_id: tuple[str, ...]
    identity: Identity
    transfer_syntax: str
    model: Mapping[str, Any]


@dataclass(slots=True)
class _Record:
    kind: str
    keys: bytes
    entry: Entry | None = None
    below: list[_Record] = field(default_factory=list)
    at: int = 0
    next: int = 0
    lower: int = 0

    def body(self) -> bytes:
        """Return the encoded record; its length does not depend on the offsets."""
        parts = [
            write_element(0x00041400, "UL", pack("<I", self.next)),
            write_element(0x00041410, "US", b"\xff\xff"),
            write_element(0x00041420, "UL", pack("<I", self.lower)),
            write_text(0x00041430, "CS", self.kind),
        ]
        if self.entry is not None:
            parts += [
                write_text(0x00041500, "CS", "\\".join(self.entry.file_id)),
                write_text(0x00041510, "UI", self.entry.identity.sop_class),
                write_text(0x00041511, "UI", self.entry.identity.instance),
                write_text(0x00041512, "UI", self.entry.transfer_syntax),
            ]
        return b"".join(parts) + self.keys


def dicomdir(entries: Sequence[Entry], file_set: str, uid: str) -> bytes:
    """Return the DICOMDIR file; `file_set` is the File-set ID, `uid` the File-set UID.

    Entries of a study are grouped together. Raises DicomError where the file would be too long for its
    offsets.
    """
    roots = _tree(entries)
    records = list(_flat(roots))
    identity = Identity(StudyUID(uid), SeriesUID(uid), InstanceUID(uid), BASIC_DIRECTORY)
    meta = file_meta(identity, EXPLICIT_VR_LE)
    # Bytes before the first item: four elements of the file-set, and the header of the sequence.
    head_length = len(_head(file_set, 0, 0)) + 12
    at = len(meta) + head_length
    for record in records:
        record.at = at
        at += _ITEM_HEADER + len(record.body())
    if at >= 1 << 32:
        raise DicomError("a DICOMDIR of more than 4 GiB cannot be written")
    _link(roots)
    items = b"".join(write_item_header(len(body)) + body for body in (r.body() for r in records))
    head = _head(file_set, roots[0].at if roots else 0, roots[-1].at if roots else 0)
    return meta + head + write_header(0x00041220, "SQ", len(items)) + items


def record_type(sop_class: str, model: Mapping[str, Any]) -> str:
    """Return the record type of an instance; an unknown class is an image if it has pixels, else raw data."""
    best = max((prefix for prefix in _TYPES if _fits(sop_class, prefix)), key=len, default="")
    found = _TYPES.get(best, "IMAGE")
    return "RAW DATA" if found == "IMAGE" and not _PIXELS & model.keys() else found


def _fits(sop_class: str, prefix: str) -> bool:
    return sop_class == prefix or sop_class.startswith(prefix if prefix.endswith(".") else prefix + ".")


def _tree(entries: Sequence[Entry]) -> list[_Record]:
    patients: dict[str, _Record] = {}
    studies: dict[str, _Record] = {}
    series: dict[tuple[str, str], _Record] = {}
    for entry in entries:
        patient_id, study = _value(entry.model, "00100020"), entry.identity.study
        if patient_id not in patients:
            patients[patient_id] = _Record("PATIENT", _keys("PATIENT", entry.model))
        if study not in studies:
            studies[study] = _Record("STUDY", _keys("STUDY", entry.model))
            patients[patient_id].below.append(studies[study])
        key = (study, str(entry.identity.series))
        if key not in series:
            series[key] = _Record("SERIES", _keys("SERIES", entry.model))
            studies[study].below.append(series[key])
        kind = record_type(entry.identity.sop_class, entry.model)
        series[key].below.append(_Record(kind, _keys(kind, entry.model), entry))
    return list(patients.values())


def _flat(records: Sequence[_Record]) -> Iterator[_Record]:
    for record in records:
        yield record
        yield from _flat(record.below)


def _link(records: Sequence[_Record]) -> None:
    for index, record in enumerate(records):
        record.next = records[index + 1].at if index + 1 < len(records) else 0
        record.lower = record.below[0].at if record.below else 0
        _link(record.below)


def _value(model: Mapping[str, Any], tag: str) -> str:
    values = (model.get(tag) or {}).get("Value") or [""]
    return "" if values[0] is None else str(values[0])


def _keys(kind: str, model: Mapping[str, Any]) -> bytes:
    """Return the encoded keys of a record, in the character set that their text needs (F-36)."""
    found: dict[str, Any] = {}
    for tag, vr, default in _KEYS[kind]:
        given = model.get(tag) or {}
        if given.get("Value") and given["Value"] != [None]:
            found[tag] = {"vr": vr, "Value": given["Value"]}
        elif default:
            found[tag] = {"vr": vr, "Value": [int(default) if vr in ("US", "UL") else default]}
        else:
            found[tag] = {"vr": vr}
    if kind in _WITH_CONCEPT:
        items = (model.get(_CONCEPT) or {}).get("Value") or [_DOCUMENT_TITLE]
        found[_CONCEPT] = {"vr": "SQ", "Value": items[:1]}
    if _CHARSET in model:
        found[_CHARSET] = model[_CHARSET]
    segments = encode(found, _no_bulk).segments
    return b"".join(segment for segment in segments if isinstance(segment, bytes))


def _no_bulk(path: str, vr: str, uri: str) -> Octets:
    raise DicomError(f"{path}: a key of a directory is never elsewhere", tag=path)


def _head(file_set: str, first: int, last: int) -> bytes:
    return (
        write_text(0x00041130, "CS", file_set)
        + write_element(0x00041200, "UL", pack("<I", first))
        + write_element(0x00041202, "UL", pack("<I", last))
        + write_element(0x00041212, "US", b"\0\0")
    )
