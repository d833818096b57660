"""Lookup of a commit whose answer was lost: the index is asked, and a failed commit is tried once more."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias, TypeVar

from gateway.errors import IndexUnavailable
from gateway.index.base import Admitted, Change, Index, NewVersion, Verdict
from gateway.model import VersionId

R = TypeVar("R")
PATIENCE_SECONDS = 5.0
PAUSE_SECONDS = 0.05

Work: TypeAlias = Callable[[str], Awaitable[Sequence[Change]]]
"""A change of the index under the name of its transaction."""


class Lookup:
    """Questions to the index, repeated for some seconds; then IndexUnavailable says that nobody can tell."""

    def __init__(self, index: Index) -> None:
        self._index = index

    async def stores(
        self, versions: Sequence[NewVersion], error: IndexUnavailable
    ) -> list[Verdict | Exception]:
        """Return an answer for each version.

        It is the committed verdict or that of a second try; `error` where the index fails again.
        """
        return await self._patient(lambda: self._stores(versions, error))

    async def _stores(
        self, versions: Sequence[NewVersion], error: IndexUnavailable
    ) -> list[Verdict | Exception]:
        known: dict[VersionId, Verdict] = {}
        await self._check_known(versions, known)
        left = [new for new in versions if new.version not in known]
        if left:
            try:
                verdicts = await self._index.admit(left)
                known.update({new.version: v for new, v in zip(left, verdicts, strict=True)})
            except IndexUnavailable as again:
                error = again
                await self._check_known(left, known)
        return [known.get(new.version, error) for new in versions]

    async def _check_known(self, versions: Sequence[NewVersion], known: dict[VersionId, Verdict]) -> None:
        ids = [new.version for new in versions]
        found = await self._ask(lambda: self._index.find_stored(ids))
        known.update({version: Admitted(change, _differing(change)) for version, change in found.items()})

    async def perform(self, work: Work) -> Sequence[Change]:
        """Return the changes that `work` committed, tried a second time where it did not commit.

        Raises what `work` does, IndexUnavailable.
        """
        name = uuid.uuid4().hex
        try:
            return await work(name)
        except IndexUnavailable:
            return await self._patient(lambda: self._perform(work, name))

    async def _perform(self, work: Work, name: str) -> Sequence[Change]:
        changes = await self._ask(lambda: self._index.find_committed(name))
        if changes is not None:
            return changes
        try:
            return await work(name)
        except IndexUnavailable:
            changes = await self._ask(lambda: self._index.find_committed(name))
            if changes is None:
                raise
            return changes

    async def _patient(self, work: Callable[[], Awaitable[R]]) -> R:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await work()
        except TimeoutError as error:
            raise IndexUnavailable("the index does not answer; nobody can tell what it did") from error

    async def _ask(self, question: Callable[[], Awaitable[R]]) -> R:
        """Return the answer to a question; it is asked again while the index does not answer."""
        pause = PAUSE_SECONDS
        while True:
            try:
                return await question()
            except IndexUnavailable:
                await asyncio.sleep(pause)
                pause *= 2


def _differing(change: Change) -> tuple[str, ...]:
    """Return the names that the reason of a change lists."""
    _, _, names = change.reason.partition("differing: ")
    return tuple(names.split(", ")) if names else ()
