"""What the server takes of an answer, told to who counts what waits for clients."""

from __future__ import annotations

from starlette.types import Message, Send

from gateway.services.clientpace import Reader


class Taking:
    """A `send` that says how far `reader` is. `begun`: the header fields are out. Raises Busy, see `Reader.takes`."""

    __slots__ = ("_reader", "_send", "begun")

    def __init__(self, reader: Reader, send: Send) -> None:
        self.begun = False
        self._reader = reader
        self._send = send

    async def __call__(self, message: Message) -> None:
        await self._reader.takes(self._send(message), len(message.get("body", b"")))
        self.begun = True
