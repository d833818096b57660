"""Count the bytes of an answer that the server takes, for the accounting of slow clients."""

from __future__ import annotations

from starlette.types import Message, Send

from gateway.services.clientpace import Reader


class Taking:
    """A `send` that reports to `reader` what the server took.

    `begun` is true once the header fields are sent. Raises Busy as `Reader.takes` does.
    """

    __slots__ = ("_reader", "_send", "begun")

    def __init__(self, reader: Reader, send: Send) -> None:
        self.begun = False
        self._reader = reader
        self._send = send

    async def __call__(self, message: Message) -> None:
        await self._reader.takes(self._send(message), len(message.get("body", b"")))
        self.begun = True
