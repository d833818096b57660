"""Write animations and videos to files, keep these for later requests, and send them in pieces."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Coroutine, Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from gateway.errors import CodecError
from gateway.render.pool import CodecPool, SingleFlight

T = TypeVar("T")

# Bytes of all files of one process.
KEPT_AT_MOST = 512 << 20
PIECE = 1 << 20
# Seconds to wait for one frame.
PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class CachedVideo:
    """A complete file."""

    path: Path
    size: int


class VideoCache:
    """Writes files in threads of its own: these wait for frames, which the codec pool decodes."""

    def __init__(self) -> None:
        self._pool = CodecPool(2)
        self._folder: Path | None = None
        self._kept: OrderedDict[Hashable, CachedVideo] = OrderedDict()
        self._flights: SingleFlight[CachedVideo] = SingleFlight()
        self._made = 0

    async def open(
        self, key: Hashable, write: Callable[[Path], None]
    ) -> tuple[int, AsyncGenerator[bytes, None]]:
        """Return size and bytes of the file that `write`, which may block, writes.

        Requests for the same key share one file.
        """
        while key not in self._kept:
            await self._flights.run(key, lambda: self._make(key, write))
        film = self._kept[key]
        self._kept.move_to_end(key)
        # Opened before another task can run: an open file can still be read after it was deleted.
        return film.size, _read(_open(film.path))

    async def _make(self, key: Hashable, write: Callable[[Path], None]) -> CachedVideo:
        self._made += 1
        film = await self._pool.run(self._write, write, f"{self._made}")
        self._kept[key] = film
        while len(self._kept) > 1 and sum(f.size for f in self._kept.values()) > KEPT_AT_MOST:
            _, old = self._kept.popitem(last=False)
            # Answers that read it have it open, and can read on.
            await asyncio.to_thread(old.path.unlink, missing_ok=True)
        return film

    def _write(self, write: Callable[[Path], None], name: str) -> CachedVideo:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="gateway-films-"))
        path = self._folder / name
        try:
            write(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return CachedVideo(path, path.stat().st_size)

    async def run(self, fn: Callable[[], T]) -> T:
        """Run work that waits for the event loop; such work must not block the codec pool."""
        return await self._pool.run(fn)

    def close(self) -> None:
        self._pool.close()
        self._kept.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


async def _read(handle: BinaryIO) -> AsyncGenerator[bytes, None]:
    try:
        while piece := await asyncio.to_thread(handle.read, PIECE):
            yield piece
    finally:
        handle.close()


def pull(items: AsyncGenerator[T, None], loop: asyncio.AbstractEventLoop) -> Iterator[T]:
    """Yield, in a thread, the items of an async generator that runs on `loop`.

    Raises CodecError where an item does not come in time.
    """

    async def following() -> list[T]:
        return [item] if (item := await anext(items, None)) is not None else []

    try:
        while found := wait_for(following(), loop):
            yield found[0]
    finally:
        asyncio.run_coroutine_threadsafe(items.aclose(), loop)


def wait_for(job: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
    """Wait, in a thread, for a job that runs on `loop`; return its result.

    Raises CodecError where it does not come in time.
    """
    future = asyncio.run_coroutine_threadsafe(job, loop)
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return future.result(1.0)
        except TimeoutError as error:
            # Either the job itself raised a time-out, or nothing is left that could give a result.
            if future.done() or loop.is_closed() or time.monotonic() > until:
                future.cancel()
                raise CodecError("a frame of the film did not come in time") from error
