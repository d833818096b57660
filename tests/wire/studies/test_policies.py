"""What the site's rules do to instances by their senders, over the wire: each sender has an address of its own."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway.dicom import uids
from gateway.dicom.encoding.part10 import Part10Reader
from gateway.model import VersionId
from pydicom import dcmread
from pydicom.dataset import Dataset
from tests import build
from tests.corpus import rows
from tests.live import LiveServer, multipart, run, serving

COERCED, ASIDE, REJECTED, REPLACING, KEEPING, OTHER = (f"127.0.0.{n}" for n in range(2, 8))
MEANT = {"X-Requested-With": "test"}
RULES = [
    {
        "peer": COERCED,
        "action": "coerce",
        "change": [
            {"attribute": "InstitutionName", "value": "St. Mary's"},
            {"attribute": "IssuerOfPatientID", "value": "MARY", "when": "empty"},
            {"attribute": "OperatorsName", "remove": True},
            {"attribute": "PatientComments", "value": "Ärzte 病院"},
        ],
    },
    {"peer": ASIDE, "action": "quarantine", "reason": "a new modality is on trial"},
    {"peer": REJECTED, "action": "reject", "reason": "this sender is retired"},
    {"peer": REPLACING, "repeat": "replace"},
    {"peer": KEEPING, "repeat": "keep-first"},
]
REFERENCED, FAILED = "00081199", "00081198"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("policies")


@pytest.fixture(scope="module")
def server(data: Path) -> Iterator[LiveServer]:
    with serving(data, environment={"GATEWAY_STORE_RULES": json.dumps(RULES)}) as live:
        yield live


@contextmanager
def sender(server: LiveServer, address: str) -> Iterator[httpx.Client]:
    transport = httpx.HTTPTransport(local_address=address)
    with httpx.Client(base_url=server.root, transport=transport, timeout=60) as client:
        yield client


def sent(server: LiveServer, address: str, *files: bytes) -> httpx.Response:
    body, content_type = multipart(files)
    with sender(server, address) as client:
        return client.post(
            "/studies",
            content=body,
            headers={"Content-Type": content_type, "Accept": "application/dicom+json"},
        )


def item(answer: httpx.Response, sequence: str) -> dict[str, Any]:
    (found,) = answer.json()[sequence]["Value"]
    return dict(found)


def path_of(ds: Dataset) -> str:
    return f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"


def retrieved(server: LiveServer, ds: Dataset) -> bytes:
    syntax = {"Accept": "application/dicom; transfer-syntax=*"}
    answer = httpx.get(f"{server.root}{path_of(ds)}", headers=syntax)
    assert answer.status_code == 200
    return answer.content


def fresh(**given: Any) -> Dataset:
    return build.dataset(InstitutionName="Elsewhere", OperatorsName="Op^One", **given)


# -- coerce


@pytest.mark.row("S-71")
@pytest.mark.parametrize(
    "syntax",
    [
        uids.EXPLICIT_VR_LITTLE_ENDIAN,
        uids.IMPLICIT_VR_LITTLE_ENDIAN,
        uids.EXPLICIT_VR_BIG_ENDIAN,
        uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ],
)
def test_coerced_attributes_are_changed_and_remembered(server: LiveServer, syntax: str) -> None:
    ds = fresh()
    answer = sent(server, COERCED, _written(ds, syntax))
    assert answer.status_code == 202
    told = item(answer, REFERENCED)
    assert told["00081196"]["Value"] == [0xB000]
    assert "coerced" in answer.headers["warning"]
    stored = dcmread(BytesIO(retrieved(server, ds)))
    assert (stored.InstitutionName, stored.IssuerOfPatientID) == ("St. Mary's", "MARY")
    assert stored.PatientComments == "Ärzte 病院"
    assert "OperatorsName" not in stored
    (original,) = stored.OriginalAttributesSequence
    assert original.ReasonForTheAttributeModification == "COERCE"
    assert original.SourceOfPreviousValues == COERCED
    (old,) = original.ModifiedAttributesSequence
    assert (old.InstitutionName, old.OperatorsName, old.IssuerOfPatientID) == ("Elsewhere", "Op^One", "")
    assert told["04000561"]["Value"][0]["04000565"]["Value"] == ["COERCE"]
    assert stored.PixelData == bytes(range(128))
    (model,) = httpx.get(f"{server.root}{path_of(ds)}/metadata").json()
    assert model["00080080"]["Value"] == ["St. Mary's"]
    frame = httpx.get(f"{server.root}{path_of(ds)}/frames/1", headers={"Accept": "application/octet-stream"})
    assert frame.content == bytes(range(128))


def _written(ds: Dataset, syntax: str) -> bytes:
    """Big endian pixel words, where the file is so."""
    if syntax != uids.EXPLICIT_VR_BIG_ENDIAN:
        return build.part10(ds, syntax)
    words = ds.PixelData
    ds.PixelData = b"".join(words[n + 1 : n + 2] + words[n : n + 1] for n in range(0, len(words), 2))
    ds["PixelData"].VR = "OW"
    return build.part10(ds, syntax)


@pytest.mark.row("S-71", "S-73")
def test_what_was_coerced_is_known_again(server: LiveServer) -> None:
    """The same file, and the file that we have of it: nothing more is stored."""
    ds = fresh()
    data = build.part10(ds)
    assert sent(server, COERCED, data).status_code == 202
    first = retrieved(server, ds)
    assert sent(server, COERCED, data).status_code == 202
    assert sent(server, OTHER, first).status_code == 200
    assert sent(server, COERCED, first).status_code == 200
    assert retrieved(server, ds) == first
    answer = sent(server, OTHER, data)
    assert answer.status_code == 200, "it was received before"


def test_what_already_is_as_it_should_be_stays_as_it_is(server: LiveServer) -> None:
    ds = build.dataset(InstitutionName="St. Mary's", IssuerOfPatientID="ELSE", PatientComments="Ärzte 病院")
    ds.SpecificCharacterSet = "ISO_IR 192"
    data = build.part10(ds)
    assert sent(server, COERCED, data).status_code == 200
    assert retrieved(server, ds) == data


COERCES = {"00080080", "00100021", "00081070", "00104000", "04000561", "00080005"}


def bare(model: dict[str, Any]) -> dict[str, Any]:
    """Without what the rule changes, and where bulk data is."""
    found: dict[str, Any] = {}
    for tag, member in model.items():
        if tag in COERCES:
            continue
        if "BulkDataURI" in member:
            found[tag] = "by reference"
        elif member["vr"] == "SQ":
            found[tag] = [bare(part) for part in member.get("Value", ())]
        else:
            found[tag] = member
    return found


def model_of(data: bytes) -> dict[str, Any]:
    reader = Part10Reader(version=VersionId("0" * 32))
    reader.feed(data)
    found: dict[str, Any] = json.loads(reader.finish().metadata.replace(b"\0", b""))
    return found


def pixels_of(data: bytes) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what pydicom thinks of a damaged file is not the question
        ds = dcmread(BytesIO(data), force=True)
    return bytes(ds.get("PixelData") or b"")


@pytest.mark.row("S-71")
def test_every_kind_of_file_is_coerced_or_refused_whole(server: LiveServer) -> None:
    """The corpus: everything but what was coerced is as it was, pixels too."""
    done, wrong = 0, list[str]()
    for row in rows()[::3]:
        data = row.read()
        if len(data) > 2 << 20:
            continue
        answer = sent(server, COERCED, data)
        assert answer.status_code in (200, 202, 400, 409), row.name
        if REFERENCED not in answer.json() or "04000561" not in item(answer, REFERENCED):
            continue
        path = item(answer, REFERENCED)["00081190"]["Value"][0]
        (model,) = httpx.get(f"{path}/metadata", timeout=60).json()
        assert model["00080080"]["Value"] == ["St. Mary's"], row.name
        if bare(model) != bare(model_of(data)):
            wrong.append(row.name)
        if row.transfer_syntax != uids.EXPLICIT_VR_BIG_ENDIAN:
            file = httpx.get(path, headers={"Accept": "application/dicom; transfer-syntax=*"}, timeout=60)
            if pixels_of(file.content) != pixels_of(data):
                wrong.append(f"{row.name}: pixels")
        done += 1
    assert wrong == []
    assert done > 40


# -- quarantine


def test_quarantined_instances_are_seen_once_released(server: LiveServer) -> None:
    ds = build.dataset()
    data = build.part10(ds)
    answer = sent(server, ASIDE, data)
    assert answer.status_code == 202
    assert "location" not in answer.headers
    assert item(answer, REFERENCED)["00081190"] == {"vr": "UR"}
    assert "a new modality is on trial" in answer.headers["warning"]
    url = f"{server.root}{path_of(ds)}"
    study = f"/studies/{ds.StudyInstanceUID}"
    search = f"{server.root}/instances?SOPInstanceUID={ds.SOPInstanceUID}"
    assert (httpx.get(url).status_code, httpx.get(search).status_code) == (404, 204)
    aside = f"{server.base}/api/v1/quarantine"
    found = httpx.get(aside, params={"limit": 1000}).json()["quarantined"]
    shown = {"study": ds.StudyInstanceUID, "series": ds.SeriesInstanceUID, "instances": 1, "modality": "CT"}
    assert shown in found
    answer = httpx.post(f"{aside}{study}/release", headers=MEANT)
    assert (answer.status_code, answer.json()) == (
        200,
        {"released": 1, "failed": [], "url": f"{server.root}{study}"},
    )
    assert retrieved(server, ds) == data
    assert httpx.get(search).status_code == 200
    assert shown not in httpx.get(aside).json()["quarantined"]
    assert httpx.post(f"{aside}{study}/release", headers=MEANT).status_code == 410


def test_what_cannot_be_released_stays_aside(server: LiveServer) -> None:
    ds = build.dataset()
    assert sent(server, ASIDE, build.part10(ds)).status_code == 202
    ds.PatientID = "other"
    assert sent(server, OTHER, build.part10(ds)).status_code == 200
    aside = f"{server.base}/api/v1/quarantine/studies/{ds.StudyInstanceUID}"
    answer = httpx.post(f"{aside}/release", headers=MEANT)
    assert (answer.status_code, "PatientID" in answer.json()["detail"]) == (409, True)
    assert [httpx.delete(aside, headers=MEANT).status_code for _ in range(2)] == [204, 410]
    assert httpx.get(f"{server.root}{path_of(ds)}").status_code == 200


def test_nothing_is_set_aside_by_an_unknown_name(server: LiveServer) -> None:
    aside = f"{server.base}/api/v1/quarantine/studies/1.2.3.999"
    assert (
        httpx.post(f"{aside}/release", headers=MEANT).status_code,
        httpx.delete(aside, headers=MEANT).status_code,
    ) == (404, 404)


# -- reject


@pytest.mark.row("S-F-0124")
def test_a_rejected_sender_is_told_why(server: LiveServer) -> None:
    ds = build.dataset()
    answer = sent(server, REJECTED, build.part10(ds))
    assert answer.status_code == 409
    failed = item(answer, FAILED)
    assert (failed["00081197"]["Value"], failed["00081155"]["Value"]) == ([0x0124], [ds.SOPInstanceUID])
    assert "this sender is retired" in answer.headers["warning"]
    assert httpx.get(f"{server.root}{path_of(ds)}").status_code == 404


# -- other content under a known UID


@pytest.mark.row("S-73")
@pytest.mark.parametrize(
    ("address", "status", "kept", "said"),
    [
        (OTHER, 409, "first", "differing: PatientID, PatientSex"),
        (KEEPING, 200, "first", "the first is kept; differing: PatientID, PatientSex"),
        (REPLACING, 200, "second", "it is replaced; differing: PatientID, PatientSex"),
    ],
)
def test_other_content_under_a_known_uid(
    server: LiveServer, address: str, status: int, kept: str, said: str
) -> None:
    ds = build.dataset(PatientID="first")
    assert sent(server, OTHER, build.part10(ds)).status_code == 200
    before = httpx.get(f"{server.root}{path_of(ds)}/metadata").headers["etag"]
    ds.PatientID, ds.PatientSex = "second", "M"
    answer = sent(server, address, build.part10(ds))
    assert answer.status_code == status
    assert said in answer.headers["warning"]
    after = httpx.get(f"{server.root}{path_of(ds)}/metadata")
    assert after.json()[0]["00100020"]["Value"] == [kept]
    assert (after.headers["etag"] == before) == (kept == "first")


# -- afterwards


def test_journal_index_and_store_agree(server: LiveServer, data: Path) -> None:
    """Nothing that was coerced, set aside, rejected or refused leaves an object behind, or comes back."""
    ds = fresh()
    assert sent(server, COERCED, build.part10(ds)).status_code == 202
    before = httpx.get(f"{server.root}/instances?limit=1000").json()
    assert server.stop() == 0
    assert run("verify", data=data).stdout.strip() == "no damage"
    assert run("reindex", data=data).returncode == 0
    assert run("verify", data=data).stdout.strip() == "no damage"
    with serving(data) as again:
        after = httpx.get(f"{again.root}/instances?limit=1000").json()
        assert [row["00080018"] for row in after] == [row["00080018"] for row in before]
        assert sent(again, OTHER, build.part10(ds)).status_code == 200, "it was received before"


def test_a_wrong_rule_is_said_at_start(tmp_path: Path) -> None:
    rules = {"GATEWAY_STORE_RULES": '[{"action": "burn"}]'}
    done = run("verify", data=tmp_path, environment=rules)
    assert (done.returncode, "rule 1: action 'burn'" in done.stderr) == (2, True)
