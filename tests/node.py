"""The scripts of tests/js, with what they import installed as their lock file says."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.live import ROOT
from tests.servers import missing

SCRIPTS = ROOT / "tests" / "js"


def installed() -> Path:
    """Their folder. Skips, or fails where node is required, if it is not there."""
    npm = shutil.which("npm")
    if shutil.which("node") is None or npm is None:
        missing("node", "node and npm are not installed")
    assert npm is not None
    lock, done = SCRIPTS / "package-lock.json", SCRIPTS / "node_modules" / ".package-lock.json"
    if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        if not os.access(Path.home(), os.W_OK):
            command += ["--cache", str(Path(tempfile.gettempdir()) / "npm")]
        ran = subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True, timeout=110, check=False)
        if ran.returncode:
            missing("node", f"npm ci: {ran.stderr[-300:]}")
    return SCRIPTS
