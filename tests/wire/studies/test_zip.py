"""Studies, series and instances as zip with a DICOMDIR that others read: pydicom, dcmtk, unzip."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import httpx
import psutil
import pytest
from pydicom import Dataset, dcmread
from pydicom.fileset import FileSet
from tests import build
from tests.corpus import rows
from tests.live import LiveServer, multipart
from tests.servers import missing

ZIP = {"Accept": "application/zip"}
CORPUS = ("CT_small.dcm", "MR_small.dcm", "test-SR.dcm", "rtplan.dcm", "SC_rgb_rle.dcm", "MR_small_RLE.dcm")


@pytest.fixture(scope="module")
def studies(server: LiveServer) -> list[str]:
    """One study of many kinds, and what the corpus has."""
    named = {"PatientName": "Müller^Jürgen", "SpecificCharacterSet": "ISO_IR 100"}
    first = build.dataset(**named, StudyID=None)
    same = {"StudyInstanceUID": first.StudyInstanceUID, **named}
    kinds = [
        build.dataset(**same, PixelData=None, SOPClassUID=f"1.2.840.10008.5.1.4.1.1.{last}")
        for last in (
            "88.11",
            "88.59",
            "11.1",
            "9.1.1",
            "66",
            "66.1",
            "67",
            "104.1",
            "481.2",
            "481.3",
            "481.5",
            "4.2",
        )
    ]
    implicit = build.dataset(**same, SeriesInstanceUID=first.SeriesInstanceUID)
    files = [build.part10(first), *map(build.part10, kinds), build.part10(implicit, "1.2.840.10008.1.2")]
    files += [row.read() for row in rows() if row.name.endswith(CORPUS)]
    for start in range(0, len(files), 5):
        body, content_type = multipart(files[start : start + 5])
        headers = {"Content-Type": content_type, "Accept": "application/dicom+json"}
        assert httpx.post(f"{server.root}/studies", content=body, headers=headers).status_code in (200, 202)
    found = httpx.get(f"{server.root}/studies").json()
    return [first.StudyInstanceUID, *(s["0020000D"]["Value"][0] for s in found)]


def unpacked(data: bytes, folder: Path) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    archive.extractall(folder)
    return archive


@pytest.mark.row("R-MT-15")
def test_pydicom_reads_every_study_as_a_file_set(
    server: LiveServer, studies: list[str], tmp_path: Path
) -> None:
    for number, study in enumerate(dict.fromkeys(studies)):
        answer = httpx.get(f"{server.root}/studies/{study}", headers=ZIP)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
        folder = tmp_path / str(number)
        unpacked(answer.content, folder)
        found = FileSet(folder / "DICOMDIR")
        listed = {instance.SOPInstanceUID for instance in found}
        known = httpx.get(f"{server.root}/studies/{study}/instances").json()
        assert listed == {one["00080018"]["Value"][0] for one in known}
        for instance in found:
            ds = dcmread(instance.path)
            assert ds.SOPInstanceUID == instance.SOPInstanceUID
            assert ds.file_meta.TransferSyntaxUID == instance.ReferencedTransferSyntaxUIDInFile
            assert ds.file_meta.TransferSyntaxUID not in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.2")


def test_records_have_their_types_and_text(server: LiveServer, studies: list[str], tmp_path: Path) -> None:
    unpacked(httpx.get(f"{server.root}/studies/{studies[0]}", headers=ZIP).content, tmp_path)
    directory = dcmread(tmp_path / "DICOMDIR")
    kinds = [record.DirectoryRecordType for record in directory.DirectoryRecordSequence]
    assert set(kinds) == {
        *("PATIENT", "STUDY", "SERIES", "IMAGE", "SR DOCUMENT", "KEY OBJECT DOC", "PRESENTATION", "WAVEFORM"),
        *("RAW DATA", "REGISTRATION", "VALUE MAP", "ENCAP DOC", "RT DOSE", "RT STRUCTURE SET", "RT PLAN"),
        "SPECTROSCOPY",
    }
    patient = directory.DirectoryRecordSequence[0]
    assert patient.PatientName == "Müller^Jürgen"
    study = next(r for r in directory.DirectoryRecordSequence if r.DirectoryRecordType == "STUDY")
    assert study.StudyID
    assert directory.FileSetConsistencyFlag == 0


@pytest.mark.row("R-MT-15")
def test_dcmtk_reads_the_directory(server: LiveServer, studies: list[str], tmp_path: Path) -> None:
    """dcmmkdir opens an existing DICOMDIR, checks it against the files and appends; dcmdump reads it whole."""
    for tool in ("dcmmkdir", "dcmdump"):
        if shutil.which(tool) is None:
            missing("dcmtk", f"{tool} of Debian's dcmtk is not there")
    unpacked(httpx.get(f"{server.root}/studies/{studies[0]}", headers=ZIP).content, tmp_path)
    dumped = subprocess.run(
        ["dcmdump", "+P", "0004,1500", "DICOMDIR"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
    )
    assert dumped.stdout.count("(0004,1500)") == 14
    more: Dataset = build.dataset()
    (tmp_path / "MORE").write_bytes(build.part10(more))
    done = subprocess.run(
        ["dcmmkdir", "+A", "--no-backup", "--invent", "MORE"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(FileSet(tmp_path / "DICOMDIR"))) == 15


@pytest.mark.row("R-MT-15")
@pytest.mark.parametrize(
    ("accept", "given"),
    [
        ("*/*", False),
        ("application/*", False),
        ("application/zip, multipart/related; type=application/dicom", False),
        ("application/zip;q=0.5, */*", False),
        ("application/zip, */*;q=0.5", True),
        ("application/zip;q=0", False),
    ],
)
def test_only_who_names_it_gets_it(server: LiveServer, studies: list[str], accept: str, given: bool) -> None:
    answer = httpx.get(f"{server.root}/studies/{studies[0]}", headers={"Accept": accept})
    assert (answer.headers.get("content-type") == "application/zip") is given


def test_by_parameter_at_each_level_and_once_more(server: LiveServer, studies: list[str]) -> None:
    one = httpx.get(f"{server.root}/studies/{studies[0]}/instances?limit=1").json()[0]
    instance = one["00081190"]["Value"][0]
    series = instance.rpartition("/instances/")[0]
    for url, count in ((instance, 3), (series, 4)):
        answer = httpx.get(f"{url}?accept=application/zip")
        assert answer.status_code == 200, answer.text
        assert len(zipfile.ZipFile(io.BytesIO(answer.content)).namelist()) in (count, 3)
        again = httpx.get(f"{url}?accept=application/zip", headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304
        assert httpx.get(f"{url}?accept=application/zip").content == answer.content


@pytest.mark.long
def test_an_archive_is_not_held_in_memory(server: LiveServer) -> None:
    large = build.dataset(Rows=6000, Columns=6000, PixelData=bytes(72_000_000))
    data, uid = build.part10(large), large.SOPInstanceUID
    headers = {"Content-Type": "application/dicom"}
    for number in range(6):
        own = data.replace(uid.encode(), f"{uid[:-1]}{number}".encode())
        answer = httpx.post(f"{server.root}/studies", content=own, headers=headers, timeout=60)
        assert answer.status_code in (200, 202)
    got = 0
    with httpx.stream(
        "GET", f"{server.root}/studies/{large.StudyInstanceUID}", headers=ZIP, timeout=120
    ) as answer:
        for chunk in answer.iter_raw():
            got += len(chunk)
    assert got > 6 * 72_000_000
    assert psutil.Process(server.process.pid).memory_info().rss < 300 << 20
