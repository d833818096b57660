"""`make demo`: start the gateway on the embedded default, load a few real studies, print what to try.

The studies are test files that come with pydicom.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from pydicom.data import get_testdata_file

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
    options.add_argument("--port", required=True)
    options.add_argument("--stop", action="store_true", help="stop once everything was shown to work")
    given = options.parse_args()
    command = str(Path(sys.executable).with_name("dicomweb-gateway"))
    server = subprocess.Popen([command, "serve", "--data", given.data, "--port", given.port])
    base = f"http://127.0.0.1:{given.port}"
    try:
        if not _ready(base, server):
            return server.wait() or 1
        subprocess.run([command, "import", "--data", given.data, *_files()], check=True)
        print(_words(base), flush=True)
        if given.stop:
            return 0
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)


def _files() -> list[str]:
    found = [get_testdata_file(name, download=False) for name in FILES]
    return [str(path) for path in found if path is not None]


def _ready(base: str, server: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{base}/readyz", timeout=1):
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
