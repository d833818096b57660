"""Host check, forwarded headers, base URLs, CORS."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from gateway.http.message.errors import Misdirected
from gateway.http.message.guard import Guard
from gateway.http.settings import HttpSettings
from gateway.settings import Settings

PROXIES = (ipaddress.ip_network("10.0.0.0/8"),)


def scope(client: str = "127.0.0.1", server: tuple[str, int] = ("127.0.0.1", 8080)) -> dict[str, Any]:
    return {"scheme": "http", "server": server, "client": (client, 50000)}


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("localhost:8080", "http://localhost:8080/dicom-web"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080/dicom-web"),
        ("[::1]:8080", "http://[::1]:8080/dicom-web"),
        ("LOCALHOST:8080", "http://localhost:8080/dicom-web"),
        ("localhost:80", "http://localhost/dicom-web"),
        # Python's dicomweb-client leaves the port out
        ("localhost", "http://localhost:8080/dicom-web"),
        ("127.0.0.2", "http://127.0.0.2:8080/dicom-web"),
        # HTTP/1.0
        ("", "http://127.0.0.1:8080/dicom-web"),
        # a tunnel to another port
        ("localhost:9999", "http://localhost:9999/dicom-web"),
    ],
)
def test_the_base_url_by_host(host: str, base: str) -> None:
    assert Guard(HttpSettings()).base(scope(), {"host": host}) == base


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "a b",
        "localhost:port",
        "x/y",
        "1.2.3.4",
    ],
)
def test_a_host_that_is_not_ours_is_misdirected(host: str) -> None:
    with pytest.raises(Misdirected):
        Guard(HttpSettings()).base(scope(), {"host": host})


def test_the_bound_address_and_the_public_host_are_ours() -> None:
    guard = Guard(HttpSettings(public_url="https://pacs.example/gw/", allowed_hosts=("gateway.local",)))
    for host in ("pacs.example", "gateway.local:8080", "192.168.1.5:8080"):
        base = guard.base(scope(server=("192.168.1.5", 8080)), {"host": host})
        assert base == "https://pacs.example/gw/dicom-web"
    same = Guard(HttpSettings(public_url="https://pacs.example/dicom-web"))
    assert same.base(scope(), {"host": "localhost"}) == "https://pacs.example/dicom-web"


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        (
            {"x-forwarded-proto": "https", "x-forwarded-host": "pacs.example"},
            "https://pacs.example/dicom-web",
        ),
        (
            {"x-forwarded-proto": "https", "x-forwarded-host": "pacs.example:443"},
            "https://pacs.example/dicom-web",
        ),
        (
            {"x-forwarded-host": "pacs.example", "x-forwarded-port": "8443", "x-forwarded-proto": "https"},
            "https://pacs.example:8443/dicom-web",
        ),
        (
            {"x-forwarded-host": "pacs.example", "x-forwarded-prefix": "/imaging/"},
            "http://pacs.example/imaging/dicom-web",
        ),
        (
            {"forwarded": 'for=1.2.3.4;proto=https;host="pacs.example:8443"'},
            "https://pacs.example:8443/dicom-web",
        ),
        ({"forwarded": "host=evil.example, for=1.2.3.4;host=pacs.example"}, "http://pacs.example/dicom-web"),
        # of a chain, what our own proxy wrote
        ({"x-forwarded-host": "evil.example, pacs.example"}, "http://pacs.example/dicom-web"),
        # rubbish is left out
        ({"x-forwarded-proto": "javascript", "x-forwarded-host": "<x>"}, "http://inner:8080/dicom-web"),
        ({"x-forwarded-host": "[::2]:8000"}, "http://[::2]:8000/dicom-web"),
    ],
)
def test_a_trusted_proxy_is_believed(headers: dict[str, str], base: str) -> None:
    guard = Guard(HttpSettings(trusted_proxies=PROXIES))
    assert guard.base(scope("10.1.2.3"), {"host": "inner:8080", **headers}) == base


def test_anybody_else_is_not() -> None:
    guard = Guard(HttpSettings(trusted_proxies=PROXIES))
    headers = {"host": "localhost:8080", "x-forwarded-host": "evil.example", "forwarded": "host=evil.example"}
    assert guard.base(scope("192.168.0.1"), headers) == "http://localhost:8080/dicom-web"
    with pytest.raises(Misdirected):
        guard.base(scope("192.168.0.1"), {"host": "inner", "x-forwarded-host": "localhost"})


@pytest.mark.parametrize(
    ("client", "headers", "peer"),
    [
        ("10.1.2.3", {}, "10.1.2.3"),
        ("10.1.2.3", {"x-forwarded-for": "192.0.2.4"}, "192.0.2.4"),
        ("10.1.2.3", {"x-forwarded-for": "192.0.2.4:4711"}, "192.0.2.4"),
        ("10.1.2.3", {"forwarded": 'for="[2001:db8::1]:4711";proto=https'}, "2001:db8::1"),
        # who is no proxy of ours may say what it likes before
        ("10.1.2.3", {"x-forwarded-for": "203.0.113.9, 192.0.2.4"}, "192.0.2.4"),
        ("10.1.2.3", {"x-forwarded-for": "192.0.2.4, 10.9.9.9"}, "192.0.2.4"),
        ("10.1.2.3", {"x-forwarded-for": "10.0.0.7, 10.9.9.9"}, "10.0.0.7"),
        ("10.1.2.3", {"x-forwarded-for": "192.0.2.4, unknown"}, "10.1.2.3"),
        ("10.1.2.3", {"x-forwarded-for": "192.0.2.4, unknown, 10.9.9.9"}, "10.9.9.9"),
        ("192.168.0.1", {"x-forwarded-for": "10.0.0.7"}, "192.168.0.1"),
        ("/run/socket", {"x-forwarded-for": "10.0.0.7"}, "/run/socket"),
    ],
)
def test_the_peer_is_who_sent_the_request_to_our_proxies(
    client: str, headers: dict[str, str], peer: str
) -> None:
    guard = Guard(HttpSettings(trusted_proxies=PROXIES))
    assert guard.peer(scope(client), headers) == peer


def test_cors_is_for_the_origins_that_are_named() -> None:
    guard = Guard(HttpSettings(cors_origins=("https://viewer.example",)))
    allowed = guard.cors({"origin": "https://viewer.example"})
    assert allowed["access-control-allow-origin"] == "https://viewer.example"
    assert "Content-Location" in allowed["access-control-expose-headers"]
    assert guard.cors({"origin": "https://evil.example"}) == {}
    assert guard.cors({}) == {}
    assert Guard(HttpSettings()).cors({"origin": "null"}) == {}
    preflight = {"origin": "https://viewer.example", "access-control-request-method": "POST"}
    asked = guard.preflight({**preflight, "access-control-request-headers": "x-a"}, "GET, POST")
    assert asked["access-control-allow-methods"] == "GET, POST"
    assert asked["access-control-allow-headers"] == "x-a"
    assert guard.preflight({"origin": "https://viewer.example"}, "GET") == {}
    assert guard.preflight({**preflight, "origin": "https://evil.example"}, "GET") == {}


def test_settings() -> None:
    settings = HttpSettings.from_settings(Settings(host="[::1]", trusted_proxy=("10.0.0.1/8",), max_limit=7))
    assert settings.trusted_proxies == PROXIES
    assert settings.allowed_hosts == ("::1",)
    assert settings.limits.most == 7
