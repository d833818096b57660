"""An answer of frames: a body for each, of which the first is at hand before the status line."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from gateway.services.bytestream import Begun, Body


@dataclass(frozen=True, slots=True)
class FrameBodies:
    """Frames of one instance, a body for each, in order; each is to be read before the next is taken.

    `sizes` are their lengths where these are known, and there are not too many. `bodies` is to be closed.
    """

    transfer_syntax: str
    sizes: Sequence[int] | None
    bodies: AsyncGenerator[Body, None]

    async def take_only(self) -> Body:
        """Return the first and only one, which closes the rest when it is closed."""
        body = await anext(self.bodies)
        return Body(body.content_type, body.transfer_syntax, body.length, _Last(body.chunks, self.bodies))


class _Last(Begun[bytes]):
    """Chunks that let go of what they came from."""

    def __init__(self, chunks: AsyncGenerator[bytes, None], bodies: AsyncGenerator[Body, None]) -> None:
        self._chunks = chunks
        self._bodies = bodies

    async def asend(self, value: None) -> bytes:
        return await anext(self._chunks)

    async def aclose(self) -> None:
        await self._chunks.aclose()
        await self._bodies.aclose()


async def begin_bodies(bodies: AsyncGenerator[Body, None]) -> AsyncGenerator[Body, None]:
    """Pull the first now, while a failure can still become a status code; where there is none, nothing."""
    try:
        return Begun(await anext(bodies), bodies)
    except StopAsyncIteration:
        return bodies
    except BaseException:
        await bodies.aclose()
        raise


async def stream_bodies(bodies: AsyncGenerator[Body, None]) -> AsyncGenerator[bytes, None]:
    """Stream the chunks of all bodies, one after another."""
    async with aclosing(bodies):
        async for body in bodies:
            async with aclosing(body.chunks):
                async for chunk in body.chunks:
                    yield chunk
