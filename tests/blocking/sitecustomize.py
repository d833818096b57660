"""Loaded by each Python process whose PYTHONPATH has this folder: in a server that a test started, it installs the watch."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

FOLDER = os.environ.get("GATEWAY_TEST_BLOCKING", "")
# Commands other than serve, and processes that only decode, have nobody who waits for their loop.
SERVES = "serve" in sys.orig_argv or any("spawn_main" in argument for argument in sys.orig_argv)

if FOLDER and SERVES and Path(FOLDER).is_dir():
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import_module("watch").Watch(Path(FOLDER)).install()
    del sys.path[0]
