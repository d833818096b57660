"""A stream of bytes whose media type and length are known before it starts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from gateway.model import Span
from gateway.services.timing import measure
from gateway.store.base import ObjectStore

T = TypeVar("T")

# Bytes. A longer span is streamed, even where the page cache has it: copying it at once would block the
# event loop.
NOW_AT_MOST = 4 << 20
# Bytes. Chunks are joined up to this length.
JOINED = 64 << 10
# Native bytes. Shorter answers are made before the status line, so that a failure is a status.
MADE_FIRST_AT_MOST = 4 << 20


@dataclass(frozen=True, slots=True)
class Body:
    """`length` bytes (None: not known before the end) of `content_type`, to be iterated once and closed.

    `transfer_syntax` is None where the content has none.
    """

    content_type: str
    transfer_syntax: str | None
    length: int | None
    chunks: AsyncGenerator[bytes, None]


class Begun(AsyncGenerator[T, None]):
    """A generator whose first item was pulled; closing it closes its source, also before iteration."""

    def __init__(self, first: T, chunks: AsyncGenerator[T, None]) -> None:
        self._first: T | None = first
        self._chunks = chunks

    async def asend(self, value: None) -> T:
        first, self._first = self._first, None
        return await anext(self._chunks) if first is None else first

    async def athrow(self, *error: Any) -> T:
        return await self._chunks.athrow(*error)

    async def aclose(self) -> None:
        await self._chunks.aclose()


async def prime(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Pull the first chunk now, while a failure can still become a status code."""
    try:
        return Begun(await anext(chunks, b""), chunks)
    except BaseException:
        await chunks.aclose()
        raise


async def coalesce(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield chunks with small ones joined, since each chunk costs a write."""
    held: list[bytes] = []
    size = 0
    async with aclosing(chunks):
        async for chunk in chunks:
            if size + len(chunk) < JOINED:
                held.append(chunk)
                size += len(chunk)
                continue
            # A large chunk goes as it is, without a copy.
            if held and len(chunk) >= JOINED:
                yield b"".join(held)
                yield chunk
                held, size = [], 0
            else:
                yield b"".join((*held, chunk))
                held, size = [], 0
    if held:
        yield b"".join(held)


async def all_made(jobs: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Return the results of all jobs, run concurrently; the first failure cancels the others."""
    if len(jobs) == 1:
        return [await jobs[0]]
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def only(data: bytes) -> AsyncGenerator[bytes, None]:
    """Yield one chunk."""
    yield data


async def join(parts: Sequence[AsyncGenerator[T, None]]) -> AsyncGenerator[T, None]:
    """Yield what all parts yield, one after another; each part is closed, also those never begun."""
    try:
        for part in parts:
            async for piece in part:
                yield piece
    finally:
        for part in parts:
            await part.aclose()


async def read_span(
    store: ObjectStore, key: str, span: Span, *, now: bool = True
) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of a span: at once where the page cache has them and `now` allows it, else streamed."""
    found = store.read_now(key, span) if now and len(span) <= NOW_AT_MOST else None
    if found is not None:
        yield found
        return
    with measure("store"):
        opened = store.read(key, span)
        chunks = await opened.__aenter__()
    try:
        async for chunk in chunks:
            yield chunk
    finally:
        await opened.__aexit__(None, None, None)


async def read_whole(store: ObjectStore, key: str, span: Span) -> bytes:
    """Return the span in memory; for frames and headers, never for whole objects."""
    async with aclosing(read_span(store, key, span)) as chunks:
        return b"".join([chunk async for chunk in chunks])


class ChunkChange(Protocol):
    """A push translator of bytes."""

    def feed(self, chunk: bytes) -> bytes: ...

    def finish(self) -> bytes: ...


async def map_chunks(chunks: AsyncGenerator[bytes, None], change: ChunkChange) -> AsyncGenerator[bytes, None]:
    """Yield each chunk through `change`, then the bytes that `change` still holds."""
    async with aclosing(chunks):
        async for chunk in chunks:
            if out := change.feed(chunk):
                yield out
    if rest := change.finish():
        yield rest
