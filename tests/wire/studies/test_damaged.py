"""What a rebuilt index found damaged: named where it is asked for, left out and counted where more is."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from pydicom.uid import generate_uid
from tests import build
from tests.live import multipart, run, serving

STUDY = generate_uid()
JSON = "application/dicom+json"
ANY = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}


def stow(http: httpx.Client, file: bytes) -> int:
    body, content_type = multipart([file])
    return http.post("/studies", content=body, headers={"Content-Type": content_type}).status_code


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, bytes, str, str]]:
    """A study of two of which one lost its object, and a study whose only object is lost."""
    data = tmp_path_factory.mktemp("damaged") / "data"
    whole, lost, alone = (
        build.dataset(StudyInstanceUID=STUDY),
        build.dataset(StudyInstanceUID=STUDY),
        build.dataset(),
    )
    files = [build.part10(ds) for ds in (whole, lost, alone)]
    with serving(data) as server, httpx.Client(base_url=server.root, timeout=30) as http:
        assert [stow(http, file) for file in files] == [200] * 3
    for file in (data / "objects").rglob("*.dcm"):
        if file.read_bytes()[-200:] and any(
            ds.SOPInstanceUID.encode() in file.read_bytes() for ds in (lost, alone)
        ):
            file.unlink()
    for file in data.glob("index.sqlite*"):
        file.unlink()  # and with it what was known of the headers
    rebuilt = run("reindex", data=data)
    assert rebuilt.returncode == 1
    assert rebuilt.stderr.count("is missing") == 2
    with serving(data) as server, httpx.Client(base_url=server.root, timeout=30) as http:
        yield http, files[1], _path(lost), _path(alone)


def _path(ds: object) -> str:
    uids = [getattr(ds, name) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")]
    return "/studies/{}/series/{}/instances/{}".format(*uids)


Archive = tuple[httpx.Client, bytes, str, str]


@pytest.mark.parametrize(
    "below", ["", "/metadata", "/frames/1", "/bulkdata/7FE00010", "/rendered", "/thumbnail"]
)
def test_a_damaged_instance_answers_with_its_reason(archive: Archive, below: str) -> None:
    http, _, _, alone = archive
    answer = http.get(alone + below)
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/problem+json"
    assert "is missing" in answer.json()["detail"]
    assert answer.json()["uid"] == alone.rpartition("/")[2]


def test_a_study_tells_what_it_lacks(archive: Archive) -> None:
    http, _, _, _ = archive
    for below in ("", "/metadata"):
        answer = http.get(f"/studies/{STUDY}{below}", headers={} if below else ANY)
        assert answer.status_code == 206
        assert "1 instances are damaged" in answer.headers["warning"]
        assert "etag" not in answer.headers
    assert len(http.get(f"/studies/{STUDY}/metadata").json()) == 1
    assert http.get(f"/studies/{STUDY}", headers={"Accept": "application/zip"}).status_code == 502


def test_searches_list_it_as_unavailable(archive: Archive) -> None:
    http, _, lost, _ = archive
    found = http.get("/instances", params={"StudyInstanceUID": STUDY}).json()
    shown = {row["00080018"]["Value"][0]: row["00080056"]["Value"][0] for row in found}
    assert shown[lost.rpartition("/")[2]] == "UNAVAILABLE"
    assert sorted(shown.values()) == ["ONLINE", "UNAVAILABLE"]


def test_it_heals_when_it_is_sent_again(archive: Archive) -> None:
    http, file, lost, _ = archive
    assert stow(http, file) == 200
    answer = http.get(lost, headers={"Accept": "application/dicom; transfer-syntax=*"})
    assert (answer.status_code, answer.content) == (200, file)
    assert http.get(f"/studies/{STUDY}", headers=ANY).status_code == 200


@pytest.mark.parametrize("accept", [JSON, 'multipart/related; type="application/dicom+xml"'])
def test_a_study_of_long_metadata_tells_what_it_lacks_too(
    tmp_path_factory: pytest.TempPathFactory, accept: str
) -> None:
    """What is written in pages has neither an entity tag, nor breaks for want of one."""
    data = tmp_path_factory.mktemp("long") / "data"
    study = generate_uid()
    made = [build.dataset(StudyInstanceUID=study) for _ in range(3)]
    for ds in made:
        block = ds.private_block(0x0011, "LONG", create=True)
        for element in range(100):
            block.add_new(element, "UT", f"{element:08d}" * 6250)
    with serving(data) as server, httpx.Client(base_url=server.root, timeout=60) as http:
        assert [stow(http, build.part10(ds)) for ds in made] == [200] * 3
    for file in (data / "objects").rglob("*.dcm"):
        if made[0].SOPInstanceUID.encode() in file.read_bytes():
            file.unlink()
    for file in data.glob("index.sqlite*"):
        file.unlink()
    assert run("reindex", data=data).returncode == 1
    with serving(data) as server, httpx.Client(base_url=server.root, timeout=60) as http:
        answer = http.get(f"/studies/{study}/metadata", headers={"Accept": accept})
    assert answer.status_code == 206
    assert "content-length" not in answer.headers  # or it was not long enough to be paged
    assert "etag" not in answer.headers
    assert "1 instances are damaged" in answer.headers["warning"]
