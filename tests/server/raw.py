"""Clients on bare sockets, as no library would behave."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit


def connected(base: str) -> socket.socket:
    """A connection to the server at this URL; nothing on it waits longer than 60 s."""
    place = urlsplit(base)
    return socket.create_connection((place.hostname, place.port), 60)


@dataclass(frozen=True, slots=True)
class Ending:
    """How the server ended a connection: the first status it gave (0: none), all bytes, and after how long."""

    status: int
    text: bytes
    seconds: float


def ending(opened: socket.socket, send: bytes = b"") -> Ending:
    """Send, while the server takes it, and read until it ends the connection."""
    began = time.monotonic()
    with suppress(ConnectionError):
        opened.sendall(send)
    text = bytearray()
    with suppress(ConnectionError):
        while piece := opened.recv(65536):
            text += piece
    opened.close()
    status = int(text[9:12]) if text.startswith(b"HTTP/1.1 ") else 0
    return Ending(status, bytes(text), time.monotonic() - began)


def answer(opened: socket.socket, request: bytes) -> bytes:
    """One answer with a Content-Length, the connection kept."""
    opened.sendall(request)
    text = bytearray()
    while b"\r\n\r\n" not in text:
        piece = opened.recv(65536)
        assert piece, bytes(text)
        text += piece
    head = bytes(text).partition(b"\r\n\r\n")[0].lower()
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
    while len(text) < len(head) + 4 + length:
        text += opened.recv(65536)
    return bytes(text)


LIVEZ = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
