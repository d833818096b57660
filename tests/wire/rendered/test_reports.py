"""Structured reports rendered over the wire (PS3.18 8.7.4, category Text)."""

from __future__ import annotations

import httpx
import pytest
from pydicom import Dataset
from tests import build
from tests.live import LiveServer

MULTI = "multipart/related; type=application/dicom"


@pytest.fixture(scope="module")
def report(server: LiveServer) -> str:
    """The URL of a report that says `Größe` and a Japanese name."""
    concept = Dataset()
    concept.CodeValue, concept.CodingSchemeDesignator, concept.CodeMeaning = "1", "99T", "Größe"
    finding = Dataset()
    finding.RelationshipType, finding.ValueType, finding.TextValue = "CONTAINS", "TEXT", "unauffällig " * 9000
    finding.ConceptNameCodeSequence = [concept]
    ds = build.dataset(
        PixelData=None, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", SpecificCharacterSet="ISO_IR 100"
    )
    ds.PatientName, ds.ContentSequence, ds.ConceptNameCodeSequence = "Müller^Jörg", [finding], [concept]
    headers = {"Content-Type": "application/dicom"}
    assert httpx.post(f"{server.root}/studies", content=build.part10(ds), headers=headers).status_code == 200
    return f"{server.root}/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"


@pytest.mark.row("C-RT-6", "C-RT-7", "C-RT-8", "R-RN-6", "R-RN-9", "C-CAT-4", "R-MT-9")
@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", "text/html"),
        ("text/html", "text/html"),
        ("text/plain", "text/plain"),
        ("text/xml", "text/xml"),
        ("text/*;q=0.5", "text/html"),
    ],
)
def test_a_report_as_text(server: LiveServer, report: str, accept: str, media: str) -> None:
    answer = httpx.get(f"{report}/rendered", headers={"Accept": accept})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].partition(";")[0] == media
    assert "transfer-syntax" not in answer.headers["content-type"]
    assert answer.headers["content-location"] == report
    assert "Größe" in answer.content.decode("utf-8")
    if media != "text/xml":
        assert answer.content.decode("utf-8").count("unauffällig") == 9000


@pytest.mark.row("R-RN-6", "C-CHS-7", "C-CHS-3", "C-CHS-4")
@pytest.mark.parametrize(
    ("charset", "codec", "status"),
    [
        ("ISO-8859-1", "latin-1", 200),
        ("UTF-8", "utf-8", 200),
        ("ISO-8859-5", "iso8859-5", 406),
        ("US-ASCII", "ascii", 406),
    ],
)
def test_in_the_set_that_is_asked(
    server: LiveServer, report: str, charset: str, codec: str, status: int
) -> None:
    answer = httpx.get(f"{report}/rendered", headers={"Accept": "text/html", "Accept-Charset": charset})
    assert answer.status_code == status
    if status == 200:
        assert answer.headers["content-type"] == f"text/html; charset={charset}"
        assert "Größe" in answer.content.decode(codec)
        assert f'charset="{charset}"' in answer.content.decode(codec)


def test_a_page_may_run_nothing(server: LiveServer, report: str) -> None:
    policy = httpx.get(f"{report}/rendered").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy


@pytest.mark.row("R-RN-2", "R-RN-10")
def test_a_study_with_a_report(server: LiveServer, report: str) -> None:
    study = report.split("/series/")[0]
    answer = httpx.get(f"{study}/rendered", headers={"Accept": 'multipart/related; type="text/plain"'})
    assert answer.status_code == 200, answer.text
    assert b"Content-Type: text/plain; charset=UTF-8" in answer.content
    assert report.encode() in answer.content


def test_a_document_that_is_not_there_is_said(server: LiveServer) -> None:
    ds = build.dataset(SOPClassUID="1.2.840.10008.5.1.4.1.1.104.3", PixelData=None, Modality="M3D")
    ds.MIMETypeOfEncapsulatedDocument = "model/stl"
    headers = {"Content-Type": "application/dicom"}
    assert httpx.post(f"{server.root}/studies", content=build.part10(ds), headers=headers).status_code == 200
    answer = httpx.get(f"{server.root}/studies/{ds.StudyInstanceUID}/rendered")
    assert (answer.status_code, "no document" in answer.text) == (406, True)
