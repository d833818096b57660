"""What is logged of failures: enough to find them, and nothing of a patient (issue B16)."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway.logs import About, Lines, about
from tests import build
from tests.live import COMMAND, ROOT, multipart

NAME = "Zzyzx^Unmistakable"
INDEX = "index.sqlite"


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("workers", [1, 2])
def test_failures_with_names_in_query_and_body(tmp_path: Path, workers: int) -> None:
    data = tmp_path / "data"
    command = [*COMMAND, "serve", "--data", str(data), "--port", "0", "--workers", str(workers)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    assert process.stdout is not None
    base = process.stdout.readline().split(": ", 1)[1].strip().removesuffix("/dicom-web")
    try:
        with httpx.Client(base_url=base, transport=httpx.HTTPTransport(retries=20), timeout=30) as http:
            while http.get("/readyz").status_code != 200:
                pass
            ds = build.dataset(PatientName=NAME, PatientID=NAME)
            body, media = multipart([build.part10(ds)])
            sent = http.post("/dicom-web/studies", content=body, headers={"Content-Type": media})
            assert sent.status_code == 200
            # The bytes go: every read of them fails from now on, in the middle of an answer or before it.
            shutil.rmtree(data / "objects")
            study = f"/dicom-web/studies/{ds.StudyInstanceUID}"
            told = [
                http.get(study, params={"PatientName": NAME}),
                http.get(f"{study}/metadata", params={"PatientName": NAME}),
                http.get("/dicom-web/studies", params={"PatientName": NAME, "nosuch": NAME}),
                http.post("/dicom-web/studies", content=body, headers={"Content-Type": media}),
                http.post(f"/dicom-web/studies?PatientName={NAME}", content=NAME, headers={"X-Name": NAME}),
            ]
    finally:
        process.send_signal(signal.SIGTERM)
        _, text = process.communicate(timeout=40)
    lines = lines_of(text)
    # STOW tells of each instance in a body of its own.
    assert [line["route"] for line in lines if line["event"] == "an instance could not be stored"] == [
        "/dicom-web/studies"
    ]
    failed = [answer for answer in told if "x-request-id" in answer.headers and answer.status_code >= 500]
    assert failed
    by_id = {line["id"]: line for line in lines if "id" in line}
    for answer in failed:
        line = by_id[answer.json()["requestId"]]
        assert answer.headers["x-request-id"] == line["id"]
        assert line["status"] == answer.status_code
        assert line["method"] == answer.request.method
        assert line["route"].startswith("/dicom-web/studies")
        assert line["error"]
        assert line["at"].startswith("gateway/")
    assert "Unmistakable" not in text
    assert str(ds.StudyInstanceUID) not in text
    assert "PatientName" not in text


class Logged(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(Lines())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def written(
    logger: str, message: str, *arguments: object, error: BaseException | None = None
) -> dict[str, Any]:
    handler = Logged()
    log = logging.getLogger(logger)
    before = log.level, log.disabled
    log.setLevel(logging.DEBUG)  # a server that ran in this process has set it, perhaps
    log.disabled = False
    log.addHandler(handler)
    try:
        log.error(message, *arguments, exc_info=error)
    finally:
        log.removeHandler(handler)
        log.setLevel(before[0])
        log.disabled = before[1]
    found: dict[str, Any] = json.loads(handler.lines[0])
    return found


def test_an_exception_is_named_and_placed_and_not_quoted() -> None:
    try:
        try:
            int(NAME)
        except ValueError as error:
            raise KeyError(NAME) from error
    except KeyError as error:
        line = written("gateway.http", "failed", error=error)
    assert (line["error"], line["cause"]) == ("KeyError", "ValueError")
    assert line["at"].startswith("test_logs.py:")
    assert NAME not in json.dumps(line)


@pytest.mark.parametrize(
    ("logger", "message", "argument", "event"),
    [
        (
            "asyncio",
            f"Task exception was never retrieved\nfuture: <Task {NAME}>",
            None,
            "Task exception was never retrieved",
        ),
        ("asyncio", f"Exception in callback f('{NAME}')", None, "Exception in callback f"),
        ("py.warnings", "%s", NAME, ""),
        ("urllib3", "Retrying after '%s'", NAME, "Retrying after"),
        ("gateway.x", "object %s is odd", NAME, "object %s is odd"),
        ("gateway.x", "%d changes of %s wait", (3, NAME), "3 changes of %s wait"),
        ("asyncio", "%d things of %s", (3, NAME), ""),
        ("uvicorn.error", "Exception in ASGI application\n", None, "Exception in ASGI application"),
    ],
)
def test_messages_are_filled_in_with_nothing_but_numbers(
    logger: str, message: str, argument: str | tuple[object, ...] | None, event: str
) -> None:
    arguments = argument if isinstance(argument, tuple) else (argument,) if argument else ()
    line = written(logger, message, *arguments)
    assert line["event"] == event
    assert NAME not in json.dumps(line)


def test_a_line_names_the_request_it_is_of() -> None:
    request = About("GET")
    request.route = "/dicom-web/studies/{study}"
    token = about.set(request)
    try:
        line = written("gateway.services", "odd")
    finally:
        about.reset(token)
    assert (line["id"], line["method"], line["route"]) == (request.id, "GET", "/dicom-web/studies/{study}")


@pytest.mark.parametrize(
    "code",
    [
        f"import warnings; warnings.warn({NAME!r})",
        f"import threading; t = threading.Thread(target=lambda: int({NAME!r})); t.start(); t.join()",
        f"class A:\n  def __del__(self): int({NAME!r})\nA()",
        f"raise ValueError({NAME!r})",
    ],
    ids=["warning", "thread", "unraisable", "uncaught"],
)
def test_what_python_would_print_is_a_line_too(code: str) -> None:
    start = "import logging.config\nfrom gateway.logs import configuration, take_over\n"
    start += "logging.config.dictConfig(configuration()); take_over()\n"
    done = subprocess.run(
        [sys.executable, "-c", start + code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert len(lines_of(done.stderr)) == 1
    assert NAME not in done.stderr
