"""A real server: the command as a process of its own on a free loopback port."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

COMMAND = (sys.executable, "-m", "gateway.cli.main")
ROOT = Path(__file__).resolve().parent.parent


class LiveServer:
    """`base` is http://127.0.0.1:PORT; `root` the DICOMweb service below it."""

    def __init__(self, process: subprocess.Popen[str], base: str) -> None:
        self.process = process
        self.base = base
        self.root = f"{base}/dicom-web"

    def kill(self) -> None:
        """As a power button would, for all its processes."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def start(
    data: Path,
    *options: str,
    environment: dict[str, str] | None = None,
    port: int = 0,
    ready: int = 200,
) -> LiveServer:
    """Start `serve` on `data`; returns once it listens and /readyz answers with `ready`."""
    process = subprocess.Popen(
        [*COMMAND, "serve", "--data", str(data), "--port", str(port), *options],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if "http://" not in line:
        process.wait(10)
        raise AssertionError(f"the server did not start: {line!r}, exit code {process.returncode}")
    server = LiveServer(process, line.split(": ", 1)[1].strip().removesuffix("/dicom-web"))
    _until_ready(server, ready)
    return server


def _until_ready(server: LiveServer, ready: int) -> None:
    import httpx

    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise AssertionError(f"the server ended with exit code {server.process.returncode}")
        try:
            if httpx.get(f"{server.base}/readyz", timeout=5).status_code == ready:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError("the server did not become ready within 30 s")


@contextmanager
def serving(
    data: Path, *options: str, environment: dict[str, str] | None = None, ready: int = 200
) -> Iterator[LiveServer]:
    """A server for the length of the block; whatever happens, its processes end."""
    server = start(data, *options, environment=environment, ready=ready)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            try:
                server.stop()
            except subprocess.TimeoutExpired:
                server.kill()


def run(
    *arguments: str, data: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A command other than serve, to its end."""
    command, rest = arguments[0], arguments[1:]
    return subprocess.run(
        [*COMMAND, command, "--data", str(data), *rest],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
        env={**os.environ, **(environment or {})},
    )


def multipart(parts: Sequence[bytes], *, part_type: str = "application/dicom") -> tuple[bytes, str]:
    """A multipart/related body of these parts, and its Content-Type."""
    boundary = "gateway-test-boundary"
    head = f"--{boundary}\r\nContent-Type: {part_type}\r\n\r\n".encode()
    body = b"".join(head + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()
    return body, f'multipart/related; type="{part_type}"; boundary={boundary}'
