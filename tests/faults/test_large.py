"""Objects far larger than the memory that the server may use go in and out."""

from __future__ import annotations

import hashlib
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from tests import build
from tests.deployments import PLACES
from tests.live import LiveServer

MOST_RESIDENT = 300 << 20
NATIVE = (4 << 30) - (100 << 20)
BLOCK = bytes(range(256)) * 4096
FRAGMENT = 64 << 20
FRAGMENTS = 66
JPEG_LS = "1.2.840.10008.1.2.4.80"


def _head(transfer_syntax: str, **attributes: object) -> tuple[bytes, str]:
    """A Part 10 file up to its pixel data, and the instance's path."""
    ds = build.dataset(PixelData=None, **attributes)
    path = f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    return build.part10(ds, transfer_syntax), path


def _repeated(size: int) -> Iterator[bytes]:
    for _ in range(size // len(BLOCK)):
        yield BLOCK
    yield BLOCK[: size % len(BLOCK)]


def _native() -> tuple[Iterator[bytes], str]:
    frames = NATIVE // (1024 * 1024 * 2)
    head, path = _head("1.2.840.10008.1.2.1", Rows=1024, Columns=1024, NumberOfFrames=frames)
    size = frames * 1024 * 1024 * 2

    def chunks() -> Iterator[bytes]:
        yield head + struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, size)
        yield from _repeated(size)

    return chunks(), path


def _encapsulated() -> tuple[Iterator[bytes], str]:
    head, path = _head(JPEG_LS, Rows=1024, Columns=1024, NumberOfFrames=FRAGMENTS)
    offsets = struct.pack(f"<{FRAGMENTS}Q", *(n * (FRAGMENT + 8) for n in range(FRAGMENTS)))
    lengths = struct.pack(f"<{FRAGMENTS}Q", *[FRAGMENT] * FRAGMENTS)

    def chunks() -> Iterator[bytes]:
        yield head
        for element, table in ((1, offsets), (2, lengths)):
            yield struct.pack("<HH2sHI", 0x7FE0, element, b"OV", 0, len(table)) + table
        yield struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF) + struct.pack(
            "<HHI", 0xFFFE, 0xE000, 0
        )
        for _ in range(FRAGMENTS):
            yield struct.pack("<HHI", 0xFFFE, 0xE000, FRAGMENT)
            yield from _repeated(FRAGMENT)
        yield struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)

    return chunks(), path


def _high_water(server: LiveServer) -> int:
    """VmHWM, in bytes, of the largest process of the server."""
    parent = psutil.Process(server.process.pid)
    peaks = []
    for process in (parent, *parent.children(recursive=True)):
        status = Path(f"/proc/{process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        peaks.append(int(line.split()[1]) * 1024)
    return max(peaks)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("made", "name"), [(_native, "embedded"), (_encapsulated, "embedded"), (_encapsulated, "scale-out")]
)
def test_four_gigabytes_pass_through_300_megabytes(tmp_path: Path, made: object, name: str) -> None:
    assert shutil.disk_usage(tmp_path).free > 12 << 30, "this test wants 12 GiB of free disk"
    chunks, path = made()  # type: ignore[operator]
    sent = hashlib.sha256()

    def body() -> Iterator[bytes]:
        for chunk in chunks:
            sent.update(chunk)
            yield chunk

    with (
        PLACES[name](tmp_path) as place,
        place.serving() as live,
        httpx.Client(base_url=live.root, timeout=600) as http,
    ):
        answer = http.post("/studies", content=body(), headers={"Content-Type": "application/dicom"})
        assert answer.status_code == 200, answer.text
        got = hashlib.sha256()
        with http.stream("GET", path, headers={"Accept": "application/dicom; transfer-syntax=*"}) as response:
            assert response.status_code == 200
            for chunk in response.iter_raw():
                got.update(chunk)
        assert got.digest() == sent.digest()
        frame = http.get(
            f"{path}/frames/60", headers={"Accept": "application/octet-stream; transfer-syntax=*, */*;q=0.1"}
        )
        assert frame.status_code == 200
        assert BLOCK[:64] in frame.content[:2048]
        peak = _high_water(live)
        print(f"high water {peak >> 20} MiB")
        assert peak < MOST_RESIDENT
    shutil.rmtree(tmp_path)
