"""A long multi-frame image is transcoded in the memory of a few frames."""

from __future__ import annotations

import io
from pathlib import Path

import httpx
import numpy as np
import psutil
import pydicom
import pytest
from gateway.render.codecs.decode import decode_frame
from pydicom.encaps import generate_frames
from tests import build
from tests.live import multipart, serving
from tests.render.compressed import layout_of

FRAMES = 600
SIDE = 512
HTJ2K = "1.2.840.10008.1.2.4.201"
MOST_RESIDENT = 400 << 20


def _high_water(pid: int) -> int:
    parent = psutil.Process(pid)
    peaks = []
    for process in (parent, *parent.children(recursive=True)):
        status = Path(f"/proc/{process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        peaks.append(int(line.split()[1]) * 1024)
    return max(peaks)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_three_hundred_megabytes_of_frames_are_encoded_as_they_stream(tmp_path: Path) -> None:
    """The caches of decoded and encoded frames, 64 MiB each, and no more for more frames."""
    noise = np.random.default_rng(0).integers(0, 4096, (8, SIDE, SIDE)).astype("<u2")
    pixels = noise.tobytes() * (FRAMES // 8)
    ds = build.dataset(Rows=SIDE, Columns=SIDE, NumberOfFrames=FRAMES, PixelData=pixels)
    body, content_type = multipart([build.part10(ds)])
    path = f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    with serving(tmp_path) as live, httpx.Client(base_url=live.root, timeout=300) as http:
        assert http.post("/studies", content=body, headers={"Content-Type": content_type}).status_code == 200
        answer = http.get(path, headers={"Accept": f"application/dicom; transfer-syntax={HTJ2K}"})
        assert answer.status_code == 200
        peak = _high_water(live.process.pid)
        print(f"high water {peak >> 20} MiB")
        assert peak < MOST_RESIDENT
    found = pydicom.dcmread(io.BytesIO(answer.content))
    shape = layout_of(found)
    frames = list(generate_frames(found.PixelData, number_of_frames=FRAMES))
    assert len(frames) == FRAMES
    for number in (0, 301, FRAMES - 1):
        assert decode_frame(frames[number], shape, HTJ2K).data == noise[number % 8].tobytes()
