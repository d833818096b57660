"""DICOM JSON and XML of very many pieces: refused by a count before they are built, or read in bounded memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from gateway.dicom.limits import MODEL
from gateway.dicom.model.jsonread import datasets
from gateway.dicom.model.nativexmlread import dataset
from gateway.errors import LimitExceeded

ROOT = Path(__file__).resolve().parents[3]
HEAD = b'[{"00080018":{"vr":"UI","Value":["1.2.3"]},'
SEQUENCE = b'"0040A730":{"vr":"SQ","Value":['
TEXT = b'"0040A160":{"vr":"UT","Value":["'
MOST = 300_000  # kilobytes


JSON = {
    "empty items": HEAD + SEQUENCE + b",".join([b"{}"] * 2_000_000) + b"]}}]",
    "arrays": HEAD + SEQUENCE + b",".join([b"[]"] * 2_000_000) + b"]}}]",
    "items": HEAD + SEQUENCE + b",".join([b'{"00080100":{"vr":"SH"}}'] * 300_000) + b"]}}]",
    "numbers": HEAD + b'"30060050":{"vr":"DS","Value":[' + b",".join([b"1.25"] * 2_000_000) + b"]}}]",
    "behind a string of quotes": HEAD + TEXT + b'\\"{' * 600_000 + b'"]},' + SEQUENCE + b"{}," * 600_000,
}


@pytest.mark.row("S-57")
@pytest.mark.parametrize("kind", JSON)
def test_json_of_many_pieces_is_refused_before_it_is_built(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loads(*_: object, **__: object) -> None:
        pytest.fail("it was parsed")

    monkeypatch.setattr(json, "loads", loads)
    with pytest.raises(LimitExceeded, match=f"more than {MODEL.objects} objects and arrays"):
        datasets(JSON[kind])


@pytest.mark.parametrize("text", [b"{[," * 2_000_000, b'\\"{[,' * 700_000, b"\\\\" * 100 + b"{,[" * 600_000])
def test_brackets_within_text_do_not_count(text: bytes) -> None:
    (found,) = datasets(HEAD + TEXT + text + b'"]}}]')
    assert len(found["0040A160"]["Value"][0]) >= 1_000_000


def attributes(count: int) -> bytes:
    return b" ".join(b'a%d=">"' % n for n in range(count))


def native(inner: bytes) -> bytes:
    return b"<NativeDicomModel>" + inner + b"</NativeDicomModel>"


XML = {
    "elements": native(b"<a/>" * (MODEL.elements + 10)),
    "tags": native(b"<!---->" * 4 * MODEL.elements),
    "one element's attributes": native(b"<a " + attributes(20_000) + b"/>"),
    "attributes": native((b"<a " + attributes(4000) + b"/>") * 400),
    "UTF-16": native(b"<a " + attributes(20_000) + b"/>").decode().encode("utf-16"),
    "UTF-16, hidden": native(b"<a " + attributes(20_000) + b"/>")
    .decode()
    .replace('>"', '\u3c22"')
    .encode("utf-16-be"),
}


@pytest.mark.row("S-57")
@pytest.mark.parametrize("kind", XML)
def test_xml_of_many_pieces_is_refused(kind: str) -> None:
    with pytest.raises(LimitExceeded, match="the XML has"):
        dataset(XML[kind])


def test_long_values_of_xml_are_taken() -> None:
    value = (
        b'<DicomAttribute tag="0040A160" vr="UT"><Value number="1">'
        + b"a='b' " * 50_000
        + b"</Value></DicomAttribute>"
    )
    found = dataset(native(value + b"<!-- " + b"it's " * 20_000 + b"-->"))
    assert len(found["0040A160"]["Value"][0]) == 300_000


WHOLE = """
import resource, sys
from gateway.dicom.model.encode import encode
from gateway.dicom.model.jsonread import datasets
from gateway.dicom.model.nativexmlread import dataset
from tests.dicom.model.test_model_limits import whole
data = whole(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model = dataset(data) if sys.argv[1] == "xml" else datasets(data)[0]
encoded = encode(model, lambda *_: None)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, encoded.length)
"""


def whole(kind: str) -> bytes:
    """A document just within the limits."""
    if kind == "xml":
        one = b'<DicomAttribute tag="%08X" vr="SH" keyword="x"><Value number="1">a</Value></DicomAttribute>'
        return native(b"".join(one % (0x00310000 + n) for n in range(MODEL.elements // 2 - 10)))
    if kind == "flat":
        count = MODEL.objects // 2 - 10
        return (
            b"[{"
            + b",".join(b'"%08X":{"vr":"SH","Value":["a"]}' % (0x00310000 + n) for n in range(count))
            + b"}]"
        )
    item = b'{"00080100":{"vr":"SH","Value":["1"]}}'
    return HEAD + SEQUENCE + b",".join([item] * (MODEL.objects // 3 - 10)) + b"]}}]"


@pytest.mark.parametrize("kind", ["xml", "flat", "items"])
def test_memory_of_what_is_just_taken(kind: str) -> None:
    # Measuring coverage would take longer, and memory of its own.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", WHOLE, kind],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    grown, length = map(int, done.stdout.split())
    assert length > 1_000_000
    assert grown < MOST
