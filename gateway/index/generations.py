"""The files of an embedded index: `index.sqlite`, or a link of that name to `index-1.sqlite`, `index-2.sqlite` and on.

An index that was built beside becomes the next generation. The file before is marked, in a transaction, with the
number of the next one (`PRAGMA application_id`, which is part of every snapshot); then the link is replaced. Whoever
meets a mark follows it, and sets the link where a crash came between. SQLite resolves links before it names the
write-ahead log, so that every generation keeps its own.
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
    """The file of a generation above 0."""
    return path.with_name(f"{path.stem}-{number}{path.suffix}")


def number_of(path: Path) -> int:
    """Which generation the link names; 0 where `path` is a file, or nothing."""
    try:
        target = str(path.readlink())
    except OSError:
        return 0
    found = re.fullmatch(re.escape(path.stem) + r"-(\d+)" + re.escape(path.suffix), target)
    return int(found[1]) if found else 0


def mark_of(db: sqlite3.Connection) -> int:
    """The generation that took this one's place; 0 where none did."""
    return int(db.execute("PRAGMA application_id").fetchone()[0])


@contextmanager
def _lock(folder: Path) -> Iterator[int]:
    """Nobody else sets links here meanwhile."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def settle(path: Path, number: int) -> None:
    """See that the link names this generation, or one that came later; durable when this returns.

    Raises IndexUnavailable where its file is not there.
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
    """Remove what no process that starts now can need: files of generations before. A link that leads nowhere gets
    an empty file, of a name that never was in use: somebody may still hold what was lost, and its log.
    """
    if not path.parent.is_dir():  # said when the file is wanted
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
    """A file that no link names, with what SQLite keeps beside it."""
    for end in _BESIDE:
        file.with_name(file.name + end).unlink(missing_ok=True)


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Whether nobody else is building an index beside this one; as long as the block lasts, nobody else does."""
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
    """Whether somebody builds an index beside this one."""
    with suppress(FileNotFoundError):
        handle = os.open(path.with_name(f"{path.name}.rebuild"), os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
    return False
