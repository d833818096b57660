"""Objects as files of a folder: temporary name, fsync, link into place, fsync of the folders."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

from gateway.errors import ObjectExists, ObjectMissing, ShortRead, StoreError, StoreFull, StoreUnavailable
from gateway.model import Span
from gateway.store.base import KEY, Stored
from gateway.store.disk import Disk

R = TypeVar("R")
PIECE = 1 << 20
READ = 512 << 10
STALE_SECONDS = 24 * 3600.0
_NOWAIT = getattr(os, "RWF_NOWAIT", 0)


class FilesystemStore:
    """`root` is made if it is not there; unfinished writes lie in `root/.tmp`."""

    def __init__(self, root: Path, id: str = "file", *, disk: Disk | None = None, threads: int = 16) -> None:
        self.id = id
        self._root = root
        self._temporary = root / ".tmp"
        self._disk = disk or Disk()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="store")
        self._temporary.mkdir(parents=True, exist_ok=True)
        self._sweep_stale()

    # -- writing ----------------------------------------------------------------------------------------

    async def put(self, key: str, body: AsyncIterator[bytes]) -> Stored:
        """See the port. A body below 1 MiB costs one hop to a thread."""
        target = self._path(key)
        temporary = self._temporary / uuid.uuid4().hex
        writing = _Writing(self._disk, temporary)
        held: list[bytes] = []
        size = 0
        try:
            async for chunk in body:
                held.append(chunk)
                size += len(chunk)
                if size >= PIECE:
                    await self._run(lambda pieces=held: writing.write(pieces))  # type: ignore[misc]
                    held, size = [], 0
            last = held
            return await self._run(lambda: self._complete(key, target, writing, last))
        except BaseException:
            # Also when cancelled, while a thread may still be writing or just have linked.
            await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._threads, writing.revoke))
            raise

    def _complete(self, key: str, target: Path, writing: _Writing, last: list[bytes]) -> Stored:
        writing.write(last)
        writing.sync()
        made = self._make_folders(target.parent)
        try:
            writing.link(target)
        except FileExistsError as error:
            raise ObjectExists(f"object {key} is there already") from error
        for folder in dict.fromkeys((target.parent, *made)):
            self._disk.fsync_folder(folder)
        writing.settle()
        return Stored(key, writing.length, time.time())

    def _make_folders(self, folder: Path) -> list[Path]:
        """Make what is missing of `folder`; the folders whose entries are new, deepest first."""
        missing: list[Path] = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for new in reversed(missing):
            with suppress(FileExistsError):
                self._disk.make_folder(new)
        # Somebody else may have made the folder a moment ago and not synced its entry yet.
        return [new.parent for new in missing] or [folder.parent]

    async def delete(self, key: str) -> None:
        target = self._path(key)

        def remove() -> None:
            with suppress(FileNotFoundError):
                self._disk.unlink(target)
                self._disk.fsync_folder(target.parent)

        await self._run(remove)

    # -- reading ----------------------------------------------------------------------------------------

    def read_now(self, key: str, span: Span) -> bytes | None:
        if not _NOWAIT:
            return None
        try:
            descriptor = os.open(self._path(key), os.O_RDONLY | os.O_CLOEXEC)
        except (OSError, StoreError):
            return None
        try:
            buffer = bytearray(len(span))
            got = os.preadv(descriptor, [buffer], span.start, _NOWAIT)
            return bytes(buffer) if got == len(span) else None
        except OSError:
            return None
        finally:
            os.close(descriptor)

    @asynccontextmanager
    async def read(self, key: str, span: Span | None = None) -> AsyncIterator[AsyncIterator[bytes]]:
        path = self._path(key)
        descriptor, size = await self._run(lambda: _opened(path, key))
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
        path = self._path(key)
        try:
            found = await self._run(path.stat)
        except ObjectMissing:
            raise ObjectMissing(f"no object {key}") from None
        return Stored(key, found.st_size, found.st_mtime)

    async def list(self, prefix: str) -> AsyncIterator[Stored]:
        found = await self._run(lambda: sorted(self._walk(prefix), key=lambda stored: stored.key.encode()))
        for stored in found:
            yield stored

    def _walk(self, prefix: str) -> Iterator[Stored]:
        folder = self._root / prefix.rpartition("/")[0]
        for where, folders, files in os.walk(folder):
            if ".tmp" in folders and Path(where) == self._root:
                folders.remove(".tmp")
            for name in files:
                path = Path(where, name)
                key = path.relative_to(self._root).as_posix()
                if key.startswith(prefix):
                    with suppress(FileNotFoundError):
                        stat = path.stat()
                        yield Stored(key, stat.st_size, stat.st_mtime)

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)

    # -- inside -----------------------------------------------------------------------------------------

    def _path(self, key: str) -> Path:
        if not KEY.match(key):
            raise StoreError(f"'{key}' is no object key")
        return self._root / key

    def _sweep_stale(self) -> None:
        before = time.time() - STALE_SECONDS
        for file in self._temporary.iterdir():
            with suppress(FileNotFoundError):
                if file.stat().st_mtime < before:
                    file.unlink()

    async def _run(self, work: Callable[[], R]) -> R:
        """In a thread; system errors become ours."""
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


class _Writing:
    """A file under its temporary name, then linked; used by one thread at a time, which the lock sees to."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self.path = path
        self.length = 0
        self._disk = disk
        self._descriptor: int | None = None
        self._target: Path | None = None
        self._over = False
        self._lock = threading.Lock()

    def write(self, pieces: list[bytes]) -> None:
        with self._lock:
            self._check()
            if self._descriptor is None:
                self._descriptor = self._disk.create(self.path)
            for piece in pieces:
                self._disk.write(self._descriptor, piece)
                self.length += len(piece)

    def sync(self) -> None:
        with self._lock:
            self._check()
            assert self._descriptor is not None
            self._disk.fsync(self._descriptor)
            self._close()

    def link(self, target: Path) -> None:
        with self._lock:
            self._check()
            self._disk.link(self.path, target)
            self._target = target

    def settle(self) -> None:
        """The object is durable: the temporary name may go."""
        with self._lock:
            self._check()
            self._over = True
            with suppress(FileNotFoundError):
                self._disk.unlink(self.path)

    def revoke(self) -> None:
        """Nothing of this write may stay. Does nothing once it is settled or revoked."""
        with self._lock:
            if self._over:
                return
            self._over = True
            self._close()
            for path in filter(None, (self._target, self.path)):
                with suppress(FileNotFoundError):
                    self._disk.unlink(path)

    def _check(self) -> None:
        if self._over:
            raise OSError(errno.ECANCELED, "the write was given up")

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            self._disk.close(descriptor)


def _opened(path: Path, key: str) -> tuple[int, int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise ObjectMissing(f"no object {key}") from error
    return descriptor, os.fstat(descriptor).st_size
