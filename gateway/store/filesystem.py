"""Objects as files of a folder: temporary name, fsync, link into place, fsync of the folders."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TypeVar

from gateway.errors import ObjectExists, StoreError
from gateway.store.base import KEY, Stored
from gateway.store.disk import Disk
from gateway.store.filereads import Files

R = TypeVar("R")
PIECE = 1 << 20
PAGE = 1000
STALE_SECONDS = 24 * 3600.0


class FilesystemStore(Files):
    """A store in the folder `root`, made where it is missing; unfinished writes are in `root/.tmp`."""

    def __init__(self, root: Path, id: str = "file", *, disk: Disk | None = None, threads: int = 16) -> None:
        super().__init__(threads)
        self.id = id
        self._root = root
        self._temporary = root / ".tmp"
        self._disk = disk or Disk()
        self._temporary.mkdir(parents=True, exist_ok=True)
        self._sweep_stale(time.time() - STALE_SECONDS)

    # -- writing ----------------------------------------------------------------------------------------

    async def put(self, key: str, body: AsyncIterator[bytes]) -> Stored:
        """Write a new object (see the port). A body below 1 MiB costs one hop to a thread."""
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
            # Also when cancelled, while a thread may still be writing or may just have linked.
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
        """Make the missing folders of `folder`; return the folders that got new entries, deepest first."""
        missing: list[Path] = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for new in reversed(missing):
            with suppress(FileExistsError):
                self._disk.make_folder(new)
        # Another process may have made the folder a moment ago and not synced its entry yet.
        return [new.parent for new in missing] or [folder.parent]

    async def delete(self, key: str) -> None:
        target = self._path(key)

        def remove() -> None:
            with suppress(FileNotFoundError):
                self._disk.unlink(target)
                self._disk.fsync_folder(target.parent)

        await self._run(remove)

    async def move(self, key: str, to: str) -> None:
        source, target = self._path(key), self._path(to)

        def move() -> None:
            made = self._make_folders(target.parent)
            try:
                self._disk.link(source, target)
            except FileExistsError as error:
                if source.exists() and not source.samefile(target):
                    raise ObjectExists(f"object {to} is there already") from error
            except FileNotFoundError:
                if not target.exists():
                    raise
            for folder in dict.fromkeys((target.parent, *made)):
                self._disk.fsync_folder(folder)
            with suppress(FileNotFoundError):
                self._disk.unlink(source)
                self._disk.fsync_folder(source.parent)

        await self._run(move)

    async def tidy(self, before: float) -> int:
        return await self._run(lambda: self._sweep_stale(before))

    # -- listing ----------------------------------------------------------------------------------------

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[Stored]:
        found = self._walk(prefix.rpartition("/")[0], prefix, after)
        while page := await self._run(lambda: list(islice(found, PAGE))):
            for stored in page:
                yield stored

    def _walk(self, folder: str, prefix: str, after: str) -> Iterator[Stored]:
        """Yield objects in order of keys, a folder at a time.

        Keys not above `after` are skipped by their names alone.
        """
        for name in _entries(self._root / folder):
            key = f"{folder}/{name}" if folder else name
            if key.endswith("/"):
                is_wanted = key.startswith(prefix) or prefix.startswith(key)
                # A folder holds keys above `after` where it is above it itself, or is on the path to it.
                if is_wanted and key != ".tmp/" and (key > after or after.startswith(key)):
                    yield from self._walk(key[:-1], prefix, after)
            elif key.startswith(prefix) and key > after:
                with suppress(FileNotFoundError):
                    stat = (self._root / key).stat()
                    yield Stored(key, stat.st_size, stat.st_mtime)

    # -- helpers ----------------------------------------------------------------------------------------

    def _path(self, key: str) -> Path:
        if not KEY.match(key):
            raise StoreError(f"'{key}' is no object key")
        return self._root / key

    def _sweep_stale(self, before: float) -> int:
        count = 0
        for file in self._temporary.iterdir():
            with suppress(FileNotFoundError):
                if file.stat().st_mtime < before:
                    file.unlink()
                    count += 1
        return count


def _entries(folder: Path) -> list[str]:
    """Return names in the order of the keys below them: the name of a folder ends in a slash."""
    try:
        with os.scandir(folder) as found:
            return sorted(entry.name + "/" * entry.is_dir(follow_symlinks=False) for entry in found)
    except (FileNotFoundError, NotADirectoryError):
        return []


class _Writing:
    """A file that is written under its temporary name, then linked; a lock allows one thread at a time."""

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
        """End the write once the object is durable: delete the temporary name."""
        with self._lock:
            self._check()
            self._over = True
            with suppress(FileNotFoundError):
                self._disk.unlink(self.path)

    def revoke(self) -> None:
        """Delete all that this write made. Does nothing once it is settled or revoked."""
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
