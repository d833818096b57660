"""Whatever an uncompressed data set is encoded in, its rewriting says the same (PS3.18 8.7.3)."""

from __future__ import annotations

import io
import zlib
from xml.etree import ElementTree

import orjson
import pydicom
import pytest
from gateway.dicom.nativexml import NAMESPACE, to_xml
from gateway.dicom.part10 import Part10Reader, ReadInstance
from gateway.dicom.rewrite import Rewriter
from gateway.errors import DicomError
from gateway.model import EXPLICIT_VR_BE, EXPLICIT_VR_LE, IMPLICIT_VR_LE
from tests import build
from tests.corpus import Row, rows

VERSION = "0" * 32

# Readable with good will, but explicit little endian already: it is sent as it is stored.
LEFT_OUT = ("gen-sq-item-too-long.dcm",)


def read(data: bytes) -> tuple[ReadInstance, bytes]:
    """What the reader makes of a file, and the file with what it lacked."""
    reader = Part10Reader(version=VERSION)
    reader.feed(data)
    return reader.finish(), reader.prefix + data


def rewritten(data: bytes, step: int) -> bytes:
    found, whole = read(data)
    body = whole[found.layout.dataset_offset :]
    if found.layout.inflated:
        body = zlib.decompressobj(-15).decompress(body)
    rewriter = Rewriter(found.identity, found.layout)
    pieces = [rewriter.feed(body[at : at + step]) for at in range(0, len(body), step)]
    return b"".join([*pieces, rewriter.finish()])


def accepted() -> list[Row]:
    """Corpus files that the reader takes."""
    taken = []
    for row in rows():
        try:
            read(row.read())
        except DicomError:
            continue
        taken.append(row)
    return taken


def told(data: bytes) -> dict[str, object]:
    """The metadata, bulk data replaced by its bytes."""
    found, whole = read(data)
    if found.layout.inflated:
        whole = zlib.decompressobj(-15).decompress(whole[found.layout.dataset_offset :])
    metadata: dict[str, object] = orjson.loads(found.metadata.replace(b"\0", b""))
    bulk = {
        path: whole[value.offset : value.offset + value.length] for path, value in found.layout.bulk.items()
    }
    return {"metadata": metadata, "bulk": bulk}


@pytest.mark.parametrize("transfer_syntax", [IMPLICIT_VR_LE, EXPLICIT_VR_LE])
def test_rewriting_says_the_same(transfer_syntax: str) -> None:
    ds = build.dataset(NumberOfFrames=2, PixelData=bytes(range(256)))
    item = build.dataset(PixelData=None, Rows=None)
    ds.ReferencedImageSequence = [item, pydicom.Dataset()]
    block = ds.private_block(0x0019, "GEMS_ACQU_01", create=True)
    block.add_new(0x02, "SL", 7)
    once = rewritten(build.part10(ds, transfer_syntax), 1 << 20)
    assert pydicom.dcmread(io.BytesIO(once)).file_meta.TransferSyntaxUID == EXPLICIT_VR_LE
    assert told(once) == told(build.part10(ds, EXPLICIT_VR_LE))


def test_big_endian_is_swapped() -> None:
    row = next(r for r in rows() if r.name.endswith(("MR_small_bigendian.dcm", "MR_small.dcm")))
    source = pydicom.dcmread(io.BytesIO(row.read()))
    got = pydicom.dcmread(io.BytesIO(rewritten(row.read(), 4096)))
    assert (got.pixel_array == source.pixel_array).all()
    assert got.PatientName == source.PatientName


def test_every_uncompressed_file_of_the_corpus_in_any_chunking() -> None:
    tried = 0
    for row in accepted():
        found, _ = read(row.read())
        layout = found.layout
        if (layout.pixels is not None and layout.pixels.encapsulated) or row.name.endswith(LEFT_OUT):
            continue
        data = row.read()
        whole = rewritten(data, 1 << 24)
        assert rewritten(data, 997) == whole, row.name
        again, _ = read(whole)
        assert again.identity == found.identity, row.name
        if not layout.implicit and not layout.big_endian:
            was, now = told(data)["metadata"], told(whole)["metadata"]
            assert isinstance(was, dict)
            assert isinstance(now, dict)
            # A value of odd length gains a pad, an unknown VR may become the dictionary's.
            changed = [tag for tag in was if was[tag] != now.get(tag)]
            assert len(changed) <= 1, (row.name, changed)
        if layout.pixels is not None and row.transfer_syntax != EXPLICIT_VR_BE:
            assert again.layout.pixels is not None
            assert again.layout.pixels.length in (layout.pixels.length, layout.pixels.length + 1), row.name
        tried += 1
    assert tried >= 1


def test_native_xml_of_every_file_is_well_formed() -> None:
    for row in accepted():
        found, _ = read(row.read())
        root = ElementTree.fromstring(to_xml(orjson.loads(found.metadata.replace(b"\0", b""))))
        assert root.tag == f"{{{NAMESPACE}}}NativeDicomModel"
        tags = [element.get("tag") for element in root]
        assert "00080018" in tags, row.name
