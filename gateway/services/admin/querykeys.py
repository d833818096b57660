"""Query keys by configuration and API: declared, journaled, filled in the background.

Any number of processes may work on the same key: each step is a transaction that begins where
the last one ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from gateway.dicom.query.declaredkeys import Definition, parse_definition
from gateway.errors import NotFound
from gateway.index.base import Change, ExtraKey, Index, KeyFailure
from gateway.model import Source
from gateway.services.background import Background
from gateway.services.commits import Commits

log = logging.getLogger("gateway.keys")

POLL_SECONDS = 5.0
STEP = 200
# A pause between steps, so that filling leaves the index free for other work.
REST_SECONDS = 0.01
CONFIGURED = Source("settings")


class QueryKeys:
    """Declaration and removal of query keys; one task fills them."""

    def __init__(self, index: Index, commits: Commits) -> None:
        self._index = index
        self._commits = commits
        self._background = Background(log, "query keys wait")
        self._wake = asyncio.Event()

    async def configure(self, texts: Sequence[str]) -> None:
        """Declare the keys of the settings. Raises BadParameter, Conflict."""
        for definition in [parse_definition(text) for text in texts]:
            await self.declare(definition, CONFIGURED)

    async def declare(self, definition: Definition, source: Source) -> tuple[ExtraKey, bool]:
        """Return the key, and whether it is new; durable in index and journal. Raises Conflict."""

        async def work(name: str) -> Sequence[Change]:
            change = await self._index.declare_key(definition, source, name)
            return [] if change is None else [change]

        is_new = bool(await self._commits.change(work))
        if is_new:
            self._wake.set()
        found = [key for key in await self._index.keys() if key.path == definition.path]
        if not found:
            raise NotFound("the query key was dropped at the same time")
        return found[0], is_new

    async def drop(self, id: int, source: Source) -> None:
        """Drop a key. Raises NotFound."""

        async def work(name: str) -> Sequence[Change]:
            return [await self._index.drop_key(id, source, name)]

        await self._commits.change(work)
        self._wake.set()

    async def all(self) -> list[ExtraKey]:
        """Return all keys with their progress."""
        return await self._index.keys()

    async def one(self, id: int) -> ExtraKey:
        """Return one key. Raises NotFound."""
        for key in await self._index.keys():
            if key.id == id:
                return key
        raise NotFound(f"there is no query key {id}")

    async def failures(self, id: int, after: str, limit: int) -> list[KeyFailure]:
        """Return the entities with values that could not be indexed. Raises NotFound."""
        await self.one(id)
        return await self._index.key_failures(id, after, limit)

    # -- in the background ------------------------------------------------------------------------------

    def start(self) -> None:
        self._background.start(self._work, self._rest)

    async def close(self) -> None:
        """Stop filling; the index finishes or rolls back the step under way, and the next process goes on."""
        await self._background.close()

    async def fill(self) -> None:
        """Fill and drop keys until there is nothing left to do."""
        is_more = True
        while is_more:
            is_more = await self._index.work_on_keys(STEP)
            await asyncio.sleep(REST_SECONDS)

    async def _work(self) -> None:
        self._wake.clear()
        await self.fill()

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()
