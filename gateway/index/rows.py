"""What an instance's metadata means for the rows of its study, series and instance: pure, no SQL."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

from gateway.dicom import keys
from gateway.dicom.dictionary import name_of, vr_of
from gateway.dicom.levels import level_of
from gateway.index.base import NewVersion
from gateway.model import Level

Attribute: TypeAlias = dict[str, Any]
Attributes: TypeAlias = dict[str, Attribute]

# Stands for the base URL while an answer is a structure; in bytes it is a NUL, which JSON text never holds.
BASE = "\uf8ff\uf8fe\uf8ff"
_BASE_BYTES = BASE.encode()

STUDY_REQUIRED: tuple[str, ...] = (
    "00080020",
    "00080030",
    "00080050",
    "00080090",
    "00100010",
    "00100020",
    "00100030",
    "00100040",
    "00200010",
)
STUDY_IF_KNOWN = ("00080201",)
SERIES_REQUIRED = ("00080060", "00200011")
SERIES_IF_KNOWN = ("00080201", "0008103E", "00400244", "00400245", "00400275")
INSTANCE_REQUIRED = ("00200013",)
INSTANCE_IF_KNOWN = ("00080201", "00280008", "00280010", "00280011", "00280100")
REQUEST_KEYS = ("00400009", "00401001")


def dumped(attributes: Attributes) -> bytes:
    """DICOM JSON with keys ascending, a NUL where `BASE` stood."""
    return orjson.dumps(attributes, option=orjson.OPT_SORT_KEYS).replace(_BASE_BYTES, b"\0")


def loaded(data: bytes) -> Attributes:
    parsed: Attributes = orjson.loads(data.replace(b"\0", _BASE_BYTES))
    return parsed


def uid_hash(uid: str) -> bytes:
    """The first 122 bits of SHA-256, the last six of 16 bytes zero."""
    digest = hashlib.sha256(uid.encode()).digest()[:16]
    return digest[:15] + bytes([digest[15] & 0xC0])


def version_mark(version: str) -> int:
    """What a version adds to the fingerprint of a set of versions (by exclusive or)."""
    return int.from_bytes(hashlib.sha256(version.encode()).digest()[:16], "big")


def value(attributes: Attributes, tag: str) -> Any:
    """The first value, None where there is none."""
    values = attributes.get(tag, {}).get("Value")
    return values[0] if values else None


def text(attributes: Attributes, tag: str) -> str:
    found = value(attributes, tag)
    return "" if found is None else str(found)


def all_text(attributes: Attributes, tag: str) -> str:
    """`\\value\\value\\`, '' where there is none."""
    values = [str(v) for v in attributes.get(tag, {}).get("Value", ()) if v is not None]
    return "\\" + "\\".join(values) + "\\" if values else ""


def name(attributes: Attributes, tag: str) -> tuple[str, str]:
    """Folded groups and fuzzy tokens of a name."""
    found = value(attributes, tag)
    if not isinstance(found, dict):
        return "", ""
    groups = [str(found.get(g, "")) for g in ("Alphabetic", "Ideographic", "Phonetic")]
    return keys.name_groups(*groups), keys.fuzzy_tokens("=".join(groups))


def number(attributes: Attributes, tag: str) -> int | None:
    try:
        return int(float(text(attributes, tag)))
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class Split:
    """An instance's attributes by level; only those with a value, bulk data left out."""

    study: Attributes
    series: Attributes
    instance: Attributes


def split(version: NewVersion) -> Split:
    """The attributes of study and series, and those an instance's search answer shows."""
    parts: dict[Level, Attributes] = {Level.STUDY: {}, Level.SERIES: {}, Level.INSTANCE: {}}
    for tag, attribute in loaded(version.metadata).items():
        if "Value" in attribute:
            parts[level_of(int(tag, 16))][tag] = attribute
    return Split(parts[Level.STUDY], parts[Level.SERIES], parts[Level.INSTANCE])


@dataclass(slots=True)
class Shown:
    """Attributes as the earliest instance that has them gave them, and who disagrees."""

    attributes: Attributes = field(default_factory=dict)

    def merge(self, more: Attributes) -> list[tuple[str, Attribute, Attribute]]:
        """Take what is new; (tag, shown, differing) for each that differs."""
        differing = []
        for tag, attribute in more.items():
            shown = self.attributes.setdefault(tag, attribute)
            if shown is not attribute and shown != attribute:
                differing.append((tag, shown, attribute))
        return differing


def _picked(attributes: Attributes, required: tuple[str, ...], known: tuple[str, ...]) -> Attributes:
    answer = {tag: attributes.get(tag, {"vr": vr_of(int(tag, 16))}) for tag in required}
    answer.update((tag, attributes[tag]) for tag in known if tag in attributes)
    return answer


def _one(vr: str, *values: Any) -> Attribute:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def study_answer(
    uid: str, attributes: Attributes, modalities: list[str], series: int, instances: int
) -> Attributes:
    """PS3.18 Table 10.6.3-3."""
    return _picked(attributes, STUDY_REQUIRED, STUDY_IF_KNOWN) | {
        "0020000D": _one("UI", uid),
        "00080056": _one("CS", "ONLINE"),
        "00080061": _one("CS", *modalities),
        "00081190": _one("UR", f"{BASE}/studies/{uid}"),
        "00201206": _one("IS", series),
        "00201208": _one("IS", instances),
    }


def series_answer(study: str, uid: str, attributes: Attributes, instances: int) -> Attributes:
    """PS3.18 Table 10.6.3-4."""
    return _picked(attributes, SERIES_REQUIRED, SERIES_IF_KNOWN) | {
        "0020000D": _one("UI", study),
        "0020000E": _one("UI", uid),
        "00081190": _one("UR", f"{BASE}/studies/{study}/series/{uid}"),
        "00201209": _one("IS", instances),
    }


def instance_answer(version: NewVersion, attributes: Attributes) -> Attributes:
    """PS3.18 Table 10.6.3-5, with the transfer syntax it can be had in without loss."""
    identity = version.identity
    return _picked(attributes, INSTANCE_REQUIRED, INSTANCE_IF_KNOWN) | {
        "00080016": _one("UI", identity.sop_class),
        "00080018": _one("UI", identity.instance),
        "0020000D": _one("UI", identity.study),
        "0020000E": _one("UI", identity.series),
        "00080056": _one("CS", "ONLINE"),
        "00081190": _one("UR", BASE + identity.path.url()),
        "00083002": _one("UI", version.transfer_syntax),
    }


def study_keys(attributes: Attributes) -> dict[str, Any]:
    """The key columns of a study row."""
    patient, patient_tokens = name(attributes, "00100010")
    referring, referring_tokens = name(attributes, "00080090")
    issuer, patient_id = text(attributes, "00100021"), text(attributes, "00100020")
    return {
        "study_date": keys.date_key(text(attributes, "00080020")),
        "study_time": keys.time_key(text(attributes, "00080030")),
        "accession_number": text(attributes, "00080050"),
        "referring_name": referring,
        "referring_tokens": referring_tokens,
        "patient_name": patient,
        "patient_tokens": patient_tokens,
        "patient_id": patient_id,
        "issuer_of_patient_id": issuer,
        "patient_birth_date": keys.date_key(text(attributes, "00100030")),
        "patient_sex": text(attributes, "00100040"),
        "study_id": text(attributes, "00200010"),
        "study_description": text(attributes, "00081030"),
        "patient_hash": uid_hash(f"{issuer}\\{patient_id}"),
    }


def series_keys(attributes: Attributes) -> dict[str, Any]:
    """The key columns of a series row."""
    return {
        "modality": text(attributes, "00080060"),
        "number": number(attributes, "00200011"),
        "pps_start_date": keys.date_key(text(attributes, "00400244")),
        "pps_start_time": keys.time_key(text(attributes, "00400245")),
        "series_description": text(attributes, "0008103E"),
        "institution_name": text(attributes, "00080080"),
        "body_part_examined": text(attributes, "00180015"),
        "protocol_name": text(attributes, "00181030"),
        "station_name": text(attributes, "00081010"),
        "manufacturer": text(attributes, "00080070"),
        "manufacturer_model_name": text(attributes, "00081090"),
        "frame_of_reference_uid": text(attributes, "00200052"),
    }


def instance_keys(version: NewVersion, attributes: Attributes) -> dict[str, Any]:
    """The key columns of an instance row."""
    return {
        "sop_class": version.identity.sop_class,
        "number": number(attributes, "00200013"),
        "acquisition_datetime": keys.datetime_key(text(attributes, "0008002A")),
    }


def differing_attributes(left: bytes, right: bytes, most: int = 10) -> tuple[str, ...]:
    """The first attributes in which two metadata differ, by keyword."""
    a, b = loaded(left), loaded(right)
    found = [tag for tag in sorted(a.keys() | b.keys()) if _comparable(a.get(tag)) != _comparable(b.get(tag))]
    return tuple(name_of(int(tag, 16)) for tag in found[:most]) or ("PixelData or other bulk data",)


def _comparable(attribute: Attribute | None) -> Attribute | None:
    """BulkDataURIs name the version, so that only their presence can be compared."""
    if attribute is not None and "BulkDataURI" in attribute:
        return {"vr": attribute["vr"]}
    return attribute
