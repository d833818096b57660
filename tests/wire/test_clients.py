"""`dicomweb-client` (Python) drives every method it has for the main job against a live server."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom.data import get_testdata_file
from tests.live import LiveServer, serving

FILES = ("CT_small.dcm", "MR_small.dcm", "emri_small.dcm", "test-SR.dcm", "examples_rgb_color.dcm")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    with serving(tmp_path_factory.mktemp("client")) as live:
        client = DICOMwebClient(url=live.root)
        client.store_instances([pydicom.dcmread(_file(name)) for name in FILES if _has(name)])
        yield client


def _has(name: str) -> bool:
    return get_testdata_file(name, download=False) is not None


def _file(name: str) -> str:
    path = get_testdata_file(name, download=False)
    assert path is not None
    return str(path)


def test_searches(client: DICOMwebClient) -> None:
    studies = client.search_for_studies(search_filters={"PatientID": "1CT1"}, fields=["StudyDescription"])
    assert len(studies) == 1
    assert studies[0]["0020000D"]["Value"] == [pydicom.dcmread(_file("CT_small.dcm")).StudyInstanceUID]
    assert client.search_for_studies(search_filters={"PatientName": "nobody^*"}) == []
    assert len(client.search_for_series()) >= 4
    assert len(client.search_for_instances(limit=2)) == 2


def test_metadata_and_instances(client: DICOMwebClient) -> None:
    ds = pydicom.dcmread(_file("CT_small.dcm"))
    where = (ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)
    metadata = client.retrieve_instance_metadata(*where)
    assert metadata["00100020"]["Value"] == ["1CT1"]
    assert len(client.retrieve_series_metadata(*where[:2])) == 1
    assert len(client.retrieve_study_metadata(where[0])) == 1
    got = client.retrieve_instance(*where)
    assert got.PixelData == ds.PixelData
    assert len(client.retrieve_series(*where[:2])) == 1
    assert len(client.retrieve_study(where[0])) == 1


def test_frames_and_bulk_data(client: DICOMwebClient) -> None:
    ds = pydicom.dcmread(_file("MR_small.dcm"))
    where = (ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)
    (frame,) = client.retrieve_instance_frames(*where, frame_numbers=[1])
    assert frame == ds.PixelData
    (octets,) = client.retrieve_instance_frames(
        *where, frame_numbers=[1], media_types=("application/octet-stream",)
    )
    assert octets == ds.PixelData
    uri = client.retrieve_instance_metadata(*where)["7FE00010"]["BulkDataURI"]
    (bulk,) = client.retrieve_bulkdata(uri)
    assert bulk == ds.PixelData


def test_delete(client: DICOMwebClient) -> None:
    ds = pydicom.dcmread(_file("examples_rgb_color.dcm"))
    client.delete_study(ds.StudyInstanceUID)
    assert client.search_for_studies(search_filters={"StudyInstanceUID": ds.StudyInstanceUID}) == []


def test_the_live_server_is_real(tmp_path: Path) -> None:
    with serving(tmp_path / "d") as live:
        assert isinstance(live, LiveServer)
        assert live.stop() == 0
