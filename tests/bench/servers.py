"""The processes that are compared: ours, Debian's Orthanc with its DICOMweb plug-in, and the floor."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent.parent
PLUGINS = (Path("/usr/share/orthanc/plugins"), Path("/usr/lib/orthanc"))


@dataclass(frozen=True, slots=True)
class Server:
    name: str
    port: int
    process: subprocess.Popen[bytes]

    def peak_memory(self) -> int:
        """Highest resident size of the process and its children, in bytes, as Linux kept it (VmHWM)."""
        tree = [self.process.pid, *(c.pid for c in psutil.Process(self.process.pid).children(recursive=True))]
        return sum(high_water(pid) for pid in tree)


def high_water(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0
    line = next((line for line in text.splitlines() if line.startswith("VmHWM:")), "VmHWM: 0 kB")
    return int(line.split()[1]) * 1024


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def orthanc_configuration(folder: Path, port: int) -> dict[str, object]:
    """Defaults, but for what loopback, a folder of its own and kept connections need."""
    plugin = next(p / "libOrthancDicomWeb.so" for p in PLUGINS if (p / "libOrthancDicomWeb.so").exists())
    return {
        "Name": "bench",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": port,
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "KeepAlive": True,
        "TcpNoDelay": True,
        "Plugins": [str(plugin)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": False, "Ssl": False},
    }


@contextmanager
def orthanc(folder: Path) -> Iterator[tuple[Server, dict[str, object]]]:
    program = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise SystemExit("no Orthanc here: run 'sudo make deps' (Debian's orthanc and orthanc-dicomweb)")
    port = free_port()
    folder.mkdir(parents=True)
    configuration = orthanc_configuration(folder, port)
    (folder / "orthanc.json").write_text(json.dumps(configuration, indent=2))
    with _running("Orthanc", port, "/system", [program, str(folder / "orthanc.json")], folder) as server:
        yield server, configuration


@contextmanager
def gateway(folder: Path, workers: int) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", "gateway.cli.main", "serve", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--data", str(folder / "data"), "--workers", str(workers)]
    with _running("ours", port, "/readyz", command, folder) as server:
        yield server


@contextmanager
def floor(folder: Path) -> Iterator[Server]:
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "answers.json").write_text('{"/": ["empty", "text/plain"]}')
    (folder / "empty").write_bytes(b"")
    command = [sys.executable, str(Path(__file__).with_name("floor.py")), str(folder), str(port)]
    with _running("floor", port, "/", command, folder) as server:
        yield server


@contextmanager
def _running(name: str, port: int, ready: str, command: list[str], folder: Path) -> Iterator[Server]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)
    try:
        _until_ready(process, port, ready, folder / "log")
        yield Server(name, port, process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until_ready(process: subprocess.Popen[bytes], port: int, path: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise SystemExit(f"{process.args!r} did not start:\n{log.read_text()[-2000:]}")
