"""The query AST (PS3.18 8.3.4, PS3.4 C.2.2.2): parsed at the door, compiled by each index driver.

An attribute path is a tuple of tags: all but the last are sequences. Values are normalised here, once:
dates `YYYYMMDD`, times `HHMMSS.FFFFFF` with the precision that was given kept as a range.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.model import Level, ResourcePath

# Private tags are `gateway.dicom.model.private.PrivateTag`.
Path: TypeAlias = tuple[int, ...]

# Where a row is in the default order of its level: what it is ordered by, from the study down to its UID.
Position: TypeAlias = tuple[str | int | None, ...]


@dataclass(frozen=True, slots=True)
class Universal:
    """Matches everything; the attribute is returned."""

    path: Path


@dataclass(frozen=True, slots=True)
class Equals:
    """Single value matching; for PN any component group, case- and accent-insensitive."""

    path: Path
    vr: str
    value: str


@dataclass(frozen=True, slots=True)
class Wildcard:
    """`*` is any run of characters, `?` exactly one. Case-sensitive but for PN."""

    path: Path
    vr: str
    pattern: str


@dataclass(frozen=True, slots=True)
class OneOf:
    """List of UID matching; also `ModalitiesInStudy=CT,MR`, which means any of them."""

    path: Path
    vr: str
    values: tuple[str, ...]
    members: frozenset[str] = field(init=False, repr=False, compare=False)
    """The values, for looking one up."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", frozenset(self.values))


@dataclass(frozen=True, slots=True)
class Range:
    """DA, TM or DT range, both ends inclusive; None is open. Ends are padded to full precision.

    `zone` is the zone in which a time of day was asked for; a DT is in UTC by now.
    """

    path: Path
    vr: str
    low: str | None
    high: str | None
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class DateTimeRange:
    """Combined date and time range: one interval over two elements (PS3.4 C.2.2.2.5).

    Ends are `YYYYMMDDHHMMSS.FFFFFF`, inclusive; None is open. `zone` is the zone in which it was asked for.
    """

    date: Path
    time: Path
    low: str | None
    high: str | None
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Fuzzy:
    """Every word is a prefix of a word in some component group, or sounds like one; any order."""

    path: Path
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Empty:
    """Empty value matching: the attribute is absent or of zero length."""

    path: Path
    vr: str


@dataclass(frozen=True, slots=True)
class InItem:
    """All of `keys` hold within the same item of the sequence at `path`; their paths are relative to the item."""

    path: Path
    keys: tuple[Match, ...]


Match: TypeAlias = Universal | Equals | Wildcard | OneOf | Range | DateTimeRange | Fuzzy | Empty | InItem


@dataclass(frozen=True, slots=True)
class Query:
    """One search: what is listed, where, which ones, with which attributes.

    `within` narrows to a study (or a series of it); `relational` is set for `/series`, `/instances` and
    `/studies/{study}/instances`. `include` holds the includefield paths, `include_all` stands for `all`.
    `limit` is already capped by the server's maximum. `after` is where the page before ended.
    """

    level: Level
    within: ResourcePath | None = None
    matches: tuple[Match, ...] = ()
    include: tuple[Path, ...] = ()
    include_all: bool = False
    limit: int = 200
    offset: int = 0
    count: bool = False
    after: Position | None = None
