"""The files of the SQLite index: `index.sqlite`, or a link of that name to `index-1.sqlite` and so on.

An index that was built as a second one becomes the next generation. The file before it is marked, in a
transaction, with the number of the next one (`PRAGMA application_id`, which is part of every snapshot); then
the link is replaced. A process that reads a mark follows it, and sets the link where a crash came between.
SQLite resolves links before it names the write-ahead log, so that every generation keeps its own.
"""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from gateway.errors import IndexUnavailable

_BESIDE = ("", "-wal", "-shm", "-journal")


def file_of(path: Path, number: int) -> Path:
    """Return the file of a generation above 0."""
    return path.with_name(f"{path.stem}-{number}{path.suffix}")


def number_of(path: Path) -> int:
    """Return the generation that the link names; 0 where `path` is a file, or nothing."""
    try:
        target = str(path.readlink())
    except OSError:
        return 0
    found = re.fullmatch(re.escape(path.stem) + r"-(\d+)" + re.escape(path.suffix), target)
    return int(found[1]) if found else 0


def mark_of(db: sqlite3.Connection) -> int:
    """Return the generation that replaced this one; 0 where none did."""
    return int(db.execute("PRAGMA application_id").fetchone()[0])


@contextmanager
def _lock(folder: Path) -> Iterator[int]:
    """Lock the folder, so that no other process sets links in it; yield its file descriptor."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def settle(path: Path, number: int) -> None:
    """Make the link name this generation, unless it names a later one; durable when this returns.

    Raises IndexUnavailable where the file of the generation is missing.
    """
    target = file_of(path, number)
    with _lock(path.parent) as folder:
        if number_of(path) >= number:
            return
        if not target.exists():
            raise IndexUnavailable(f"{path} was replaced by {target.name}, which is missing: remove {path}")
        _link(path, target, folder)


def _link(path: Path, target: Path, folder: int) -> None:
    new = path.with_name(f"{path.name}.link")
    new.unlink(missing_ok=True)
    new.symlink_to(target.name)
    new.replace(path)
    os.fsync(folder)


def tidy(path: Path) -> None:
    """Remove files of earlier generations, which no process that starts now can need.

    A link that leads nowhere gets an empty file with a name that was never in use: another process may still
    hold the lost file and its log.
    """
    if not path.parent.is_dir():  # reported when the file is opened
        return
    with _lock(path.parent) as folder:
        number = number_of(path)
        if not number:
            return
        if not path.exists():
            fresh = next(f for n in count(number + 1) if not (f := file_of(path, n)).exists())
            remove(fresh)
            fresh.touch()
            _link(path, fresh, folder)
            return
        for found in path.parent.glob(f"{path.stem}-*{path.suffix}"):
            old = found.name.removeprefix(f"{path.stem}-").removesuffix(path.suffix)
            if old.isdecimal() and int(old) < number:
                remove(found)
        for end in _BESIDE[1:]:
            path.with_name(path.name + end).unlink(missing_ok=True)


def remove(file: Path) -> None:
    """Remove a file that no link names, and the files that SQLite keeps with it."""
    for end in _BESIDE:
        file.with_name(file.name + end).unlink(missing_ok=True)


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Yield whether we hold the build lock; while the block lasts, no other process builds an index here."""
    handle = os.open(path.with_name(f"{path.name}.rebuild"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(handle)


def is_building(path: Path) -> bool:
    """Return whether some process is building a second index here."""
    with suppress(FileNotFoundError):
        handle = os.open(path.with_name(f"{path.name}.rebuild"), os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
    return False
