"""A request as handlers see it: parsed once, on arrival."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from starlette.types import Receive
from starlette.types import Scope as AsgiScope

from gateway.errors import TooLarge
from gateway.http.message.contentcoding import check_coding, gunzip
from gateway.http.negotiation.accept import Accept, Offer
from gateway.http.negotiation.charset import UTF8, WRITABLE, choose_charset
from gateway.http.negotiation.media import JSON
from gateway.http.parameters.querystring import Params
from gateway.index.base import Scope
from gateway.model import Source


class ClientGone(Exception):
    """The client disconnected while its body was read: there is nobody to answer."""


@dataclass
class Request:
    """One request. `base` is the URL of the service root (`http://host/dicom-web`) as the client sees it.

    `scope` is the data that the caller may see; until there is authentication, the whole default partition.
    With `strict`, requests that PS3.18 does not permit are refused, even where they could be understood. With
    `relative`, BulkDataURIs in metadata are relative to the URL of the metadata.
    """

    method: str
    path: str
    query: bytes
    headers: dict[str, str]
    peer: str
    base: str
    receive: Receive
    path_params: dict[str, str] = field(default_factory=dict)
    scope: Scope = field(default_factory=Scope)
    strict: bool = False
    relative: bool = False

    @cached_property
    def params(self) -> Params:
        return Params(self.query)

    @cached_property
    def accept(self) -> Accept:
        """Return the parsed Accept field.

        Raises BadParameter where `accept=` or the mixture of types is wrong.
        """
        parameter = self.params.join("accept") if self.query else None
        accept = Accept.parse(self.headers.get("accept"), parameter, strict=self.strict)
        accept.check_mixture(bulk="/bulkdata" in self.path)
        return accept

    def charset(self, offer: Offer) -> str:
        """Return the character set for the text of `offer` (8.8.5). Raises NotAcceptable."""
        parameter = self.params.join("charset") if self.query else None
        offered = (UTF8,) if offer.media == JSON else WRITABLE
        header = self.headers.get("accept-charset")
        return choose_charset(self.accept.charset_of(offer), parameter, header, offered)

    @property
    def bulk_base(self) -> str:
        """Return the start of BulkDataURIs: the service root, or the relative path to it (RFC 3986 5.2)."""
        if not self.relative:
            return self.base
        return "/".join([".."] * (self.path.rstrip("/").partition("/studies/")[2].count("/") + 1))

    @property
    def version(self) -> str | None:
        """Return the version that a BulkDataURI of ours names, `?v=…`."""
        return self.params.one("v") if self.query else None

    @property
    def source(self) -> Source:
        return Source("stow", peer=self.peer, partition=self.scope.partition)

    @property
    def announced(self) -> int:
        """Return the Content-Length in bytes, 0 where the request has none."""
        length = self.headers.get("content-length", "")
        return int(length) if length.isascii() and length.isdecimal() and len(length) < 20 else 0

    def body(self, most: int = 0) -> AsyncIterator[bytes]:
        """Return the body as it arrives, with its content coding removed.

        Raises UnsupportedMedia at once; while it is read ClientGone, BadRequest, TooLarge beyond `most` bytes
        (0: no limit).
        """
        coding = check_coding(self.headers.get("content-encoding", ""))
        received = self._receive(most)
        return gunzip(received, most) if coding == "gzip" else received

    async def _receive(self, most: int) -> AsyncIterator[bytes]:
        if most and self.announced > most:
            raise too_large(most)
        received, more = 0, True
        while more:
            message: Any = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk = message.get("body", b"")
            more = message.get("more_body", False)
            received += len(chunk)
            if most and received > most:
                raise too_large(most)
            if chunk:
                yield chunk


def too_large(most: int) -> TooLarge:
    """Return the error for a body beyond the limit."""
    return TooLarge(f"the body is larger than the {most} bytes that are taken; send fewer instances at once")


def headers_of(scope: AsgiScope) -> dict[str, str]:
    """Return the header fields, names in lower case; repeated fields are joined by commas (RFC 9110 5.3)."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
