"""Value types that all packages share."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NewType

StudyUID = NewType("StudyUID", str)
SeriesUID = NewType("SeriesUID", str)
InstanceUID = NewType("InstanceUID", str)

# 32 lower-case hex digits of a UUIDv7: names the stored object and the instance version alike.
VersionId = NewType("VersionId", str)

# Counts from one, as PS3.18 does; only dicom/encoding/layout.py turns it into an offset.
FrameNumber = NewType("FrameNumber", int)

PartitionId = NewType("PartitionId", int)
DEFAULT_PARTITION = PartitionId(1)
_QUARANTINE = 1 << 30


def quarantine_of(partition: PartitionId) -> PartitionId:
    """Return the partition for quarantined instances of this partition."""
    return PartitionId(partition | _QUARANTINE)


class Level(enum.Enum):
    """An information entity of the Study Root model."""

    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"


@dataclass(frozen=True, slots=True)
class ResourcePath:
    """The path of a study, a series or an instance; `series` and `instance` are None above that level."""

    study: StudyUID
    series: SeriesUID | None = None
    instance: InstanceUID | None = None

    @property
    def level(self) -> Level:
        if self.instance is not None:
            return Level.INSTANCE
        return Level.SERIES if self.series is not None else Level.STUDY

    def url(self) -> str:
        """Return the path below the service root, such as `/studies/1.2/series/1.2.3`."""
        text = f"/studies/{self.study}"
        if self.series is not None:
            text += f"/series/{self.series}"
        if self.instance is not None:
            text += f"/instances/{self.instance}"
        return text


@dataclass(frozen=True, slots=True)
class Identity:
    """The four UIDs that place an instance (PS3.3 C.12.1, C.7.2.1, C.7.3.1)."""

    study: StudyUID
    series: SeriesUID
    instance: InstanceUID
    sop_class: str

    @property
    def path(self) -> ResourcePath:
        return ResourcePath(self.study, self.series, self.instance)


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open byte range [start, stop) of one object."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Locator:
    """The place of the bytes of an instance version: `length` bytes from `offset` of `key` in `store`."""

    store: str
    key: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Principal:
    """The user who makes a request. Until there is authentication, everybody is `ANONYMOUS`."""

    name: str


ANONYMOUS = Principal("anonymous")


@dataclass(frozen=True, slots=True)
class Source:
    """The origin of an instance: `kind` is 'stow', 'import' or 'dimse'."""

    kind: str
    peer: str = ""
    ae_title: str = ""
    principal: str = ANONYMOUS.name
    partition: PartitionId = DEFAULT_PARTITION


class RepeatPolicy(enum.Enum):
    """The way in which other content under a known SOP Instance UID is handled."""

    REFUSE = "refuse"
    REPLACE = "replace"
    KEEP_FIRST = "keep-first"
