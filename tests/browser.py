"""A real browser: Debian's Chromium, which opens a page of an origin of its own and says what the page saw."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any
from urllib.parse import urlencode

from tests.servers import missing

# It is to speak to nobody but us.
QUIET = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required", "--mute-audio"),
)


class Pages:
    """`origin` serves `files` by name; what a page sends to /report comes out of `report`."""

    def __init__(self, files: Mapping[str, tuple[str, bytes]]) -> None:
        self.files = files
        self.reports: Queue[dict[str, Any]] = Queue()
        self.origin = ""

    def report(self, seconds: float) -> dict[str, Any]:
        return self.reports.get(timeout=seconds)


@contextmanager
def pages(files: Mapping[str, tuple[str, bytes]]) -> Iterator[Pages]:
    """A server of static files, of these media types, on a free loopback port."""
    made = Pages(files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            media, data = made.files.get(self.path.partition("?")[0].strip("/"), ("", b""))
            self.send_response(200 if media else 404)
            self.send_header("Content-Type", media or "text/plain")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.reports.put(json.loads(body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.origin = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


def seen(of: Pages, page: str, profile: Path, seconds: float = 60, **query: str) -> dict[str, Any]:
    """What the page reports once it is open in the browser. Raises AssertionError if it does not."""
    with _opened(f"{of.origin}/{page}?{urlencode(query)}", profile) as browser:
        try:
            return of.report(seconds)
        except Empty:
            browser.kill()
            _, errors = browser.communicate()
            raise AssertionError(f"the page said nothing: {errors[-2000:]!r}") from None


@contextmanager
def _opened(url: str, profile: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [executable(), *QUIET, f"--user-data-dir={profile}", "--remote-debugging-port=0", url]
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield browser
    finally:
        browser.kill()
        browser.communicate()


def text(url: str, profile: Path) -> str:
    """What is in the document at `url` once it is shown."""
    command = [executable(), *QUIET, f"--user-data-dir={profile}", "--dump-dom", url]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    return done.stdout.decode()


def executable() -> str:
    found = shutil.which("chromium")
    if found is None:
        missing("chromium", "Debian's chromium is not installed")
    assert found is not None
    return found
