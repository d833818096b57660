"""Names that are drawn or derived: version ids, object keys, journal keys (design, Truth)."""

from __future__ import annotations

import hashlib
import os
import re
import time
from datetime import UTC, datetime

from gateway.dicom import tags
from gateway.errors import DicomError
from gateway.model import PartitionId, VersionId
from gateway.store.base import KEY

JOURNAL_PREFIX = "journal/"
LOG_PREFIX = "journal/log/"
SEGMENT_PREFIX = "journal/segments/"
DERIVED_PREFIX = "derived/"
ARCHIVE_KEY = "archive.json"
TRASH_PREFIX = "trash/"
_VERSION = re.compile(r"[0-9a-f]{12}7[0-9a-f]{19}\Z")
_TRASHED = re.compile(r"trash/([0-9]{8})/(.+)\Z")


def new_version() -> VersionId:
    """Return a fresh UUIDv7 (RFC 9562 5.7) as 32 hex digits: it sorts by time of drawing."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    high, low = random >> 62 & 0xFFF, random & ((1 << 62) - 1)
    return VersionId(f"{milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low:032x}")


def object_key(partition: PartitionId, study: str, version: VersionId) -> str:
    """Return the object key of a version: `{shard}/{partition id}/{study uid}/{object id}.dcm`.

    The shard is two hex digits of a hash of the UID. Raises DicomError where the UID is none.
    """
    shard = hashlib.sha256(study.encode()).hexdigest()[:2]
    key = f"{shard}/{partition}/{study}/{version}.dcm"
    if not KEY.match(key):
        raise DicomError(f"Study Instance UID '{study}' is no UID", tag=tags.STUDY_INSTANCE_UID, uid=study)
    return key


def version_of(key: str) -> VersionId | None:
    """Return the version whose object is under `key`, or None where the key is not that of an instance."""
    parts = key.split("/")
    if len(parts) != 4 or not parts[3].endswith(".dcm"):
        return None
    return VersionId(parts[3].removesuffix(".dcm"))


def log_key(first: int) -> str:
    """Return the key of the journal object with this first revision: only one process can put it."""
    return f"{LOG_PREFIX}{first:016d}.jsonl"


def segment_key(first: int, last: int) -> str:
    """Return the key of a segment, which holds many journal objects."""
    return f"{SEGMENT_PREFIX}{first:016d}-{last:016d}.jsonl"


def old_key(first: int) -> str:
    """Return the beginning of keys of the journal's format 1; a UUIDv7 follows it."""
    return f"{JOURNAL_PREFIX}{first:016d}"


def find_derived_from(key: str) -> VersionId | None:
    """Return the version from which a derived object was made, or None where the key is not of one."""
    if not key.startswith(DERIVED_PREFIX):
        return None
    return VersionId(key.rpartition("/")[2].partition(".")[0])


def make_inflated_key(version: VersionId) -> str:
    """Return the key of the derived object that holds a deflated data set inflated."""
    return f"{DERIVED_PREFIX}{version[-2:]}/{version}.inflated"


def find_version(key: str) -> VersionId | None:
    """Return the version of an object or derived object; None for other keys, or without a UUIDv7."""
    version = find_derived_from(key) or version_of(key)
    return version if version is not None and _VERSION.match(version) else None


def read_time(version: str) -> float | None:
    """Return the time at which a version was drawn, in seconds since the epoch; None where it is no UUIDv7.

    See RFC 9562 5.7.
    """
    return int(version[:12], 16) / 1000 if _VERSION.match(version) else None


def trash_key(key: str, day: str) -> str:
    """Return the key of an object in the trash; `day` is that on which it was swept, such as 20261124."""
    return f"{TRASH_PREFIX}{day}/{key}"


def parse_trash_key(key: str) -> tuple[float, str] | None:
    """Return the end of the day on which an object was swept (seconds since the epoch), and its former key.

    None where the key is not one of the trash.
    """
    found = _TRASHED.match(key)
    if found is None:
        return None
    try:
        day = datetime.strptime(found[1], "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return day.timestamp() + 24 * 3600, found[2]
