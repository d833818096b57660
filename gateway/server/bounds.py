"""Bounds that the server itself sets for each client, before any handler sees a request."""

from __future__ import annotations

import ipaddress
import resource
from dataclasses import dataclass
from typing import TypeAlias

from gateway.settings import Settings, seconds

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# Descriptors that are needed besides connections: index, store, worker pipes, the listening socket.
RESERVED = 192
# A request in progress may hold a file of the store or a temporary file besides its connection.
EACH = 2
MOST_CONNECTIONS = 8192
WANTED_DESCRIPTORS = 65536


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits on connections and requests: times in seconds, sizes in bytes, rates in bytes a second.

    0 connections means as many as descriptors allow. A link of 10 KB/s is ten times
    above `rate`. `stall` is how long a client may send or read nothing at all, as long
    as nginx allows (client_body_timeout, send_timeout).
    """

    fields: int = 128
    """Header fields of a request; Apache takes 100."""
    field: int = 16 << 10
    """Name and value of one header field; room for a Kerberos ticket or a token with many claims."""
    head: int = 64 << 10
    """All header fields together."""
    target: int = 63 << 10
    """The request target; the parser of URLs takes no 64 KiB."""
    head_seconds: float = 30.0
    stall: float = 60.0
    rate: int = 1024
    idle: float = 75.0
    connections: int = 0
    share: int = 0
    """Connections of one peer; 0 is half of all."""
    proxies: tuple[Network, ...] = ()
    """Networks of proxies; their connections come from many clients, so that they have no share."""

    @staticmethod
    def from_settings(settings: Settings) -> Bounds:
        """Return the bounds that the settings give."""
        return Bounds(
            head_seconds=seconds("header_timeout", settings.header_timeout),
            stall=seconds("stall_timeout", settings.stall_timeout),
            rate=settings.min_rate,
            idle=seconds("idle_timeout", settings.idle_timeout),
            connections=settings.max_connections,
            share=settings.max_peer_connections,
            proxies=tuple(ipaddress.ip_network(n, strict=False) for n in settings.trusted_proxy),
        )

    def most(self) -> int:
        """Return how many connections this process takes, so that the store still finds descriptors."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        room = max(16, (limit - RESERVED) // EACH) if limit != resource.RLIM_INFINITY else MOST_CONNECTIONS
        return min(self.connections or MOST_CONNECTIONS, room)

    def most_of_one(self, most: int) -> int:
        """Return how many of `most` connections one peer may have."""
        return min(self.share or max(8, most // 2), most)

    def is_proxy(self, address: str) -> bool:
        """Return whether the address is in one of `proxies`."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self.proxies)


def raise_descriptors() -> None:
    """Raise the limit of open files as far as is useful and allowed; worker processes inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, WANTED_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
