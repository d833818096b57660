"""Write multipart/related answers of any number of parts, one after another (PS3.18 8.6.1.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from gateway.dicom.model.multipart import closing, encode_head, message_type
from gateway.http.message.responses import Part, StreamResponse, part_begun
from gateway.services.bytestream import coalesce, prime

# Tiny parts that are written before other tasks have their turn.
AT_A_TIME = 500


async def multipart(
    status: int,
    headers: dict[str, str],
    parts: AsyncGenerator[Part, None],
    boundary: str,
    part_type: str,
    size: int | None = None,
) -> StreamResponse:
    """Return the answer once its first bytes are read; an earlier failure can still become a status.

    `size` is the length of the body in bytes. Raises what the first part raises.
    """
    headers["content-type"] = message_type(boundary, part_type)
    chunks = await prime(coalesce(_write_parts(parts, boundary)))
    return StreamResponse(status, headers, chunks=chunks, size=size)


async def _write_parts(parts: AsyncGenerator[Part, None], boundary: str) -> AsyncGenerator[bytes, None]:
    """Stream the heads and bodies of the parts.

    Where a part fails, the stream ends without the closing boundary, so that the client notices.
    """
    count = 0
    async with aclosing(parts):
        async for part in parts:
            async with aclosing(part.chunks):
                first = await part_begun(part) if part.size is None else []
                head = replace(part.head, length=len(first[0])) if len(first) == 1 else part.head
                yield encode_head(boundary, head, first=not count)
                for chunk in first:
                    yield chunk
                async for chunk in part.chunks:
                    yield chunk
            count += 1
            if count % AT_A_TIME == 0:
                await asyncio.sleep(0)
    yield closing(boundary)
