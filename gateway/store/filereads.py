"""Reading of files as objects: from the page cache on the event loop where possible, else in a thread."""

from __future__ import annotations

import asyncio
import errno
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from gateway.errors import ObjectMissing, ShortRead, StoreError, StoreFull, StoreUnavailable
from gateway.model import Span
from gateway.store.base import Stored

R = TypeVar("R")
READ = 512 << 10
_NOWAIT = getattr(os, "RWF_NOWAIT", 0)


class Files(ABC):
    """The reading half of a store whose objects are files; `_path` returns the file of a key, in a thread."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="store")

    @abstractmethod
    def _path(self, key: str) -> Path:
        """Return the file of a key. Raises StoreError where it is no valid key."""

    def _check(self, key: str, found: os.stat_result) -> None:
        """Raise StoreError where the file is not the object of the key; a store's own files always are."""
        del key, found

    def read_now(self, key: str, span: Span) -> bytes | None:
        if not _NOWAIT:
            return None
        try:
            descriptor = os.open(self._path(key), os.O_RDONLY | os.O_CLOEXEC)
        except (OSError, StoreError):
            return None
        try:
            self._check(key, os.fstat(descriptor))
            buffer = bytearray(len(span))
            got = os.preadv(descriptor, [buffer], span.start, _NOWAIT)
            return bytes(buffer) if got == len(span) else None
        except (OSError, StoreError):
            return None
        finally:
            os.close(descriptor)

    @asynccontextmanager
    async def read(self, key: str, span: Span | None = None) -> AsyncIterator[AsyncIterator[bytes]]:
        descriptor, size = await self._run(lambda: self._open(key))
        try:
            start, stop = (span.start, span.stop) if span is not None else (0, size)
            if stop > size:
                raise ShortRead(f"object {key} has {size} bytes, asked up to {stop}")
            chunks = self._chunks(key, descriptor, start, stop)
            try:
                yield chunks
            finally:
                await chunks.aclose()
        finally:
            os.close(descriptor)

    async def _chunks(self, key: str, descriptor: int, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        while start < stop:
            length = min(READ, stop - start)
            data = await self._run(lambda at=start, n=length: os.pread(descriptor, n, at))  # type: ignore[misc]
            if not data:
                raise ShortRead(f"object {key} ends at {start}, asked up to {stop}")
            yield data
            start += len(data)

    async def stat(self, key: str) -> Stored:
        try:
            found = await self._run(lambda: self._path(key).stat())
        except ObjectMissing:
            raise ObjectMissing(f"no object {key}") from None
        self._check(key, found)
        return Stored(key, found.st_size, found.st_mtime)

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)

    def _open(self, key: str) -> tuple[int, int]:
        try:
            descriptor = os.open(self._path(key), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise ObjectMissing(f"no object {key}") from error
        try:
            found = os.fstat(descriptor)
            self._check(key, found)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor, found.st_size

    async def _run(self, work: Callable[[], R]) -> R:
        """Run `work` in a thread; system errors become StoreError or its subclasses."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except FileNotFoundError as error:
            raise ObjectMissing("no such object") from error
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise StoreFull("the store has no room left") from error
            raise StoreUnavailable(
                f"the store's file system failed: {os.strerror(error.errno or 0)}"
            ) from error
