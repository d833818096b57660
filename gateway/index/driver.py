"""The shared part of the two SQL drivers, which add connections, transactions and the tail."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

from gateway.dicom.encoding.layout import InstanceLayout
from gateway.dicom.query.declaredkeys import Definition
from gateway.dicom.query.query import Query
from gateway.index import (
    admission,
    changelog,
    declaredkeys,
    filling,
    identity,
    leases,
    migrating,
    operations,
    retrieval,
    salvage,
    searching,
    tombstones,
)
from gateway.index.base import (
    Aside,
    Change,
    Conflicting,
    Deleted,
    DescribedMetadata,
    ExtraKey,
    KeyFailure,
    NewVersion,
    Page,
    Removal,
    RowPlace,
    Scope,
    StoredInstance,
    Verdict,
)
from gateway.index.connection import Connection, Work
from gateway.model import Level, ResourcePath, Source, VersionId

R = TypeVar("R")

# Every table but `partition`, `archive` and `schema_version`.
TABLES = (
    "operation",
    "extra_failure",
    "extra_value",
    "extra_key",
    "conflict",
    "request_item",
    "instance_metadata",
    "instance_layout",
    "change",
    "version",
    "instance",
    "series",
    "study",
)


def _now() -> int:
    return time.time_ns() // 1000


class SqlIndex(ABC):
    """`gateway.index.base.Index` over the few methods that a driver adds to query, commit and follow."""

    # -- methods that a driver adds ---------------------------------------------------------------------

    @abstractmethod
    async def _query(self, work: Work[R]) -> R:
        """Run `work` on a connection, all of it on one snapshot."""

    @abstractmethod
    async def _search(self, work: Work[R]) -> R:
        """Run `work` likewise, in the queue of searches and within their time limit. Raises Busy, Overdue."""

    @abstractmethod
    async def ping(self, scope: Scope) -> None: ...

    async def _glance(self, work: Work[R]) -> R:
        """Run `work` likewise; its answer comes from a single statement, so that no snapshot is needed."""
        return await self._query(work)

    @abstractmethod
    async def _commit(self, work: Work[R]) -> R:
        """Run `work` in a durable transaction; run it again from the start where it lost a race."""

    @abstractmethod
    async def changes(self, after: int, limit: int = 1000) -> list[Change]: ...

    @abstractmethod
    def tail(self) -> AsyncIterator[Sequence[Change]]: ...

    @abstractmethod
    async def close(self) -> None: ...

    @property
    @abstractmethod
    def generation(self) -> int: ...

    @abstractmethod
    async def aside(self) -> Aside: ...

    @abstractmethod
    async def is_rebuilding(self) -> bool: ...

    # -- schema -----------------------------------------------------------------------------------------

    async def migrate(self) -> None:
        await self._commit(migrating.prepare)
        while await self._commit(lambda db: migrating.step(db, _now())):
            pass
        while await self._commit(filling.studies):
            pass

    async def check_schema(self) -> None:
        await self._query(migrating.check)

    async def archive_id(self) -> str:
        return await self._glance(identity.read)

    async def adopt(self, id: str) -> None:
        await self._commit(lambda db: identity.write(db, id, _now()))

    async def read_adoption_time(self) -> float:
        return await self._glance(identity.read_since) / 1e6

    async def last_revision(self) -> int:
        return await self._glance(changelog.last_revision)

    # -- changing ---------------------------------------------------------------------------------------

    async def admit(self, batch: Sequence[NewVersion], *, journaled: Sequence[int] = ()) -> list[Verdict]:
        return await self._commit(lambda db: admission.admit(db, batch, journaled, _now()))

    async def find_stored(self, versions: Sequence[VersionId]) -> dict[VersionId, Change]:
        return await self._commit(lambda db: operations.find_stored(db, versions))

    async def find_committed(self, operation: str) -> list[Change] | None:
        return await self._commit(lambda db: operations.find_committed(db, operation))

    async def remove(
        self, scope: Scope, path: ResourcePath, source: Source, reason: str, operation: str = ""
    ) -> Removal:
        return Removal(
            await self._commit_named(
                operation, lambda db, now: admission.remove(db, scope, path, source, reason, now)
            )
        )

    async def restore(
        self, scope: Scope, path: ResourcePath, source: Source, reason: str, operation: str = ""
    ) -> list[Change]:
        return await self._commit_named(
            operation, lambda db, now: tombstones.restore(db, scope, path, source, reason, now)
        )

    async def take_back(self, changes: Sequence[Change], reason: str, operation: str = "") -> list[Change]:
        return await self._commit_named(
            operation, lambda db, now: tombstones.take_back(db, changes, reason, now)
        )

    async def reclaim(
        self, before: int, source: Source, limit: int = 200, operation: str = ""
    ) -> list[Change]:
        return await self._commit_named(
            operation, lambda db, now: tombstones.reclaim(db, before, source, limit, now)
        )

    async def _commit_named(
        self, operation: str, work: Callable[[Connection, int], Coroutine[Any, Any, list[Change]]]
    ) -> list[Change]:
        """Commit `work`, and record the name of its operation in the same transaction."""

        async def work_and_note(db: Connection) -> list[Change]:
            now = _now()
            changes = await work(db, now)
            await operations.note(db, operation, changes, now)
            return changes

        return await self._commit(work_and_note)

    async def find_unjournaled(self, limit: int = 1000) -> list[Change]:
        return await self._query(lambda db: changelog.find_unjournaled(db, limit))

    async def mark_journaled(self, revisions: Sequence[int]) -> None:
        await self._commit(lambda db: changelog.mark_journaled(db, revisions))

    async def replay(self, changes: Sequence[Change], versions: dict[VersionId, NewVersion]) -> None:
        await self._commit(lambda db: admission.replay(db, changes, versions))

    async def reset(self) -> None:
        async def work(db: Connection) -> None:
            await db.empty(TABLES)

        await self._commit(work)

    # -- query keys -------------------------------------------------------------------------------------

    async def declare_key(self, definition: Definition, source: Source, operation: str = "") -> Change | None:
        async def work(db: Connection, now: int) -> list[Change]:
            change = await declaredkeys.declare(db, definition, source, now)
            return [] if change is None else [change]

        return next(iter(await self._commit_named(operation, work)), None)

    async def drop_key(self, id: int, source: Source, operation: str = "") -> Change:
        async def work(db: Connection, now: int) -> list[Change]:
            return [await declaredkeys.drop(db, id, source, now)]

        return (await self._commit_named(operation, work))[0]

    async def keys(self) -> list[ExtraKey]:
        return await self._query(declaredkeys.list_keys)

    async def key_failures(self, id: int, after: str = "", limit: int = 100) -> list[KeyFailure]:
        return await self._query(lambda db: declaredkeys.failures(db, id, after, limit))

    async def work_on_keys(self, limit: int = 200) -> bool:
        if await self._commit(lambda db: declaredkeys.work(db, limit)):
            return True
        return await self._commit(lambda db: filling.kinds(db, limit))

    # -- reading ----------------------------------------------------------------------------------------

    async def search(self, scope: Scope, query: Query) -> Page:
        return await self._search(lambda db: searching.search(db, scope, query))

    async def read_on(self, scope: Scope, query: Query, rest: Sequence[RowPlace]) -> Page:
        return await self._search(lambda db: searching.read_on(db, scope, query, rest))

    async def instances(self, scope: Scope, path: ResourcePath) -> list[StoredInstance]:
        return await self._query(lambda db: retrieval.instances(db, scope, path))

    async def layout(self, scope: Scope, path: ResourcePath) -> tuple[StoredInstance, InstanceLayout]:
        return await self._glance(lambda db: retrieval.layout(db, scope, path))

    async def layouts_after(
        self, scope: Scope, path: ResourcePath, limit: int
    ) -> list[tuple[StoredInstance, InstanceLayout]]:
        return await self._query(lambda db: retrieval.layouts_after(db, scope, path, limit))

    async def version_set(self, scope: Scope, path: ResourcePath) -> str:
        return await self._glance(lambda db: retrieval.version_set(db, scope, path))

    async def metadata(self, scope: Scope, path: ResourcePath) -> list[bytes]:
        return await self._query(lambda db: retrieval.metadata(db, scope, path))

    async def describe(self, scope: Scope, path: ResourcePath, at_once: int) -> DescribedMetadata:
        return await self._query(lambda db: retrieval.describe(db, scope, path, at_once))

    async def bodies(self, scope: Scope, versions: Sequence[VersionId], at_once: int) -> list[bytes]:
        return await self._glance(lambda db: retrieval.bodies(db, scope, versions, at_once))

    async def layouts_of(
        self, scope: Scope, versions: Sequence[VersionId]
    ) -> dict[VersionId, InstanceLayout]:
        return await self._glance(lambda db: retrieval.layouts_of(db, scope, versions))

    async def series_of(self, scope: Scope, study: ResourcePath) -> list[ResourcePath]:
        return await self._query(lambda db: retrieval.series_of(db, scope, study))

    async def conflicts(self, scope: Scope, study: str | None = None) -> list[Conflicting]:
        return await self._query(lambda db: retrieval.conflicts(db, scope, study))

    async def list_deleted(
        self, scope: Scope, study: str | None = None, after: tuple[str, str] = ("", ""), limit: int = 100
    ) -> list[Deleted]:
        return await self._query(lambda db: tombstones.list_deleted(db, scope, study, after, limit))

    async def all_versions(self) -> AsyncIterator[tuple[StoredInstance, str]]:
        after = ""
        while page := await self._query(partial(_versions, after)):
            for stored, state in page:
                yield stored, state
            after = page[-1][0].version

    async def begin(self, mode: str) -> None:
        """Record how this index is built."""
        await self._commit(lambda db: db.execute("INSERT INTO rebuild VALUES (?)", mode))

    async def read_build(self) -> str:
        """Return how this index is built; empty where no build was begun."""
        row = await self._query(lambda db: db.first("SELECT mode FROM rebuild"))
        return "" if row is None else str(row["mode"])

    async def find_known_versions(self, changes: Sequence[Change]) -> dict[VersionId, NewVersion]:
        return await self._query(lambda db: salvage.versions(db, changes))

    async def find_named_versions(self, ids: Sequence[str]) -> dict[VersionId, tuple[StoredInstance, str]]:
        return await self._query(lambda db: salvage.find_named(db, ids))

    async def list_damaged(self, after: str = "", limit: int = 1000) -> list[StoredInstance]:
        return await self._query(lambda db: salvage.list_damaged(db, after, limit))

    # -- work that one process does for all -------------------------------------------------------------

    async def take_lease(self, name: str, holder: str, seconds: float, every: float = 0.0) -> bool:
        return await self._commit(lambda db: leases.take(db, name, holder, seconds, every))

    async def give_back_lease(self, name: str, holder: str, *, is_done: bool) -> None:
        await self._commit(lambda db: leases.give_back(db, name, holder, is_done))

    async def counts(self) -> dict[Level, int]:
        return await self._query(retrieval.counts)


async def _versions(after: str, db: Connection) -> list[tuple[StoredInstance, str]]:
    return await retrieval.versions(db, after)
