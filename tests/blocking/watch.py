"""Finds calls that wait for disk, network or sleep in the thread of a running event loop.

Python tells an audit hook of each file that is opened, each name that is made, moved or removed, each sleep, process
and connection; what it does not tell of (flushing to disk, asking for a file's state) is wrapped. A call counts where a
loop is running in its thread and the innermost code of the project above it is the gateway's: no clock is read, so
that a slow machine changes nothing. What may wait, and why, stands in `ALLOWED`.

`tests/conftest.py` installs it in every run of the tests, with `--blocking` by `sitecustomize` also in each server that
tests start.
"""

from __future__ import annotations

import linecache
import os
import sys
import threading
import time
import weakref
from asyncio import _get_running_loop
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = str(Path(__file__).resolve().parent.parent.parent) + os.sep
GATEWAY, TESTS = ROOT + "gateway" + os.sep, ROOT + "tests" + os.sep
# A module is imported once in the life of a process; lines of source are read by pytest, which quotes them of failures
# that are logged, and never by the gateway's own formatter.
# The garbage collector ends what others forgot (temporary folders of a test's tools) wherever it happens to run; the
# gateway has no such finalizer, which `test_watch.py` holds.
_PASSED_OVER = ("<frozen importlib", linecache.__file__, weakref.__file__)
# Where it measures, coverage looks for each file of source once.
_MEASURES = f"{os.sep}site-packages{os.sep}coverage{os.sep}"
EVENTS = frozenset(
    {
        *("open", "os.listdir", "os.scandir", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link"),
        *(
            "os.symlink",
            "os.truncate",
            "os.utime",
            "os.chmod",
            "shutil.rmtree",
            "shutil.copyfile",
            "shutil.move",
        ),
        *(
            "time.sleep",
            "subprocess.Popen",
            "sqlite3.connect",
            "fcntl.flock",
            "fcntl.lockf",
            "tempfile.mkstemp",
        ),
        *("socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"),
    }
)
WRAPPED = ("fsync", "fdatasync", "stat", "lstat", "statvfs", "replace", "sendfile", "posix_fallocate")
_STARTS = "belongs to the start or the end of a process: nothing is listened for yet, so that nobody waits"
_CERTIFICATES = "asyncpg looks for certificates of the user where it connects anew"
ALLOWED = {
    "app.py:Gateway.open": _STARTS,
    "app.py:Gateway.__init__": _STARTS,
    "app.py:Gateway.start": _STARTS,
    "app.py:Gateway.compare": _STARTS,
    "app.py:open_index": _STARTS,
    "store/filesystem.py:FilesystemStore.__init__": _STARTS,
    "index/sqlite.py:SqliteIndex.open": _STARTS,
    "index/postgres.py:PostgresIndex.open": _STARTS,
    "index/driver.py:SqlIndex.migrate": _STARTS,
    "app.py:Gateway.place": "belongs to the command `import`, which serves nobody",
    "settings.py:Settings.index_url": _STARTS,
    "index/postgres.py:PostgresIndex._acquire": _CERTIFICATES,
    "index/postgres.py:PostgresIndex.connect": _CERTIFICATES,
    "store/inplace.py:WithPlaces.place": "once for each place in the life of a process: looks whether the folder is there",
    "store/filereads.py:Files.read_now": "reads with RWF_NOWAIT what the page cache holds, at a tenth of a thread's price",
}
"""`file:function` in the gateway → why it, and what it calls, may wait."""
WATCHED = ("http", "index", "services", "store")
"""Folders of tests that are judged in every run; the others, and servers that tests start, with `--blocking`."""


class Watch:
    """Calls that blocked a loop, each a line: what, where, by whom."""

    def __init__(self, folder: Path | None = None) -> None:
        self.found: list[str] = []
        self.folder = folder
        self._busy = threading.local()

    def install(self) -> None:
        """Watch this process until it ends: an audit hook cannot be taken away."""
        sys.addaudithook(self._audit)
        for name in WRAPPED:
            call = getattr(os, name)
            wrapped = self._wrap(f"os.{name}", call)
            setattr(os, name, wrapped)
            # What a call may be given is looked up by the function itself: shutil would go without `os.stat` else.
            for able in (os.supports_follow_symlinks, os.supports_dir_fd, os.supports_fd):
                if call in able:
                    able.add(wrapped)
        time.sleep = self._wrap("time.sleep", time.sleep)

    def take(self) -> list[str]:
        """Return what was found since the last time."""
        found, self.found = self.found, []
        return found

    def _audit(self, event: str, _: tuple[Any, ...]) -> None:
        if event in EVENTS and _get_running_loop() is not None:
            self._judge(event)

    def _wrap(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **named: Any) -> Any:
            if _get_running_loop() is not None:
                self._judge(name)
            return call(*arguments, **named)

        return watched

    def _judge(self, event: str) -> None:
        if getattr(self._busy, "now", False):
            return
        frame = sys._getframe(1)
        place = place_of(frame)
        if place is None or not ALLOWED.keys().isdisjoint(callers(frame)):
            return
        self._busy.now = True
        try:
            line = f"{event} in {place} blocks the loop, called by {' < '.join(callers(frame)[1:6])}"
            self.found.append(line)
            if self.folder is not None:
                with (self.folder / str(os.getpid())).open("a") as file:
                    file.write(line + "\n")
        finally:
            self._busy.now = False


SESSION = Watch()
"""That of a run of the tests."""


def is_watched(test: Path) -> bool:
    """Return whether a file of tests is judged in every run."""
    return str(test).removeprefix(TESTS).partition(os.sep)[0] in WATCHED


def place_of(frame: FrameType | None) -> str | None:
    """Return file and function of the innermost code of the project, None where that is none of the gateway."""
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_PASSED_OVER) or _MEASURES in file:
            return None
        if file != __file__ and file.startswith((GATEWAY, TESTS)):
            return _name(frame) if file.startswith(GATEWAY) else None
        frame = frame.f_back
    return None


def callers(frame: FrameType | None) -> list[str]:
    """Return file and function of all of the gateway's code above, outwards."""
    found: list[str] = []
    while frame is not None:
        file = frame.f_code.co_filename
        if file != __file__ and file.startswith(GATEWAY):
            found.append(_name(frame))
        frame = frame.f_back
    return found


def _name(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename.removeprefix(GATEWAY)}:{frame.f_code.co_qualname}"


def take_notes(folder: Path) -> list[str]:
    """Return what servers noted in `folder` since the last time."""
    found: list[str] = []
    for notes in list(folder.iterdir()):
        taken = notes.rename(folder / f"{notes.name}.taken")  # what is noted meanwhile begins a new file
        found += taken.read_text().splitlines()
        taken.unlink()
    return found
