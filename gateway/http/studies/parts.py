"""Read the parts of a multipart body as they arrive (PS3.18 8.6.1.2, 8.7.1)."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator

from gateway.dicom.model.multipart import Event, MultipartParser, PartBegin, PartData, PartEnd


class Parts:
    """The parts of a multipart body, in order; the body of each is read before the next one begins."""

    def __init__(self, body: AsyncIterator[bytes], boundary: str) -> None:
        self._chunks = body
        self._parser = MultipartParser(boundary)
        self._events: deque[Event] = deque()
        self.count = 0

    async def __aiter__(self) -> AsyncIterator[dict[str, str]]:
        """Yield the header fields of each part. Raises Truncated where the closing boundary is missing."""
        while (event := await self._next()) is not None:
            if isinstance(event, PartBegin):
                self.count += 1
                yield event.headers

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the octets of the part that has just begun."""
        while (event := await self._next()) is not None:
            if isinstance(event, PartData):
                yield event.data
            elif isinstance(event, PartEnd):
                return

    async def _next(self) -> Event | None:
        while not self._events:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                self._parser.close()
                return None
            self._events.extend(self._parser.feed(chunk))
        return self._events.popleft()
