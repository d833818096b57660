"""The part of the settings that HTTP uses."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TypeAlias

from gateway.http.parameters.search import Limits
from gateway.settings import Settings

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Settings of the HTTP layer. `max_body` of 0 is no limit.

    `allowed_hosts` are names that `Host` may have, besides loopback, the socket's address and the host of the
    public URL.
    """

    public_url: str = ""
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[Network, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    default_limit: int = 0
    max_limit: int = 5000
    max_body: int = 0
    max_matches: int = 0
    strict: bool = False
    relative_bulkdata: bool = False
    unsupported_matching: tuple[str, ...] = ()
    undo_seconds: float | None = None

    @staticmethod
    def from_settings(settings: Settings) -> HttpSettings:
        """Return the part of the settings that HTTP uses."""
        return HttpSettings(
            public_url=settings.public_url,
            cors_origins=settings.cors_origin,
            trusted_proxies=tuple(ipaddress.ip_network(n, strict=False) for n in settings.trusted_proxy),
            allowed_hosts=(settings.host.strip("[]").lower(),),
            default_limit=settings.default_limit,
            max_limit=settings.max_limit,
            max_body=settings.max_body,
            max_matches=settings.max_matches,
            strict=settings.strict,
            relative_bulkdata=settings.relative_bulkdata,
            unsupported_matching=settings.unsupported_matching,
            undo_seconds=settings.undo_seconds,
        )

    @property
    def limits(self) -> Limits:
        return Limits(
            self.default_limit or self.max_limit,
            self.max_limit,
            self.max_matches,
            self.strict,
            frozenset(self.unsupported_matching),
        )
