"""Nothing that may identify a patient leaves by logs, refusals or metrics, whatever is sent (PS3.18 8.6.3, annex of PS3.15).

Files and requests carry marks in each place where patients are described. The bytes that servers wrote to stdout and
stderr, every refusal, each answer to a Store and the metrics are searched for them, as text and in what text may be
wrapped in. The archive itself (objects, index, journal) and answers that were asked to give data are what it is for.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest
from pydicom import config
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from tests import build
from tests.live import COMMAND, ROOT, multipart

MARK, BORN = "ZZMARKER", "18670429"
"""In names, identifiers and text; as a date."""
_MARKS = re.compile(f"{MARK}|{BORN}", re.IGNORECASE)
JSON, DICOM, XML = "application/dicom+json", "application/dicom", "application/dicom+xml"
RULES = [
    {"peer": "127.0.0.2", "action": "reject", "reason": "this sender is retired"},
    {"peer": "127.0.0.3", "action": "quarantine", "reason": "a new modality is on trial"},
    # What is changed is told to the sender with what it was (PS3.18 10.5.3): here something that was not there.
    {
        "peer": "127.0.0.4",
        "action": "coerce",
        "change": [{"attribute": "ContrastBolusAgent", "value": "none"}],
    },
]
DESCRIBING = (
    *("PatientName", "PatientID", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName"),
    *("PatientAddress", "PatientTelephoneNumbers", "PatientComments", "AdditionalPatientHistory"),
    *("ReferringPhysicianName", "OperatorsName", "InstitutionName", "StationName", "ImageComments"),
    *("AccessionNumber", "StudyID", "StudyDescription", "SeriesDescription", "ProtocolName"),
)


def find_marks(data: bytes) -> list[str]:
    """Return what of the marks is in `data`: as it is, escaped, or in base64 at any of its three alignments."""
    text = data.decode("latin-1")
    forms = [form.decode() for mark in (MARK, BORN) for form in _wrapped(mark.encode())]
    return _MARKS.findall(text) + [form for form in forms if form in text]


def _wrapped(mark: bytes) -> Iterator[bytes]:
    yield mark.hex().encode()
    yield mark.decode().encode("utf-16-le")
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + mark)
        yield coded[-(-before * 8 // 6) : (before + len(mark)) * 8 // 6]


def test_marks_are_found_in_any_wrapping() -> None:
    for wrapping in (str, str.lower, lambda text: repr({"x": text}), lambda text: f"Doe^{text}^9"):
        assert find_marks(wrapping(MARK).encode())
    for before in ("", "a", "ab", "abc"):
        assert find_marks(base64.b64encode(f"{before}{MARK}^Jane".encode()))
    assert find_marks(f"born {BORN}".encode())
    assert find_marks(MARK.encode("utf-16-le"))
    assert not find_marks(b"study 1.2.3 is not known here")


def marked(**attributes: Any) -> Dataset:
    ds = build.dataset(**{name: f"{MARK}^{n}" for n, name in enumerate(DESCRIBING)} | {"StudyID": MARK})
    ds.AccessionNumber, ds.StationName, ds.PatientBirthDate = MARK, MARK, BORN
    ds.PatientTelephoneNumbers = MARK
    item = Dataset()
    item.PatientID = MARK
    ds.OtherPatientIDsSequence = [item]
    ds.add_new((0x0009, 0x0010), "LO", MARK)
    ds.add_new((0x0009, 0x1001), "LO", MARK)
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


class Watched:
    """A server whose words are kept, and the answers that must hold no mark."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.statuses: set[int] = set()
        self.leaks: list[str] = []
        self.shown = 0
        self._peers: dict[str, httpx.Client] = {}

    def close(self) -> None:
        for http in self._peers.values():
            http.close()

    def send(self, method: str, path: str, *, peer: str = "127.0.0.1", **more: Any) -> httpx.Response:
        """Send it as `peer`, and search the answer unless it is one that gives data."""
        if peer not in self._peers:
            transport = httpx.HTTPTransport(local_address=peer, retries=2)
            self._peers[peer] = httpx.Client(transport=transport, timeout=60)
        answer = self._peers[peer].request(method, self.base + path, **more)
        self.statuses.add(answer.status_code)
        fields = "\n".join(f"{name}: {value}" for name, value in answer.headers.multi_items()).encode()
        if answer.is_success and method in {"GET", "HEAD"} and path != "/metrics":
            self.shown += bool(find_marks(answer.content))
        elif found := find_marks(answer.content + fields):
            places = [
                answer.text[max(0, at.start() - 250) : at.end() + 60] for at in _MARKS.finditer(answer.text)
            ]
            self.leaks.append(f"{method} {path[:150]} {answer.status_code}: {places[:2]} {found}")
        return answer

    def store(self, *files: bytes, peer: str = "127.0.0.1", query: str = "", **fields: str) -> httpx.Response:
        body, media = multipart(files)
        headers = {"Content-Type": media, "Accept": JSON, **fields}
        return self.send("POST", f"/dicom-web/studies{query}", peer=peer, content=body, headers=headers)


@contextmanager
def watching(data: Path, said: Path, *options: str) -> Iterator[Watched]:
    """A server that writes all it says to the file `said`."""
    command = [*COMMAND, "serve", "--data", str(data), "--port", "0", *options]
    environment = {
        **os.environ,
        "GATEWAY_STORE_RULES": json.dumps(RULES),
        "GATEWAY_MAX_BODY": "2000000",
        "PYTHONUNBUFFERED": "1",
    }
    with said.open("wb") as words:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=words, text=True, env=environment
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            watched = Watched(line.split(": ", 1)[1].strip().removesuffix("/dicom-web"))
            with httpx.Client(transport=httpx.HTTPTransport(retries=20)) as http:
                while http.get(f"{watched.base}/readyz").status_code != 200:
                    pass
            yield watched
            watched.close()
        finally:
            process.send_signal(signal.SIGTERM)
            rest, _ = process.communicate(timeout=40)
            words.write((line + rest).encode())


@pytest.mark.row("C-ST-4")
@pytest.mark.parametrize("options", [(), ("--strict",)], ids=["lenient", "strict"])
def test_logs_refusals_and_metrics_name_no_patient(tmp_path: Path, options: tuple[str, ...]) -> None:
    data, said = tmp_path / "data", tmp_path / "said"
    with watching(data, said, *options) as server:
        stored = store_all_ways(server)
        search(server, stored)
        retrieve(server, stored)
        refuse(server, stored)
        break_and_ask(server, stored, data)
        server.send("GET", "/metrics")
    assert not server.leaks, "\n".join(server.leaks)
    assert server.shown >= 5, (
        "answers that give data hold marks, so that these are looked for in the right form"
    )
    expected = {200, 202, 204, 400, 404, 405, 406, 409, 410, 413, 415, 416, 503}
    assert server.statuses >= expected, expected - server.statuses
    words = said.read_bytes()
    assert b'"event": "failed"' in words, "failures were logged"
    assert find_marks(words) == [], words.decode()[:2000]
    for path in data.rglob("*.log"):
        assert find_marks(path.read_bytes()) == [], path


def store_all_ways(server: Watched) -> Dataset:
    """Good, repeated, in conflict, coerced, rejected, set aside, malformed in each way that a reader may meet."""
    ds = marked()
    good = build.part10(ds)
    assert server.store(good).status_code == 200
    server.store(good)
    ds.PatientName = f"{MARK}^Other"
    assert server.store(build.part10(ds)).status_code == 409
    ds.PatientName = f"{MARK}^0"
    for peer in ("127.0.0.2", "127.0.0.3", "127.0.0.4"):
        server.store(build.part10(marked()), peer=peer)
    assert server.store(build.part10(marked()), good[: len(good) // 2], MARK.encode()).status_code == 202
    for keyword, vr, value in (
        *(("StudyInstanceUID", "UI", MARK), ("SOPInstanceUID", "UI", f"1.2.{MARK}")),
        *(("InstanceNumber", "LO", MARK), ("Rows", "LO", MARK), ("StudyDate", "LO", MARK)),
        *(("SpecificCharacterSet", "CS", MARK), ("Modality", "LO", MARK * 9), ("PatientID", "LO", MARK * 20)),
    ):
        server.store(marked_wrongly(keyword, vr, value))
    body, media = multipart([good])
    for content, kind in (
        *(
            (body[:-60], media),
            (MARK.encode() * 40, media),
            (MARK.encode(), "text/plain"),
            (MARK.encode(), "nonsense"),
        ),
        *((b"", DICOM), (good[:200], DICOM), (good.replace(b"DICM", b"ZZMA"), DICOM)),
        *((f'[{{"00100010":{{"vr":"{MARK}"}}}}]'.encode(), JSON), (f'{{"{MARK}":'.encode(), JSON)),
        *(
            (f"<a><{MARK}></a>".encode(), XML),
            (f"<?xml version='1.0' encoding='nonsense'?><{MARK}/>".encode(), XML),
        ),
        (b"x" * 2_100_000, DICOM),
    ):
        server.send(
            "POST", "/dicom-web/studies", content=content, headers={"Content-Type": kind, "Accept": JSON}
        )
    model = {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": MARK}]},
        "00100020": {"vr": "US", "Value": [MARK]},
    }
    for described in (
        [model],
        [{**model, "0020000D": {"vr": "UI", "Value": [MARK]}}],
        {"x": MARK},
        [MARK],
        MARK,
    ):
        content, kind = multipart([json.dumps(described).encode()], part_type=JSON)
        headers = {"Content-Type": kind, "Accept": JSON}
        server.send("POST", "/dicom-web/studies", content=content, headers=headers)
    return ds


def marked_wrongly(keyword: str, vr: str, value: str) -> bytes:
    """A file in which one attribute is of this representation and value, whatever is wrong with both."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        ds = marked()
        ds.add_new(tag, vr, value)
        if vr == "LO" and keyword == "Rows":
            del ds.PixelData
        return build.part10(ds)


def search(server: Watched, ds: Dataset) -> None:
    """By each attribute that describes a patient: found, not found, and in forms that are refused."""
    for name in (
        *DESCRIBING,
        "00100010",
        "00100030",
        "PatientBirthDate",
        "00091001",
        "OtherPatientIDsSequence.PatientID",
    ):
        for value in (
            f"{MARK}*",
            f"{MARK},{MARK}",
            f"{MARK}\\{MARK}",
            f"{MARK}%00",
            f"%FF{MARK}",
            MARK * 200,
        ):
            server.send("GET", f"/dicom-web/studies?{name}={value}", headers={"Accept": JSON})
        server.send("GET", f"/dicom-web/series?{name}={BORN}&{name}={MARK}", headers={"Accept": JSON})
    for name in (
        "StudyDate",
        "StudyTime",
        "StudyInstanceUID",
        "SeriesNumber",
        "NumberOfStudyRelatedInstances",
    ):
        for value in (MARK, f"{MARK}-{MARK}", f"{BORN}-{MARK}", "19000101-18000101"):
            server.send("GET", f"/dicom-web/instances?{name}={value}", headers={"Accept": JSON})
    for query in (f"PatientBirthDate={BORN}", f"includefield=all&StudyInstanceUID={ds.StudyInstanceUID}"):
        server.send("GET", f"/dicom-web/studies?{query}", headers={"Accept": JSON})
    for query in (
        f"fuzzymatching=true&PatientName={MARK}",
        f"limit=x&PatientName={MARK}",
        f"cursor=x&PatientID={MARK}",
    ):
        server.send("GET", f"/dicom-web/studies?{query}", headers={"Accept": JSON})
    wado = f"requestType=WADO&studyUID={ds.StudyInstanceUID}&PatientName={MARK}"
    server.send("GET", f"/wado?{wado}", headers={"Accept": "*/*"})
    keys = {"attribute": "PatientComments", "level": MARK}
    server.send("POST", "/api/v1/keys", json=keys)
    server.send(
        "POST", "/api/v1/keys", content=f'{{"{MARK}"'.encode(), headers={"Content-Type": "application/json"}
    )


def instance_path(ds: Dataset) -> str:
    return f"/dicom-web/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"


def retrieve(server: Watched, ds: Dataset) -> None:
    """In each form, with marks in parameters and fields that have no meaning there."""
    path = instance_path(ds)
    query = f"?PatientName={quote(MARK)}&nosuch={quote_plus(MARK)}"
    fields = {"X-Patient": MARK, "User-Agent": MARK, "Referer": f"http://ris/{MARK}", "Cookie": f"a={MARK}"}
    for below in (
        "",
        "/metadata",
        "/frames/1",
        "/bulkdata/7FE00010",
        "/rendered",
        "/thumbnail",
        "/pixeldata",
    ):
        for accept in ("*/*", "application/json", "image/png", "text/plain", "text/html", XML):
            server.send("GET", f"{path}{below}{query}", headers={"Accept": accept, **fields})
    server.send(
        "GET",
        f"{path}/bulkdata/7FE00010",
        headers={"Accept": "application/octet-stream", "Range": "bytes=9999-"},
    )
    server.send("GET", f"{path}/rendered?annotation=patient", headers={"Accept": "image/jpeg"})
    server.send("GET", f"{path}?anonymize=yes", headers={"Accept": DICOM})


def refuse(server: Watched, ds: Dataset) -> None:
    """Methods, types and bodies that are not taken; instances that are not there any more."""
    path = instance_path(ds)
    for method in ("PUT", "PATCH", "POST"):
        server.send(
            method, f"{path}?PatientName={MARK}", content=MARK.encode(), headers={"Content-Type": DICOM}
        )
    other = marked()
    server.store(build.part10(other))
    server.send("DELETE", f"/dicom-web/studies/{other.StudyInstanceUID}?PatientName={MARK}")
    server.send("GET", f"/dicom-web/studies/{other.StudyInstanceUID}", headers={"Accept": "*/*"})
    server.send("GET", f"/dicom-web/studies/1.2.3?PatientName={MARK}", headers={"Accept": "*/*"})
    server.store(build.part10(other), query=f"?PatientName={MARK}")


def break_and_ask(server: Watched, ds: Dataset, data: Path) -> None:
    """Take away the index, then the objects: what fails is logged by its place, not by its text."""
    path = instance_path(ds)
    with closing(sqlite3.connect(data / "index.sqlite")) as index:
        index.execute("ALTER TABLE study RENAME TO elsewhere")
        try:
            server.send("GET", f"/dicom-web/studies?PatientName={MARK}", headers={"Accept": JSON})
            server.store(build.part10(marked()))
        finally:
            index.execute("ALTER TABLE elsewhere RENAME TO study")
    for stored in [entry for entry in (data / "objects").rglob("*") if entry.is_file()]:
        stored.write_bytes(MARK.encode() * (stored.stat().st_size // len(MARK) + 1))
    for below in ("", "/metadata", "/frames/1", "/rendered", "/thumbnail", "/bulkdata/7FE00010"):
        server.send("GET", f"{path}{below}?PatientName={MARK}", headers={"Accept": "*/*"})
    shutil.rmtree(data / "objects")
    for below in ("", "/metadata", "/frames/1", "/rendered"):
        server.send("GET", f"{path}{below}?PatientName={MARK}", headers={"Accept": "*/*"})
    server.store(build.part10(marked()))
