"""Whose connections are kept where there is no room for all."""

from __future__ import annotations

import asyncio
import resource
from ipaddress import ip_network

import pytest
from gateway.server.bounds import EACH, RESERVED, Bounds
from gateway.server.connections import Connections


class Fake:
    """A connection of `peer`."""

    def __init__(self, peer: str, *, served: bool = False) -> None:
        self.peer = peer
        self.served = served
        self.closed = False

    def check(self, now: float, elapsed: float) -> None: ...

    def give_way(self) -> None:
        self.closed = True


@pytest.fixture
async def connections() -> Connections:
    bounds = Bounds(connections=4, share=3, proxies=(ip_network("10.0.0.0/8"),))
    return Connections(bounds, asyncio.get_running_loop())


def taken(connections: Connections, *peers: str, waits: bool = True, served: bool = False) -> list[Fake]:
    made = [Fake(peer, served=served) for peer in peers]
    for one in made:
        assert connections.take(one)
        if waits:
            connections.waits(one)
    return made


async def test_who_has_its_share_loses_its_own(connections: Connections) -> None:
    other = taken(connections, "b")
    mine = taken(connections, "a", "a", "a", "a")
    assert [one.closed for one in (*other, *mine)] == [False, True, False, False, False]


async def test_where_there_is_no_room_the_greediest_gives_way(connections: Connections) -> None:
    made = taken(connections, "b", "a", "a", "c", "d")
    assert [one.closed for one in made] == [False, True, False, False, False]


async def test_who_was_served_is_kept_before_who_never_asked(connections: Connections) -> None:
    (old,) = taken(connections, "a", served=True)
    new = taken(connections, "a", "a", "a")
    assert [old.closed, *(one.closed for one in new)] == [False, True, False, False]


async def test_work_is_not_interrupted(connections: Connections) -> None:
    working = taken(connections, "a", "a", "b", "c", waits=False)
    assert not connections.take(Fake("d"))
    assert not any(one.closed for one in working)
    connections.drop(working[0])
    assert connections.take(Fake("d"))


async def test_a_proxy_has_no_share(connections: Connections) -> None:
    assert [one.closed for one in taken(connections, *["10.1.2.3"] * 4, waits=False)] == [False] * 4


def test_connections_leave_descriptors_for_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    assert Bounds().most() * EACH + RESERVED <= 1024
    assert Bounds(connections=5000).most() == Bounds().most()
    assert Bounds(connections=20).most() == 20
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert Bounds().most() == 8192
