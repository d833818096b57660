"""Build a DICOMDIR from the metadata of the instances that it lists (PS3.3 Annex F, PS3.10 8). Pure.

A value that an instance lacks and a directory must have is set in the directory only, by the defaults below.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from struct import pack

from gateway.dicom import tagnumbers, tags, uids
from gateway.dicom.dataset import DataSet, ReadOnlyDataSet
from gateway.dicom.encoding.elementwriter import write_element, write_header, write_item_header, write_text
from gateway.dicom.encoding.filemeta import file_meta
from gateway.dicom.model.encode import Octets, encode
from gateway.errors import DicomError
from gateway.model import Identity, InstanceUID, SeriesUID, StudyUID

_ITEM_HEADER = 8

# Record type by the beginning of the SOP Class UID; the longest that fits wins (PS3.3 Table F.4-1, F-76, F-77).
_TYPES = {
    uids.STORAGE: "IMAGE",
    uids.MR_SPECTROSCOPY_STORAGE: "SPECTROSCOPY",
    uids.WAVEFORMS: "WAVEFORM",
    uids.PRESENTATION_STATES: "PRESENTATION",
    uids.PARAMETRIC_MAP_STORAGE: "RAW DATA",
    uids.RAW_DATA_STORAGE: "RAW DATA",
    uids.SPATIAL_REGISTRATION_STORAGE: "REGISTRATION",
    uids.SPATIAL_FIDUCIALS_STORAGE: "FIDUCIAL",
    uids.DEFORMABLE_SPATIAL_REGISTRATION_STORAGE: "REGISTRATION",
    uids.SEGMENTATION_STORAGE: "IMAGE",
    uids.SURFACE_SEGMENTATION_STORAGE: "SURFACE",
    uids.TRACTOGRAPHY_RESULTS_STORAGE: "TRACT",
    uids.LABEL_MAP_SEGMENTATION_STORAGE: "IMAGE",
    uids.REAL_WORLD_VALUE_MAPPING_STORAGE: "VALUE MAP",
    uids.SURFACE_SCANS: "SURFACE SCAN",
    uids.STEREOMETRIC_RELATIONSHIP_STORAGE: "STEREOMETRIC",
    uids.OPHTHALMIC_MEASUREMENTS: "MEASUREMENT",
    uids.MACULAR_GRID_THICKNESS_AND_VOLUME_REPORT_STORAGE: "SR DOCUMENT",
    uids.STRUCTURED_REPORTS: "SR DOCUMENT",
    uids.KEY_OBJECT_SELECTION_DOCUMENT_STORAGE: "KEY OBJECT DOC",
    uids.CONTENT_ASSESSMENT_RESULTS_STORAGE: "ASSESSMENT",
    uids.MICROSCOPY_BULK_SIMPLE_ANNOTATIONS_STORAGE: "ANNOTATION",
    uids.ENCAPSULATED_DOCUMENTS: "ENCAP DOC",
    uids.RT_IMAGE_STORAGE: "IMAGE",
    uids.RT_DOSE_STORAGE: "RT DOSE",
    uids.RT_STRUCTURE_SET_STORAGE: "RT STRUCTURE SET",
    uids.RT_BEAMS_TREATMENT_RECORD_STORAGE: "RT TREAT RECORD",
    uids.RT_PLAN_STORAGE: "RT PLAN",
    uids.RT_BRACHY_TREATMENT_RECORD_STORAGE: "RT TREAT RECORD",
    uids.RT_TREATMENT_SUMMARY_RECORD_STORAGE: "RT TREAT RECORD",
    uids.RT_ION_PLAN_STORAGE: "RT PLAN",
    uids.RT_ION_BEAMS_TREATMENT_RECORD_STORAGE: "RT TREAT RECORD",
    **dict.fromkeys(
        (
            uids.RT_PHYSICIAN_INTENT_STORAGE,
            uids.RT_SEGMENT_ANNOTATION_STORAGE,
            uids.RT_RADIATION_SET_STORAGE,
            uids.C_ARM_PHOTON_ELECTRON_RADIATION_STORAGE,
            uids.TOMOTHERAPEUTIC_RADIATION_STORAGE,
            uids.ROBOTIC_ARM_RADIATION_STORAGE,
            uids.RT_RADIATION_RECORD_SET_STORAGE,
            uids.RT_RADIATION_SALVAGE_RECORD_STORAGE,
            uids.TOMOTHERAPEUTIC_RADIATION_RECORD_STORAGE,
            uids.C_ARM_PHOTON_ELECTRON_RADIATION_RECORD_STORAGE,
            uids.ROBOTIC_RADIATION_RECORD_STORAGE,
            uids.RT_RADIATION_SET_DELIVERY_INSTRUCTION_STORAGE,
            uids.RT_TREATMENT_PREPARATION_STORAGE,
            uids.ENHANCED_RT_IMAGE_STORAGE,
            uids.ENHANCED_CONTINUOUS_RT_IMAGE_STORAGE,
            uids.RT_PATIENT_POSITION_ACQUISITION_INSTRUCTION_STORAGE,
        ),
        "RADIOTHERAPY",
    ),
}
_INSTANCE = (tags.INSTANCE_NUMBER, "IS", "1")
_CONTENT = ((tags.CONTENT_DATE, "DA", "19000101"), (tags.CONTENT_TIME, "TM", "000000"))
_LABELLED = (*_CONTENT, _INSTANCE, (tags.CONTENT_LABEL, "CS", "UNNAMED"))
_DESCRIBED = ((tags.CONTENT_DESCRIPTION, "LO", ""), (tags.CONTENT_CREATOR_NAME, "PN", ""))
# Keys of each record: tag, VR, and the default for a missing value ('' where a key may be empty: Type 2).
_KEYS: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "PATIENT": ((tags.PATIENT_NAME, "PN", ""), (tags.PATIENT_ID, "LO", "UNKNOWN")),
    "STUDY": (
        (tags.STUDY_DATE, "DA", "19000101"),
        (tags.STUDY_TIME, "TM", "000000"),
        (tags.ACCESSION_NUMBER, "SH", ""),
        (tags.STUDY_DESCRIPTION, "LO", ""),
        (tags.STUDY_INSTANCE_UID, "UI", ""),
        (tags.STUDY_ID, "SH", "0"),
    ),
    "SERIES": (
        (tags.MODALITY, "CS", "OT"),
        (tags.SERIES_INSTANCE_UID, "UI", ""),
        (tags.SERIES_NUMBER, "IS", "0"),
    ),
    "IMAGE": (_INSTANCE,),
    "RT DOSE": (_INSTANCE, (tags.DOSE_SUMMATION_TYPE, "CS", "PLAN")),
    "RT STRUCTURE SET": (
        _INSTANCE,
        (tags.STRUCTURE_SET_LABEL, "SH", "UNNAMED"),
        (tags.STRUCTURE_SET_DATE, "DA", ""),
        (tags.STRUCTURE_SET_TIME, "TM", ""),
    ),
    "RT PLAN": (
        _INSTANCE,
        (tags.RT_PLAN_LABEL, "SH", "UNNAMED"),
        (tags.RT_PLAN_DATE, "DA", ""),
        (tags.RT_PLAN_TIME, "TM", ""),
    ),
    "RT TREAT RECORD": (_INSTANCE, (tags.TREATMENT_DATE, "DA", ""), (tags.TREATMENT_TIME, "TM", "")),
    "PRESENTATION": (
        (tags.PRESENTATION_CREATION_DATE, "DA", "19000101"),
        (tags.PRESENTATION_CREATION_TIME, "TM", "000000"),
        _INSTANCE,
        (tags.CONTENT_LABEL, "CS", "UNNAMED"),
        *_DESCRIBED,
    ),
    "WAVEFORM": (*_CONTENT, _INSTANCE),
    "RAW DATA": (*_CONTENT, _INSTANCE),
    "SR DOCUMENT": (
        *_CONTENT,
        _INSTANCE,
        (tags.COMPLETION_FLAG, "CS", "PARTIAL"),
        (tags.VERIFICATION_FLAG, "CS", "UNVERIFIED"),
    ),
    "KEY OBJECT DOC": (*_CONTENT, _INSTANCE),
    "SPECTROSCOPY": (
        (tags.IMAGE_TYPE, "CS", "ORIGINAL"),
        *_CONTENT,
        _INSTANCE,
        (tags.NUMBER_OF_FRAMES, "IS", "1"),
        (tags.ROWS, "US", "1"),
        (tags.COLUMNS, "US", "1"),
        (tags.DATA_POINT_ROWS, "UL", "1"),
        (tags.DATA_POINT_COLUMNS, "UL", "1"),
    ),
    **dict.fromkeys(
        ("REGISTRATION", "FIDUCIAL", "VALUE MAP", "MEASUREMENT", "SURFACE", "TRACT", "ANNOTATION"),
        (*_LABELLED, *_DESCRIBED),
    ),
    "ENCAP DOC": (
        _INSTANCE,
        (tags.CONTENT_DATE, "DA", ""),
        (tags.CONTENT_TIME, "TM", ""),
        (tags.DOCUMENT_TITLE, "ST", ""),
        (tags.MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, "LO", "application/octet-stream"),
    ),
    "STEREOMETRIC": (),
    "SURFACE SCAN": _CONTENT,
    "ASSESSMENT": (
        _INSTANCE,
        (tags.INSTANCE_CREATION_DATE, "DA", "19000101"),
        (tags.INSTANCE_CREATION_TIME, "TM", ""),
    ),
    "RADIOTHERAPY": (_INSTANCE, *_DESCRIBED),
}
# The sequence that a record may have: Concept Name Code, which must not be missing in a report.
_CONCEPT = tags.CONCEPT_NAME_CODE_SEQUENCE
_WITH_CONCEPT = frozenset({"SR DOCUMENT", "KEY OBJECT DOC"})
_DOCUMENT_TITLE = {
    tags.CODE_VALUE: {"vr": "SH", "Value": ["121144"]},
    tags.CODING_SCHEME_DESIGNATOR: {"vr": "SH", "Value": ["DCM"]},
    tags.CODE_MEANING: {"vr": "LO", "Value": ["Document Title"]},
}


# Pixel data decides between two types of record.
_PIXELS = frozenset({tags.PIXEL_DATA, tags.FLOAT_PIXEL_DATA, tags.DOUBLE_FLOAT_PIXEL_DATA})
_READ = frozenset(
    {tags.SPECIFIC_CHARACTER_SET, _CONCEPT, *_PIXELS, *(key[0] for keys in _KEYS.values() for key in keys)}
)


def pick_record_keys(model: ReadOnlyDataSet) -> DataSet:
    """Return the attributes of an instance that a directory needs, a small part of a multi-frame image's."""
    return {tag: model[tag] for tag in _READ & model.keys()}


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """One file of the directory; `file_id` has components of A-Z, 0-9 and _, at most 8 characters each.

    `model` is its metadata as `pick_record_keys` returns it.
    """

    file_id: tuple[str, ...]
    identity: Identity
    transfer_syntax: str
    model: ReadOnlyDataSet


@dataclass(slots=True)
class _Record:
    kind: str
    keys: bytes
    entry: DirectoryEntry | None = None
    below: list[_Record] = field(default_factory=list)
    at: int = 0
    next: int = 0
    lower: int = 0

    def body(self) -> bytes:
        """Return the encoded record; its length does not depend on the offsets."""
        parts = [
            write_element(tagnumbers.OFFSET_OF_THE_NEXT_DIRECTORY_RECORD, "UL", pack("<I", self.next)),
            write_element(tagnumbers.RECORD_IN_USE_FLAG, "US", b"\xff\xff"),
            write_element(
                tagnumbers.OFFSET_OF_REFERENCED_LOWER_LEVEL_DIRECTORY_ENTITY, "UL", pack("<I", self.lower)
            ),
            write_text(tagnumbers.DIRECTORY_RECORD_TYPE, "CS", self.kind),
        ]
        if self.entry is not None:
            parts += [
                write_text(tagnumbers.REFERENCED_FILE_ID, "CS", "\\".join(self.entry.file_id)),
                write_text(tagnumbers.REFERENCED_SOP_CLASS_UID_IN_FILE, "UI", self.entry.identity.sop_class),
                write_text(
                    tagnumbers.REFERENCED_SOP_INSTANCE_UID_IN_FILE, "UI", self.entry.identity.instance
                ),
                write_text(
                    tagnumbers.REFERENCED_TRANSFER_SYNTAX_UID_IN_FILE, "UI", self.entry.transfer_syntax
                ),
            ]
        return b"".join(parts) + self.keys


def dicomdir(entries: Sequence[DirectoryEntry], file_set: str, uid: str) -> bytes:
    """Return the DICOMDIR file; `file_set` is the File-set ID, `uid` the File-set UID.

    Entries of a study are grouped together. Raises DicomError where the file would be too long for its
    offsets.
    """
    roots = _tree(entries)
    records = list(_flat(roots))
    identity = Identity(StudyUID(uid), SeriesUID(uid), InstanceUID(uid), uids.MEDIA_STORAGE_DIRECTORY_STORAGE)
    meta = file_meta(identity, uids.EXPLICIT_VR_LITTLE_ENDIAN)
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
    return meta + head + write_header(tagnumbers.DIRECTORY_RECORD_SEQUENCE, "SQ", len(items)) + items


def record_type(sop_class: str, model: ReadOnlyDataSet) -> str:
    """Return the record type of an instance; an unknown class is an image if it has pixels, else raw data."""
    best = max((prefix for prefix in _TYPES if _fits(sop_class, prefix)), key=len, default="")
    found = _TYPES.get(best, "IMAGE")
    return "RAW DATA" if found == "IMAGE" and not _PIXELS & model.keys() else found


def _fits(sop_class: str, prefix: str) -> bool:
    return sop_class == prefix or sop_class.startswith(prefix if prefix.endswith(".") else prefix + ".")


def _tree(entries: Sequence[DirectoryEntry]) -> list[_Record]:
    patients: dict[str, _Record] = {}
    studies: dict[str, _Record] = {}
    series: dict[tuple[str, str], _Record] = {}
    for entry in entries:
        patient_id, study = _value(entry.model, tags.PATIENT_ID), entry.identity.study
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


def _value(model: ReadOnlyDataSet, tag: str) -> str:
    values = (model.get(tag) or {}).get("Value") or [""]
    return "" if values[0] is None else str(values[0])


def _keys(kind: str, model: ReadOnlyDataSet) -> bytes:
    """Return the encoded keys of a record, in the character set that their text needs (F-36)."""
    found: DataSet = {}
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
    if tags.SPECIFIC_CHARACTER_SET in model:
        found[tags.SPECIFIC_CHARACTER_SET] = model[tags.SPECIFIC_CHARACTER_SET]
    segments = encode(found, _no_bulk).segments
    return b"".join(segment for segment in segments if isinstance(segment, bytes))


def _no_bulk(path: str, vr: str, uri: str) -> Octets:
    raise DicomError(f"{path}: a key of a directory is never elsewhere", tag=path)


def _head(file_set: str, first: int, last: int) -> bytes:
    return (
        write_text(tagnumbers.FILE_SET_ID, "CS", file_set)
        + write_element(
            tagnumbers.OFFSET_OF_THE_FIRST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY,
            "UL",
            pack("<I", first),
        )
        + write_element(
            tagnumbers.OFFSET_OF_THE_LAST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY,
            "UL",
            pack("<I", last),
        )
        + write_element(tagnumbers.FILE_SET_CONSISTENCY_FLAG, "US", b"\0\0")
    )
