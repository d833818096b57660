"""What one client may ask of the server itself (issue B1, B3, B14): over real sockets, from a real server."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from tests import build
from tests.live import LiveServer, multipart, serving
from tests.server.raw import LIVEZ, answer, connected, ending

START = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
QUICK = {
    "GATEWAY_HEADER_TIMEOUT": "2s",
    "GATEWAY_STALL_TIMEOUT": "3s",
    "GATEWAY_IDLE_TIMEOUT": "2s",
    "GATEWAY_MIN_RATE": "1000",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with serving(tmp_path_factory.mktemp("bounds"), environment=QUICK) as live:
        yield live


def memory(server: LiveServer) -> int:
    return int(psutil.Process(server.process.pid).memory_info().rss)


HEADS = {
    "too many": (START + b"a: b\r\n" * 129, 431),
    "300,000": (START + b"a: b\r\n" * 300_000, 431),
    "1,000,000": (START + b"a: b\r\n" * 1_000_000, 431),
    "one too large": (START + b"a: " + b"b" * 20_000 + b"\r\n\r\n", 431),
    "too large together": (START + (b"a: " + b"b" * 10_000 + b"\r\n") * 8 + b"\r\n", 431),
    "a value without end": (START + b"a: " + b"b" * 20_000_000, 431),
    "a name without end": (START + b"b" * 20_000_000, 431),
    "a target without end": (b"GET /" + b"a" * 20_000_000, 414),
    "a target too long": (b"GET /" + b"a" * 65_000 + b" HTTP/1.1\r\n\r\n", 414),
    "no HTTP": (b"\x16\x03\x01\x00" * 100, 400),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_header_beyond_bounds_is_refused_while_it_comes(server: LiveServer, name: str) -> None:
    sent, status = HEADS[name]
    before = memory(server)
    ended = ending(connected(server.base), sent)
    # Who sends on and on may lose the answer to a reset, but never the server its memory.
    assert ended.status == status or (not ended.status and len(sent) > 5_000_000), ended.text[:200]
    if ended.status:
        assert b"connection: close" in ended.text
        assert b'"status": %d' % status in ended.text
    assert memory(server) - before < 16 << 20


def test_trailers_are_bounded_like_headers(server: LiveServer) -> None:
    head = (
        b"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/dicom\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for trailers in (b"a: b\r\n" * 100_000, b"a: " + b"b" * 1_000_000):
        ended = ending(connected(server.base), head + b"1\r\na\r\n0\r\n" + trailers)
        assert ended.status in (431, 400, 0), ended.text[:200]
    assert httpx.get(f"{server.base}/livez").status_code == 200


def test_a_header_that_fits_is_taken(server: LiveServer) -> None:
    fields = b"".join(b"x-%d: %s\r\n" % (n, b"b" * 450) for n in range(120))
    assert b" 200 OK" in answer(connected(server.base), START + fields + b"\r\n")
    assert b" 200 OK" in answer(connected(server.base), START + b"x: " + b"b" * 16_000 + b"\r\n\r\n")


@pytest.mark.parametrize("accept", ["a/b," * 300, "a" * 9000, '"' * 9000])
def test_a_list_beyond_bounds_is_refused(server: LiveServer, accept: str) -> None:
    answered = httpx.get(f"{server.root}/studies/1.2/metadata", headers={"Accept": accept})
    assert (answered.status_code, answered.json()["parameter"]) == (400, "Accept")


def test_a_header_that_is_never_complete_ends(server: LiveServer) -> None:
    assert ending(connected(server.base), START).status == 408
    assert ending(connected(server.base)).text == b""


def drip(opened: socket.socket, data: bytes, size: int) -> None:
    """Send so many bytes each fifth of a second. Raises ConnectionError once the server has closed."""
    for start in range(0, len(data), size):
        opened.sendall(data[start : start + size])
        time.sleep(0.2)


def test_a_header_that_drips_ends(server: LiveServer) -> None:
    opened = connected(server.base)
    opened.sendall(START)
    with pytest.raises(ConnectionError):
        drip(opened, b"a" * 150, 1)
    opened.close()


def test_an_idle_connection_ends_also_if_it_sends_line_ends(server: LiveServer) -> None:
    opened = connected(server.base)
    assert b" 200 OK" in answer(opened, LIVEZ)
    assert ending(opened).text == b""
    opened = connected(server.base)
    answer(opened, LIVEZ)
    with pytest.raises(ConnectionError):
        drip(opened, b"\r\n" * 150, 2)


def upload(server: LiveServer, size: int) -> socket.socket:
    """A STOW request that has said so many bytes and sent none."""
    opened = connected(server.base)
    opened.sendall(
        b"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\n"
        b"Content-Length: %d\r\n\r\n" % size
    )
    return opened


def test_a_body_that_stalls_is_refused(server: LiveServer) -> None:
    data = build.instance()
    ended = ending(upload(server, len(data)), data[:200])
    assert ended.status == 408
    assert ended.seconds > 2


def test_a_slow_link_is_served(server: LiveServer) -> None:
    """3 KB/s for three times as long as a body may stall, above the floor of 1 KB/s."""
    data = build.instance(PixelData=bytes(30_000), Rows=100, Columns=150)
    opened = upload(server, len(data))
    drip(opened, data, 600)
    assert b" 200 OK" in answer(opened, b"")


def test_a_link_below_the_floor_is_let_go(server: LiveServer) -> None:
    data = build.instance(PixelData=bytes(30_000), Rows=100, Columns=150)
    opened = upload(server, len(data))
    with pytest.raises(ConnectionError):
        drip(opened, data, 50)
    opened.close()


@pytest.fixture(scope="module")
def large(server: LiveServer) -> str:
    """The path of an instance of 32 MB."""
    ds = build.dataset(PixelData=bytes(32_000_000), Rows=4000, Columns=4000)
    body, media = multipart([build.part10(ds)])
    assert (
        httpx.post(f"{server.root}/studies", content=body, headers={"Content-Type": media}).status_code == 200
    )
    study, series, instance = ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID
    return f"/dicom-web/studies/{study}/series/{series}/instances/{instance}"


def reader(server: LiveServer, path: str) -> socket.socket:
    """Who asked for it and has room for little."""
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    opened.settimeout(60)
    place = httpx.URL(server.base)
    opened.connect((place.host, place.port or 80))
    opened.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return opened


def test_who_reads_nothing_is_let_go(server: LiveServer, large: str) -> None:
    opened = reader(server, large)
    process = psutil.Process(server.process.pid)
    port = opened.getsockname()[1]
    deadline = time.monotonic() + 30
    while any(c.raddr and c.raddr.port == port for c in process.net_connections()):
        assert time.monotonic() < deadline, "the connection is kept"
        time.sleep(0.2)
    opened.close()


def test_who_reads_slowly_is_served(server: LiveServer, large: str) -> None:
    """20 KB/s for three times as long as an answer may be unread."""
    opened = reader(server, large)
    got = 0
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        piece = opened.recv(4000)
        assert piece, f"cut off after {got} bytes"
        got += len(piece)
        time.sleep(0.2)
    opened.close()


def test_connections_beyond_the_number_make_others_give_way(tmp_path: Path) -> None:
    bounds = {"GATEWAY_MAX_CONNECTIONS": "40", "GATEWAY_MAX_PEER_CONNECTIONS": "30"}
    with serving(tmp_path / "data", environment=bounds) as live:
        half = [connected(live.base) for _ in range(100)]
        for opened in half:
            try:
                opened.sendall(START)
            except OSError:
                continue
        for _ in range(5):
            assert httpx.get(f"{live.base}/readyz").status_code == 200
        assert len(psutil.Process(live.process.pid).net_connections()) < 60
        for opened in half:
            opened.close()


def test_where_all_connections_work_a_further_one_is_told(tmp_path: Path) -> None:
    bounds = {"GATEWAY_MAX_CONNECTIONS": "16", "GATEWAY_MAX_PEER_CONNECTIONS": "8"}
    with serving(tmp_path / "data", environment=bounds) as live:
        busy = [upload(live, 1000) for _ in range(8)]
        ended = ending(connected(live.base), LIVEZ)
        assert ended.status == 503
        assert b"retry-after" in ended.text
        busy.pop().close()
        for opened in busy:
            opened.sendall(b"x")
        deadline = time.monotonic() + 10
        while (
            ending(connected(live.base), LIVEZ.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")).status
            != 200
        ):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        for opened in busy:
            opened.close()


def test_stalled_uploads_do_not_stop_stow(tmp_path: Path) -> None:
    """Issue B1: 32 and more of them, which each have begun an instance."""
    data = build.instance(PixelData=bytes(200_000), Rows=400, Columns=250)
    with serving(tmp_path / "data") as live:
        stalled = [upload(live, len(data)) for _ in range(100)]
        for opened in stalled:
            opened.sendall(data[:100_000])
        body, media = multipart([build.instance()])
        answered = httpx.post(
            f"{live.root}/studies", content=body, headers={"Content-Type": media}, timeout=20
        )
        assert answered.status_code == 200
        for opened in stalled:
            opened.close()


def test_where_all_seats_are_taken_the_silent_give_way(tmp_path: Path) -> None:
    data = build.instance()
    with serving(tmp_path / "data", environment={"GATEWAY_MAX_UPLOADS": "4"}) as live:
        stalled = [upload(live, len(data)) for _ in range(4)]
        for opened in stalled:
            opened.sendall(data[:200])
            time.sleep(
                0.5
            )  # the first is to be silent longest, in whatever order a busy server reads what is there
        body, media = multipart([build.instance()])
        answered = httpx.post(
            f"{live.root}/studies", content=body, headers={"Content-Type": media}, timeout=40
        )
        assert answered.status_code == 200
        assert answer(stalled[0], b"").startswith(b"HTTP/1.1 503")
        for opened in stalled:
            opened.close()
