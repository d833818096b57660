"""One line of JSON for each failure and warning, on stderr, without anything that may identify a patient.

A line holds the message as it stands in the source, filled in with numbers only, and the place where
it happened: class and place of the exception, never its text; the template of the route, never the
path or the query string.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

PACKAGE = str(Path(__file__).resolve().parent) + os.sep
# Loggers whose messages are printed. Of others not even the message is trusted: asyncio fills
# in exceptions of tasks.
OURS = ("gateway", "uvicorn")
_PLAIN = re.compile(r"[^('\"<\[{:\n%]*")
_MARK = re.compile(r"%[ds]")
_WANTED = ("sent", "seconds", "count", "object", "revision", "reason")
"""Names in `extra` that may be printed: numbers, keys of the store, and as `reason` sentences made of these.

Keys hold no more than UIDs.
"""


class About:
    """The request in progress, as a log may name it. The client gets the same `id`."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.route: str | None = None

    @cached_property
    def id(self) -> str:
        return os.urandom(8).hex()


about: ContextVar[About | None] = ContextVar("about", default=None)


class Lines(logging.Formatter):
    """Formatter that writes a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line: time, level, logger, event; with a request also id, method, route and status."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _event(record),
        }
        request = about.get()
        if request is not None:
            line |= {"id": request.id, "method": request.method, "route": request.route}
        if isinstance(status := getattr(record, "status", None), int):
            line["status"] = status
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            line |= describe_error(error)
        line |= {name: str(getattr(record, name)) for name in _WANTED if hasattr(record, name)}
        return json.dumps(line)


def _event(record: logging.LogRecord) -> str:
    text = str(record.msg)
    if record.name.split(".")[0] in OURS:
        return _format_numbers(text, record.args).strip()
    found = _PLAIN.match(text)
    return found.group().strip()[:100] if found else ""


def _format_numbers(text: str, arguments: object) -> str:
    """Return the message with its numbers filled in; other marks stay."""
    left = iter(arguments if isinstance(arguments, tuple) else ())

    def fill(mark: re.Match[str]) -> str:
        value = next(left, None)
        return str(value) if isinstance(value, int) else mark.group()

    return _MARK.sub(fill, text)


def describe_error(error: BaseException) -> dict[str, str]:
    """Return the classes of a failure and of its cause, and the deepest places in our code of both."""
    told = {"error": type(error).__name__, "at": place(error.__traceback__)}
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        told |= {"cause": type(cause).__name__, "cause_at": place(cause.__traceback__)}
    return told


def place(found: TracebackType | None) -> str:
    """Return file and line of the deepest frame in our code; of the deepest at all where none is ours."""
    where = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(found)]
    for file, line in reversed(where):
        if file.startswith(PACKAGE):
            return f"gateway/{file.removeprefix(PACKAGE)}:{line}"
    return f"{Path(where[-1][0]).name}:{where[-1][1]}" if where else ""


def configuration(level: str = "WARNING") -> dict[str, Any]:
    """Return a configuration for `logging.config`: all loggers, also uvicorn's, write lines to stderr."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": Lines}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "lines", "stream": "ext://sys.stderr"}
        },
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {
            "uvicorn": {"level": level},
            "uvicorn.access": {"handlers": [], "propagate": False},
            "gateway.sweep": {"level": "INFO"},  # each key that the sweep moves
        },
    }


def take_over() -> None:
    """Log warnings and uncaught exceptions as lines too, which Python itself would print with their text."""
    logging.captureWarnings(capture=True)
    log = logging.getLogger("gateway")

    def log_uncaught(kind: type[BaseException], error: BaseException, found: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("nobody caught this", exc_info=(kind, error, found))

    def log_in_thread(told: threading.ExceptHookArgs) -> None:
        if told.exc_value is not None:
            log_uncaught(told.exc_type, told.exc_value, told.exc_traceback)

    def log_unraisable(told: Any) -> None:
        if told.exc_value is not None:
            log.error("ignored", exc_info=told.exc_value)

    sys.excepthook = log_uncaught
    threading.excepthook = log_in_thread
    sys.unraisablehook = log_unraisable
