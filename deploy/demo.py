"""`make demo`: start the gateway on the embedded default, load a few real studies, print what to try.

The studies are test files that come with pydicom.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom.data import get_testdata_file

# By the module: a script's first line may be too long for the kernel where the folder's name is.
GATEWAY = (sys.executable, "-m", "gateway.cli.main")
FILES = (
    "CT_small.dcm",
    "MR_small.dcm",
    "examples_rgb_color.dcm",
    "examples_ybr_color.dcm",
    "SC_rgb_rle.dcm",
    "rtplan.dcm",
    "rtdose.dcm",
    "test-SR.dcm",
    "waveform_ecg.dcm",
)

# Not loaded: for who tries the store service by hand.
TO_STORE = "JPEG2000.dcm"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", required=True)
    options.add_argument("--port", required=True, type=int)
    options.add_argument("--stop", action="store_true", help="stop once everything was shown to work")
    given = options.parse_args()
    for sign in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, signal.default_int_handler)
    if given.port and (why := _taken(given.port)):
        print(
            f"Port {given.port} of 127.0.0.1 cannot be had ({why}): `make demo PORT={given.port % 65535 + 1}` "
            f"takes another one.",
            file=sys.stderr,
        )
        return 1
    try:
        with _serving(given.data, given.port) as server:
            return _shown(server, given.data, given.port, given.stop)
    except KeyboardInterrupt:
        print("\nStopped. `make demo` starts it again with what it holds, `make clean` removes all.")
        return 0


def _taken(port: int) -> str:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return os.strerror(error.errno or 0).lower()
        except OverflowError:
            return "ports end at 65535"
    return ""


@contextmanager
def _serving(data: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The gateway, in a session of its own: Ctrl-C reaches us alone, and we end it in order."""
    command = [*GATEWAY, "serve", "--data", data, "--port", str(port)]
    server = subprocess.Popen(command, start_new_session=True)
    try:
        yield server
    finally:
        server.terminate()
        try:
            server.wait(20)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            server.kill()
            server.wait()


def _shown(server: subprocess.Popen[bytes], data: str, port: int, stop: bool) -> int:
    base = f"http://127.0.0.1:{port}"
    if not _ready(base, server):
        print("The gateway did not start; what it said is above.", file=sys.stderr)
        return 1
    imported = subprocess.run(
        [*GATEWAY, "import", "--data", data, *_files()], start_new_session=True, check=False
    )
    if imported.returncode:
        print("The studies could not be loaded; what was said is above.", file=sys.stderr)
        return 1
    print(_words(base), flush=True)
    if stop:
        return 0
    return server.wait() or 1


def _files() -> list[str]:
    found = [get_testdata_file(name, download=False) for name in FILES]
    return [str(path) for path in found if path is not None]


def _ready(base: str, server: subprocess.Popen[bytes]) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with direct.open(f"{base}/readyz", timeout=1):
                return True
        except OSError:
            time.sleep(0.1)
    return False


def _words(base: str) -> str:
    root = f"{base}/dicom-web"
    file = os.path.relpath(str(get_testdata_file(TO_STORE, download=False)))
    return f"""
The gateway is at {base}/ and DICOMweb at {root}. Try:

  curl '{root}/studies?PatientName=*&includefield=StudyDescription'
  curl '{root}/studies?ModalitiesInStudy=CT'
  curl -H 'Content-Type: application/dicom' --data-binary @{file} {root}/studies

Stop it with Ctrl-C.
"""


if __name__ == "__main__":
    sys.exit(main())
