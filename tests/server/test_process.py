"""Processes that end when they should: killed parents (issue B12), SIGTERM while something hangs (B2)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from tests.live import ROOT, start
from tests.server.raw import connected


def until_gone(processes: list[psutil.Process], seconds: float = 30) -> None:
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    assert alive == []


def workers(pid: int) -> list[psutil.Process]:
    """Those that listen: not the resource tracker of multiprocessing."""
    return [p for p in psutil.Process(pid).children() if "spawn_main" in " ".join(p.cmdline())]


@pytest.mark.parametrize("count", [1, 2])
def test_workers_end_with_their_parent(tmp_path: Path, count: int) -> None:
    live = start(tmp_path / "data", "--workers", str(count))
    found = workers(live.process.pid)
    try:
        assert len(found) == (2 if count == 2 else 0)
        children = psutil.Process(live.process.pid).children(recursive=True)
        os.kill(live.process.pid, signal.SIGKILL)
        live.process.wait(10)
        until_gone(children)
        port = urlsplit(live.base).port
        again = start(tmp_path / "data", port=int(port or 0))
        assert httpx.get(f"{again.base}/readyz").status_code == 200
        again.stop()
    finally:
        for process in found:
            if process.is_running():
                process.kill()


def test_a_parent_that_is_gone_already_is_noticed() -> None:
    """The race: it was killed before the worker came to ask."""
    code = (
        "import os, time\nfrom gateway.server.parent import end_with\n"
        "end_with(os.getppid() + 100000)\ntime.sleep(30)"
    )
    began = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=False)
    assert ended.returncode == -signal.SIGTERM
    assert time.monotonic() - began < 25


def test_sigterm_ends_a_server_whose_uploads_hang(tmp_path: Path) -> None:
    live = start(tmp_path / "data", environment={"GATEWAY_STOP_TIMEOUT": "1s"})
    hanging = [connected(live.base) for _ in range(4)]
    for opened in hanging:
        opened.sendall(
            b"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\n"
            b"Content-Length: 1000\r\n\r\nx"
        )
    time.sleep(0.3)
    assert live.stop() == 0
    for opened in hanging:
        opened.close()


HANGS = """
import sys, time
from gateway.index import sqlite
from gateway.cli.main import main

def forever(*_, **__):
    {hang}

# A query that no reader gives up, run in a thread as the real ones are.
real = sqlite.SqliteIndex.search
async def search(self, scope, query):
    if query.limit == 7:
        import asyncio
        await asyncio.get_running_loop().run_in_executor(None, forever)
    return await real(self, scope, query)
sqlite.SqliteIndex.search = search
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("hang", ["time.sleep(300)", "while True: pass"], ids=["waits", "computes"])
def test_sigterm_ends_a_server_whose_queries_hang(tmp_path: Path, hang: str) -> None:
    command = [sys.executable, "-c", HANGS.format(hang=hang), "serve", "--data", str(tmp_path), "--port", "0"]
    environment = {**os.environ, "GATEWAY_STOP_TIMEOUT": "1s"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        base = process.stdout.readline().split(": ", 1)[1].strip().removesuffix("/dicom-web")
        deadline = time.monotonic() + 30
        while True:
            try:
                if httpx.get(f"{base}/readyz", timeout=5).status_code == 200:
                    break
            except httpx.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        opened = connected(base)
        opened.sendall(b"GET /dicom-web/studies?limit=7 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=30)
        assert process.returncode in (1, -signal.SIGALRM)
        assert "its time was up" in told or process.returncode == -signal.SIGALRM
        opened.close()
    finally:
        process.kill()
        process.wait()


def test_the_port_is_free_at_once_after_sigterm(tmp_path: Path) -> None:
    live = start(tmp_path / "data", "--workers", "2")
    assert live.stop() == 0
    with socket.create_server(("127.0.0.1", int(urlsplit(live.base).port or 0)), reuse_port=False):
        pass
