"""npm's `dicomweb-client` and `dcmjs` run every method they have against a live server (tests/js/clients.mjs)."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless
from tests import build
from tests.live import LiveServer
from tests.node import installed


@pytest.fixture(scope="module")
def scripts() -> Path:
    """The folder of the scripts, with what they import installed as the lock file says."""
    return installed()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pydicom.Dataset]:
    """What the script stores: one native frame, several native frames, one in JPEG-LS."""
    ct = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    frames = build.dataset(NumberOfFrames=3, Rows=4, Columns=4, PixelData=bytes(range(96)))
    jls = pydicom.dcmread(str(get_testdata_file("MR_small.dcm")))
    jls.compress(JPEGLSLossless, generate_instance_uid=True)
    return {"ct": ct, "frames": frames, "jls": jls}


@pytest.fixture(scope="module")
def seen(
    server: LiveServer,
    scripts: Path,
    files: dict[str, pydicom.Dataset],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """What the script saw; it fails by itself where an answer is not what the client wants."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "frames.dcm").write_bytes(build.part10(files["frames"]))
    for name in ("ct", "jls"):
        files[name].save_as(folder / f"{name}.dcm")
    command = ["node", "clients.mjs", server.base, str(folder)]
    done = subprocess.run(command, cwd=scripts, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["missed"] == [], "methods of the client that were not called"
    found: dict[str, Any] = report["seen"]
    return found


def octets(text: str) -> bytes:
    return base64.b64decode(text)


def test_it_stores(seen: dict[str, Any], files: dict[str, pydicom.Dataset]) -> None:
    stored = seen["store"] if isinstance(seen["store"], dict) else json.loads(seen["store"])
    uids = {item["00081155"]["Value"][0] for item in stored["00081199"]["Value"]}
    assert uids == {ds.SOPInstanceUID for ds in files.values()}
    written = (
        seen["storeOfDcmjs"] if isinstance(seen["storeOfDcmjs"], dict) else json.loads(seen["storeOfDcmjs"])
    )
    assert written["00081199"]["Value"][0]["00081155"]["Value"] == [seen["writtenByDcmjs"]]


def test_it_searches(seen: dict[str, Any], files: dict[str, pydicom.Dataset]) -> None:
    assert seen["studies"][0]["00100020"]["Value"] == [files["ct"].PatientID]
    assert [s["0020000E"]["Value"] for s in seen["series"]] == [[files["ct"].SeriesInstanceUID]]
    assert {i["00080018"]["Value"][0] for i in seen["instances"]} == {
        files["ct"].SOPInstanceUID,
        seen["writtenByDcmjs"],
    }
    assert (seen["allSeries"], seen["allInstances"], seen["nothing"]) == (3, 4, [])
    assert len(seen["viewer"]) == 3


def test_it_reads_metadata_that_dcmjs_naturalizes(
    seen: dict[str, Any], files: dict[str, pydicom.Dataset]
) -> None:
    ct = files["ct"]
    assert seen["studyMetadata"] == seen["seriesMetadata"] == 2
    assert seen["naturalized"] == {
        "PatientID": ct.PatientID,
        "Rows": ct.Rows,
        "SOPInstanceUID": ct.SOPInstanceUID,
    }


def test_it_reads_objects(seen: dict[str, Any], files: dict[str, pydicom.Dataset]) -> None:
    both = {files["ct"].SOPInstanceUID, seen["writtenByDcmjs"]}
    assert set(seen["seriesObjects"]) == set(seen["studyObjects"]) == both
    assert seen["decodedSyntax"] == ExplicitVRLittleEndian


def test_it_reads_frames_and_bulk_data(seen: dict[str, Any], files: dict[str, pydicom.Dataset]) -> None:
    assert [octets(frame) for frame in seen["frames"]] == [bytes(range(64, 96)), bytes(range(32))]
    jls = files["jls"]
    (codestream,) = pydicom.encaps.generate_frames(jls.PixelData, number_of_frames=1)
    assert octets(seen["decoded"]) == jls.pixel_array.tobytes()
    assert octets(seen["asStored"]) == octets(seen["asImage"]) == codestream
    pixels = files["ct"].PixelData
    assert octets(seen["bulk"]) == octets(seen["bulkTyped"]) == pixels
    assert octets(seen["bulkRange"]) == pixels[10:30]


def test_it_reads_renderings(seen: dict[str, Any]) -> None:
    for name in ("rendered", "thumbnail", "framesThumbnail"):
        assert octets(seen[name]).startswith(b"\xff\xd8\xff"), name
    for name in ("renderedPng", "framesRendered"):
        assert octets(seen[name]).startswith(b"\x89PNG"), name
