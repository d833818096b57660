"""Our metadata against pydicom's over the corpus, and how many of its files are taken."""

from __future__ import annotations

import orjson
import pytest
from gateway.errors import DicomError
from tests.corpus import Row, portable, rows, there
from tests.dicom.divergences import DIVERGENCES, UNREADABLE
from tests.dicom.oracle import differences, parsed, read


def ids(row: Row) -> str:
    return row.name


def taken(row: Row) -> bool:
    try:
        read(row.read())
    except DicomError:
        return False
    return True


@pytest.mark.row("J-30", "J-CS-1", "J-CS-3")
@pytest.mark.parametrize("row", rows(), ids=ids)
def test_metadata_is_pydicoms_but_for_the_listed_divergences(row: Row) -> None:
    if not taken(row) or row.name in UNREADABLE:
        return
    found = {path: (ours, theirs) for path, ours, theirs in differences(row.read())}
    listed = {path for entry in DIVERGENCES for path in entry.paths.get(row.name, ())}
    assert {path: found[path] for path in found.keys() - listed} == {}
    assert listed - found.keys() == set()


def test_what_pydicom_cannot_read_is_listed_only_while_it_cannot() -> None:
    present = {row.name: row for row in rows()}
    for name in UNREADABLE.keys() & present.keys():
        assert parsed(read(present[name].read()).metadata)
        with pytest.raises(Exception, match=r"No tag to read|missing DICOM File Meta"):
            list(differences(present[name].read()))


def test_divergences_name_files_of_the_corpus() -> None:
    names = {row.name for row in rows()}
    if there():
        assert {name for entry in DIVERGENCES for name in entry.paths} | UNREADABLE.keys() <= names


@pytest.mark.row("J-4", "J-5", "J-8", "J-41")
@pytest.mark.parametrize("row", rows(), ids=ids)
def test_keys_ascend_at_every_level_and_text_is_json(row: Row) -> None:
    if not taken(row):
        return
    metadata = read(row.read()).metadata
    assert b"\0" not in metadata.replace(b'"BulkDataURI":"\0/bulkdata/', b"")
    pending = [orjson.loads(metadata.replace(b"\0", b""))]
    while pending:
        level = pending.pop()
        assert list(level) == sorted(level)
        for key, attribute in level.items():
            assert len(key) == 8
            assert key == key.upper()
            assert attribute.keys() - {"vr"} <= {"Value", "BulkDataURI", "InlineBinary"}
            assert len(attribute) <= 2
            assert attribute.get("Value") != []
            if attribute["vr"] == "SQ":
                pending.extend(attribute.get("Value", []))


def test_enough_is_taken() -> None:
    """Of what every machine has, and of the corpus where it is."""
    assert sum(map(taken, portable())) >= 190
    if there():
        assert sum(taken(row) for row in rows() if row.sha256) >= 225


@pytest.mark.parametrize("row", rows(), ids=ids)
def test_pieces_of_any_size_give_the_same(row: Row) -> None:
    data = row.read()
    for chunk in (1, 7, 4096) if len(data) < 6000 else (997, 65536):
        assert outcome(data, chunk) == outcome(data, 0)


def outcome(data: bytes, chunk: int) -> object:
    """What was read, or the kind of refusal and the tag it names."""
    try:
        return read(data, chunk=chunk)
    except DicomError as error:
        return type(error), error.tag
