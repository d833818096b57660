"""The object store port. Its contract is tests/store/contract.py."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from gateway.model import Span

# Segments of lower-case letters, digits, dot, dash and underscore; no empty, '.' or '..' segment.
KEY = re.compile(r"(?!.*(?:^|/)\.{1,2}(?:/|$))[a-z0-9._-]+(?:/[a-z0-9._-]+)*\Z")


@dataclass(frozen=True, slots=True)
class Stored:
    """An object that is there: its key and its length in bytes."""

    key: str
    length: int
    modified: float
    """Seconds since the epoch, as the store tells it."""


class ObjectStore(Protocol):
    """Immutable bytes under a key."""

    id: str
    """Names this store in locators."""

    def read(self, key: str, span: Span | None = None) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Stream the object, or exactly `span` of it.

        Entering the context opens the object and has its first bytes at hand: ObjectMissing and
        StoreUnavailable are raised there, before anything is yielded. A span past the end raises
        ShortRead (on entering where the length is known), never ends early.
        """

    def read_now(self, key: str, span: Span) -> bytes | None:
        """The span, if it can be had without blocking the event loop (page cache, memory), else None.

        Never raises for a missing object: the answer is None and `read` will say what is wrong.
        """

    async def put(self, key: str, body: AsyncIterator[bytes]) -> Stored:
        """Write a new object: all or nothing, durable (power cut) when this returns.

        Raises ObjectExists if there is one under this key (whatever its bytes), StoreFull, StoreUnavailable.
        When the body raises, nothing is left behind and the exception passes through.
        """

    async def stat(self, key: str) -> Stored:
        """Raises ObjectMissing."""

    async def delete(self, key: str) -> None:
        """Idempotent; durable when this returns."""

    async def move(self, key: str, to: str) -> None:
        """Give an object another key, with the same bytes, durable before the old one goes.

        Interrupted, it is there under both or one of them; called again, it goes on. Raises ObjectMissing where it is
        under neither, ObjectExists where `to` is another object.
        """

    async def tidy(self, before: float) -> int:
        """Give up unfinished writes begun before this time (seconds since the epoch); how many there were."""

    def list(self, prefix: str, after: str = "") -> AsyncIterator[Stored]:
        """Objects whose key starts with `prefix` and is above `after`, in bytewise order of keys.

        What is below `after` costs little or nothing; memory does not grow with what is listed.
        """

    async def close(self) -> None:
        """Let go of sockets, descriptors and threads."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object that lies elsewhere: the key to read it by, its path there and its length in bytes."""

    key: str
    path: str
    length: int


class Place(Protocol):
    """Where objects lie that are not the gateway's: they are read, never written or deleted.

    A key names the state of its object as well: reading and `stat` raise ObjectChanged once it is another.
    """

    def read(self, key: str, span: Span | None = None) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """As an ObjectStore does."""

    def read_now(self, key: str, span: Span) -> bytes | None:
        """As an ObjectStore does."""

    async def stat(self, key: str) -> Stored:
        """Raises ObjectMissing, ObjectChanged."""

    def find(self) -> AsyncIterator[Found]:
        """Every object there, by path."""

    async def close(self) -> None:
        """Let go of sockets, descriptors and threads."""
