"""Animations and videos: made once into a file, kept for who asks again, sent in ranges."""

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

# Files of one process, all together.
KEPT_AT_MOST = 512 << 20
PIECE = 1 << 20
# A frame that is not there by then never will be.
PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class CachedVideo:
    """A file that is whole."""

    path: Path
    size: int


class VideoCache:
    """Makes files in threads of its own: these wait for frames, which the codec pool decodes."""

    def __init__(self) -> None:
        self._pool = CodecPool(2)
        self._folder: Path | None = None
        self._kept: OrderedDict[Hashable, CachedVideo] = OrderedDict()
        self._flights: SingleFlight[CachedVideo] = SingleFlight()
        self._made = 0

    async def open(
        self, key: Hashable, write: Callable[[Path], None]
    ) -> tuple[int, AsyncGenerator[bytes, None]]:
        """Size and bytes of the file that `write`, which may block, writes; who asks for the same shares it."""
        while key not in self._kept:
            await self._flights.run(key, lambda: self._make(key, write))
        film = self._kept[key]
        self._kept.move_to_end(key)
        # Opened before anything else can run: whoever drops the file now takes nothing from us.
        return film.size, _read(_open(film.path))

    async def _make(self, key: Hashable, write: Callable[[Path], None]) -> CachedVideo:
        self._made += 1
        film = await self._pool.run(self._write, write, f"{self._made}")
        self._kept[key] = film
        while len(self._kept) > 1 and sum(f.size for f in self._kept.values()) > KEPT_AT_MOST:
            _, old = self._kept.popitem(last=False)
            # Who is reading it reads on.
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
        """Work that waits for the event loop, where the codec pool must not."""
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
    """What an asynchronous generator of `loop` yields, in a thread beside it. Raises CodecError where nothing comes."""

    async def following() -> list[T]:
        return [item] if (item := await anext(items, None)) is not None else []

    try:
        while found := wait_for(following(), loop):
            yield found[0]
    finally:
        asyncio.run_coroutine_threadsafe(items.aclose(), loop)


def wait_for(job: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
    """The result of a job in `loop`, in a thread beside it. Raises CodecError where it does not come."""
    future = asyncio.run_coroutine_threadsafe(job, loop)
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return future.result(1.0)
        except TimeoutError as error:
            # A result that is itself a time-out, or nobody left to give one.
            if future.done() or loop.is_closed() or time.monotonic() > until:
                future.cancel()
                raise CodecError("a frame of the film did not come in time") from error
