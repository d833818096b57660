"""Check Host and forwarded header fields, find the base URL, and apply CORS.

A page on another site can make a browser send requests to a loopback server. So a `Host` that is not ours
(DNS rebinding) is refused with 421, and no other origin may read answers unless `--cors-origin` names it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from gateway.errors import Forbidden, UnsupportedMedia
from gateway.http.message.errors import Misdirected
from gateway.http.message.forwarded import AUTHORITY, DEFAULT_PORTS, Forwarded, read_forwarded, senders
from gateway.http.settings import HttpSettings

ROOT = "/dicom-web"

EXPOSED = (
    "Accept-Ranges, Content-Encoding, Content-Length, Content-Location, Content-Range, ETag, Link, Location, "
    "Retry-After, Server-Timing, Warning, X-Request-Id, X-Total-Count"
)


class Guard:
    """Checks the host and origin of a request before anything else is done with it."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._public = settings.public_url.rstrip("/").removesuffix(ROOT)
        public_host = urlsplit(self._public).hostname
        self._hosts = frozenset({*settings.allowed_hosts, *([public_host] if public_host else [])})

    def base(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> str:
        """Return the URL of the service root as this client sees it.

        Raises Misdirected where `Host` is not ours.
        """
        said = self._read_forwarded(scope, headers)
        server = scope.get("server") or ("127.0.0.1", 80)
        if said is None:
            host = headers.get("host", "")
            self._check_host(host, str(server[0]))
        if self._public:
            return self._public + ROOT
        if said is not None:
            scheme = said.scheme or str(scope.get("scheme", "http"))
            if said.host:
                return _write_base(scheme, said.host, None, said.prefix)
            return _write_base(scheme, headers.get("host", ""), server, said.prefix)
        return _write_base(str(scope.get("scheme", "http")), host, server, "")

    def _check_host(self, host: str, address: str) -> None:
        if not host:  # HTTP/1.0: the socket has the address
            return
        found = AUTHORITY.match(host)
        if found is None:
            raise Misdirected("the Host header is no host and port", parameter="Host")
        name = found["host"].strip("[]").lower()
        if name not in self._hosts and name != address.lower() and not _is_loopback(name):
            raise Misdirected(
                f"host '{name}' is not served here; start the gateway with --public-url if it should be",
                parameter="Host",
            )

    def peer(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> str:
        """Return the client's address, or ''; addresses of trusted proxies are followed back to it."""
        client = scope.get("client")
        if not client:
            return ""
        found = str(client[0])
        if self._is_proxy(found):
            for address in reversed(senders(headers)):
                found = address
                if not self._is_proxy(address):
                    break
        return found

    def _is_proxy(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._settings.trusted_proxies)

    def _read_forwarded(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> Forwarded | None:
        """Return the fields of a trusted proxy; None where the peer is not a trusted proxy."""
        client = scope.get("client")
        return read_forwarded(headers) if client and self._is_proxy(client[0]) else None

    # -- other sites ------------------------------------------------------------------------------------

    def check_intent(self, headers: Mapping[str, str], base: str, takes: Sequence[str] = ()) -> None:
        """Raise Forbidden where a page of another site may have made a browser send this request (CSRF).

        A form, or a simple request of Fetch, can have neither a JSON type nor a header field of its own. With
        either, a browser first sends a preflight request, which is refused. Raises UnsupportedMedia where the
        type of the body is not in `takes`.
        """
        origin = headers.get("origin")
        if origin is not None and not self._is_allowed(origin) and not _is_same(origin, headers, base):
            raise Forbidden("pages of this origin may not change anything here", parameter="Origin")
        if headers.get("sec-fetch-site") == "cross-site" and (origin is None or not self._is_allowed(origin)):
            raise Forbidden("pages of other sites may not change anything here", parameter="Sec-Fetch-Site")
        media = headers.get("content-type", "").partition(";")[0].strip().lower()
        if takes and media and media not in takes:
            raise UnsupportedMedia(f"the body is {media[:80]}", available=takes)
        if media != "application/json" and not headers.get("x-requested-with"):
            raise Forbidden(
                "want Content-Type: application/json or an X-Requested-With header, which no other site can have sent",
                parameter="X-Requested-With",
                expected="X-Requested-With, of any value",
            )

    # -- CORS -------------------------------------------------------------------------------------------

    def cors(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the header fields that let the origin read the answer; none where it may not."""
        origin = headers.get("origin")
        if origin is None or not self._is_allowed(origin):
            return {}
        return {"access-control-allow-origin": origin, "access-control-expose-headers": EXPOSED}

    def preflight(self, headers: Mapping[str, str], allow: str) -> dict[str, str]:
        """Return the header fields of the answer to a preflight request (Fetch 3.2.2).

        They are sent in addition to those of `cors`.
        """
        origin = headers.get("origin")
        if "access-control-request-method" not in headers or origin is None or not self._is_allowed(origin):
            return {}
        return {
            "access-control-allow-methods": allow,
            "access-control-allow-headers": headers.get("access-control-request-headers", "*"),
            "access-control-max-age": "7200",
        }

    def _is_allowed(self, origin: str) -> bool:
        return origin in self._settings.cors_origins or "*" in self._settings.cors_origins


def _is_same(origin: str, headers: Mapping[str, str], base: str) -> bool:
    """Return whether the origin is our own: the public URL, or the requested host, with or without TLS."""
    if origin == base.removesuffix(ROOT):
        return True
    scheme, _, authority = origin.partition("://")
    host = headers.get("host", "").lower()
    default = f":{DEFAULT_PORTS.get(scheme)}"
    return bool(host) and authority.removesuffix(default) == host.removesuffix(default)


@lru_cache(maxsize=256)
def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=256)
def _write_base(scheme: str, authority: str, server: tuple[str, int | None] | None, prefix: str) -> str:
    """Return the base URL; default ports are left out.

    A Host without a port gets the port of the socket: Python's dicomweb-client leaves the port out, and URLs
    without it would lead nowhere.
    """
    found = AUTHORITY.match(authority)
    if found is None:
        name = str(server[0]) if server else "localhost"
        host, port = f"[{name}]" if ":" in name else name, None
    else:
        host, port = found["host"], found["port"]
    if port is None and server is not None and server[1]:
        port = str(server[1])
    suffix = f":{port}" if port and port != DEFAULT_PORTS.get(scheme) else ""
    return f"{scheme}://{host.lower()}{suffix}{prefix}{ROOT}"
