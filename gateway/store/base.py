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
    """A stored object: its key and its length in bytes."""

    key: str
    length: int
    modified: float
    """Time of the last change, in seconds since the epoch, as the store gives it."""


class ObjectStore(Protocol):
    """Immutable bytes under a key."""

    id: str
    """The name of this store in locators."""

    def read(self, key: str, span: Span | None = None) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Stream the object, or exactly `span` of it.

        Entering the context opens the object and reads its first bytes: ObjectMissing and StoreUnavailable
        are raised there, before anything is yielded. A span past the end raises ShortRead (on entering where
        the length is known); it never ends early.
        """

    def read_now(self, key: str, span: Span) -> bytes | None:
        """Return the span where it can be read without blocking the event loop, else None.

        That is from the page cache or from memory. Never raises for a missing object: the result is None, and
        `read` will raise what is wrong.
        """

    async def put(self, key: str, body: AsyncIterator[bytes]) -> Stored:
        """Write a new object: all or nothing, durable (power cut) when this returns.

        Raises ObjectExists if there is one under this key (whatever its bytes), StoreFull, StoreUnavailable.
        When the body raises, nothing is left behind and the exception passes through.
        """

    async def stat(self, key: str) -> Stored:
        """Return key, length and time of an object. Raises ObjectMissing."""

    async def delete(self, key: str) -> None:
        """Delete an object, if it exists; durable when this returns."""

    async def move(self, key: str, to: str) -> None:
        """Give an object another key, with the same bytes, durable before the old one is deleted.

        After an interruption the object exists under one key or both; a second call completes the move.
        Raises ObjectMissing where it is under neither, ObjectExists where `to` is another object.
        """

    async def tidy(self, before: float) -> int:
        """Delete unfinished writes begun before this time (seconds since the epoch); return how many."""

    def list(self, prefix: str, after: str = "") -> AsyncIterator[Stored]:
        """Yield objects whose key starts with `prefix` and is above `after`, in bytewise order of keys.

        Keys below `after` cost little or nothing; memory does not grow with the number of objects.
        """

    async def close(self) -> None:
        """Close sockets, descriptors and threads."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object outside our store: the key to read it by, its path there and its length in bytes."""

    key: str
    path: str
    length: int


class Place(Protocol):
    """A folder or bucket with objects that are not the gateway's: they are read, never written or deleted.

    A key also names the state of its object: `read` and `stat` raise ObjectChanged once
    the object has changed.
    """

    def read(self, key: str, span: Span | None = None) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Stream the object, or exactly `span` of it, as an ObjectStore does."""

    def read_now(self, key: str, span: Span) -> bytes | None:
        """Return the span where it can be read without blocking, as an ObjectStore does."""

    async def stat(self, key: str) -> Stored:
        """Return key, length and time of an object. Raises ObjectMissing, ObjectChanged."""

    def find(self) -> AsyncIterator[Found]:
        """Yield every object there, by path."""

    async def close(self) -> None:
        """Close sockets, descriptors and threads."""
