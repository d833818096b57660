"""A stream of bytes with what is known of it before it starts."""

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

# A span above this is streamed, however warm: copying it at once would hold up the event loop.
NOW_AT_MOST = 4 << 20
# Chunks are joined until they are as long.
JOINED = 64 << 10
# An answer is made of so many native bytes, or fewer, before its status line: what fails is a status then.
MADE_FIRST_AT_MOST = 4 << 20


@dataclass(frozen=True, slots=True)
class Body:
    """`length` bytes (None: not known before the end) of `content_type`, to be iterated once and closed.

    `transfer_syntax` is None where the notion does not apply.
    """

    content_type: str
    transfer_syntax: str | None
    length: int | None
    chunks: AsyncGenerator[bytes, None]


class Begun(AsyncGenerator[T, None]):
    """A generator whose first item was pulled; closing it closes what it came from, begun or not."""

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
    """Small chunks joined: each costs a write."""
    held: list[bytes] = []
    size = 0
    async with aclosing(chunks):
        async for chunk in chunks:
            if size + len(chunk) < JOINED:
                held.append(chunk)
                size += len(chunk)
                continue
            # A large one goes as it is, uncopied.
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
    """The results of all, made side by side; the first that fails ends the others."""
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
    """One chunk."""
    yield data


async def join(parts: list[AsyncGenerator[bytes, None]]) -> AsyncGenerator[bytes, None]:
    """One after another; each is closed, also those never begun."""
    try:
        for part in parts:
            async for chunk in part:
                yield chunk
    finally:
        for part in parts:
            await part.aclose()


async def read_span(
    store: ObjectStore, key: str, span: Span, *, now: bool = True
) -> AsyncGenerator[bytes, None]:
    """The bytes of a span: at once where the page cache has them and `now` allows it, else streamed."""
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
    """The span in memory; for frames and headers, never for whole objects."""
    async with aclosing(read_span(store, key, span)) as chunks:
        return b"".join([chunk async for chunk in chunks])


class ChunkChange(Protocol):
    """A push translator of bytes."""

    def feed(self, chunk: bytes) -> bytes: ...

    def finish(self) -> bytes: ...


async def map_chunks(chunks: AsyncGenerator[bytes, None], change: ChunkChange) -> AsyncGenerator[bytes, None]:
    """Each chunk through `change`, then what it still has."""
    async with aclosing(chunks):
        async for chunk in chunks:
            if out := change.feed(chunk):
                yield out
    if rest := change.finish():
        yield rest
