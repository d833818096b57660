"""Metadata too long to be held is written in pages: the same document, in every coding and form."""

from __future__ import annotations

import gzip

import httpx
import pytest
import zstandard
from tests import build
from tests.live import LiveServer
from tests.wire.renderedarchive import Gallery
from tests.wire.transfer import related

STUDY, COUNT = "1.2.11", 12


@pytest.fixture(scope="module")
def base(server: LiveServer) -> str:
    """A study whose metadata have 12 MB."""
    with httpx.Client(base_url=server.root, timeout=60) as http:
        for number in range(COUNT):
            ds = build.dataset(StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1", InstanceNumber=number)
            block = ds.private_block(0x0011, "LONG", create=True)
            for element in range(20):
                block.add_new(element, "UT", f"{number * 100 + element:08d}" * 6250)
            Gallery(http).store(str(number), build.part10(ds))
    return f"{server.root}/studies/{STUDY}"


def asked(base: str, accept: str, coding: str = "identity") -> httpx.Response:
    return httpx.get(f"{base}/metadata", headers={"Accept": accept, "Accept-Encoding": coding}, timeout=60)


def test_pages_make_one_document(base: str) -> None:
    whole = asked(base, "application/dicom+json")
    assert "content-length" not in whole.headers  # or it was not long enough to be paged
    found = whole.json()
    assert [row["00200013"]["Value"] for row in found] == [[number] for number in range(COUNT)]
    for row in found[:2]:
        one = f"{base}/series/{STUDY}.1/instances/{row['00080018']['Value'][0]}"
        assert asked(one, "application/dicom+json").json() == [row]
    tag = whole.headers["etag"]
    headers = {"Accept": "application/dicom+json", "Accept-Encoding": "identity", "If-None-Match": tag}
    assert httpx.get(f"{base}/metadata", headers=headers).status_code == 304


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_it_is_compressed_as_it_goes(base: str, coding: str) -> None:
    plain = asked(base, "application/dicom+json").content
    headers = {"Accept": "application/dicom+json", "Accept-Encoding": coding}
    with httpx.stream("GET", f"{base}/metadata", headers=headers, timeout=60) as answer:
        raw = b"".join(answer.iter_raw())
        assert answer.headers["content-encoding"] == coding
    found = (
        gzip.decompress(raw)
        if coding == "gzip"
        else zstandard.ZstdDecompressor().decompressobj().decompress(raw)
    )
    assert found == plain
    assert len(raw) < len(plain) // 5


def test_xml_has_a_part_for_each(base: str) -> None:
    answer = asked(base, related("application/dicom+xml"))
    assert answer.status_code == 200
    assert "content-length" not in answer.headers
    boundary = answer.headers["content-type"].partition("boundary=")[2].encode()
    found = answer.content.split(b"--" + boundary)
    assert found[-1] == b"--\r\n"
    assert len(found) == COUNT + 2
    assert all(part.rstrip().endswith(b"</NativeDicomModel>") for part in found[1:-1])
