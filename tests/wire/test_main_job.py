"""The main job over a real socket: in over STOW-RS, found over QIDO-RS, read over WADO-RS."""

from __future__ import annotations

import io
from typing import Any

import httpx
import pydicom
import pytest
from pydicom.uid import generate_uid
from tests import build
from tests.live import LiveServer, multipart

JSON = {"Accept": "application/dicom+json"}


def store(http: httpx.Client, *files: bytes, study: str = "") -> httpx.Response:
    body, content_type = multipart(files)
    path = f"/studies/{study}" if study else "/studies"
    return http.post(path, content=body, headers={"Content-Type": content_type, **JSON})


def path_of(ds: Any) -> str:
    return f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"


def test_stored_instances_are_found_and_come_back_byte_for_byte(http: httpx.Client) -> None:
    ds = build.dataset(PatientID="main-job", PatientName="Main^Job")
    sent = build.part10(ds)
    answer = store(http, sent)
    assert answer.status_code == 200, answer.text
    response = answer.json()
    assert response["00081199"]["Value"][0]["00081155"]["Value"] == [ds.SOPInstanceUID]
    assert "00081198" not in response

    found = http.get("/studies", params={"PatientID": "main-job"}, headers=JSON)
    assert found.status_code == 200
    (study,) = found.json()
    assert study["0020000D"]["Value"] == [ds.StudyInstanceUID]
    assert study["00201208"]["Value"] == [1]
    assert study["00081190"]["Value"] == [f"{http.base_url}".rstrip("/") + f"/studies/{ds.StudyInstanceUID}"]

    got = http.get(path_of(ds), headers={"Accept": "application/dicom; transfer-syntax=*"})
    assert got.status_code == 200
    assert got.content == sent
    assert int(got.headers["content-length"]) == len(sent)


def test_metadata_describes_the_instance_and_its_bulk_data_can_be_had(http: httpx.Client) -> None:
    ds = build.dataset()
    store(http, build.part10(ds))
    answer = http.get(path_of(ds) + "/metadata", headers=JSON)
    assert answer.status_code == 200
    (metadata,) = answer.json()
    assert metadata["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}
    uri = metadata["7FE00010"]["BulkDataURI"]
    bulk = http.get(uri, headers={"Accept": "application/octet-stream"})
    assert bulk.status_code == 200
    assert bulk.content == ds.PixelData
    assert "immutable" in bulk.headers["cache-control"]


def test_frames_come_back_in_the_order_asked(http: httpx.Client) -> None:
    ds = build.dataset(NumberOfFrames=3, Rows=4, Columns=4, PixelData=bytes(range(96)))
    store(http, build.part10(ds))
    accept = {"Accept": 'multipart/related; type="application/octet-stream"'}
    answer = http.get(path_of(ds) + "/frames/3,1", headers=accept)
    assert answer.status_code == 200
    third, first = answer.content.index(bytes(range(64, 96))), answer.content.index(bytes(range(32)))
    assert third < first
    assert int(answer.headers["content-length"]) == len(answer.content)
    single = http.get(path_of(ds) + "/frames/2", headers={"Accept": "application/octet-stream"})
    assert single.content == bytes(range(32, 64))


def test_the_same_again_is_success_and_other_content_is_refused(http: httpx.Client) -> None:
    ds = build.dataset()
    assert store(http, build.part10(ds)).status_code == 200
    assert store(http, build.part10(ds)).status_code == 200
    ds.PatientID = "somebody else"
    answer = store(http, build.part10(ds))
    assert answer.status_code == 409
    (failed,) = answer.json()["00081198"]["Value"]
    assert failed["00081197"]["Value"] == [0x0111]
    assert "PatientID" in answer.text or "PatientID" in str(answer.headers)


def test_an_instance_of_another_study_fails_alone(http: httpx.Client) -> None:
    mine, other = build.dataset(), build.dataset()
    answer = store(http, build.part10(mine), build.part10(other), study=mine.StudyInstanceUID)
    assert answer.status_code == 202
    assert answer.json()["00081198"]["Value"][0]["00081155"]["Value"] == [other.SOPInstanceUID]
    assert http.get(path_of(other)).status_code == 404


def test_bad_parts_fail_and_leave_nothing(http: httpx.Client) -> None:
    ds = build.dataset(PatientID="cut")
    answer = store(http, build.part10(ds)[:-30], b"no dicom at all")
    assert answer.status_code == 409
    assert http.get("/studies", params={"PatientID": "cut"}).status_code == 204


@pytest.mark.parametrize("level", ["study", "series"])
def test_delete_leaves_a_tombstone(http: httpx.Client, level: str) -> None:
    ds = build.dataset()
    store(http, build.part10(ds))
    path = f"/studies/{ds.StudyInstanceUID}"
    if level == "series":
        path += f"/series/{ds.SeriesInstanceUID}"
    assert http.delete(path).status_code == 204
    assert http.get(path_of(ds)).status_code == 410
    assert http.get("/studies", params={"StudyInstanceUID": ds.StudyInstanceUID}).status_code == 204
    assert store(http, build.part10(ds)).status_code == 200
    assert http.get(path_of(ds)).status_code == 200


def test_a_study_comes_as_multipart_with_exact_length(http: httpx.Client) -> None:
    study = generate_uid()
    sent = [build.dataset(StudyInstanceUID=study, InstanceNumber=n) for n in (1, 2, 3)]
    store(http, *(build.part10(ds) for ds in sent))
    answer = http.get(
        f"/studies/{study}",
        headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'},
    )
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.content.count(b"DICM") == 3


def test_etag_answers_304(http: httpx.Client) -> None:
    ds = build.dataset()
    store(http, build.part10(ds))
    url = f"/studies/{ds.StudyInstanceUID}/metadata"
    first = http.get(url, headers=JSON)
    assert http.get(url, headers={**JSON, "If-None-Match": first.headers["etag"]}).status_code == 304
    ds.SOPInstanceUID = generate_uid()
    store(http, build.part10(ds))
    again = http.get(url, headers={**JSON, "If-None-Match": first.headers["etag"]})
    assert again.status_code == 200
    assert len(again.json()) == 2


def test_range_and_head_on_single_parts(http: httpx.Client) -> None:
    ds = build.dataset()
    sent = build.part10(ds)
    store(http, sent)
    accept = {"Accept": "application/dicom; transfer-syntax=*"}
    part = http.get(path_of(ds), headers={**accept, "Range": "bytes=10-19"})
    assert part.status_code == 206
    assert part.content == sent[10:20]
    assert http.get(path_of(ds), headers={**accept, "Range": "bytes=9999999-"}).status_code == 416
    head = http.head(path_of(ds), headers=accept)
    assert head.status_code == 200
    assert int(head.headers["content-length"]) == len(sent)


def test_compressed_comes_decoded_by_default(http: httpx.Client) -> None:
    from pydicom.data import get_testdata_file

    file = str(get_testdata_file("MR_small_RLE.dcm"))
    ds = pydicom.dcmread(file)
    with open(file, "rb") as handle:
        store(http, handle.read())
    answer = http.get(path_of(ds), headers={"Accept": "application/dicom"})
    assert answer.status_code == 200, answer.text
    got = pydicom.dcmread(io.BytesIO(answer.content))
    assert got.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert (got.pixel_array == ds.pixel_array).all()


def test_unknown_things_are_404_and_malformed_ones_400(http: httpx.Client, server: LiveServer) -> None:
    assert http.get("/studies/1.2.3.4.5").status_code == 404
    assert http.get("/studies/abc").status_code == 400
    assert http.get("/studies/1.2.3/nothing").status_code == 404
    assert http.put("/studies").status_code == 405
    problem = http.get("/studies/abc", headers={"Accept": "application/json"})
    assert problem.headers["content-type"].startswith("application/problem+json")
    assert httpx.get(server.base + "/", headers={"Host": "evil.example"}).status_code == 421
