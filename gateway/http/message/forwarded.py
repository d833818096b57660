"""Read `Forwarded` (RFC 7239) or `X-Forwarded-…`, in which proxies describe the original request."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.http.negotiation.media import split_quoted

AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?\Z")
DEFAULT_PORTS = {"http": "80", "https": "443"}
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+\Z")
_PORT = re.compile(r":\d+\Z")


@dataclass(frozen=True, slots=True)
class Forwarded:
    """Scheme, host and prefix of the original request, as the nearest proxy saw it; '' where unknown."""

    scheme: str = ""
    host: str = ""
    prefix: str = ""


def read_forwarded(headers: Mapping[str, str]) -> Forwarded:
    """Return the last entry of the chain, which our own proxy wrote."""
    if "forwarded" in headers:
        pairs = _entries(headers["forwarded"])[-1]
        scheme, host = pairs.get("proto", ""), pairs.get("host", "")
    else:
        scheme, host = _last(headers, "x-forwarded-proto"), _last(headers, "x-forwarded-host")
        port = _last(headers, "x-forwarded-port")
        if host and port.isdecimal() and not _PORT.search(host):
            host = f"{host}:{port}"
    prefix = _last(headers, "x-forwarded-prefix").rstrip("/")
    return Forwarded(
        scheme.lower() if scheme.lower() in DEFAULT_PORTS else "",
        host if AUTHORITY.match(host) else "",
        prefix if _PREFIX.match(prefix) else "",
    )


def senders(headers: Mapping[str, str]) -> list[str]:
    """Return the addresses that passed the request on, the nearest last.

    The list goes back to the first entry that is not an address.
    """
    if "forwarded" in headers:
        said = [pairs.get("for", "") for pairs in _entries(headers["forwarded"])]
    else:
        said = headers.get("x-forwarded-for", "").split(",")
    found: list[str] = []
    for text in reversed(said):
        address = _address(text.strip())
        if address is None:
            break
        found.insert(0, address)
    return found


def _entries(text: str) -> list[dict[str, str]]:
    return [
        {
            name.strip().lower(): value.strip().strip('"')
            for name, _, value in (piece.partition("=") for piece in split_quoted(entry, ";"))
        }
        for entry in split_quoted(text, ",")
    ]


def _address(text: str) -> str | None:
    """Return the address in `192.0.2.43`, `192.0.2.43:47011`, `2001:db8::1` or `[2001:db8::1]:47011`.

    None for names and `unknown`.
    """
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _last(headers: Mapping[str, str], name: str) -> str:
    return headers.get(name, "").rsplit(",", 1)[-1].strip()
