"""Attacks for `tests.bench.stall`: what one client did to stop the others. A new one is a function with `@attack`.

It gets the target and what its `prepare` made (something that pickles), and returns a few words: what it was told.
"""

from __future__ import annotations

import io
import socket
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import quote

import httpx
import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless
from tests import build
from tests.live import multipart


@dataclass(frozen=True)
class Target:
    """The server at 127.0.0.1; `scale` is of sizes and counts."""

    port: int
    scale: float = 1.0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def root(self) -> str:
        return f"{self.base}/dicom-web"

    def connected(self, **options: int) -> socket.socket:
        opened = socket.socket()
        if "receive" in options:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, options["receive"])
        opened.settimeout(60)
        opened.connect(("127.0.0.1", self.port))
        return opened

    def stored(self, *parts: bytes) -> httpx.Response:
        body, media = multipart(parts)
        return httpx.post(f"{self.root}/studies", content=body, headers={"Content-Type": media}, timeout=60)

    def count(self, number: int) -> int:
        return max(1, round(number * self.scale))


Prepare: TypeAlias = Callable[[Target], Any]
Attack: TypeAlias = Callable[[Target, Any], str]


@dataclass(frozen=True)
class Scenario:
    """`seconds`: after which the attacker is ended; `descriptors` the server's limit of open files, 0 is ours."""

    name: str
    attack: Attack
    prepare: Prepare
    seconds: float = 30.0
    descriptors: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)


SCENARIOS: dict[str, Scenario] = {}


def attack(name: str, prepare: Prepare = lambda target: None, **options: Any) -> Callable[[Attack], Attack]:
    """Register a function as the attack of that name."""

    def register(function: Attack) -> Attack:
        SCENARIOS[name] = Scenario(name, function, prepare, **options)
        return function

    return register


def path_of(ds: Dataset) -> str:
    return f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"


def _statuses(answers: list[Any]) -> str:
    counted: dict[str, int] = {}
    for answer in answers:
        counted[str(answer)] = counted.get(str(answer), 0) + 1
    return ", ".join(f"{n} x {what}" for what, n in sorted(counted.items()))


def _asked(target: Target, path: str, method: str = "GET", **options: Any) -> Any:
    try:
        return httpx.request(method, f"{target.root}{path}", timeout=120, **options).status_code
    except httpx.HTTPError as error:
        return type(error).__name__


def _at_once(count: int, job: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(count) as threads:
        return [f.result() for f in [threads.submit(job) for _ in range(count)]]


def _ending(target: Target, send: bytes) -> str:
    """The status that the server ends a connection with."""
    opened = target.connected()
    with suppress(OSError):
        opened.sendall(send)
    try:
        return opened.recv(1 << 16)[9:12].decode() or "closed"
    except OSError:
        return "reset"
    finally:
        opened.close()


@attack("nothing")
def nothing(target: Target, prepared: Any) -> str:
    time.sleep(3)
    return ""


# -- B1, B3, B14: connections, headers, uploads ---------------------------------------------------------


@attack("B1 uploads that stall")
def stalled_uploads(target: Target, prepared: Any) -> str:
    data = build.instance(PixelData=bytes(200_000), Rows=400, Columns=250)
    head = (
        b"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\n"
        b"Content-Length: %d\r\n\r\n" % len(data)
    )
    stalled = [target.connected() for _ in range(target.count(64))]
    for opened in stalled:
        opened.sendall(head + data[:100_000])
    began = time.monotonic()
    try:
        status = str(target.stored(build.instance()).status_code)
    except httpx.HTTPError as error:
        status = type(error).__name__
    for opened in stalled:
        opened.close()
    return f"STOW beside it: {status} after {time.monotonic() - began:.2f} s"


START = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"


@attack("B3 300,000 headers")
def many_headers(target: Target, prepared: Any) -> str:
    return _ending(target, START + b"a: b\r\n" * target.count(300_000) + b"\r\n")


@attack("B3 a million headers", seconds=90.0)
def a_million_headers(target: Target, prepared: Any) -> str:
    return _ending(target, START + b"a: b\r\n" * target.count(1_000_000) + b"\r\n")


@attack("B3 a header without end")
def endless_header(target: Target, prepared: Any) -> str:
    return _ending(target, START + b"a: " + b"b" * target.count(300_000_000))


@attack("B3 Accept of 1 MB")
def long_accept(target: Target, prepared: Any) -> str:
    request = b"GET /dicom-web/studies/1.2/metadata HTTP/1.1\r\nHost: localhost\r\nAccept: "
    return _ending(target, request + b"a/b," * target.count(250_000) + b"\r\n\r\n")


@attack("B14 headers half sent", descriptors=1024)
def half_headers(target: Target, prepared: Any) -> str:
    half = []
    for _ in range(target.count(1500)):
        with suppress(OSError):
            opened = target.connected()
            opened.settimeout(2)
            opened.sendall(START)
            half.append(opened)
    answers = [_asked(target, "/studies?limit=1") for _ in range(20)]
    for opened in half:
        opened.close()
    return f"others beside it: {_statuses(answers)}"


# -- B2, B6: searches and what is parsed ----------------------------------------------------------------


@attack("B2 wildcards", lambda target: target.stored(build.instance(PatientName="a^" * 30)).status_code)
def wildcards(target: Target, prepared: Any) -> str:
    pattern = quote("*^" * 14_000 + "*", safe="*")[:56_000]
    return _statuses(_at_once(3, lambda: _asked(target, f"/studies?PatientName={pattern}")))


@attack("B6 a list of wildcards", lambda target: target.stored(build.instance()).status_code)
def wildcard_list(target: Target, prepared: Any) -> str:
    pattern = ("?*" * 450 + ",") * 60
    return _statuses([_asked(target, f"/studies?PatientID={pattern[:54_000]}")])


@attack("B6 a fuzzy word", lambda target: target.stored(build.instance()).status_code)
def fuzzy_word(target: Target, prepared: Any) -> str:
    return _statuses([_asked(target, f"/studies?fuzzymatching=true&PatientName={'ab' * 25_000}")])


@attack("B6 JSON of empty items", seconds=60.0)
def empty_items(target: Target, prepared: Any) -> str:
    items = b",".join([b"{}"] * target.count(9_000_000))
    body = b'[{"00081140":{"vr":"SQ","Value":[' + items + b"]}}]"
    headers = {"Content-Type": "application/dicom+json"}
    return f"{len(body) >> 20} MiB: {_statuses([_asked(target, '/studies', 'POST', content=body, headers=headers)])}"


@attack("B15 control characters", seconds=60.0)
def control_characters(target: Target, prepared: Any) -> str:
    body, media = multipart([b"\x01" * target.count(240 << 20)], part_type="application/dicom+json")
    return _statuses([_asked(target, "/studies", "POST", content=body, headers={"Content-Type": media})])


# -- B5, B7, B13, B15: what is read and drawn -----------------------------------------------------------


def _long_texts(target: Target) -> str:
    study = build.dataset().StudyInstanceUID
    for number in range(target.count(60)):
        ds = build.dataset(StudyInstanceUID=study, InstanceNumber=number)
        # Long values become bulk data: it is many short ones that make metadata long.
        ds.ReferencedImageSequence = [build.dataset(ImageComments="a" * 900) for _ in range(3000)]
        target.stored(build.part10(ds))
    return str(study)


@attack("B5 long metadata", _long_texts, seconds=90.0)
def long_metadata(target: Target, study: str) -> str:
    return _statuses(_at_once(4, lambda: _asked(target, f"/studies/{study}/metadata")))


@attack("B5 long search results", _long_texts, seconds=90.0)
def long_results(target: Target, study: str) -> str:
    return _statuses([_asked(target, f"/studies/{study}/instances?includefield=all")])


def _large_frame(target: Target) -> str:
    ds = build.dataset(Rows=4000, Columns=4000, PixelData=bytes(32_000_000))
    build.part10(ds)
    ds.compress(RLELossless, generate_instance_uid=False)
    target.stored(build.part10(ds, RLELossless))
    return path_of(ds)


@attack("B7 slow readers of decoded frames", _large_frame, seconds=60.0)
def slow_readers(target: Target, path: str) -> str:
    request = (
        f"GET /dicom-web{path}/frames/1 HTTP/1.1\r\nHost: localhost\r\n"
        'Accept: multipart/related; type="application/octet-stream"\r\n\r\n'
    ).encode()
    readers = [target.connected(receive=4096) for _ in range(target.count(50))]
    for opened in readers:
        opened.sendall(request)
    time.sleep(15)
    begun = 0
    for opened in readers:
        opened.settimeout(0.1)
        with suppress(OSError):
            begun += opened.recv(12).startswith(b"HTTP/1.1 200")
        opened.close()
    return f"{begun} answers had begun"


def _tiny_frames(count: int) -> Callable[[Target], str]:
    def prepare(target: Target) -> str:
        # One segment of one byte: a frame of 1 x 1 in RLE (PS3.5 G).
        frame = b"\x01\0\0\0" + b"\x40\0\0\0" + bytes(56) + b"\0\x07"
        ds = build.dataset(Rows=1, Columns=1, BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=None)
        number = target.count(count)
        ds.NumberOfFrames = number
        ds.PixelData = encapsulate([frame] * number, has_bot=False)
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True
        target.stored(build.part10(ds, RLELossless))
        return path_of(ds)

    return prepare


def _frames(target: Target, path: str) -> str:
    headers = {"Accept": 'multipart/related; type="application/octet-stream"'}
    return _statuses([_asked(target, f"{path}/bulkdata/7FE00010", headers=headers)])


attack("B13 10,000 tiny frames", _tiny_frames(10_000), seconds=60.0)(_frames)
attack("B13 100,000 tiny frames", _tiny_frames(100_000), seconds=60.0)(_frames)


def _png(side: int) -> bytes:
    """A black picture of so many pixels each way, as small as it can be made."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    packed = zlib.compressobj(9)
    rows = io.BytesIO()
    line = np.zeros(1 + 3 * side, np.uint8).tobytes()
    for _ in range(side):
        rows.write(packed.compress(line))
    rows.write(packed.flush())
    head = side.to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows.getvalue()) + chunk(b"IEND", b"")


@attack("B15 a small picture of many pixels", lambda target: _png(13_000), seconds=60.0)
def large_picture(target: Target, picture: bytes) -> str:
    ds = build.dataset(PixelData=None, SOPClassUID=build.SECONDARY_CAPTURE)
    for name in (
        "Rows",
        "Columns",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
    ):
        if name in ds:
            delattr(ds, name)
    document = ds.to_json_dict()
    document["7FE00010"] = {"vr": "OB", "BulkDataURI": "picture"}
    boundary = "stall-boundary"
    body = (
        f"--{boundary}\r\nContent-Type: application/dicom+json\r\n\r\n".encode()
        + httpx.Request("POST", "http://h", json=[document]).content
        + f"\r\n--{boundary}\r\nContent-Type: image/png\r\nContent-Location: picture\r\n\r\n".encode()
        + picture
        + f"\r\n--{boundary}--\r\n".encode()
    )
    media = f'multipart/related; type="application/dicom+json"; boundary={boundary}'
    return _statuses([_asked(target, "/studies", "POST", content=body, headers={"Content-Type": media})])


@attack("several clients that behave")
def behaving(target: Target, prepared: Any) -> str:
    """What the others cost when nobody attacks: stores and searches by eight at once."""
    over = time.monotonic() + 5
    done = [0]
    lock = threading.Lock()

    def work() -> None:
        while time.monotonic() < over:
            target.stored(build.instance())
            _asked(target, "/studies?limit=10")
            with lock:
                done[0] += 1

    _at_once(8, work)
    return f"{done[0]} stored and searched"
