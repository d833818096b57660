"""Who reads much, or slowly, beside somebody who searches: the longest wait and the memory's high-water mark.

python -m tests.bench.reading [slow|metadata|zips|tiny|frame]…
"""

from __future__ import annotations

import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
from gateway.render.codecs import encode
from pydicom.encaps import encapsulate
from tests import build
from tests.live import LiveServer, multipart, serving
from tests.render.compressed import layout_of

OCTETS = 'multipart/related; type="application/octet-stream"'
J2K = "1.2.840.10008.1.2.4.90"
RLE = "1.2.840.10008.1.2.5"
STUDY = "1.2.840.1"


def anonymous(pid: int) -> float:
    """MiB of a process that are no pages of files."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


class Prober:
    """Searches every few milliseconds, and looks at the memory."""

    def __init__(self, server: LiveServer) -> None:
        self.waits: list[float] = []
        self.before = self.most = anonymous(server.process.pid)
        self._server = server
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._search), threading.Thread(target=self._look)]

    def __enter__(self) -> Prober:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _search(self) -> None:
        with httpx.Client(base_url=self._server.root, timeout=120) as http:
            while not self._over.is_set():
                begun = time.perf_counter()
                http.get("/studies?limit=5")
                self.waits.append(1000 * (time.perf_counter() - begun))
                time.sleep(0.005)

    def _look(self) -> None:
        while not self._over.wait(0.02):
            self.most = max(self.most, anonymous(self._server.process.pid))

    def told(self, name: str, note: str = "") -> None:
        waits = sorted(self.waits)
        p99 = waits[int(len(waits) * 0.99)]
        print(
            f"{name:<44} QIDO median {statistics.median(waits):7.1f} ms, p99 {p99:7.1f}, longest {waits[-1]:7.1f}; "
            f"memory {self.before:5.0f} -> {self.most:5.0f} MiB {note}",
            flush=True,
        )


def stored(server: LiveServer, *files: bytes) -> None:
    for file in files:
        body, kind = multipart([file])
        httpx.post(f"{server.root}/studies", content=body, headers={"Content-Type": kind}, timeout=120)


@contextmanager
def archive(*files: bytes) -> Iterator[LiveServer]:
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
        stored(server, *files)
        yield server


def begun(server: LiveServer, path: str, accept: str) -> socket.socket:
    """A request whose answer nobody reads."""
    where = urlsplit(server.base)
    assert where.hostname
    assert where.port
    one = socket.create_connection((where.hostname, where.port))
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    head = f"GET /dicom-web{path} HTTP/1.1\r\nHost: {where.netloc}\r\nAccept: {accept}\r\n\r\n"
    one.sendall(head.encode())
    return one


def compressed(count: int, edge: int) -> bytes:
    """Frames of one level each: they decode to much."""
    ds = build.dataset(
        StudyInstanceUID=STUDY, Rows=edge, Columns=edge, NumberOfFrames=count, BitsStored=16, HighBit=15
    )
    ds.PixelData = b""
    made = []
    for level in range(count):
        data = np.full((edge, edge), level * 100, "<u2").tobytes()
        made.append(encode.encode_frame(data, replace(layout_of(ds), encapsulated=False), J2K))
    ds.PixelData = encapsulate(made)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return build.part10(ds, J2K)


def url(file: bytes) -> str:
    import io

    import pydicom

    ds = pydicom.dcmread(io.BytesIO(file), stop_before_pixels=True)
    return f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"


def slow() -> None:
    """50 readers of 32 MB frames and 8 of 250 MB who take nothing."""
    for count, edge in ((50, 4096), (8, 11180)):
        file = compressed(count, edge)
        with archive(file) as server, Prober(server) as prober:
            taken = [begun(server, f"{url(file)}/frames/{n + 1}", OCTETS) for n in range(count)]
            time.sleep(25)
            for one in taken:
                one.close()
        prober.told(f"{count} slow readers of {edge * edge * 2 >> 20} MiB frames")


def metadata() -> None:
    """4 requests for 300 instances of 3 MB of attributes each."""
    files = []
    for number in range(300):
        ds = build.dataset(StudyInstanceUID=STUDY, SeriesInstanceUID="1.2.840.2", PixelData=bytes(128))
        ds.add_new(0x00091010, "UT", "")
        ds.ImageComments = "x" * 1000
        block = ds.private_block(0x0011, "BENCH", create=True)
        for element in range(50):
            text = "".join(f"{number * element * n % 997:04d}" for n in range(15000))
            block.add_new(element, "UT", text)
        files.append(build.part10(ds))
    with archive(*files) as server:
        del files
        for name, accept in (
            ("JSON", "application/dicom+json"),
            ("XML", 'multipart/related; type="application/dicom+xml"'),
        ):
            with Prober(server) as prober, ThreadPoolExecutor(4) as pool:
                path = f"{server.root}/studies/{STUDY}/metadata"

                def read(_: int, path: str = path, accept: str = accept) -> int:
                    size = 0
                    with httpx.stream("GET", path, headers={"Accept": accept}, timeout=600) as answer:
                        for chunk in answer.iter_raw():
                            size += len(chunk)
                    return size

                total = sum(pool.map(read, range(4)))
            prober.told(f"4 x metadata of 300 x 3 MB, {name}", f"({total >> 20} MiB sent)")


def zips() -> None:
    """30 archives of a study of 100 CT images at once."""
    files = [
        build.instance(
            **{"StudyInstanceUID": STUDY, "SeriesInstanceUID": "1.2.840.2", "Rows": 512, "Columns": 512},
            PixelData=np.random.default_rng(n).integers(0, 4096, 512 * 512, "<u2").tobytes(),
        )
        for n in range(100)
    ]
    with archive(*files) as server, Prober(server) as prober, ThreadPoolExecutor(30) as pool:

        def read(_: int) -> int:
            headers = {"Accept": "application/zip"}
            size = 0
            with httpx.stream(
                "GET", f"{server.root}/studies/{STUDY}", headers=headers, timeout=600
            ) as answer:
                for chunk in answer.iter_raw():
                    size += len(chunk)
            return size

        begin = time.perf_counter()
        total = sum(pool.map(read, range(30)))
        rate = total / (time.perf_counter() - begin) / 1e6
    prober.told("30 zips of 100 CT images", f"({rate:.0f} MB/s)")


def tiny() -> None:
    """Bulk data of 10,000 and 100,000 frames of a pixel, and a list of 5,000 frames."""
    head = b"".join(n.to_bytes(4, "little") for n in (1, 64, *[0] * 14))
    for count in (10_000, 100_000):
        ds = build.dataset(Rows=1, Columns=1, BitsAllocated=8, BitsStored=8, HighBit=7, NumberOfFrames=count)
        ds.PixelData = encapsulate([head + bytes((0, n & 0xFF)) for n in range(count)])
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True
        file = build.part10(ds, RLE)
        numbers = ",".join(map(str, range(1, 5001)))
        with archive(file) as server:
            for below in ("/bulkdata/7FE00010", "/pixeldata", f"/frames/{numbers}"):
                with Prober(server) as prober:
                    time.sleep(0.2)
                    begin = time.perf_counter()
                    answer = httpx.get(
                        f"{server.root}{url(file)}{below}", headers={"Accept": OCTETS}, timeout=600
                    )
                    spent = time.perf_counter() - begin
                prober.told(f"{count} tiny frames, {below[:20]}", f"({spent:.2f} s, {answer.status_code})")


def frame() -> None:
    """A CT frame and ready metadata, again and again: milliseconds a request."""
    files = [
        build.instance(
            **{"StudyInstanceUID": STUDY, "SeriesInstanceUID": "1.2.840.2", "Rows": 512, "Columns": 512},
            PixelData=np.random.default_rng(n).integers(0, 4096, 512 * 512, "<u2").tobytes(),
            InstanceNumber=n,
        )
        for n in range(200)
    ]
    with archive(*files) as server, httpx.Client(timeout=60) as http:
        asked: list[tuple[str, Callable[[int], str], str]] = [
            ("CT frame", lambda n: f"{url(files[n % 200])}/frames/1", OCTETS),
            ("metadata of 200", lambda _: f"/studies/{STUDY}/metadata", "application/dicom+json"),
        ]
        for name, path, accept in asked:
            spent = []
            for n in range(1000 if name == "CT frame" else 300):
                where = server.root + path(n)
                begin = time.perf_counter()
                http.get(where, headers={"Accept": accept, "Accept-Encoding": "gzip"})
                spent.append(1000 * (time.perf_counter() - begin))
            first = statistics.median(spent[:200]) if name == "CT frame" else spent[0]
            print(
                f"{name:<44} first {first:.2f} ms, then median {statistics.median(spent[200:]):.3f} ms",
                flush=True,
            )


if __name__ == "__main__":
    for chosen in sys.argv[1:] or ("frame", "tiny", "zips", "metadata", "slow"):
        {"slow": slow, "metadata": metadata, "zips": zips, "tiny": tiny, "frame": frame}[chosen]()
