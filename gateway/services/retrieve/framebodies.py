"""Bodies of several frames; the first is read before the status line is sent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from gateway.services.bytestream import Begun, Body


@dataclass(frozen=True, slots=True)
class FrameBodies:
    """Frames of one instance, a body for each, in order.

    Read each body to its end before you take the next. `sizes` has the lengths in bytes, or is None where
    they are not known or there are too many frames. The caller closes `bodies`.
    """

    transfer_syntax: str
    sizes: Sequence[int] | None
    bodies: AsyncGenerator[Body, None]

    async def take_only(self) -> Body:
        """Return the first and only body; closing its chunks closes `bodies`, too."""
        body = await anext(self.bodies)
        return Body(body.content_type, body.transfer_syntax, body.length, _Last(body.chunks, self.bodies))


class _Last(Begun[bytes]):
    """Chunks that close the bodies they come from when they are closed."""

    def __init__(self, chunks: AsyncGenerator[bytes, None], bodies: AsyncGenerator[Body, None]) -> None:
        self._chunks = chunks
        self._bodies = bodies

    async def asend(self, value: None) -> bytes:
        return await anext(self._chunks)

    async def aclose(self) -> None:
        await self._chunks.aclose()
        await self._bodies.aclose()


async def begin_bodies(bodies: AsyncGenerator[Body, None]) -> AsyncGenerator[Body, None]:
    """Pull the first body now, while a failure can still become a status code.

    Returns `bodies` as it is where there is no body. Closes it where pulling fails.
    """
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
