"""A request, and what came back."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

LOCAL = "127.0.0.1"
ROOT = "/dicom-web"
JSON, XML, DICOM, OCTETS = (
    "application/dicom+json",
    "application/dicom+xml",
    "application/dicom",
    "application/octet-stream",
)
BOUNDARY = "answers-boundary"


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `fixed`: its entity tag follows from the code alone; `peer` is the address it is sent from.

    `derived`: what comes is a file of an instance that was made for the answer, and named after what cannot be the
    same twice; `racing`: it tells how far work has come that goes on; `chunked` bodies go without a length.
    """

    name: str
    path: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    peer: str = LOCAL
    fixed: bool = False
    chunked: bool = False
    derived: bool = False
    racing: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """`torn`: the connection ended before the body did."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    torn: bool = False

    def header(self, name: str) -> str:
        """Return the first value under `name`, '' where there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    def json(self) -> Any:
        """Return the body read as JSON, None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


# Requests in order; what was answered to each is sent in, for those that follow from it.
Asks: TypeAlias = Generator[Ask, Answer, None]


def get(name: str, path: str, accept: str = "", **headers: str) -> Ask:
    """Return a GET; `if_none_match` is the field If-None-Match."""
    return Ask(name, path, headers=fields(accept, **headers))


def head(name: str, path: str, accept: str = "") -> Ask:
    """Return a HEAD."""
    return Ask(name, path, "HEAD", fields(accept))


def post(name: str, path: str, body: bytes, media: str, accept: str = JSON, **headers: str) -> Ask:
    """Return a POST of a body of this media type."""
    return Ask(name, path, "POST", fields(accept, content_type=media, **headers), body)


def fields(accept: str = "", **headers: str) -> tuple[tuple[str, str], ...]:
    """Return header fields, Accept first where it is given."""
    found = [("Accept", accept)] if accept else []
    return (*found, *((name.replace("_", "-").title(), value) for name, value in headers.items()))


def related(media: str, syntax: str = "") -> str:
    """Return multipart/related of this media type, as an Accept field has it."""
    return f'multipart/related; type="{media}"' + (f"; transfer-syntax={syntax}" if syntax else "")


def stored(name: str, path: str, *files: bytes, accept: str = JSON, **headers: str) -> Ask:
    """Return a POST of these files in one multipart body."""
    body = parts(*((DICOM, "", data) for data in files))
    return post(name, path, body, f"{related(DICOM)}; boundary={BOUNDARY}", accept, **headers)


def parts(*of: tuple[str, str, bytes]) -> bytes:
    """Return a multipart body of (media type, Content-Location or '', octets)."""
    made = b""
    for media, location, data in of:
        where = f"Content-Location: {location}\r\n" if location else ""
        made += f"--{BOUNDARY}\r\nContent-Type: {media}\r\n{where}\r\n".encode() + data + b"\r\n"
    return made + f"--{BOUNDARY}--\r\n".encode()
