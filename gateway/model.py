"""Value types that every room shares."""

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
    """Where instances are set aside that are not to be seen in this partition."""
    return PartitionId(partition | _QUARANTINE)


EXPLICIT_VR_LE = "1.2.840.10008.1.2.1"
IMPLICIT_VR_LE = "1.2.840.10008.1.2"
EXPLICIT_VR_BE = "1.2.840.10008.1.2.2"
DEFLATED_EXPLICIT_VR_LE = "1.2.840.10008.1.2.1.99"


class Level(enum.Enum):
    """Information entity of the Study Root model."""

    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"


@dataclass(frozen=True, slots=True)
class ResourcePath:
    """A study, one of its series, or one of its instances; series and instance None above that level."""

    study: StudyUID
    series: SeriesUID | None = None
    instance: InstanceUID | None = None

    @property
    def level(self) -> Level:
        if self.instance is not None:
            return Level.INSTANCE
        return Level.SERIES if self.series is not None else Level.STUDY

    def url(self) -> str:
        """Path below the service root, such as `/studies/1.2/series/1.2.3`."""
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
    """Where the bytes of an instance version are: `length` bytes from `offset` of `key` in `store`."""

    store: str
    key: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. Until there is authentication, everybody is `ANONYMOUS`."""

    name: str


ANONYMOUS = Principal("anonymous")


@dataclass(frozen=True, slots=True)
class Source:
    """Where an instance came from: kind is 'stow', 'import' or 'dimse'."""

    kind: str
    peer: str = ""
    ae_title: str = ""
    principal: str = ANONYMOUS.name
    partition: PartitionId = DEFAULT_PARTITION


class RepeatPolicy(enum.Enum):
    """What happens when other content arrives under a known SOP Instance UID."""

    REFUSE = "refuse"
    REPLACE = "replace"
    KEEP_FIRST = "keep-first"
