"""The syntax tree of a query (PS3.18 8.3.4, PS3.4 C.2.2.2), parsed by the HTTP layer, compiled by each index.

An attribute path is a tuple of tags: all but the last are sequences. Values are normalised once, in the
parser: dates to `YYYYMMDD`, times to `HHMMSS.FFFFFF`; a lower precision becomes a range.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.model import Level, ResourcePath

# Private tags are `gateway.dicom.model.private.PrivateTag`.
Path: TypeAlias = tuple[int, ...]

# The place of a row in the default order of its level: its order keys, from the study down to its own UID.
Position: TypeAlias = tuple[str | int | None, ...]


@dataclass(frozen=True, slots=True)
class Universal:
    """Universal matching: every data set matches, and the attribute is returned."""

    path: Path


@dataclass(frozen=True, slots=True)
class Equals:
    """Single value matching; for PN it matches any component group and ignores case and accents."""

    path: Path
    vr: str
    value: str


@dataclass(frozen=True, slots=True)
class Wildcard:
    """Wildcard matching: `*` is any run of characters, `?` exactly one. Case-sensitive except for PN."""

    path: Path
    vr: str
    pattern: str


@dataclass(frozen=True, slots=True)
class OneOf:
    """List of UID matching, also `ModalitiesInStudy=CT,MR`, which means either of them."""

    path: Path
    vr: str
    values: tuple[str, ...]
    members: frozenset[str] = field(init=False, repr=False, compare=False)
    """The values as a set, for fast look-up."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", frozenset(self.values))


@dataclass(frozen=True, slots=True)
class Range:
    """A range of DA, TM or DT; both ends are inclusive, None is open. Ends are padded to full precision.

    `zone` is the time zone of the query for a TM; a DT is in UTC already.
    """

    path: Path
    vr: str
    low: str | None
    high: str | None
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class DateTimeRange:
    """A combined date and time range: one interval over two elements (PS3.4 C.2.2.2.5).

    Ends are `YYYYMMDDHHMMSS.FFFFFF`, inclusive; None is open. `zone` is the time zone of the query.
    """

    date: Path
    time: Path
    low: str | None
    high: str | None
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Fuzzy:
    """Fuzzy matching: every word is a prefix of a word in any component group, or sounds like one.

    The order of the words does not matter.
    """

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
    """One search: the level to list, its scope, its matches, and the attributes to return.

    `within` limits it to a study (or a series of one). `include` holds the includefield paths, `include_all`
    stands for `all`. `limit` is already capped by the server's maximum. `after` is the position of the last
    row of the page before.
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
