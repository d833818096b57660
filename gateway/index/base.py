"""The index port. Its contract is tests/index/contract.py; both drivers must also agree in order and result.

Every read takes a `Scope` first: there is no unscoped read, and what is outside the scope is not there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.dicom.encoding.layout import InstanceLayout
from gateway.dicom.query.declaredkeys import Definition
from gateway.dicom.query.query import Match, Path, Position, Query
from gateway.model import (
    DEFAULT_PARTITION,
    Identity,
    Level,
    Locator,
    PartitionId,
    RepeatPolicy,
    ResourcePath,
    SeriesUID,
    Source,
    StudyUID,
    VersionId,
)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a caller may see: a partition, cut down by `predicate` (all must hold); `view` names a rewriting.

    The whole partition is `Scope(partition)`; its `fingerprint` is part of every ETag and cache key.
    """

    partition: PartitionId = DEFAULT_PARTITION
    predicate: tuple[Match, ...] = ()
    view: str = ""

    @property
    def is_whole(self) -> bool:
        return not self.predicate and not self.view

    @property
    def fingerprint(self) -> str:
        return (
            f"{self.partition}:{self.view}:{self.predicate!r}"
            if self.predicate or self.view
            else str(self.partition)
        )


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A received instance whose object is durable, offered to the index.

    `metadata` is the DICOM JSON object of the instance (PS3.18 F.2) as UTF-8 bytes without white space, keys
    ascending; a NUL byte stands wherever the service's base URL goes. `content_digest` is SHA-256 of the data
    set after group 0002, trailing padding left out; `file_digest` that of the stored object.
    `received` is in microseconds since the epoch. `outline` is the metadata without its long attributes, empty where
    they are short altogether.
    """

    version: VersionId
    identity: Identity
    transfer_syntax: str
    locator: Locator
    file_digest: bytes
    content_digest: bytes
    received: int
    metadata: bytes
    layout: InstanceLayout
    source: Source
    policy: RepeatPolicy = RepeatPolicy.REFUSE
    outline: bytes = b""
    damage: str = ""
    """Why the object cannot be had whole, found when the index was rebuilt; empty where nothing is wrong."""


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the append-only change log; also one line of the journal.

    kind: 'key' and 'unkey' (a query key was declared or dropped: `reason` is its definition, no instance is
    meant), 'store' (a version became current), 'again' (identical content received again, nothing stored),
    'delete' (tombstone), 'restore', 'reclaim' (bytes of a deleted version given up). `path` of a delete may be
    a study or series; one row per instance is written all the same. `locator` and digests are set for 'store'.
    """

    revision: int
    time: int
    kind: str
    partition: PartitionId
    identity: Identity
    version_before: VersionId | None
    version_after: VersionId | None
    source: Source
    reason: str = ""
    locator: Locator | None = None
    file_digest: bytes = b""
    content_digest: bytes = b""
    transfer_syntax: str = ""

    def is_same(self, other: Change) -> bool:
        """Whether both tell of the same: who, what and which version."""
        return (self.kind, self.identity, self.version_before, self.version_after) == (
            other.kind,
            other.identity,
            other.version_before,
            other.version_after,
        )


@dataclass(frozen=True, slots=True)
class Admitted:
    """Became the current version; `differing` names what is other than in the one that it replaced."""

    change: Change
    differing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceivedAgain:
    """Same data-set digest and transfer syntax as `current`, or the same file: success, the new object is not needed.

    Other content of which the first is kept likewise: then `differing` names the first attributes.
    """

    change: Change
    current: VersionId
    differing: tuple[str, ...] = ()
    is_journaled: bool = True
    """False where the journal may not tell of the current version yet: it has to before this is acknowledged."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Not admitted. `reason` is 'duplicate' (other content under a known UID, 0111H), 'misplaced' (the UID is
    known in another study or series, 0111H) or 'class' (known with another SOP Class, 0119H).

    `differing` names the first attributes that differ, as paths of keywords or tags, at most ten.
    """

    reason: str
    current: VersionId
    differing: tuple[str, ...] = ()


Verdict = Admitted | ReceivedAgain | Refused


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """The current version of an instance, as retrieval needs it."""

    version: VersionId
    identity: Identity
    transfer_syntax: str
    locator: Locator
    file_digest: bytes
    content_digest: bytes
    received: int
    odd_meta: bool = False
    """See InstanceLayout: what is sent is not as long as what is stored."""

    damage: str = ""
    """See NewVersion."""


@dataclass(frozen=True, slots=True)
class Described:
    """The metadata below a path as one moment had it: what is deleted or replaced meanwhile stays readable by version.

    `version_set` is the fingerprint of just these `versions`, in default order. `rows` are the metadata themselves,
    None where they are long altogether.
    """

    version_set: str
    versions: Sequence[VersionId]
    rows: Sequence[bytes] | None
    lost: int = 0
    """Damaged instances of which no metadata is left; these are in `version_set` only."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which rows an answer is made of; of levels below the one that is listed there is none."""

    study: int
    series: int | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Answer to a search: ready DICOM JSON objects (a NUL byte where the base URL goes), in order.

    `remaining` is how many more there are beyond this page, exact up to 10,000 (then 10,000).
    `total` is set when the query asked to count. `ignored` names keys that could not be matched on.
    `last` is the position of the last row, from which the next page goes on whatever is stored meanwhile.
    `kinds` tell of each row of an instance in which transfer syntaxes it can be had (`layoutbytes.of_kind`), ''
    where that is not known; Available Transfer Syntax UID of the rows is the stored one.
    `rest` are places of rows of this page that are still to be read, by `Index.read_on`: they are long.
    """

    rows: Sequence[bytes]
    remaining: int = 0
    total: int | None = None
    ignored: tuple[str, ...] = ()
    last: Position | None = None
    rest: Sequence[Place] = ()
    kinds: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ExtraKey:
    """A query key that was declared. `state` is 'filling' or 'ready'; only then does it answer searches alone.

    `done` of `total` rows of its level are indexed, `failed` of them with a value that could not be.
    """

    id: int
    path: Path
    vr: str
    level: Level
    state: str
    done: int
    total: int
    failed: int
    declared: int


@dataclass(frozen=True, slots=True)
class KeyFailure:
    """A study, series or instance with a value that could not be indexed; `place` is where to go on."""

    study: str
    series: str
    instance: str
    reason: str
    place: str


@dataclass(frozen=True, slots=True)
class Conflicting:
    """A study or patient attribute on which an instance disagrees with what the study shows."""

    study: str
    tag: str
    shown: str
    differing: str
    instance: str
    version: VersionId


@dataclass(frozen=True, slots=True)
class Removal:
    """What a delete took away: one change per instance, with the locators of the bytes."""

    changes: Sequence[Change] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Deleted:
    """Instances of a series that were deleted and can be restored; first and last deletion in microseconds."""

    study: StudyUID
    series: SeriesUID
    instances: int
    length: int
    first: int
    last: int


class Aside(Protocol):
    """An index that is built beside another, which goes on. What was built is kept when this is closed."""

    @property
    def index(self) -> Index:
        """The one that is being built."""

    async def mode(self) -> str:
        """How it was begun; empty where it was not."""

    async def clear(self, mode: str) -> None:
        """Begin anew: empty, of this program's schema."""

    async def has_parted(self) -> bool:
        """Whether the two tell different changes of the last revision that both know."""

    async def settle(self, *, parted: bool = False) -> int:
        """Put it in the other's place, once it has caught up; how many changes these were.

        Commits wait for the last few of them. No reader sees less than before at any time, and every process
        follows by itself. Raises Conflict where the two have parted, so that nothing is changed; where that is
        expected (`parted`), what only the other knows is left out.
        """

    async def close(self) -> None:
        """Let somebody else build."""


class Index(Protocol):
    """Rows and queries. All methods raise IndexUnavailable when the database does not answer."""

    async def migrate(self) -> None:
        """Bring the schema to this program's version, in small resumable steps."""

    async def check_schema(self) -> None:
        """Raises MigrationNeeded."""

    async def close(self) -> None: ...

    async def archive_id(self) -> str:
        """Of which archive (`archive.json` in the store) this is the index; empty where it was never told."""

    async def adopt(self, id: str) -> None:
        """Be the index of this archive from now on; durable when this returns."""

    async def adopted_at(self) -> float:
        """Return since when (seconds since the epoch) this is the index of its archive; 0 where not known.

        What was stored before, it knows only from the journal.
        """

    async def last_revision(self) -> int:
        """Of the last committed change, 0 where there is none. Revisions are contiguous from format 2 on."""

    # -- changing -------------------------------------------------------------------------------------

    async def admit(self, batch: Sequence[NewVersion], *, journaled: Sequence[int] = ()) -> list[Verdict]:
        """Judge and commit a batch in one durable transaction; one verdict each, in order.

        Within a batch the same UID twice is judged as if one after the other. `journaled` are revisions of
        earlier batches whose journal object is durable, marked in the same transaction.
        """

    async def find_stored(self, versions: Sequence[VersionId]) -> dict[VersionId, Change]:
        """The changes that made these versions current, once every commit under way has ended.

        Those left out are not stored, and will not be by an `admit` whose answer was lost.
        """

    async def find_committed(self, operation: str) -> list[Change] | None:
        """What the change that was given this name did, once every commit under way has ended; None: nothing, and
        it never will. Known for a day.
        """

    async def remove(
        self, scope: Scope, path: ResourcePath, source: Source, reason: str, operation: str = ""
    ) -> Removal:
        """Tombstone every current version under `path`, in one transaction.

        `operation`, here and below, names the transaction for `find_committed`.
        Raises NotFound, or Gone if all of it was removed before.
        """

    async def restore(
        self, scope: Scope, path: ResourcePath, source: Source, reason: str, operation: str = ""
    ) -> list[Change]:
        """Make current again what was deleted last under `path`, where nothing took its place since.

        Raises NotFound, Gone where it was reclaimed, Conflict where nothing of it is deleted.
        """

    async def take_back(self, changes: Sequence[Change], reason: str, operation: str = "") -> list[Change]:
        """Undo deletions or restorations of one partition, each where nothing was done to its instance since."""

    async def reclaim(
        self, before: int, source: Source, limit: int = 200, operation: str = ""
    ) -> list[Change]:
        """Leave only tombstones of about `limit` versions deleted at or before `before` (microseconds), and of
        those they had replaced. The objects that the changes name can go once these are journaled.
        """

    async def find_unjournaled(self, limit: int = 1000) -> list[Change]:
        """Committed changes not marked as journaled, oldest first."""

    async def mark_journaled(self, revisions: Sequence[int]) -> None: ...

    async def replay(self, changes: Sequence[Change], versions: dict[VersionId, NewVersion]) -> None:
        """Apply journal lines in order of revision, keeping revisions, times and version ids.

        `versions` holds what was read again from the store for each 'store' change. Lines up to the last
        revision of the index are passed over: any number of processes may replay the same lines at once.
        """

    async def reset(self) -> None:
        """Empty every table (for reindex)."""

    # -- query keys -----------------------------------------------------------------------------------

    async def declare_key(self, definition: Definition, source: Source, operation: str = "") -> Change | None:
        """None where it is declared already. Raises Conflict where with another VR."""

    async def drop_key(self, id: int, source: Source, operation: str = "") -> Change:
        """Raises NotFound."""

    async def keys(self) -> list[ExtraKey]: ...

    async def key_failures(self, id: int, after: str = "", limit: int = 100) -> list[KeyFailure]:
        """Whose values could not be indexed, from the place `after`."""

    async def work_on_keys(self, limit: int = 200) -> bool:
        """One bounded, resumable step of filling or dropping keys; False when there is nothing to do."""

    # -- reading --------------------------------------------------------------------------------------

    async def ping(self, scope: Scope) -> None:
        """A read that costs nothing, and waits for no search. Raises IndexUnavailable, IndexFailure."""

    async def search(self, scope: Scope, query: Query) -> Page:
        """Raises Busy where too many wait, Overdue where it takes too long, BadParameter where too much would have to be
        looked into.
        """

    async def read_on(self, scope: Scope, query: Query, rest: Sequence[Place]) -> Page:
        """Some more rows of a page, and what is left of it; those that are gone meanwhile are left out."""

    async def instances(self, scope: Scope, path: ResourcePath) -> list[StoredInstance]:
        """Current versions under `path` in default order (series by number then UID, instances likewise).

        Raises NotFound when there is nothing, Gone when everything there was deleted.
        """

    async def layout(self, scope: Scope, path: ResourcePath) -> tuple[StoredInstance, InstanceLayout]:
        """Of one instance. Raises NotFound, Gone."""

    async def layouts_after(
        self, scope: Scope, path: ResourcePath, limit: int
    ) -> list[tuple[StoredInstance, InstanceLayout]]:
        """Of the instance at `path` and at most `limit - 1` that follow it in its series; large layouts are
        left out. Raises NotFound, Gone where the series is.
        """

    async def version_set(self, scope: Scope, path: ResourcePath) -> str:
        """A fingerprint that changes whenever any current version under `path` does. Raises NotFound, Gone."""

    async def metadata(self, scope: Scope, path: ResourcePath) -> list[bytes]:
        """`NewVersion.metadata` of every current version under `path`, in the order of `instances`.

        An empty one stands for a damaged version whose header nobody knows any more.
        """

    async def describe(self, scope: Scope, path: ResourcePath, at_once: int) -> Described:
        """What `metadata` gives, read in one snapshot with its fingerprint; without rows where they have more than
        `at_once` bytes. Raises NotFound, Gone.
        """

    async def bodies(self, scope: Scope, versions: Sequence[VersionId], at_once: int) -> list[bytes]:
        """`NewVersion.metadata` of the first of these versions, current or not: one, and more while they have no
        more than `at_once` bytes together. Raises NotFound where the first was reclaimed.
        """

    async def layouts_of(
        self, scope: Scope, versions: Sequence[VersionId]
    ) -> dict[VersionId, InstanceLayout]:
        """By version, current or not; those that were reclaimed are left out."""

    async def series_of(self, scope: Scope, study: ResourcePath) -> list[ResourcePath]:
        """The series of a study in default order. Raises NotFound, Gone."""

    async def conflicts(self, scope: Scope, study: str | None = None) -> list[Conflicting]: ...

    async def list_deleted(
        self, scope: Scope, study: str | None = None, after: tuple[str, str] = ("", ""), limit: int = 100
    ) -> list[Deleted]:
        """What `restore` can bring back, by study and series, after the place of a page before."""

    async def changes(self, after: int, limit: int = 1000) -> list[Change]:
        """Changes with a revision above `after`, ascending, never with a gap that may still be filled."""

    def all_versions(self) -> AsyncIterator[tuple[StoredInstance, str]]:
        """Every version ever admitted and its state ('current', 'superseded', 'deleted', 'reclaimed'), for verify."""

    async def find_known_versions(self, changes: Sequence[Change]) -> dict[VersionId, NewVersion]:
        """What is known of the versions that these 'store' changes stored, but for those that were given up."""

    async def find_named_versions(self, ids: Sequence[str]) -> dict[VersionId, tuple[StoredInstance, str]]:
        """Those of these versions that were ever admitted, and their states."""

    async def list_damaged(self, after: str = "", limit: int = 1000) -> list[StoredInstance]:
        """Damaged versions, in any state but 'reclaimed', by id from above `after`."""

    # -- rebuilding -----------------------------------------------------------------------------------

    @property
    def generation(self) -> int:
        """Rises when this process learns that another index was put in the place of the one it had read."""

    async def aside(self) -> Aside:
        """An index beside this one, to be filled and put in its place. Raises Conflict where somebody else has it."""

    async def is_rebuilding(self) -> bool:
        """Whether some process builds an index beside this one."""

    # -- work that one process does for all -----------------------------------------------------------

    async def take_lease(self, name: str, holder: str, seconds: float, every: float = 0.0) -> bool:
        """Do this work for `seconds` more, by the database's clock, unless another holder does.

        Nor where it was done within the last `every` seconds. Renewed by its holder in the same way.
        """

    async def give_back_lease(self, name: str, holder: str, *, is_done: bool) -> None:
        """`is_done`: the work is done, and starts the time that `take_lease` calls `every`."""

    # -- freshness ------------------------------------------------------------------------------------

    async def tail(self) -> AsyncIterator[Sequence[Change]]:
        """Changes by anybody, as they are committed, within a second; for invalidating caches. Never ends."""
        yield ()

    async def counts(self) -> dict[Level, int]:
        """How many studies, series and instances there are, over all partitions."""
