"""Work that is repeated for as long as the process lives, whether or not one round of it fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from gateway.errors import GatewayError

Step = Callable[[], Awaitable[object]]


class Background:
    """One task: `work`, then `rest`, for ever. Failures are logged to `log`, and the next round begins.

    `name` is the beginning of the log message and says what has to wait, such as "query keys wait".
    """

    def __init__(self, log: logging.Logger, name: str) -> None:
        self._log = log
        self._name = name
        self._task: asyncio.Task[None] | None = None

    def start(self, work: Step, rest: Step) -> None:
        """Begin with `work`.

        `rest` must wait a while: otherwise a failing `work` would fail at once again.
        """
        self._task = asyncio.create_task(self._run(work, rest))

    async def close(self) -> None:
        """Cancel the task. Raises nothing of what the task raised."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("%s: %s", self._name, _describe(error))

    async def _run(self, work: Step, rest: Step) -> None:
        while True:
            try:
                await work()
            except GatewayError as error:
                self._log.warning("%s: %s", self._name, error.detail, extra={"reason": error.detail})
            except Exception as error:
                # Its text may hold values of a patient: the class and the place are enough to find it by.
                self._log.error("%s: %s", self._name, _describe(error), extra={"reason": _describe(error)})
            await rest()


def _describe(error: BaseException) -> str:
    """Return the class of an exception, and where it was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    code = trace.tb_frame.f_code
    module = trace.tb_frame.f_globals.get("__name__", "?")
    return f"{type(error).__name__} in {module}.{code.co_name}, line {trace.tb_lineno}"
