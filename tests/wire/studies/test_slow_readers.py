"""Readers that take nothing hold little, and an answer that breaks off shows it, over real sockets."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from gateway.services.inflight import IN_FLIGHT_AT_MOST
from pydicom.encaps import encapsulate
from tests import build
from tests.live import LiveServer, serving
from tests.wire.renderedarchive import Gallery, picture
from tests.wire.transfer import DICOM, ELE, OCTETS, RLE, parts, related

EDGE, COUNT = 4096, 40
# An answer of such frames is not short.
LONG = 5 << 20


def level(value: int, size: int) -> bytes:
    """A frame of one level in one segment, of any size that 128 divides (PS3.5 G)."""
    head = b"".join(n.to_bytes(4, "little") for n in (1, 64, *[0] * 14))
    return head + bytes((129, value)) * (size // 128)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with serving(tmp_path_factory.mktemp("slow")) as live:
        yield live


@pytest.fixture(scope="module")
def large(server: LiveServer) -> Iterator[Gallery]:
    """40 frames that decode to 16 MiB each, 640 MiB together."""
    with httpx.Client(base_url=server.root, timeout=120) as http:
        made = Gallery(http)
        ds = picture(
            np.zeros((1, 1), "u1"), Rows=EDGE, Columns=EDGE, StudyInstanceUID="1.9", SeriesInstanceUID="1.9.1"
        )
        ds.NumberOfFrames = COUNT
        ds.PixelData = encapsulate([level(n, EDGE * EDGE) for n in range(COUNT)])
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True
        made.store("large", build.part10(ds, RLE))
        frames = [level(1, LONG), bytes(100), level(3, LONG)]
        ds = picture(
            np.zeros((1, 1), "u1"),
            Rows=LONG // 1024,
            Columns=1024,
            StudyInstanceUID="1.9",
            SeriesInstanceUID="1.9.2",
        )
        ds.NumberOfFrames = len(frames)
        ds.PixelData = encapsulate(frames)
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True
        made.store("late", build.part10(ds, RLE))
        yield made


def begun(server: LiveServer, path: str, accept: str) -> socket.socket:
    where = urlsplit(server.base)
    assert where.hostname
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.connect((where.hostname, where.port))
    head = f"GET /dicom-web{path} HTTP/1.1\r\nHost: {where.netloc}\r\nAccept: {accept}\r\n\r\n"
    one.sendall(head.encode())
    return one


def anonymous(server: LiveServer) -> int:
    """Bytes of the process that are no pages of files."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) << 10


def test_slow_readers_of_decoded_frames_are_bounded_in_bytes(server: LiveServer, large: Gallery) -> None:
    """All ask for another frame, and take nothing; others are served, and these all get what they asked, in turn."""
    before = most = anonymous(server)
    path = large.paths["large"]
    taken = [begun(server, f"{path}/frames/{n + 1}", related(OCTETS)) for n in range(COUNT)]
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        most = max(most, anonymous(server))
        assert httpx.get(f"{server.root}/studies?limit=1", timeout=30).status_code == 200
        time.sleep(0.05)
    # What is held, 64 MiB of frames that are kept, and what decoders work with.
    assert most - before < IN_FLIGHT_AT_MOST + (64 << 20) + 8 * EDGE * EDGE
    assert most - before > IN_FLIGHT_AT_MOST // 2
    sizes: list[int] = []

    def drained(one: socket.socket) -> None:
        one.settimeout(60)
        answer = b""
        size = 0
        while True:
            chunk = one.recv(1 << 20)
            answer = answer or chunk
            size += len(chunk)
            if not chunk or size >= EDGE * EDGE or (answer.startswith(b"HTTP/1.1 503") and size):
                break
        sizes.append(size if not answer.startswith(b"HTTP/1.1 503") else -1)
        one.close()

    threads = [threading.Thread(target=drained, args=(one,)) for one in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert len(sizes) == COUNT
    assert sum(size >= EDGE * EDGE for size in sizes) >= COUNT // 2


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
def test_who_reads_slowly_gives_way_to_who_waits(server: LiveServer, large: Gallery, source: str) -> None:
    """16 answers that are read at 2 KB/s fill the room for large frames; another is answered within its patience."""
    path = large.paths["large"]
    slow = [begun(server, f"{path}/frames/{n + 1}", related(OCTETS)) for n in range(16)]
    over = threading.Event()

    def trickled() -> None:
        while not over.wait(1):
            for one in slow:
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    one.recv(2048, socket.MSG_DONTWAIT)

    trickle = threading.Thread(target=trickled)
    trickle.start()
    try:
        time.sleep(2)
        transport = httpx.HTTPTransport(local_address=source)
        with httpx.Client(transport=transport, timeout=60) as http:
            answer = http.get(f"{server.root}{path}/frames/30", headers={"accept": related(OCTETS)})
        assert answer.status_code == 200
        assert len(answer.content) > EDGE * EDGE
    finally:
        over.set()
        trickle.join()
    # Who gave way can tell: fewer bytes came than the length that was said.
    sizes = [drained(one) for one in slow]
    assert 1 <= sum(size < EDGE * EDGE - (1 << 20) for size in sizes) < len(sizes)


def drained(one: socket.socket) -> int:
    """Bytes that come yet, until there is nothing more for a while."""
    one.settimeout(2)
    size = 0
    with one, contextlib.suppress(TimeoutError, ConnectionError):
        while chunk := one.recv(1 << 20):
            size += len(chunk)
    return size


def test_who_hangs_up_gives_back_what_was_held(server: LiveServer, large: Gallery) -> None:
    path = large.paths["large"]
    for _ in range(2):
        taken = [begun(server, f"{path}/frames/{n + 1}", related(OCTETS)) for n in range(COUNT)]
        time.sleep(1)
        for one in taken:
            one.close()
    answer = large.get("large", "/frames/40", related(OCTETS))
    assert answer.status_code == 200
    assert parts(answer)[0].body == bytes((39,)) * (EDGE * EDGE)


@pytest.mark.parametrize(
    ("below", "accept"),
    [
        ("/frames/1,2,3", related(OCTETS)),
        ("/bulkdata/7FE00010", related(OCTETS)),
        ("/bulkdata/7FE00010", OCTETS),
        ("/pixeldata", related(OCTETS)),
        ("", f"{DICOM}; transfer-syntax={ELE}"),
        ("", related(DICOM, ELE)),
    ],
)
def test_an_answer_that_breaks_off_shows_it(
    server: LiveServer, large: Gallery, below: str, accept: str
) -> None:
    """The frames before the bad one are sent; then neither a last chunk, nor the length that was said."""
    with pytest.raises(httpx.RemoteProtocolError) as raised:
        large.get("late", below, accept)
    assert "incomplete" in str(raised.value) or "without" in str(raised.value)


def test_short_lists_before_the_bad_frame_are_whole(large: Gallery) -> None:
    answer = large.get("late", "/frames/1,3", related(OCTETS))
    assert answer.status_code == 200
    assert [part.body[:1] for part in parts(answer)] == [b"\1", b"\3"]
