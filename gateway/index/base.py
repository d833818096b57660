"""The index port. Its contract is tests/index/contract.py; both drivers must also agree in order and result.

Every read takes a `Scope` first: there is no unscoped read, and for the caller nothing
exists outside the scope.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import xor
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
    """The part of the index that a caller may see.

    It is a partition, narrowed by `predicate`: an instance is seen where all matches hold. `view` names a
    rewriting of the answers. The whole partition is `Scope(partition)`. The `fingerprint` is part of every
    ETag and cache key.
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


def version_mark(version: str) -> int:
    """Return what a version adds to the fingerprint of a set of versions (by exclusive or)."""
    return int.from_bytes(hashlib.sha256(version.encode()).digest()[:16], "big")


def fingerprint_of(versions: Iterable[str]) -> str:
    """Return the fingerprint of a set of versions, as `Index.version_set` tells it."""
    return f"{reduce(xor, map(version_mark, versions), 0):032x}"


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A received instance, offered to the index once its object is durable in the store.

    `metadata` is the DICOM JSON object of the instance (PS3.18 F.2) as UTF-8 bytes without white space, keys
    ascending; a NUL byte stands wherever the service's base URL goes. `content_digest` is SHA-256 of the data
    set after group 0002, without its trailing padding; `file_digest` is SHA-256 of the stored object.
    `received` is in microseconds since the epoch. `outline` is the metadata without its long attributes; it
    is empty where the whole metadata are short.
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
    """Why the object cannot be read whole, found when the index was rebuilt; empty where nothing is wrong."""


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the append-only change log, and one line of the journal.

    The kinds are: 'store' (a version became current), 'again' (identical content was received again, nothing
    was stored), 'delete' (tombstone), 'restore', 'reclaim' (the bytes of a deleted version were given up),
    'key' and 'unkey' (a query key was declared or dropped: `reason` is its definition, and no instance is
    meant).

    A request may delete a study or a series; one row per instance is written all the same. `locator` and the
    digests are set for 'store'.
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
        """Return whether both changes record the same: kind, instance and versions."""
        return (self.kind, self.identity, self.version_before, self.version_after) == (
            other.kind,
            other.identity,
            other.version_before,
            other.version_after,
        )


@dataclass(frozen=True, slots=True)
class Admitted:
    """The verdict 'stored': the instance became the current version.

    `differing` names the attributes that differ from the version that it replaced.
    """

    change: Change
    differing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceivedAgain:
    """The verdict 'received again': `current` stays, the new object is not needed, the sender gets success.

    Either the data-set digest and transfer syntax are those of `current`, or the file is the same. Or the
    content differs and the policy keeps the first: then `differing` names the first attributes that differ.
    """

    change: Change
    current: VersionId
    differing: tuple[str, ...] = ()
    is_journaled: bool = True
    """False where the journal may not hold the current version yet: it must before this is acknowledged."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The verdict 'refused': nothing was stored.

    `reason` is 'duplicate' (other content under a known UID, 0111H), 'misplaced' (the UID is known in another
    study or series, 0111H) or 'class' (the UID is known with another SOP Class, 0119H). `differing` names the
    first attributes that differ, as paths of keywords or tags, at most ten.
    """

    reason: str
    current: VersionId
    differing: tuple[str, ...] = ()


Verdict = Admitted | ReceivedAgain | Refused


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """One version of an instance, with the fields that retrieval needs."""

    version: VersionId
    identity: Identity
    transfer_syntax: str
    locator: Locator
    file_digest: bytes
    content_digest: bytes
    received: int
    odd_meta: bool = False
    """Whether the file meta is rewritten when sent, so that its length differs (see InstanceLayout)."""

    damage: str = ""
    """Why the object cannot be read whole (see NewVersion); empty where nothing is wrong."""


@dataclass(frozen=True, slots=True)
class DescribedMetadata:
    """The metadata under a path at one moment.

    A version that is deleted or replaced meanwhile can still be read by its id. `version_set` is the
    fingerprint of just these `versions`, in default order. `rows` are the metadata themselves; None where
    they are too long together.
    """

    version_set: str
    versions: Sequence[VersionId]
    rows: Sequence[bytes] | None
    lost: int = 0
    """How many damaged instances have no metadata left; they count in `version_set` only."""


@dataclass(frozen=True, slots=True)
class RowPlace:
    """The rows from which one search result is made: those of its study, series and version.

    The ids of levels below the level of the search are None.
    """

    study: int
    series: int | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a search result: ready DICOM JSON objects (a NUL byte where the base URL goes), in order.

    `remaining` is how many more rows there are after this page, exact up to 10,000 (then 10,000). `total` is
    set when the query asked to count. `ignored` names keys that could not be matched on. `last` is the
    position of the last row: the next page goes on from it, whatever is stored meanwhile.

    `kinds` say for each row of an instance in which transfer syntaxes it can be retrieved
    (`layoutbytes.from_kind`); '' where that is not known. Available Transfer Syntax UID of the rows is the
    stored one. `rest` are places of rows of this page that are still to be read by `Index.read_on`, because
    they are long.
    """

    rows: Sequence[bytes]
    remaining: int = 0
    total: int | None = None
    ignored: tuple[str, ...] = ()
    last: Position | None = None
    rest: Sequence[RowPlace] = ()
    kinds: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ExtraKey:
    """A declared query key. `state` is 'filling' or 'ready'; only a ready key answers searches alone.

    `done` of `total` rows of its level are indexed; `failed` of them have a value that could not be indexed.
    `declared` is the time of declaration, in microseconds.
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
    """A study, series or instance with a value that could not be indexed.

    `place` is the value of `after` with which a listing continues behind this one.
    """

    study: str
    series: str
    instance: str
    reason: str
    place: str


@dataclass(frozen=True, slots=True)
class Conflicting:
    """A study or patient attribute in which an instance differs from the value that the study shows."""

    study: str
    tag: str
    shown: str
    differing: str
    instance: str
    version: VersionId


@dataclass(frozen=True, slots=True)
class Removal:
    """The result of a delete: one change per instance, with the locators of the bytes."""

    changes: Sequence[Change] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Deleted:
    """The deleted instances of one series that can be restored; first and last deletion in microseconds."""

    study: StudyUID
    series: SeriesUID
    instances: int
    length: int
    first: int
    last: int


class Aside(Protocol):
    """A second index, built while the first one serves. Closing it keeps the rows that were built."""

    @property
    def index(self) -> Index:
        """The index that is being built."""

    async def mode(self) -> str:
        """Return how the build was begun; empty where it was not."""

    async def clear(self, mode: str) -> None:
        """Begin the build from the start: with empty tables in the schema of this program."""

    async def has_parted(self) -> bool:
        """Return whether the two indexes hold different changes at the last revision that both know."""

    async def settle(self, *, parted: bool = False) -> int:
        """Put this index in the place of the serving one, once it has caught up.

        Returns how many changes were copied for that. Commits wait while the last few changes are copied. No
        reader sees less than before at any time, and every process switches to the new index by itself.
        Raises Conflict, with nothing changed, where the two hold different changes; where that is expected
        (`parted`), changes that only the serving index has are left out.
        """

    async def close(self) -> None:
        """Release the lock, so that another process may build."""


class Index(Protocol):
    """Rows and queries. All methods raise IndexUnavailable when the database does not answer."""

    async def migrate(self) -> None:
        """Bring the schema to this program's version, in small resumable steps."""

    async def check_schema(self) -> None:
        """Raise MigrationNeeded where the schema is not that of this program."""

    async def close(self) -> None: ...

    async def archive_id(self) -> str:
        """Return the id of the indexed archive (`archive.json` in the store); empty where none was set."""

    async def adopt(self, id: str) -> None:
        """Set the id of the archive that is indexed; durable when this returns."""

    async def read_adoption_time(self) -> float:
        """Return since when (seconds since the epoch) this is the index of its archive; 0 where not known.

        What was stored before, it knows only from the journal.
        """

    async def last_revision(self) -> int:
        """Return the revision of the last committed change, 0 where there is none.

        Revisions are contiguous from journal format 2 on.
        """

    # -- changing -------------------------------------------------------------------------------------

    async def admit(self, batch: Sequence[NewVersion], *, journaled: Sequence[int] = ()) -> list[Verdict]:
        """Judge and commit a batch in one durable transaction; return one verdict each, in order.

        The same UID twice in a batch is judged as if one instance came after the other. `journaled` are
        revisions of earlier batches whose journal object is durable; they are marked in the same transaction.
        """

    async def find_stored(self, versions: Sequence[VersionId]) -> dict[VersionId, Change]:
        """Return the changes that made these versions current, once every commit under way has ended.

        Versions without a change in the result are not stored, and no `admit` whose answer was
        lost will store them.
        """

    async def find_committed(self, operation: str) -> list[Change] | None:
        """Return the changes of the operation with this name, once every commit under way has ended.

        None means that it was not committed and never will be. Names are kept for a day.
        """

    async def remove(
        self, scope: Scope, path: ResourcePath, source: Source, reason: str, operation: str = ""
    ) -> Removal:
        """Tombstone every current version under `path`, in one transaction.

        `operation`, here and below, names the transaction for `find_committed`. Raises NotFound, or Gone
        where everything there was deleted before.
        """

    async def restore(
        self, scope: Scope, path: ResourcePath, source: Source, reason: str, operation: str = ""
    ) -> list[Change]:
        """Make the versions deleted last under `path` current again, where no other version is current since.

        Raises NotFound, Gone where the versions were reclaimed, Conflict where nothing
        under `path` is deleted.
        """

    async def take_back(self, changes: Sequence[Change], reason: str, operation: str = "") -> list[Change]:
        """Undo deletions or restorations of one partition, for each instance that was not changed since."""

    async def reclaim(
        self, before: int, source: Source, limit: int = 200, operation: str = ""
    ) -> list[Change]:
        """Reclaim about `limit` versions deleted at or before `before` (microseconds).

        Only their tombstones stay. The versions that these had replaced are reclaimed too. The objects that
        the changes name may be deleted once the changes are journaled.
        """

    async def find_unjournaled(self, limit: int = 1000) -> list[Change]:
        """Return committed changes that are not marked as journaled, oldest first."""

    async def mark_journaled(self, revisions: Sequence[int]) -> None: ...

    async def replay(self, changes: Sequence[Change], versions: dict[VersionId, NewVersion]) -> None:
        """Apply journal lines in order of revision, keeping revisions, times and version ids.

        `versions` holds, for each 'store' change, the version as read again from the store. Lines up to the
        last revision of the index are passed over: any number of processes may replay the same lines at once.
        """

    async def reset(self) -> None:
        """Empty every table (for reindex)."""

    # -- query keys -----------------------------------------------------------------------------------

    async def declare_key(self, definition: Definition, source: Source, operation: str = "") -> Change | None:
        """Declare a query key; return its change, None where it is declared already.

        Raises Conflict where it is declared with another VR.
        """

    async def drop_key(self, id: int, source: Source, operation: str = "") -> Change:
        """Drop a query key; return its change. Raises NotFound."""

    async def keys(self) -> list[ExtraKey]: ...

    async def key_failures(self, id: int, after: str = "", limit: int = 100) -> list[KeyFailure]:
        """Return the entities with values that could not be indexed for this key, from the place `after`."""

    async def work_on_keys(self, limit: int = 200) -> bool:
        """Do one bounded, resumable step of filling or dropping keys; return False when there is none."""

    # -- reading --------------------------------------------------------------------------------------

    async def ping(self, scope: Scope) -> None:
        """Make a read that costs nothing and waits for no search. Raises IndexUnavailable, IndexFailure."""

    async def search(self, scope: Scope, query: Query) -> Page:
        """Return one page of the rows that match.

        Raises Busy where too many searches wait, Overdue where it takes too long, BadParameter where too many
        rows would have to be read.
        """

    async def read_on(self, scope: Scope, query: Query, rest: Sequence[RowPlace]) -> Page:
        """Return some more rows of a page and, in `rest`, the places still left.

        Deleted rows are left out.
        """

    async def instances(self, scope: Scope, path: ResourcePath) -> list[StoredInstance]:
        """Return current versions under `path` in default order.

        Series are ordered by number then UID, instances likewise. Raises NotFound where there is nothing,
        Gone where everything there was deleted.
        """

    async def layout(self, scope: Scope, path: ResourcePath) -> tuple[StoredInstance, InstanceLayout]:
        """Return one instance with its layout. Raises NotFound, Gone."""

    async def layouts_after(
        self, scope: Scope, path: ResourcePath, limit: int
    ) -> list[tuple[StoredInstance, InstanceLayout]]:
        """Return the layouts of the instance at `path` and of the next ones in its series, `limit` at most.

        Large layouts are left out. Raises NotFound; Gone where the series was deleted.
        """

    async def version_set(self, scope: Scope, path: ResourcePath) -> str:
        """Return a fingerprint that changes whenever a current version under `path` does.

        Raises NotFound, Gone.
        """

    async def metadata(self, scope: Scope, path: ResourcePath) -> list[bytes]:
        """Return `NewVersion.metadata` of every current version under `path`, in the order of `instances`.

        An empty row stands for a damaged version whose header is lost.
        """

    async def describe(self, scope: Scope, path: ResourcePath, at_once: int) -> DescribedMetadata:
        """Return the metadata under `path` with their fingerprint, both read in one snapshot.

        The rows are left out (None) where they have more than `at_once` bytes. Raises NotFound, Gone.
        """

    async def bodies(self, scope: Scope, versions: Sequence[VersionId], at_once: int) -> list[bytes]:
        """Return `NewVersion.metadata` of the first of these versions, current or not.

        At least one is returned, and more while they have no more than `at_once` bytes together. Raises
        NotFound where the first was reclaimed.
        """

    async def layouts_of(
        self, scope: Scope, versions: Sequence[VersionId]
    ) -> dict[VersionId, InstanceLayout]:
        """Return the layouts by version, current or not; reclaimed versions are left out."""

    async def series_of(self, scope: Scope, study: ResourcePath) -> list[ResourcePath]:
        """Return the series of a study in default order. Raises NotFound, Gone."""

    async def conflicts(self, scope: Scope, study: str | None = None) -> list[Conflicting]: ...

    async def list_deleted(
        self, scope: Scope, study: str | None = None, after: tuple[str, str] = ("", ""), limit: int = 100
    ) -> list[Deleted]:
        """Return deleted instances that `restore` can bring back, grouped by study and series.

        `after` is the (study, series) at which the page before ended.
        """

    async def changes(self, after: int, limit: int = 1000) -> list[Change]:
        """Return changes with a revision above `after`, ascending, without gaps that may still be filled."""

    def all_versions(self) -> AsyncIterator[tuple[StoredInstance, str]]:
        """Yield every version ever admitted with its state, for verify.

        The states are 'current', 'superseded', 'deleted' and 'reclaimed'.
        """

    async def find_known_versions(self, changes: Sequence[Change]) -> dict[VersionId, NewVersion]:
        """Return the versions that these 'store' changes stored, as far as known, without reclaimed ones."""

    async def find_named_versions(self, ids: Sequence[str]) -> dict[VersionId, tuple[StoredInstance, str]]:
        """Return the versions with these ids that were ever admitted, and their states."""

    async def list_damaged(self, after: str = "", limit: int = 1000) -> list[StoredInstance]:
        """Return damaged versions in any state but 'reclaimed', by id, from above `after`."""

    # -- rebuilding -----------------------------------------------------------------------------------

    @property
    def generation(self) -> int:
        """A number that rises when this process notices that another index took the place of this one."""

    async def aside(self) -> Aside:
        """Open a second index, to be filled and put in the place of this one.

        Raises Conflict where another process is building one.
        """

    async def is_rebuilding(self) -> bool:
        """Return whether some process builds a second index."""

    # -- work that one process does for all -----------------------------------------------------------

    async def take_lease(self, name: str, holder: str, seconds: float, every: float = 0.0) -> bool:
        """Take or renew the lease on this work for `seconds`; return whether it is ours.

        Time is that of the database's clock. The lease is refused while another holder has it, and where the
        work was done within the last `every` seconds. Its holder renews it by the same call.
        """

    async def give_back_lease(self, name: str, holder: str, *, is_done: bool) -> None:
        """Give the lease back; `is_done` starts the time that `take_lease` calls `every`."""

    # -- freshness ------------------------------------------------------------------------------------

    async def tail(self) -> AsyncIterator[Sequence[Change]]:
        """Yield changes by any process within a second of their commit, for invalidating caches.

        Never ends.
        """
        yield ()

    async def counts(self) -> dict[Level, int]:
        """Return how many studies, series and instances there are, over all partitions."""
