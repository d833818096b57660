"""An archive that is indexed in place, where its place cannot be opened any more."""

from __future__ import annotations

from pathlib import Path

import pytest
from gateway.errors import BadParameter, StoreError
from gateway.model import Span
from gateway.store.base import Place
from gateway.store.filesystem import FilesystemStore
from gateway.store.inplace import WithPlaces, key_of


def refuse(url: str) -> Place:
    raise BadParameter(f"{url}: not installed", parameter="PATH")


async def test_who_reads_an_object_did_not_name_its_place(tmp_path: Path) -> None:
    """A place that an operator has to mend is a failure of the store, not of the request; who names a place is told so."""
    store = WithPlaces(FilesystemStore(tmp_path), refuse)
    key = key_of("s3://bucket", "4", "one.dcm")
    with pytest.raises(StoreError, match="not installed"):
        store.read(key)
    with pytest.raises(StoreError, match="not installed"):
        store.read_now(key, Span(0, 4))
    with pytest.raises(StoreError, match="not installed"):
        await store.stat(key)
    with pytest.raises(BadParameter):
        store.place("s3://bucket")
    await store.close()
