"""The contract on every driver; the S3 driver over HTTP against servers that differ in their quirks."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from gateway.store.base import ObjectStore
from gateway.store.filesystem import FilesystemStore
from gateway.store.s3 import S3Store
from tests.servers import ACCESS, SECRET, S3Server, admin, ceph, moto, rclone, unfinished
from tests.store.contract import ObjectStoreContract


@pytest.fixture(scope="module")
def moto_server() -> Iterator[S3Server]:
    with moto() as server:
        yield server


@pytest.fixture(scope="module")
def rclone_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with rclone(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture(scope="module")
def ceph_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with ceph(tmp_path_factory.mktemp("ceph") / "node") as server:
        yield server


@pytest.fixture(params=["filesystem", "moto", "rclone", pytest.param("ceph", marks=pytest.mark.ceph)])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ObjectStore]:
    if request.param == "filesystem":
        driver = FilesystemStore(tmp_path / "objects")
        yield driver
        await driver.close()
        # Whatever happened, no unfinished write is left.
        assert list((tmp_path / "objects" / ".tmp").iterdir()) == []
        return
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    bucket = f"b{uuid.uuid4().hex[:12]}"
    with admin(server) as client:
        client.create_bucket(Bucket=bucket)
        s3 = S3Store(
            bucket, "some/prefix", endpoint=server.endpoint, access=ACCESS, secret=SECRET, region="us-east-1"
        )
        yield s3
        await s3.close()
        assert unfinished(client, bucket) == []


class TestObjectStore(ObjectStoreContract):
    pass
