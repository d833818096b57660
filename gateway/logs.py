"""One line of JSON for each failure and warning, on stderr, with nothing in it that may identify a patient.

A line holds what a programmer wrote (the message as it stands in the source, filled in with no more than numbers) and
where it happened:
class and place of the exception, never its text; the template of the route, never the path or the query string.
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
# Of loggers other than these not even the message is trusted: asyncio fills in the exceptions of tasks.
OURS = ("gateway", "uvicorn")
_PLAIN = re.compile(r"[^('\"<\[{:\n%]*")
_MARK = re.compile(r"%[ds]")
_WANTED = ("sent", "seconds", "count", "object", "revision", "reason")
"""Names in `extra` that may be printed: numbers, keys of the store, which hold UIDs at most, and as `reason` sentences
that are made of nothing else.
"""


class About:
    """The request that is being worked on, as a log may name it. `id` is what the client is told."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.route: str | None = None

    @cached_property
    def id(self) -> str:
        return os.urandom(8).hex()


about: ContextVar[About | None] = ContextVar("about", default=None)


class Lines(logging.Formatter):
    """Writes a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line: time, level, logger, event; id, method, route and status where there is a request."""
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
    """The message with its numbers; other marks stay."""
    left = iter(arguments if isinstance(arguments, tuple) else ())

    def fill(mark: re.Match[str]) -> str:
        value = next(left, None)
        return str(value) if isinstance(value, int) else mark.group()

    return _MARK.sub(fill, text)


def describe_error(error: BaseException) -> dict[str, str]:
    """The class of a failure and of what caused it, and the deepest places in our code of both."""
    told = {"error": type(error).__name__, "at": place(error.__traceback__)}
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        told |= {"cause": type(cause).__name__, "cause_at": place(cause.__traceback__)}
    return told


def place(found: TracebackType | None) -> str:
    """File and line of the deepest frame that is ours; of the deepest at all where none is."""
    where = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(found)]
    for file, line in reversed(where):
        if file.startswith(PACKAGE):
            return f"gateway/{file.removeprefix(PACKAGE)}:{line}"
    return f"{Path(where[-1][0]).name}:{where[-1][1]}" if where else ""


def configuration(level: str = "WARNING") -> dict[str, Any]:
    """For `logging.config`: all loggers, also uvicorn's, write such lines to stderr."""
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
            "gateway.sweep": {"level": "INFO"},  # each key that it takes away
        },
    }


def take_over() -> None:
    """What Python would print by itself, with its text, becomes a line too: warnings, and what nobody caught."""
    logging.captureWarnings(capture=True)
    log = logging.getLogger("gateway")

    def uncaught(kind: type[BaseException], error: BaseException, found: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("nobody caught this", exc_info=(kind, error, found))

    def in_thread(told: threading.ExceptHookArgs) -> None:
        if told.exc_value is not None:
            uncaught(told.exc_type, told.exc_value, told.exc_traceback)

    def unraisable(told: Any) -> None:
        if told.exc_value is not None:
            log.error("ignored", exc_info=told.exc_value)

    sys.excepthook = uncaught
    threading.excepthook = in_thread
    sys.unraisablehook = unraisable
