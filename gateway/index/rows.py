"""Translation of an instance's metadata into the rows of its study, series and instance: pure, no SQL."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import orjson

from gateway.dicom import tagnumbers, tags
from gateway.dicom.dataset import Attribute, DataSet
from gateway.dicom.dictionary import name_of, vr_of
from gateway.dicom.query import searchkeys
from gateway.dicom.query.levels import SERIES_TAGS, STUDY_GROUPS, STUDY_TAGS
from gateway.dicom.query.timezones import zone_of
from gateway.model import Identity

# Placeholder for the base URL while an answer is a structure; in bytes it is a NUL, which
# JSON text never holds.
BASE = "\uf8ff\uf8fe\uf8ff"
_BASE_BYTES = BASE.encode()

STUDY_REQUIRED: tuple[str, ...] = (
    tags.STUDY_DATE,
    tags.STUDY_TIME,
    tags.ACCESSION_NUMBER,
    tags.REFERRING_PHYSICIAN_NAME,
    tags.PATIENT_NAME,
    tags.PATIENT_ID,
    tags.PATIENT_BIRTH_DATE,
    tags.PATIENT_SEX,
    tags.STUDY_ID,
)
STUDY_IF_KNOWN = (tags.TIMEZONE_OFFSET_FROM_UTC,)
SERIES_REQUIRED = (tags.MODALITY, tags.SERIES_NUMBER)
SERIES_IF_KNOWN = (
    tags.TIMEZONE_OFFSET_FROM_UTC,
    tags.SERIES_DESCRIPTION,
    tags.PERFORMED_PROCEDURE_STEP_START_DATE,
    tags.PERFORMED_PROCEDURE_STEP_START_TIME,
    tags.REQUEST_ATTRIBUTES_SEQUENCE,
)
INSTANCE_REQUIRED = (tags.INSTANCE_NUMBER,)
INSTANCE_IF_KNOWN = (
    tags.TIMEZONE_OFFSET_FROM_UTC,
    tags.NUMBER_OF_FRAMES,
    tags.ROWS,
    tags.COLUMNS,
    tags.BITS_ALLOCATED,
)
REQUEST_KEYS = (tags.SCHEDULED_PROCEDURE_STEP_ID, tags.REQUESTED_PROCEDURE_ID)

# Keys are cut so that no value, however wrong, is too long for a database index;
# conforming values are shorter.
MOST_CHARACTERS = 512

# Instance Availability (PS3.3 C.4.23.1.1) in metadata made from a journal line alone; only metadata of
# damaged versions are tested for it.
UNAVAILABLE = f'"{tags.INSTANCE_AVAILABILITY}":{{"vr":"CS","Value":["UNAVAILABLE"]}}'.encode()

# Stands for a date or time that is present but cannot be read: it sorts below every date and
# above an empty value.
UNREADABLE = "!"


def dump(attributes: DataSet) -> bytes:
    """Return DICOM JSON with keys ascending, and a NUL in place of `BASE`."""
    return orjson.dumps(dict(sorted(attributes.items()))).replace(_BASE_BYTES, b"\0")


def load(data: bytes) -> DataSet:
    parsed: DataSet = orjson.loads(data.replace(b"\0", _BASE_BYTES))
    return parsed


def uid_hash(uid: str) -> bytes:
    """Return the first 122 bits of SHA-256 in 16 bytes; the last six bits are zero."""
    digest = hashlib.sha256(uid.encode()).digest()[:16]
    return digest[:15] + bytes([digest[15] & 0xC0])


def value(attributes: DataSet, tag: str) -> Any:
    """Return the first value, None where there is none."""
    values = attributes.get(tag, {}).get("Value")
    return values[0] if values else None


def text(attributes: DataSet, tag: str) -> str:
    """Return the first value as a key: without NUL, which PostgreSQL does not take, and of bounded length."""
    found = value(attributes, tag)
    return "" if found is None else str(found).replace("\0", "")[:MOST_CHARACTERS]


def _temporal(attributes: DataSet, tag: str, key: Callable[[str], str]) -> str:
    found = text(attributes, tag)
    return key(found) or (UNREADABLE if found else "")


def _name(attributes: DataSet, tag: str, columns: str) -> dict[str, str]:
    """Return columns for the three folded component groups and the words for fuzzy matching of a name."""
    found = value(attributes, tag)
    groups = searchkeys.split_stored_groups(found) if found is not None else ("", "", "")
    words = searchkeys.fuzzy_tokens(searchkeys.name_text(found)) if found is not None else ""
    names = (f"{columns}_{kind}" for kind in ("name", "ideographic", "phonetic", "words"))
    clean = (part.replace("\0", "")[:MOST_CHARACTERS] for part in groups)
    return dict(zip(names, (*clean, words.replace("\0", "")), strict=True))


def number(attributes: DataSet, tag: str) -> int | None:
    """Return the first value as a whole number that fits a column, else None."""
    try:
        found = float(text(attributes, tag))
    except ValueError:
        return None
    return int(found) if found.is_integer() and abs(found) < 1 << 62 else None


@dataclass(frozen=True, slots=True)
class Split:
    """Attributes of an instance: `study` and `series` of these levels with a value, `instance` all."""

    study: DataSet
    series: DataSet
    instance: DataSet

    @property
    def mark(self) -> bytes:
        """A digest that is the same for all instances with equal study and series attributes."""
        said = orjson.dumps([self.study, self.series], option=orjson.OPT_SORT_KEYS)
        return hashlib.blake2b(said, digest_size=16).digest()


def split(metadata: bytes) -> Split:
    """Sort an instance's attributes by level.

    An outline is enough, since the attributes that are searched and compared are short.
    """
    study: DataSet = {}
    series: DataSet = {}
    whole = load(metadata)
    for tag, attribute in whole.items():
        if tag in SERIES_TAGS:
            if "Value" in attribute:
                series[tag] = attribute
        elif (tag in STUDY_TAGS or tag[:4] in STUDY_GROUPS) and "Value" in attribute:
            study[tag] = attribute
    zone = whole.get(tags.TIMEZONE_OFFSET_FROM_UTC)
    if zone is not None and "Value" in zone:
        study[tags.TIMEZONE_OFFSET_FROM_UTC] = series[tags.TIMEZONE_OFFSET_FROM_UTC] = zone
    return Split(study, series, whole)


@dataclass(slots=True)
class Shown:
    """The attributes that a study or series shows: each as the earliest instance that has it gave it."""

    attributes: DataSet = field(default_factory=dict)
    changed: bool = False

    def merge(self, more: DataSet) -> list[tuple[str, Attribute, Attribute]]:
        """Add new attributes; return (tag, shown, differing) for each that differs from the one shown."""
        differing = []
        before = len(self.attributes)
        for tag, attribute in more.items():
            shown = self.attributes.setdefault(tag, attribute)
            if shown is not attribute and shown != attribute and tag != tags.TIMEZONE_OFFSET_FROM_UTC:
                differing.append((tag, shown, attribute))
        self.changed = self.changed or len(self.attributes) != before
        return differing


def _pick(attributes: DataSet, required: tuple[str, ...], known: tuple[str, ...]) -> DataSet:
    answer = {tag: attributes.get(tag, {"vr": vr_of(int(tag, 16))}) for tag in required}
    answer.update((tag, attributes[tag]) for tag in known if "Value" in attributes.get(tag, ()))
    return answer


def join_list(values: Iterable[str]) -> str:
    """Join the values, sorted, as `\\value\\value\\`: a value can be found between two backslashes."""
    joined = "\\".join(sorted(values))
    return f"\\{joined}\\" if joined else ""


def split_list(text: str) -> list[str]:
    return [value for value in text.split("\\") if value]


def _one(vr: str, *values: Any) -> Attribute:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def study_counted(
    modalities: Iterable[str], sop_classes: Iterable[str], series: int, instances: int
) -> DataSet:
    """Return the attributes that are computed over the instances of a study (PS3.4 C.3.4)."""
    return {
        tags.MODALITIES_IN_STUDY: _one("CS", *sorted(modalities)),
        tags.SOP_CLASSES_IN_STUDY: _one("UI", *sorted(sop_classes)),
        tags.NUMBER_OF_STUDY_RELATED_SERIES: _one("IS", series),
        tags.NUMBER_OF_STUDY_RELATED_INSTANCES: _one("IS", instances),
    }


def study_answer(uid: str, attributes: DataSet, counted: DataSet) -> DataSet:
    """Return the attributes of a study in search results (PS3.18 Table 10.6.3-3)."""
    return (
        _pick(attributes, STUDY_REQUIRED, STUDY_IF_KNOWN)
        | {
            tag: counted[tag]
            for tag in (
                tags.MODALITIES_IN_STUDY,
                tags.NUMBER_OF_STUDY_RELATED_SERIES,
                tags.NUMBER_OF_STUDY_RELATED_INSTANCES,
            )
        }
        | {
            tags.STUDY_INSTANCE_UID: _one("UI", uid),
            tags.INSTANCE_AVAILABILITY: _one("CS", "ONLINE"),
            tags.RETRIEVE_URL: _one("UR", f"{BASE}/studies/{uid}"),
        }
    )


_DESCRIPTION = f'"{tags.STUDY_DESCRIPTION}":'.encode()
_RETRIEVE_URL = f'"{tags.RETRIEVE_URL}":'.encode()


def show_description(attributes: DataSet) -> bytes:
    """Return Study Description as JSON, for search results that include it."""
    shown = attributes.get(tags.STUDY_DESCRIPTION) or {"vr": vr_of(tagnumbers.STUDY_DESCRIPTION)}
    return orjson.dumps(shown).replace(_BASE_BYTES, b"\0")


def with_description(answer: bytes, shown: bytes) -> bytes:
    """Insert the description into the answer of a study: keys ascend, and Retrieve URL is the next one."""
    return answer.replace(_RETRIEVE_URL, _DESCRIPTION + shown + b"," + _RETRIEVE_URL, 1)


def series_counted(instances: int) -> DataSet:
    return {tags.NUMBER_OF_SERIES_RELATED_INSTANCES: _one("IS", instances)}


def series_answer(study: str, uid: str, attributes: DataSet, counted: DataSet) -> DataSet:
    """Return the attributes of a series in search results (PS3.18 Table 10.6.3-4)."""
    answer = _pick(attributes, SERIES_REQUIRED, SERIES_IF_KNOWN)
    if tags.REQUEST_ATTRIBUTES_SEQUENCE in answer:
        items = [
            _pick(item, REQUEST_KEYS, ()) for item in items_of(answer[tags.REQUEST_ATTRIBUTES_SEQUENCE]) or ()
        ]
        answer[tags.REQUEST_ATTRIBUTES_SEQUENCE] = _one("SQ", *items)
    return (
        answer
        | counted
        | {
            tags.STUDY_INSTANCE_UID: _one("UI", study),
            tags.SERIES_INSTANCE_UID: _one("UI", uid),
            tags.RETRIEVE_URL: _one("UR", f"{BASE}/studies/{study}/series/{uid}"),
        }
    )


def instance_answer(
    identity: Identity, transfer_syntax: str, attributes: DataSet, *, damaged: bool = False
) -> DataSet:
    """Return the attributes of an instance in search results (PS3.18 Table 10.6.3-5).

    Available Transfer Syntax UID is the stored one, in which the instance can be retrieved without loss.
    """
    return _pick(attributes, INSTANCE_REQUIRED, INSTANCE_IF_KNOWN) | {
        tags.SOP_CLASS_UID: _one("UI", identity.sop_class),
        tags.SOP_INSTANCE_UID: _one("UI", identity.instance),
        tags.STUDY_INSTANCE_UID: _one("UI", identity.study),
        tags.SERIES_INSTANCE_UID: _one("UI", identity.series),
        tags.INSTANCE_AVAILABILITY: _one("CS", "UNAVAILABLE" if damaged else "ONLINE"),
        tags.RETRIEVE_URL: _one("UR", BASE + identity.path.url()),
        tags.AVAILABLE_TRANSFER_SYNTAX_UID: _one("UI", transfer_syntax),
    }


def study_keys(attributes: DataSet) -> dict[str, Any]:
    """Return the key columns of a study row."""
    issuer, patient_id = text(attributes, tags.ISSUER_OF_PATIENT_ID), text(attributes, tags.PATIENT_ID)
    return {
        "study_date": _temporal(attributes, tags.STUDY_DATE, searchkeys.date_key),
        "study_time": _temporal(attributes, tags.STUDY_TIME, searchkeys.time_key),
        "accession_number": text(attributes, tags.ACCESSION_NUMBER),
        **_name(attributes, tags.REFERRING_PHYSICIAN_NAME, "referring"),
        **_name(attributes, tags.PATIENT_NAME, "patient"),
        "patient_id": patient_id,
        "issuer_of_patient_id": issuer,
        "patient_birth_date": _temporal(attributes, tags.PATIENT_BIRTH_DATE, searchkeys.date_key),
        "patient_sex": text(attributes, tags.PATIENT_SEX),
        "study_id": text(attributes, tags.STUDY_ID),
        "study_description": text(attributes, tags.STUDY_DESCRIPTION),
        "patient_hash": uid_hash(f"{issuer}\\{patient_id}"),
    }


def series_keys(attributes: DataSet) -> dict[str, Any]:
    """Return the key columns of a series row."""
    return {
        "modality": text(attributes, tags.MODALITY),
        "number": number(attributes, tags.SERIES_NUMBER),
        "pps_start_date": _temporal(
            attributes, tags.PERFORMED_PROCEDURE_STEP_START_DATE, searchkeys.date_key
        ),
        "pps_start_time": _temporal(
            attributes, tags.PERFORMED_PROCEDURE_STEP_START_TIME, searchkeys.time_key
        ),
        "series_description": text(attributes, tags.SERIES_DESCRIPTION),
        "institution_name": text(attributes, tags.INSTITUTION_NAME),
        "body_part_examined": text(attributes, tags.BODY_PART_EXAMINED),
        "protocol_name": text(attributes, tags.PROTOCOL_NAME),
        "station_name": text(attributes, tags.STATION_NAME),
        "manufacturer": text(attributes, tags.MANUFACTURER),
        "manufacturer_model_name": text(attributes, tags.MANUFACTURER_MODEL_NAME),
        "frame_of_reference_uid": text(attributes, tags.FRAME_OF_REFERENCE_UID),
    }


def instance_keys(sop_class: str, attributes: DataSet) -> dict[str, Any]:
    """Return the key columns of an instance row."""
    return {
        "sop_class": sop_class,
        "number": number(attributes, tags.INSTANCE_NUMBER),
        "acquisition_datetime": _temporal(
            attributes,
            tags.ACQUISITION_DATE_TIME,
            lambda value: searchkeys.datetime_key(value, zone_of(attributes)),
        ),
    }


def request_items(attributes: DataSet) -> list[tuple[int, str, str]]:
    """Return item number and the two keys of each item of Request Attributes Sequence."""
    step, procedure = REQUEST_KEYS
    items = items_of(attributes.get(tags.REQUEST_ATTRIBUTES_SEQUENCE)) or ()
    return [(n, text(item, step), text(item, procedure)) for n, item in enumerate(items)]


# Columns with stored n-grams, each with the letter that its n-grams begin with.
STUDY_GRAMS = {
    "patient_name": "p",
    "patient_ideographic": "p",
    "patient_phonetic": "p",
    "patient_words": "w",
    "referring_name": "r",
    "referring_ideographic": "r",
    "referring_phonetic": "r",
    "referring_words": "v",
    "patient_id": "i",
    "accession_number": "a",
    "study_id": "s",
    "study_description": "d",
}
SERIES_GRAMS = {"series_description": "d", "protocol_name": "o"}


def grams(columns: Mapping[str, Any], letters: Mapping[str, str]) -> set[str]:
    """Return the n-grams of a row's key columns."""
    found: set[str] = set()
    for column, letter in letters.items():
        made = searchkeys.word_ngrams if column.endswith("_words") else searchkeys.ngrams
        found.update(letter + gram for gram in made(columns[column]))
    return found


def differing_attributes(left: bytes, right: bytes, most: int = 10) -> tuple[str, ...]:
    """Return the first attributes in which two metadata differ, by keyword; items are counted from one."""
    found = list(islice(_differing(load(left), load(right), ""), most))
    return tuple(found) or ("PixelData",)


def _differing(left: DataSet, right: DataSet, place: str) -> Iterator[str]:
    for tag in sorted(left.keys() | right.keys()):
        a, b = left.get(tag), right.get(tag)
        if _comparable(a) == _comparable(b):
            continue
        name = place + name_of(int(tag, 16))
        ours, theirs = (items_of(attribute) for attribute in (a, b))
        if ours is None or theirs is None or len(ours) != len(theirs):
            yield name
            continue
        for n, pair in enumerate(zip(ours, theirs, strict=True), 1):
            yield from _differing(*pair, f"{name}[{n}].")


def items_of(attribute: Attribute | None) -> list[DataSet] | None:
    """Return the items of a sequence; None where it is empty, or no sequence, whatever the file calls it."""
    if attribute is None or attribute.get("vr") != "SQ":
        return None
    return [item for item in attribute.get("Value", ()) if isinstance(item, dict)] or None


def _comparable(value: Any) -> Any:
    """Return the value without its BulkDataURIs, at any depth.

    They name the version, so that only their presence can be compared.
    """
    if isinstance(value, dict):
        return {k: None if k == "BulkDataURI" else _comparable(v) for k, v in value.items()}
    return [_comparable(v) for v in value] if isinstance(value, list) else value
