"""Comparison of journal, index and store, both ways. Memory is bounded by pages of each."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from gateway.errors import ForeignArchive, ObjectChanged, ObjectMissing, ShortRead, StoreUnavailable
from gateway.index.base import Index, StoredInstance
from gateway.model import VersionId
from gateway.services.admin.comparison import Compared
from gateway.services.bytestream import all_made
from gateway.services.journal.journal import Journal
from gateway.services.journal.tail import tail
from gateway.services.objectkeys import ARCHIVE_KEY, DERIVED_PREFIX, JOURNAL_PREFIX, TRASH_PREFIX, version_of
from gateway.services.recovery import identity
from gateway.services.trash import Trash
from gateway.store.base import ObjectStore, Stored

PAGE = 1000
AT_ONCE = 8
_HARMLESS = frozenset({"orphan", "stray", "in trash", "unjournaled", "journal doubled"})


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference; `kind` is one of these:

    'archive unnamed', 'archive foreign': archive.json is missing, or names another archive than the others;
    'journal damaged': changes are lost; 'journal doubled': an object is damaged, but others hold its changes;
    'not in index', 'not in journal', 'journal differs': of changes;
    'unjournaled': committed, and not journaled yet;
    'object missing', 'object in trash', 'object changed' (outside our store), 'object length',
    'object digest', 'object unreadable': of objects that the index names;
    'damaged', 'mended': the index knows of the damage, and the object is still damaged, or whole again;
    'orphan', 'stray', 'in trash': objects that nothing names, are not ours, or were swept.
    """

    kind: str
    what: str

    @property
    def is_damage(self) -> bool:
        """Whether something must be done. Versions never acknowledged, or reclaimed since, are no damage."""
        return self.kind not in _HARMLESS


class Verify:
    """Check that reads everything and changes nothing.

    While a server runs, changes still under way are not reported.
    """

    def __init__(self, store: ObjectStore, index: Index) -> None:
        self._store = store
        self._index = index
        self._journal = Journal(store)
        self._trash = Trash(store)
        self._compared = Compared(index, self._journal)

    async def differences(self, *, digests: bool = True) -> AsyncIterator[Difference]:
        """Yield all differences.

        `digests` reads every object whole; without it only presence and length are compared.
        """
        for part in (
            self._archive(),
            self._compare_journal(),
            self._objects(digests),
            self._compare_listing(),
        ):
            async with aclosing(part) as found:
                async for difference in found:
                    yield difference

    # -- archive and journal ------------------------------------------------------------------------------

    async def _archive(self) -> AsyncGenerator[Difference, None]:
        index = await self._index.archive_id()
        journal = (await tail(self._store, await self._index.last_revision())).archive
        self._journal.archive = journal  # its objects do not tell which of two names is right
        try:
            store = await identity.read(self._store)
        except ForeignArchive as error:
            yield Difference("archive foreign", error.detail)
            return
        self._journal.archive = journal or store
        if not store and (index or journal):
            yield Difference("archive unnamed", f"{ARCHIVE_KEY} is missing")
        known = {"the index": index, "the journal": journal}
        for name, id in known.items():
            if store and id and id != store:
                yield Difference("archive foreign", f"{name} is of archive {id}, {ARCHIVE_KEY} names {store}")

    async def _compare_journal(self) -> AsyncGenerator[Difference, None]:
        async for problem in self._journal.problems():
            kind = "journal damaged" if problem.is_loss else "journal doubled"
            yield Difference(kind, problem.sentence.removeprefix("journal: "))
        async for kind, what in self._compared.run():
            yield Difference(kind, what)

    # -- objects that the index names ---------------------------------------------------------------------

    async def _objects(self, digests: bool) -> AsyncGenerator[Difference, None]:
        page: list[StoredInstance] = []
        async for stored, state in self._index.all_versions():
            if state != "reclaimed":
                page.append(stored)
            if len(page) == AT_ONCE:
                for difference in await self._page(page, digests):
                    yield difference
                page = []
        for difference in await self._page(page, digests):
            yield difference

    async def _page(self, page: Sequence[StoredInstance], digests: bool) -> list[Difference]:
        found = await all_made([self._object(stored, digests) for stored in page])
        return [difference for difference in found if difference is not None]

    async def _object(self, stored: StoredInstance, digests: bool) -> Difference | None:
        what = f"{stored.locator.key} ({stored.identity.instance})"
        # A damaged version is read in any case: the length alone does not show whether it is whole again.
        kind = await self._flaw(stored, digests or bool(stored.damage))
        if stored.damage:
            return Difference("damaged" if kind else "mended", f"{what}: {stored.damage}")
        if not kind or (kind == "object missing" and await self._is_gone(stored)):
            return None
        if kind == "object missing" and (where := await self._trash.find(stored.locator.key)):
            return Difference("object in trash", f"{what} lies under {where}")
        return Difference(kind, what)

    async def _flaw(self, stored: StoredInstance, digests: bool) -> str:
        try:
            found = await self._store.stat(stored.locator.key)
            if found.length != stored.locator.offset + stored.locator.length:
                return "object length"
            digest = await self._digest(stored) if digests else stored.file_digest
            return "" if digest == stored.file_digest else "object digest"
        except ObjectMissing:
            return "object missing"
        except ObjectChanged:
            return "object changed"
        except ShortRead:
            return "object length"
        except StoreUnavailable:
            await self._check_alive()
            return "object unreadable"

    async def _check_alive(self) -> None:
        """Raise StoreUnavailable where the store does not answer at all, and it is not just one object."""
        try:
            await self._store.stat("readyz")
        except ObjectMissing:
            return

    async def _is_gone(self, stored: StoredInstance) -> bool:
        """Return whether the version was reclaimed since the page was read."""
        named = await self._index.find_named_versions([stored.version])
        return named.get(stored.version, (stored, "reclaimed"))[1] == "reclaimed"

    async def _digest(self, stored: StoredInstance) -> bytes:
        digest = hashlib.sha256()
        async with self._store.read(stored.locator.key) as chunks:
            async for chunk in chunks:
                digest.update(chunk)
        return digest.digest()

    # -- objects in the store -----------------------------------------------------------------------------

    async def _compare_listing(self) -> AsyncGenerator[Difference, None]:
        page: list[Stored] = []
        async for found in self._store.list(""):
            page.append(found)
            if len(page) == PAGE:
                for difference in await self._find_unnamed(page):
                    yield difference
                page = []
        for difference in await self._find_unnamed(page):
            yield difference

    async def _find_unnamed(self, page: Sequence[Stored]) -> list[Difference]:
        ours = {found.key: version for found in page if (version := version_of(found.key))}
        named = await self._index.find_named_versions(list(ours.values())) if ours else {}
        differences = []
        for found in page:
            if found.key.startswith((JOURNAL_PREFIX, DERIVED_PREFIX)) or found.key == ARCHIVE_KEY:
                continue
            if found.key.startswith(TRASH_PREFIX):
                differences.append(Difference("in trash", found.key))
            elif found.key not in ours:
                differences.append(Difference("stray", found.key))
            elif not self._is_named(found.key, ours[found.key], named):
                differences.append(Difference("orphan", found.key))
        return differences

    def _is_named(
        self, key: str, version: VersionId, named: dict[VersionId, tuple[StoredInstance, str]]
    ) -> bool:
        if version in named:
            stored, state = named[version]
            return state != "reclaimed" and stored.locator.key == key
        return self._compared.is_lost(version)
