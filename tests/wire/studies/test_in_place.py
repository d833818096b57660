"""`import --in-place`: an archive indexed where it lies, read through the gateway, never touched."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias

import httpx
import pytest
from pydicom import Dataset
from tests import build
from tests.live import run, serving
from tests.servers import ACCESS, BUCKET, SECRET, admin, moto

STORED = {"Accept": "application/dicom; transfer-syntax=*"}


class Archive:
    """Files by name, somewhere outside the gateway's store."""

    url: str
    environment: dict[str, str]

    def write(self, name: str, data: bytes) -> None:
        raise NotImplementedError

    def state(self) -> dict[str, bytes]:
        raise NotImplementedError


class Folder(Archive):
    def __init__(self, root: Path) -> None:
        self.root, self.url, self.environment = root, str(root), {}

    def write(self, name: str, data: bytes) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_bytes(data)

    def state(self) -> dict[str, bytes]:
        files = [path for path in self.root.rglob("*") if path.is_file()]
        return {str(path): path.read_bytes() + str(path.stat().st_mtime_ns).encode() for path in files}


class Bucket(Archive):
    def __init__(self, client: object, endpoint: str) -> None:
        self.client, self.url = client, f"s3://{BUCKET}/old archive"
        self.environment = {
            "AWS_ACCESS_KEY_ID": ACCESS,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "GATEWAY_S3_ENDPOINT": endpoint,
        }

    def write(self, name: str, data: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=f"old archive/{name}", Body=data)  # type: ignore[attr-defined]

    def state(self) -> dict[str, bytes]:
        listed = self.client.list_objects_v2(Bucket=BUCKET)["Contents"]  # type: ignore[attr-defined]
        return {entry["Key"]: f"{entry['ETag']}{entry['LastModified']}".encode() for entry in listed}


@contextmanager
def folder(tmp_path: Path) -> Iterator[Archive]:
    (tmp_path / "archive of old").mkdir()
    yield Folder(tmp_path / "archive of old")


@contextmanager
def bucket(tmp_path: Path) -> Iterator[Archive]:
    with moto() as server, admin(server) as client:
        client.create_bucket(Bucket=BUCKET)
        yield Bucket(client, server.endpoint)


Made: TypeAlias = Callable[[Path], AbstractContextManager[Archive]]


def path_of(ds: Dataset) -> str:
    return f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"


def command(archive: Archive, data: Path, *arguments: str) -> tuple[int, str]:
    done = run(*arguments, data=data, environment=archive.environment)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("kind", [folder, bucket])
def test_an_archive_is_served_from_where_it_lies(tmp_path: Path, kind: Made) -> None:
    with kind(tmp_path) as archive:
        made = [build.dataset(NumberOfFrames=2, Rows=8, Columns=8, PixelData=bytes(range(256))) for _ in "ab"]
        files = [build.part10(made[0]), build.part10(made[1], "1.2.840.10008.1.2")]
        archive.write("Größe 1/IMG!0001.dcm", files[0])
        archive.write("DATA/IMG@2", files[1])
        archive.write("DATA/readme.txt", b"not DICOM")
        before, data = archive.state(), tmp_path / "data"
        code, said = command(archive, data, "import", "--in-place", archive.url)
        assert (code, "2 stored" in said, "readme.txt" in said) == (1, True, True), said
        objects = list((data / "objects").rglob("*.dcm"))
        assert objects == []
        with serving(data, environment=archive.environment) as live:
            _reads(live.root, made, files)
            assert httpx.delete(live.root + path_of(made[1])).status_code == 204
            assert httpx.get(live.root + path_of(made[1]), headers=STORED).status_code == 410
        assert command(archive, data, "verify")[0] == 0
        assert command(archive, data, "reindex")[0] == 0
        with serving(data, environment=archive.environment) as live:
            assert httpx.get(live.root + path_of(made[0]), headers=STORED).content == files[0]
        again = command(archive, data, "import", "--in-place", archive.url)[1]
        assert "1 received again" in again
        assert archive.state() == before


def _reads(root: str, made: list[Dataset], files: list[bytes]) -> None:
    got = httpx.get(root + path_of(made[0]), headers=STORED)
    assert hashlib.sha256(got.content).digest() == hashlib.sha256(files[0]).digest()
    for ds in made:
        frame = httpx.get(f"{root}{path_of(ds)}/frames/2", headers={"Accept": "application/octet-stream"})
        assert frame.content == bytes(range(128, 256))
        assert httpx.get(f"{root}{path_of(ds)}/metadata").json()[0]["00080018"]["Value"] == [
            ds.SOPInstanceUID
        ]


@pytest.mark.parametrize("kind", [folder, bucket])
def test_a_changed_file_is_noticed(tmp_path: Path, kind: Made) -> None:
    with kind(tmp_path) as archive:
        ds, data = build.dataset(), tmp_path / "data"
        archive.write("a", build.part10(ds))
        assert command(archive, data, "import", "--in-place", archive.url)[0] == 0
        ds.PatientName = "Somebody^Else^Altogether"
        archive.write("a", build.part10(ds))
        with serving(data, environment=archive.environment) as live:
            answer = httpx.get(live.root + path_of(ds), headers=STORED)
            assert answer.status_code == 502
            assert "changed since" in answer.json()["detail"]
        code, said = command(archive, data, "verify")
        assert (code, "object changed" in said) == (1, True), said
        code, said = command(archive, data, "import", "--in-place", "--policy", "replace", archive.url)
        assert (code, "1 stored" in said) == (0, True), said
        with serving(data, environment=archive.environment) as live:
            assert httpx.get(live.root + path_of(ds), headers=STORED).content == build.part10(ds)


def test_what_cannot_be_indexed_in_place_says_why(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "without-meta.dcm").write_bytes(build.part10(build.dataset())[128 + 4 :])
    os.symlink("/etc/hostname", bare / "elsewhere")
    code, said = command(Folder(bare), tmp_path / "data", "import", "--in-place", str(bare))
    assert (code, "without preamble" in said, "elsewhere" in said) == (1, True, False), said
    code, said = command(Folder(bare), tmp_path / "data", "import", "--in-place", str(tmp_path / "nowhere"))
    assert (code, "want a folder" in said) == (2, True), said
