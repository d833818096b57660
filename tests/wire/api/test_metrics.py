"""`/metrics`: counters of requests and transcoding, what the index holds, and nothing of patients."""

from __future__ import annotations

import httpx
from tests import build
from tests.live import LiveServer


def test_numbers_rise_and_nobody_is_named(server: LiveServer) -> None:
    ds = build.dataset(PatientName="Doe^Jane", Rows=8, Columns=8, PixelData=bytes(128))
    headers = {"Content-Type": "application/dicom"}
    assert httpx.post(f"{server.root}/studies", content=build.part10(ds), headers=headers).status_code == 200
    path = f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    wanted = {"Accept": "multipart/related; type=image/jls"}
    assert httpx.get(f"{server.root}{path}/frames/1", headers=wanted).status_code == 200
    assert httpx.request("BREW", server.root).status_code in {400, 405}
    answer = httpx.get(f"{server.base}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert 'dicomweb_gateway_http_requests_total{method="POST",status="200"} 1' in lines
    assert "dicomweb_gateway_transcode_proved_total 1" in lines
    assert "dicomweb_gateway_instance_count 1" in lines
    assert lines.count("# TYPE dicomweb_gateway_http_requests_total counter") == 1
    assert not any(word in answer.text for word in ("BREW", "Doe", ds.StudyInstanceUID))
