"""`dicomweb-client` (Python) drives every method it has against a live server."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from pydicom.data import get_testdata_file
from tests import build
from tests.live import LiveServer, serving

FILES = ("CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "test-SR.dcm", "examples_rgb_color.dcm")


CALLED: set[str] = set()


class Watched(DICOMwebClient):
    """The client as it is, noting which of its methods were called."""

    def __getattribute__(self, name: str) -> Any:
        member = super().__getattribute__(name)
        if callable(member) and not name.startswith("_"):
            CALLED.add(name)
        return member


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DICOMwebClient]:
    with serving(tmp_path_factory.mktemp("client")) as live:
        client = Watched(url=live.root)
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


def test_iterators_give_what_the_lists_give(client: DICOMwebClient) -> None:
    client.set_chunk_size(1 << 16)
    ds = build.dataset(NumberOfFrames=3, Rows=4, Columns=4, PixelData=bytes(range(96)))
    build.part10(ds)
    client.store_instances([ds])
    where = (ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)
    frames = client.retrieve_instance_frames(*where, frame_numbers=[1, 3])
    assert frames == [bytes(range(32)), bytes(range(64, 96))]
    assert list(client.iter_instance_frames(*where, frame_numbers=[1, 3])) == frames
    assert [got.SOPInstanceUID for got in client.iter_series(*where[:2])] == [ds.SOPInstanceUID]
    assert [got.SOPInstanceUID for got in client.iter_study(where[0])] == [ds.SOPInstanceUID]


def test_ranges_and_iterators_of_bulk_data(client: DICOMwebClient) -> None:
    """The client asks for a multipart message, over which a range is not taken: all of it comes (C-MP-8)."""
    ds = pydicom.dcmread(_file("MR_small.dcm"))
    where = (ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)
    uri = client.retrieve_instance_metadata(*where)["7FE00010"]["BulkDataURI"]
    assert b"".join(client.iter_bulkdata(uri)) == ds.PixelData
    octets = ("application/octet-stream",)
    assert client.retrieve_bulkdata(uri, media_types=octets, byte_range=(0, 9)) == [ds.PixelData]


@pytest.mark.parametrize(
    ("call", "form", "size"),
    [
        (lambda c, w: c.retrieve_instance_rendered(*w, media_types=("image/jpeg",)), "JPEG", (64, 64)),
        (lambda c, w: c.retrieve_instance_rendered(*w, media_types=("image/png",)), "PNG", (64, 64)),
        (
            lambda c, w: c.retrieve_instance_rendered(
                *w, media_types=("image/png",), params={"viewport": "32,32"}
            ),
            "PNG",
            (32, 32),
        ),
        (
            lambda c, w: c.retrieve_instance_frames_rendered(
                *w, frame_numbers=[1], media_types=("image/png",)
            ),
            "PNG",
            (64, 64),
        ),
    ],
)
def test_renderings(
    client: DICOMwebClient,
    call: Callable[[DICOMwebClient, tuple[str, str, str]], bytes],
    form: str,
    size: tuple[int, int],
) -> None:
    ds = pydicom.dcmread(_file("MR_small.dcm"))
    image = Image.open(
        io.BytesIO(call(client, (ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)))
    )
    assert (image.format, image.size) == (form, size)


def test_a_series_rendered(client: DICOMwebClient) -> None:
    """The client takes the body as it is, a multipart message where a series has to be (10.4.4 note 3)."""
    ds = pydicom.dcmread(_file("MR_small.dcm"))
    body = client.retrieve_series_rendered(ds.StudyInstanceUID, ds.SeriesInstanceUID)
    assert b"image/jpeg" in body
    assert b"\xff\xd8\xff" in body


def test_names(client: DICOMwebClient) -> None:
    assert client.lookup_keyword("00100020") == "PatientID"
    assert client.lookup_tag("PatientID") == "00100020"
    client.set_http_retry_params(retry=False)


def test_delete_of_series_and_instance(client: DICOMwebClient) -> None:
    for name, remove in (("CT_small.dcm", client.delete_instance), ("test-SR.dcm", client.delete_series)):
        ds = pydicom.dcmread(_file(name))
        where = (ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)
        remove(*where if name == "CT_small.dcm" else where[:2])
        found = client.search_for_instances(search_filters={"SOPInstanceUID": ds.SOPInstanceUID})
        assert found == []


def test_delete(client: DICOMwebClient) -> None:
    ds = pydicom.dcmread(_file("examples_rgb_color.dcm"))
    client.delete_study(ds.StudyInstanceUID)
    assert client.search_for_studies(search_filters={"StudyInstanceUID": ds.StudyInstanceUID}) == []


def test_every_method_was_called() -> None:
    methods = {
        n for n in vars(DICOMwebClient) if not n.startswith("_") and callable(getattr(DICOMwebClient, n))
    }
    assert methods <= CALLED


def test_the_live_server_is_real(tmp_path: Path) -> None:
    with serving(tmp_path / "d") as live:
        assert isinstance(live, LiveServer)
        assert live.stop() == 0
