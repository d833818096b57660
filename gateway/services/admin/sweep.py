"""Sweep of orphans: objects that neither index nor journal names are moved to the trash, and deleted later.

An orphan was written and never committed, or was reclaimed and could not be deleted. The index alone does not
decide: it may belong to another archive, or be behind. Objects go to `trash/` first, and the sweep stops
where there are too many. Orphans older than the index are left until somebody confirms: only the journal
tells about them where the index was rebuilt, and the end of a journal can be lost without a trace.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.errors import GatewayError, JournalDamaged, ObjectExists, ObjectMissing
from gateway.index.base import Index
from gateway.model import Level, VersionId
from gateway.services.admin.agreement import Agreement, Disagree
from gateway.services.background import Background
from gateway.services.counters import Counters
from gateway.services.journal.journal import Journal
from gateway.services.objectkeys import (
    DERIVED_PREFIX,
    JOURNAL_PREFIX,
    TRASH_PREFIX,
    find_version,
    parse_trash_key,
    read_time,
    trash_key,
)
from gateway.store.base import ObjectStore, Stored

log = logging.getLogger("gateway.sweep")

LEASE = "sweep"
LEASE_SECONDS = 120.0
GRACE_SECONDS = 24 * 3600.0
EVERY_SECONDS = 24 * 3600.0
LOOK_SECONDS = 600.0
SHARDS = tuple(f"{n:02x}/" for n in range(256))
PAGE = 1000
MOST_HELD = 100_000
"""Candidates that are looked up in the journal at once, so that memory does not grow with their number."""
MOST = 1000
FEWEST = 10


class Stopped(Exception):
    """Raised where the lease is lost: another process sweeps."""


@dataclass(slots=True)
class Swept:
    """The result of a sweep, or of a dry one, with the keys as they were before."""

    orphans: list[str] = field(default_factory=list)
    derived: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    brought_back: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    """Orphans that are older than the index, left where they are because nobody confirmed."""
    uploads: int = 0
    why_not: str = ""
    """The reason why nothing was done; empty where something was."""

    @property
    def count(self) -> int:
        """Return the number of objects that neither index nor journal names."""
        return len(self.orphans) + len(self.derived)


@dataclass(slots=True)
class _Candidates:
    """Objects that the index does not name, sorted by what the sweep does with those not in the journal."""

    orphans: dict[VersionId, list[str]] = field(default_factory=dict)
    """Keys by version."""
    derived: dict[VersionId, list[str]] = field(default_factory=dict)
    """Keys by the version from which they were made."""
    trash: dict[VersionId, list[str]] = field(default_factory=dict)
    """Keys in the trash, past the undo window, by version."""
    count: int = 0

    def versions(self) -> Set[VersionId]:
        return self.orphans.keys() | self.derived.keys() | self.trash.keys()


class Sweeper:
    """Sweep of one store.

    `undo_seconds` is how long the trash is kept; None means for ever. `grace` is the least age of an orphan.
    """

    def __init__(
        self,
        store: ObjectStore,
        index: Index,
        journal: Journal,
        counters: Counters,
        *,
        undo_seconds: float | None,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self._store = store
        self._index = index
        self._journal = journal
        self._counters = counters
        self._undo_seconds = undo_seconds
        self._grace = grace
        self._agreement = Agreement(index, journal)
        self._holder = uuid.uuid4().hex
        self._renewed = 0.0
        self._background = Background(log, "sweeping waits")

    # -- in the background ------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to look now and then whether a sweep is due: once a day for all processes together."""
        self._background.start(self._work, lambda: asyncio.sleep(0))

    async def close(self) -> None:
        """Stop, even in the middle of a sweep; nothing is lost."""
        await self._background.close()

    async def _work(self) -> None:
        # All processes begin at different times, and not while they are busy with starting.
        await asyncio.sleep(random.uniform(0.5, 1.5) * LOOK_SECONDS)
        await self.look()

    async def look(self) -> Swept | None:
        """Sweep if it is due and no other process does it; return None otherwise."""
        try:
            if not await self._index.take_lease(LEASE, self._holder, LEASE_SECONDS, EVERY_SECONDS):
                return None
            return await self._run_leased(confirmed=False)
        except GatewayError as error:
            log.warning("sweeping waits: %s", error.detail, extra={"reason": error.detail})
            return None

    # -- one sweep --------------------------------------------------------------------------------------

    async def run(self, *, confirmed: bool, dry: bool = False) -> Swept:
        """Sweep now. `confirmed` allows any number of objects; `dry` only reports what would be done.

        Raises IndexFailure, StoreError.
        """
        if not await self._index.take_lease(LEASE, self._holder, LEASE_SECONDS):
            return Swept(why_not="another process is sweeping")
        return await self._run_leased(confirmed=confirmed, dry=dry)

    async def _run_leased(self, *, confirmed: bool, dry: bool = False) -> Swept:
        self._renewed = time.monotonic()
        is_done = False
        try:
            swept = await self._sweep(confirmed, dry)
            is_done = not dry and not swept.why_not
        except Stopped:
            swept = Swept(why_not="the lease was lost to another process")
        except Disagree as error:
            swept = Swept(why_not=str(error))
        finally:
            with suppress(GatewayError):
                await self._index.give_back_lease(LEASE, self._holder, is_done=is_done)
        if swept.why_not:
            log.warning("nothing swept: %s", swept.why_not, extra={"reason": swept.why_not})
        return swept

    async def _sweep(self, confirmed: bool, dry: bool) -> Swept:
        settled = await self._agreement.check()
        swept, most = Swept(), await self._most()
        if not dry:
            swept.uploads = await self._store.tidy(time.time() - self._grace)
            self._counters.add("sweep_uploads_aborted_total", swept.uploads)
        async for candidates in self._candidates():
            await self._judge(candidates, swept, settled)
        if swept.count > most and not confirmed and not dry:
            self._counters.add("sweep_stopped_total")
            swept.why_not = (
                f"{swept.count} objects are named by nobody, more than {most}: look at them with "
                "'dicomweb-gateway sweep', and give them up with 'dicomweb-gateway sweep --confirm'"
            )
            return swept
        if (swept.count or swept.given_up) and not confirmed and not dry and (key := await self._set_aside()):
            self._counters.add("sweep_stopped_total")
            swept.why_not = (
                f"{key} was set aside damaged, and what it told of may be among {swept.count} objects that nobody "
                "names: look at them with 'dicomweb-gateway sweep', and give them up with 'dicomweb-gateway sweep "
                "--confirm'; once the damaged object is taken away, sweeping goes on by itself"
            )
            return swept
        if not confirmed and not dry:
            await self._keep_older(swept)
        if not dry:
            await self._agreement.check()  # finding them took a while
            await self._give_up(swept)
        return swept

    async def _keep_older(self, swept: Swept) -> None:
        """Leave orphans that were written before the index began.

        For these, index and journal are one source.
        """
        since = await self._index.read_adoption_time()
        swept.kept = [key for key in swept.orphans if _is_older(key, since)]
        if not swept.kept:
            return
        swept.orphans = [key for key in swept.orphans if not _is_older(key, since)]
        log.warning(
            "%d objects that nobody names are older than the index: look at them with 'dicomweb-gateway sweep', and "
            "give them up with 'dicomweb-gateway sweep --confirm'",
            len(swept.kept),
        )

    async def _set_aside(self) -> str:
        """Return the key of a journal object that `reindex` moved to the trash, empty where there is none."""
        async for stored in self._store.list(TRASH_PREFIX):
            was = parse_trash_key(stored.key)
            if was is not None and was[1].startswith(JOURNAL_PREFIX):
                return stored.key
        return ""

    async def _most(self) -> int:
        """Return how many objects may go unconfirmed: 0.1 % of the instances, at least 10, at most 1,000."""
        instances = (await self._index.counts())[Level.INSTANCE]
        return min(MOST, max(FEWEST, instances // 1000))

    # -- finding candidates -----------------------------------------------------------------------------

    async def _candidates(self) -> AsyncIterator[_Candidates]:
        """Yield objects that the index does not name, in portions."""
        found = _Candidates()
        for prefix in (*SHARDS, *(DERIVED_PREFIX + shard for shard in SHARDS)):
            async for page in _pages(self._store.list(prefix)):
                await self._renew()
                await self._sift(page, found)
                if found.count >= MOST_HELD:
                    yield found
                    found = _Candidates()
        if self._undo_seconds is not None:
            async for page in _pages(self._store.list(TRASH_PREFIX)):
                await self._renew()
                self._note_expired(page, found, self._undo_seconds)
                if found.count >= MOST_HELD:
                    yield found
                    found = _Candidates()
        if found.count:
            yield found

    async def _sift(self, page: Sequence[Stored], found: _Candidates) -> None:
        before = time.time() - self._grace
        old: dict[str, VersionId] = {}
        for stored in page:
            version = find_version(stored.key)
            drawn = read_time(version) if version else None
            if version and drawn is not None and drawn < before:
                old[stored.key] = version
        if not old:
            return
        known = await self._index.find_named_versions(list(old.values()))
        for key, version in old.items():
            named = known.get(version)
            is_wanted = named is not None and named[1] != "reclaimed"
            if key.startswith(DERIVED_PREFIX):
                if not is_wanted:
                    found.derived.setdefault(version, []).append(key)
                    found.count += 1
            elif named is None or not is_wanted or named[0].locator.key != key:
                found.orphans.setdefault(version, []).append(key)
                found.count += 1

    def _note_expired(self, page: Iterable[Stored], found: _Candidates, window: float) -> None:
        for stored in page:
            swept = parse_trash_key(stored.key)
            version = find_version(swept[1]) if swept else None
            if swept and version and swept[0] + window < time.time():
                found.trash.setdefault(version, []).append(stored.key)
                found.count += 1

    async def _judge(self, candidates: _Candidates, swept: Swept, settled: int) -> None:
        """Decide by the journal which candidates are orphans.

        Versions in the journal up to revision `settled` are kept unless they were reclaimed. Changes after
        that revision are younger than any candidate.
        """
        wanted = await self._find_wanted(candidates.versions(), settled)
        in_index = await self._index.find_named_versions(sorted(candidates.trash))
        for version, keys in candidates.orphans.items():
            swept.orphans += [key for key in keys if wanted.get(version) != key]
        for version, keys in candidates.derived.items():
            if version not in wanted:
                swept.derived += keys
        for version, keys in candidates.trash.items():
            known = in_index.get(version)
            is_wanted = version in wanted or (known is not None and known[1] != "reclaimed")
            (swept.brought_back if is_wanted else swept.given_up).extend(keys)

    async def _find_wanted(self, versions: Set[VersionId], settled: int) -> dict[VersionId, str]:
        """Return the keys of these versions in the journal, by version; the journal is read once."""
        wanted, reclaimed = dict[VersionId, str](), set[VersionId]()
        last = 0
        try:
            async for changes in self._journal.changes():
                await self._renew()
                for change in changes:
                    stored, before = change.version_after, change.version_before
                    if stored in versions and stored is not None and change.locator is not None:
                        wanted[stored] = change.locator.key
                    if change.kind == "reclaim" and before in versions and before is not None:
                        reclaimed.add(before)
                last = changes[-1].revision
        except JournalDamaged:
            if last < settled:
                raise
            # A change that is committed and not journaled yet looks like a gap.
        return {version: key for version, key in wanted.items() if version not in reclaimed}

    # -- moving and deleting ----------------------------------------------------------------------------

    async def _give_up(self, swept: Swept) -> None:
        day = datetime.now(UTC).strftime("%Y%m%d")
        for key in swept.orphans:
            await self._renew()
            if await self._move(key, trash_key(key, day)):
                self._count("sweep_objects_total", "moved to the trash: %s", key)
        for key in swept.derived:
            await self._renew()
            await self._store.delete(key)
            self._count("sweep_derived_total", "deleted: %s", key)
        for key in swept.brought_back:
            await self._renew()
            before = parse_trash_key(key)
            assert before is not None
            if await self._move(key, before[1]):
                self._count("sweep_brought_back_total", "brought back, as it is named: %s", key)
        for key in swept.given_up:
            await self._renew()
            await self._store.delete(key)
            self._count("sweep_trash_total", "deleted from the trash: %s", key)

    async def _move(self, key: str, to: str) -> bool:
        """Move an object; return whether it was moved. A failure does not stop the other moves."""
        try:
            await self._store.move(key, to)
        except (ObjectExists, ObjectMissing) as error:
            log.warning("%s stays: %s", key, error.detail, extra={"object": key, "reason": error.detail})
            return False
        return True

    def _count(self, name: str, what: str, key: str) -> None:
        self._counters.add(name)
        log.info(what, key, extra={"object": key})

    async def _renew(self) -> None:
        """Renew the lease. Raises Stopped where another process has it."""
        if time.monotonic() - self._renewed < LEASE_SECONDS / 4:
            return
        if not await self._index.take_lease(LEASE, self._holder, LEASE_SECONDS):
            raise Stopped
        self._renewed = time.monotonic()


def _is_older(key: str, since: float) -> bool:
    version = find_version(key)
    drawn = read_time(version) if version else None
    return drawn is not None and drawn < since


async def _pages(found: AsyncIterator[Stored]) -> AsyncIterator[Sequence[Stored]]:
    page: list[Stored] = []
    async for stored in found:
        page.append(stored)
        if len(page) >= PAGE:
            yield page
            page = []
    if page:
        yield page
