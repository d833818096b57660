"""Frames of one instance: what an answer is made of, and how stored bytes become what is sent (PS3.5 8.1, 8.2)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

from gateway.dicom.encoding.frames import realign, swap, swap_width
from gateway.dicom.encoding.layout import PixelLayout
from gateway.errors import CodecError
from gateway.model import FrameNumber
from gateway.render.codecs.decode import decode_frame, native_frame_length
from gateway.services.bytestream import Begun, Body
from gateway.services.retrieve.layouts import StoredLayout


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames of one instance, a body for each, in order; each is to be read before the next is taken.

    `sizes` are their lengths where these are known, and there are not too many. `bodies` is to be closed.
    """

    transfer_syntax: str
    sizes: Sequence[int] | None
    bodies: AsyncGenerator[Body, None]

    async def one(self) -> Body:
        """The first and only one, which closes the rest when it is closed."""
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


def number_frames(pixels: PixelLayout) -> Sequence[FrameNumber]:
    """All frames; there may be millions."""
    return cast(Sequence[FrameNumber], range(1, pixels.frames + 1))


def just(body: Body) -> AsyncGenerator[Body, None]:
    """One body, which is closed with this."""
    return Begun(body, _nothing())


async def _nothing() -> AsyncGenerator[Body, None]:
    nothing: tuple[Body, ...] = ()
    for body in nothing:
        yield body


async def begin_bodies(bodies: AsyncGenerator[Body, None]) -> AsyncGenerator[Body, None]:
    """Pull the first now, while a failure can still become a status code; where there is none, nothing."""
    try:
        return Begun(await anext(bodies), bodies)
    except StopAsyncIteration:
        return bodies
    except BaseException:
        await bodies.aclose()
        raise


async def one_by_one(bodies: AsyncGenerator[Body, None]) -> AsyncGenerator[bytes, None]:
    """The chunks of all bodies."""
    async with aclosing(bodies):
        async for body in bodies:
            async with aclosing(body.chunks):
                async for chunk in body.chunks:
                    yield chunk


def is_upright(located: StoredLayout, pixels: PixelLayout) -> bool:
    """Whether a frame is stored as it is sent."""
    return pixels.encapsulated or not (pixels.bits_allocated == 1 or located.layout.big_endian)


def upright(located: StoredLayout, pixels: PixelLayout, number: FrameNumber, data: bytes) -> bytes:
    """A frame as it is sent: single bits from the first of a byte on, bytes in little endian order."""
    if is_upright(located, pixels):
        return data
    if pixels.bits_allocated == 1:
        return realign(data, pixels, number)
    return swap(data, swap_width(pixels.vr, pixels.bits_allocated))


def decode_frames(
    codestreams: Sequence[bytes], pixels: PixelLayout, transfer_syntax: str, first: FrameNumber
) -> list[bytes]:
    """Native bytes of frames that follow one another. Raises CodecError naming the frame."""
    found: list[bytes] = []
    for number, codestream in enumerate(codestreams, first):
        frame = decode_frame(codestream, pixels, transfer_syntax)
        if len(frame.data) != native_frame_length(pixels):
            raise CodecError(
                f"frame {number} decodes to {len(frame.data)} bytes, not what its attributes say"
            )
        found.append(frame.data)
    return found
