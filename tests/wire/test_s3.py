"""The main job with the objects in S3."""

from __future__ import annotations

import contextlib
from pathlib import Path

import boto3
import httpx
import pytest
from tests import build
from tests.live import multipart, run, serving
from tests.servers import ACCESS, BUCKET, SECRET, S3Server, moto, rclone

JSON = {"Accept": "application/dicom+json"}


def make_bucket(server: S3Server) -> None:
    boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=ACCESS,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    ).create_bucket(Bucket=BUCKET)


def access(server: S3Server) -> dict[str, str]:
    """What the gateway is told of it by the environment."""
    return {
        "AWS_ACCESS_KEY_ID": ACCESS,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "GATEWAY_S3_ENDPOINT": server.endpoint,
    }


@pytest.mark.parametrize("kind", ["moto", "rclone"])
def test_in_and_out_through_a_bucket(tmp_path: Path, kind: str) -> None:
    with moto() if kind == "moto" else rclone(tmp_path / "rclone") as server:
        make_bucket(server)
        environment = access(server)
        data = tmp_path / "data"
        with serving(data, "--store", f"s3://{BUCKET}/archive", environment=environment) as live:
            _in_and_out(live.root)


def test_a_bucket_that_is_not_there_is_said_at_start(tmp_path: Path) -> None:
    with moto() as server:
        environment = access(server)
        done = run(
            "serve", "--store", "s3://nowhere/x", "--port", "0", data=tmp_path, environment=environment
        )
    assert (done.returncode, "no such bucket" in done.stderr) == (1, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_store_that_goes_away_is_not_ready(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(moto())
        make_bucket(server)
        environment = access(server)
        with serving(tmp_path / "data", "--store", f"s3://{BUCKET}/archive", environment=environment) as live:
            assert httpx.get(f"{live.base}/readyz").status_code == 200
            stack.close()
            answer = httpx.get(f"{live.base}/readyz", timeout=60)
            assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
            assert httpx.get(f"{live.base}/livez").status_code == 200
            assert httpx.get(f"{live.root}/studies").status_code == 204


def _in_and_out(root: str) -> None:
    small = build.dataset(NumberOfFrames=2, Rows=8, Columns=8, PixelData=bytes(range(256)))
    large = build.dataset(Rows=3000, Columns=2000, PixelData=bytes(12_000_000))
    files = [build.part10(small), build.part10(large)]
    with httpx.Client(base_url=root, timeout=60) as http:
        body, content_type = multipart(files)
        answer = http.post("/studies", content=body, headers={"Content-Type": content_type, **JSON})
        assert answer.status_code == 200, answer.text
        for ds, sent in zip((small, large), files, strict=True):
            path = (
                f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
            )
            got = http.get(path, headers={"Accept": "application/dicom; transfer-syntax=*"})
            assert got.content == sent
        path = f"/studies/{small.StudyInstanceUID}/series/{small.SeriesInstanceUID}/instances/{small.SOPInstanceUID}"
        frame = http.get(f"{path}/frames/2", headers={"Accept": "application/octet-stream"})
        assert frame.content == bytes(range(128, 256))
