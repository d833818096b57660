"""DELETE, undone within its window and reclaimed after it, over the wire (our extension)."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from gateway.dicom import uids
from pydicom.dataset import Dataset
from tests import build
from tests.live import LiveServer, multipart, run, serving

DELETED = "/api/v1/deleted"
MEANT = {"X-Requested-With": "test"}


def stored(http: httpx.Client, *sets: Dataset, transfer_syntax: str = uids.EXPLICIT_VR_LITTLE_ENDIAN) -> None:
    body, content_type = multipart([build.part10(ds, transfer_syntax) for ds in sets])
    assert http.post("/studies", content=body, headers={"Content-Type": content_type}).status_code == 200


def study_path(ds: Dataset) -> str:
    return f"/studies/{ds.StudyInstanceUID}"


def series_path(ds: Dataset) -> str:
    return f"{study_path(ds)}/series/{ds.SeriesInstanceUID}"


def instance_path(ds: Dataset) -> str:
    return f"{series_path(ds)}/instances/{ds.SOPInstanceUID}"


def seen(http: httpx.Client, ds: Dataset) -> list[tuple[int, bytes, str]]:
    """All that is told of a study, ETags too."""
    study = study_path(ds)
    answers = [
        http.get(path)
        for path in (
            f"/studies?StudyInstanceUID={ds.StudyInstanceUID}&includefield=all",
            f"/instances?StudyInstanceUID={ds.StudyInstanceUID}&includefield=all",
            f"{study}/metadata",
            study,
        )
    ]
    return [(a.status_code, a.content, a.headers.get("etag", "")) for a in answers]


def restore(server: LiveServer, path: str) -> httpx.Response:
    return httpx.post(f"{server.base}{DELETED}{path}/restore", headers=MEANT)


def test_restoring_wants_no_body_and_no_length(server: LiveServer) -> None:
    """As `curl -X POST` asks: without a body, HTTP/1.1 wants no Content-Length either."""
    place = urlsplit(server.base)
    connection = http.client.HTTPConnection(str(place.hostname), int(place.port or 0), timeout=20)
    connection.putrequest("POST", f"{DELETED}/studies/1.2.3.4.5/restore")
    connection.putheader("X-Requested-With", "test")
    connection.endheaders()
    assert connection.getresponse().status == 404
    connection.close()


def listed(server: LiveServer, ds: Dataset) -> list[dict[str, Any]]:
    answer = httpx.get(f"{server.base}{DELETED}", params={"study": ds.StudyInstanceUID})
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["deleted"]
    return found


@pytest.mark.parametrize(("path", "gone"), [(study_path, 3), (series_path, 2), (instance_path, 1)])
def test_a_delete_is_undone(
    server: LiveServer, http: httpx.Client, path: Callable[[Dataset], str], gone: int
) -> None:
    first = build.dataset()
    second = build.dataset(
        StudyInstanceUID=first.StudyInstanceUID, SeriesInstanceUID=first.SeriesInstanceUID, InstanceNumber=2
    )
    stored(http, first, second, build.dataset(StudyInstanceUID=first.StudyInstanceUID, Modality="PT"))
    before = seen(http, first)
    assert [http.delete(path(first)).status_code for _ in range(2)] == [204, 410]
    assert http.get(path(first)).status_code == 410
    assert seen(http, first) != before
    found = listed(server, first)
    assert sum(one["instances"] for one in found) == gone
    for one in found:
        window = datetime.fromisoformat(one["reclaimed"]) - datetime.fromisoformat(one["deleted"])
        assert abs(window - timedelta(days=7)) < timedelta(seconds=1)
    answer = restore(server, path(first))
    assert (answer.status_code, answer.json()["restored"]) == (200, gone)
    assert answer.json()["url"] == f"{server.root}{path(first)}"
    assert seen(http, first) == before
    assert listed(server, first) == []
    again = restore(server, path(first))
    assert (again.status_code, again.json()["uid"]) == (409, path(first).rpartition("/")[2])


def test_storing_again_after_a_delete_makes_a_new_version(server: LiveServer, http: httpx.Client) -> None:
    ds = build.dataset()
    stored(http, ds)
    before = http.get(f"{study_path(ds)}/metadata").headers["etag"]
    assert http.delete(study_path(ds)).status_code == 204
    stored(http, ds)
    after = http.get(f"{study_path(ds)}/metadata")
    assert after.status_code == 200
    assert after.headers["etag"] != before
    assert restore(server, study_path(ds)).status_code == 409


@pytest.mark.parametrize(
    ("path", "status"),
    [("/studies/1.2.3.999", 404), ("/studies/x", 400), ("/studies/1.2.3.999/series/1.2", 404)],
)
def test_what_cannot_be_restored(server: LiveServer, path: str, status: int) -> None:
    assert restore(server, path).status_code == status
    assert httpx.delete(f"{server.root}{path}").status_code == status


@pytest.mark.parametrize(
    ("query", "parameter"), [("study=x", "study"), ("limit=-1", "limit"), ("after=1.2", "after")]
)
def test_the_list_names_what_is_wrong(server: LiveServer, query: str, parameter: str) -> None:
    answer = httpx.get(f"{server.base}{DELETED}?{query}")
    assert (answer.status_code, answer.json()["parameter"]) == (400, parameter)


def test_the_list_comes_in_pages(server: LiveServer, http: httpx.Client) -> None:
    sets = [build.dataset() for _ in range(3)]
    stored(http, *sets)
    for ds in sets:
        assert http.delete(study_path(ds)).status_code == 204
    found, query = [], {"limit": "1"}
    while True:
        page = httpx.get(f"{server.base}{DELETED}", params=query).json()
        found += [one["study"] for one in page["deleted"]]
        if "next" not in page:
            break
        query["after"] = page["next"]
    assert set(found) >= {ds.StudyInstanceUID for ds in sets}
    assert found == sorted(found)


def objects(data: Path) -> set[str]:
    return {path.name for path in (data / "objects").rglob("*") if path.suffix in (".dcm", ".inflated")}


def test_reclaimed_bytes_are_gone_and_stay_gone(data: Path) -> None:
    deleted, kept, deflated = build.dataset(), build.dataset(), build.dataset()
    with serving(data) as server, httpx.Client(base_url=server.root) as http:
        stored(http, kept)
        before = objects(data)
        stored(http, deleted)
        stored(http, deflated, transfer_syntax=uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
        assert http.get(f"{instance_path(deflated)}/frames/1").status_code == 200
        assert any(name.endswith(".inflated") for name in objects(data))
        for ds in (deleted, deflated):
            assert http.delete(study_path(ds)).status_code == 204
        assert run("reclaim", data=data).stdout.startswith("0 deleted versions")
        assert "older_than" in run("reclaim", "--older-than", "soon", data=data).stderr
        done = run("reclaim", "--older-than", "0s", data=data)
        assert (done.returncode, done.stdout.split(",")[0]) == (0, "2 deleted versions reclaimed")
        assert objects(data) == before
        answer = restore(server, study_path(deleted))
        assert (answer.status_code, "given up" in answer.json()["detail"]) == (410, True)
        assert http.get(study_path(deleted)).status_code == 410
        told = [seen(http, ds) for ds in (deleted, kept)]
    assert run("verify", data=data).stdout.strip() == "no damage"
    assert run("reindex", data=data).returncode == 0
    assert run("verify", data=data).stdout.strip() == "no damage"
    with serving(data) as server, httpx.Client(base_url=server.root) as http:
        again = [seen(http, ds) for ds in (deleted, kept)]
        assert [[a[0] for a in one] for one in again] == [[a[0] for a in one] for one in told]
        assert http.delete(study_path(deleted)).status_code == 410
        stored(http, deleted)
        assert http.get(study_path(deleted)).status_code == 200


def test_the_server_reclaims_by_itself(data: Path) -> None:
    ds = build.dataset()
    with (
        serving(data, environment={"GATEWAY_UNDO_WINDOW": "1s"}) as server,
        httpx.Client(base_url=server.root) as http,
    ):
        stored(http, ds)
        assert http.delete(study_path(ds)).status_code == 204
        assert objects(data)
        deadline = time.monotonic() + 20
        while objects(data) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert objects(data) == set()
        assert http.get(study_path(ds)).status_code == 410


@pytest.mark.parametrize("window", ["soon", "7", "-1d", ""])
def test_a_wrong_window_is_said_at_start(data: Path, window: str) -> None:
    done = run("verify", data=data, environment={"GATEWAY_UNDO_WINDOW": window})
    assert (done.returncode, "undo_window" in done.stderr) == (2, True)


def test_never_reclaims_only_when_told_an_age(data: Path) -> None:
    data.mkdir()
    never = {"GATEWAY_UNDO_WINDOW": "never"}
    assert run("reclaim", data=data, environment=never).returncode == 2
    assert run("reclaim", "--older-than", "1d", data=data, environment=never).returncode == 0
