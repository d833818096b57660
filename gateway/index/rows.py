"""Translation of an instance's metadata into the rows of its study, series and instance: pure, no SQL."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias

import orjson

from gateway.dicom.dictionary import name_of, vr_of
from gateway.dicom.query import searchkeys
from gateway.dicom.query.levels import SERIES_TAGS, STUDY_GROUPS, STUDY_TAGS
from gateway.dicom.query.timezones import zone_of
from gateway.model import Identity

Attribute: TypeAlias = dict[str, Any]
Attributes: TypeAlias = dict[str, Attribute]

# Placeholder for the base URL while an answer is a structure; in bytes it is a NUL, which
# JSON text never holds.
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
REQUEST = "00400275"
REQUEST_KEYS = ("00400009", "00401001")
TIMEZONE = "00080201"

# Keys are cut so that no value, however wrong, is too long for a database index;
# conforming values are shorter.
MOST_CHARACTERS = 512

# Instance Availability (PS3.3 C.4.23.1.1) in metadata made from a journal line alone; only metadata of
# damaged versions are tested for it.
UNAVAILABLE = b'"00080056":{"vr":"CS","Value":["UNAVAILABLE"]}'

# Stands for a date or time that is present but cannot be read: it sorts below every date and
# above an empty value.
UNREADABLE = "!"


def dump(attributes: Attributes) -> bytes:
    """Return DICOM JSON with keys ascending, and a NUL in place of `BASE`."""
    return orjson.dumps(dict(sorted(attributes.items()))).replace(_BASE_BYTES, b"\0")


def load(data: bytes) -> Attributes:
    parsed: Attributes = orjson.loads(data.replace(b"\0", _BASE_BYTES))
    return parsed


def uid_hash(uid: str) -> bytes:
    """Return the first 122 bits of SHA-256 in 16 bytes; the last six bits are zero."""
    digest = hashlib.sha256(uid.encode()).digest()[:16]
    return digest[:15] + bytes([digest[15] & 0xC0])


def value(attributes: Attributes, tag: str) -> Any:
    """Return the first value, None where there is none."""
    values = attributes.get(tag, {}).get("Value")
    return values[0] if values else None


def text(attributes: Attributes, tag: str) -> str:
    """Return the first value as a key: without NUL, which PostgreSQL does not take, and of bounded length."""
    found = value(attributes, tag)
    return "" if found is None else str(found).replace("\0", "")[:MOST_CHARACTERS]


def _temporal(attributes: Attributes, tag: str, key: Callable[[str], str]) -> str:
    found = text(attributes, tag)
    return key(found) or (UNREADABLE if found else "")


def _name(attributes: Attributes, tag: str, columns: str) -> dict[str, str]:
    """Return columns for the three folded component groups and the words for fuzzy matching of a name."""
    found = value(attributes, tag)
    groups = searchkeys.split_stored_groups(found) if found is not None else ("", "", "")
    words = searchkeys.fuzzy_tokens(searchkeys.name_text(found)) if found is not None else ""
    names = (f"{columns}_{kind}" for kind in ("name", "ideographic", "phonetic", "words"))
    clean = (part.replace("\0", "")[:MOST_CHARACTERS] for part in groups)
    return dict(zip(names, (*clean, words.replace("\0", "")), strict=True))


def number(attributes: Attributes, tag: str) -> int | None:
    """Return the first value as a whole number that fits a column, else None."""
    try:
        found = float(text(attributes, tag))
    except ValueError:
        return None
    return int(found) if found.is_integer() and abs(found) < 1 << 62 else None


@dataclass(frozen=True, slots=True)
class Split:
    """Attributes of an instance: `study` and `series` of these levels with a value, `instance` all."""

    study: Attributes
    series: Attributes
    instance: Attributes

    @property
    def mark(self) -> bytes:
        """A digest that is the same for all instances with equal study and series attributes."""
        said = orjson.dumps([self.study, self.series], option=orjson.OPT_SORT_KEYS)
        return hashlib.blake2b(said, digest_size=16).digest()


def split(metadata: bytes) -> Split:
    """Sort an instance's attributes by level.

    An outline is enough, since the attributes that are searched and compared are short.
    """
    study: Attributes = {}
    series: Attributes = {}
    whole = load(metadata)
    for tag, attribute in whole.items():
        if tag in SERIES_TAGS:
            if "Value" in attribute:
                series[tag] = attribute
        elif (tag in STUDY_TAGS or tag[:4] in STUDY_GROUPS) and "Value" in attribute:
            study[tag] = attribute
    zone = whole.get(TIMEZONE)
    if zone is not None and "Value" in zone:
        study[TIMEZONE] = series[TIMEZONE] = zone
    return Split(study, series, whole)


@dataclass(slots=True)
class Shown:
    """The attributes that a study or series shows: each as the earliest instance that has it gave it."""

    attributes: Attributes = field(default_factory=dict)
    changed: bool = False

    def merge(self, more: Attributes) -> list[tuple[str, Attribute, Attribute]]:
        """Add new attributes; return (tag, shown, differing) for each that differs from the one shown."""
        differing = []
        before = len(self.attributes)
        for tag, attribute in more.items():
            shown = self.attributes.setdefault(tag, attribute)
            if shown is not attribute and shown != attribute and tag != TIMEZONE:
                differing.append((tag, shown, attribute))
        self.changed = self.changed or len(self.attributes) != before
        return differing


def _pick(attributes: Attributes, required: tuple[str, ...], known: tuple[str, ...]) -> Attributes:
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
) -> Attributes:
    """Return the attributes that are computed over the instances of a study (PS3.4 C.3.4)."""
    return {
        "00080061": _one("CS", *sorted(modalities)),
        "00080062": _one("UI", *sorted(sop_classes)),
        "00201206": _one("IS", series),
        "00201208": _one("IS", instances),
    }


def study_answer(uid: str, attributes: Attributes, counted: Attributes) -> Attributes:
    """Return the attributes of a study in search results (PS3.18 Table 10.6.3-3)."""
    return (
        _pick(attributes, STUDY_REQUIRED, STUDY_IF_KNOWN)
        | {tag: counted[tag] for tag in ("00080061", "00201206", "00201208")}
        | {
            "0020000D": _one("UI", uid),
            "00080056": _one("CS", "ONLINE"),
            "00081190": _one("UR", f"{BASE}/studies/{uid}"),
        }
    )


DESCRIPTION = "00081030"


def show_description(attributes: Attributes) -> bytes:
    """Return Study Description as JSON, for search results that include it."""
    shown = attributes.get(DESCRIPTION) or {"vr": vr_of(int(DESCRIPTION, 16))}
    return orjson.dumps(shown).replace(_BASE_BYTES, b"\0")


def with_description(answer: bytes, shown: bytes) -> bytes:
    """Insert the description into the answer of a study: keys ascend, and Retrieve URL is the next one."""
    return answer.replace(b'"00081190":', b'"00081030":' + shown + b',"00081190":', 1)


def series_counted(instances: int) -> Attributes:
    return {"00201209": _one("IS", instances)}


def series_answer(study: str, uid: str, attributes: Attributes, counted: Attributes) -> Attributes:
    """Return the attributes of a series in search results (PS3.18 Table 10.6.3-4)."""
    answer = _pick(attributes, SERIES_REQUIRED, SERIES_IF_KNOWN)
    if REQUEST in answer:
        items = [_pick(item, REQUEST_KEYS, ()) for item in items_of(answer[REQUEST]) or ()]
        answer[REQUEST] = _one("SQ", *items)
    return (
        answer
        | counted
        | {
            "0020000D": _one("UI", study),
            "0020000E": _one("UI", uid),
            "00081190": _one("UR", f"{BASE}/studies/{study}/series/{uid}"),
        }
    )


def instance_answer(
    identity: Identity, transfer_syntax: str, attributes: Attributes, *, damaged: bool = False
) -> Attributes:
    """Return the attributes of an instance in search results (PS3.18 Table 10.6.3-5).

    Available Transfer Syntax UID is the stored one, in which the instance can be retrieved without loss.
    """
    return _pick(attributes, INSTANCE_REQUIRED, INSTANCE_IF_KNOWN) | {
        "00080016": _one("UI", identity.sop_class),
        "00080018": _one("UI", identity.instance),
        "0020000D": _one("UI", identity.study),
        "0020000E": _one("UI", identity.series),
        "00080056": _one("CS", "UNAVAILABLE" if damaged else "ONLINE"),
        "00081190": _one("UR", BASE + identity.path.url()),
        "00083002": _one("UI", transfer_syntax),
    }


def study_keys(attributes: Attributes) -> dict[str, Any]:
    """Return the key columns of a study row."""
    issuer, patient_id = text(attributes, "00100021"), text(attributes, "00100020")
    return {
        "study_date": _temporal(attributes, "00080020", searchkeys.date_key),
        "study_time": _temporal(attributes, "00080030", searchkeys.time_key),
        "accession_number": text(attributes, "00080050"),
        **_name(attributes, "00080090", "referring"),
        **_name(attributes, "00100010", "patient"),
        "patient_id": patient_id,
        "issuer_of_patient_id": issuer,
        "patient_birth_date": _temporal(attributes, "00100030", searchkeys.date_key),
        "patient_sex": text(attributes, "00100040"),
        "study_id": text(attributes, "00200010"),
        "study_description": text(attributes, "00081030"),
        "patient_hash": uid_hash(f"{issuer}\\{patient_id}"),
    }


def series_keys(attributes: Attributes) -> dict[str, Any]:
    """Return the key columns of a series row."""
    return {
        "modality": text(attributes, "00080060"),
        "number": number(attributes, "00200011"),
        "pps_start_date": _temporal(attributes, "00400244", searchkeys.date_key),
        "pps_start_time": _temporal(attributes, "00400245", searchkeys.time_key),
        "series_description": text(attributes, "0008103E"),
        "institution_name": text(attributes, "00080080"),
        "body_part_examined": text(attributes, "00180015"),
        "protocol_name": text(attributes, "00181030"),
        "station_name": text(attributes, "00081010"),
        "manufacturer": text(attributes, "00080070"),
        "manufacturer_model_name": text(attributes, "00081090"),
        "frame_of_reference_uid": text(attributes, "00200052"),
    }


def instance_keys(sop_class: str, attributes: Attributes) -> dict[str, Any]:
    """Return the key columns of an instance row."""
    return {
        "sop_class": sop_class,
        "number": number(attributes, "00200013"),
        "acquisition_datetime": _temporal(
            attributes, "0008002A", lambda value: searchkeys.datetime_key(value, zone_of(attributes))
        ),
    }


def request_items(attributes: Attributes) -> list[tuple[int, str, str]]:
    """Return item number and the two keys of each item of Request Attributes Sequence."""
    step, procedure = REQUEST_KEYS
    items = items_of(attributes.get(REQUEST)) or ()
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


def _differing(left: Attributes, right: Attributes, place: str) -> Iterator[str]:
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


def items_of(attribute: Attribute | None) -> list[Attributes] | None:
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
