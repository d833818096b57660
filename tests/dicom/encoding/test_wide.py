"""Headers of very many elements: bounded by what they cost in memory, and the same however they are put together."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from struct import pack

import pytest
from gateway.dicom.encoding import packedmembers
from gateway.dicom.encoding.part10 import Part10Reader
from gateway.dicom.limits import LIMITS, ReadLimits
from gateway.errors import LimitExceeded
from tests.dicom.oracle import SEQUENCE_END, dataset, element, item, meta, parsed, read

ROOT = Path(__file__).resolve().parents[3]
MOST = 300_000  # kilobytes


def elements(count: int, *, start: int = 0) -> list[bytes]:
    texts = (b"plain ", b"a\\b ", b"", "ö".encode())
    return [
        element(0x00310000 + 0x20000 * (n // 0xE000) + 0x1000 + n % 0xE000, "LO", texts[n % 4])
        for n in range(start, start + count)
    ]


@pytest.mark.parametrize("disorder", ["none", "early", "late", "twice"])
def test_packed_members_make_the_same_metadata(monkeypatch: pytest.MonkeyPatch, disorder: str) -> None:
    parts = elements(3000)
    parts.insert(1500, element(0x00311000 + 1500, "SQ", item(parts[1]) * 1200 + SEQUENCE_END, -1))
    del parts[1501]
    if disorder == "early":
        parts = [*parts[1:4], parts[0], *parts[4:]]
    elif disorder == "late":
        parts = [*parts[1:], parts[0]]
    elif disorder == "twice":
        parts = [*parts, parts[7], parts[-1]]
    data = meta() + dataset(*parts)
    whole = read(data, chunk=5000)
    monkeypatch.setattr(packedmembers, "BLOCK", 4096)
    found = read(data, chunk=5000)
    assert found == whole
    assert len(parsed(found.metadata)) == 3004
    assert found.warnings == whole.warnings


def test_an_outline_keeps_short_attributes_whatever_is_long() -> None:
    long = [element(0x00180000 + 0x1000 + n, "UT", b"x" * 60_000) for n in range(40)]
    short = element(0x00200010, "SH", b"S1")
    private = element(0x00310010, "LO", b"SOMEBODY")
    found = parsed(read(meta() + dataset(*long, short, private)).outline)
    assert found["00200010"]["Value"] == ["S1"]
    assert "00310010" not in found
    assert 10 < sum(tag.startswith("0018") for tag in found) < 20


# -- limits


def test_elements_and_items_are_counted() -> None:
    empty = element(0x0040A730, "SQ", item() * (LIMITS.elements + 10) + SEQUENCE_END, -1)
    with pytest.raises(LimitExceeded, match=f"more than {LIMITS.elements} elements"):
        read(meta() + dataset(empty), chunk=1 << 16)


@pytest.mark.parametrize(
    ("value", "vr"), [(b"\1" * 60_000, "UT"), (b"\\" * 60_000, "LO"), (b"a\\" * 30_000, "PN")]
)
def test_text_that_grows_as_json_is_refused_before_it_has_grown(value: bytes, vr: str) -> None:
    """Sixfold where it is escaped, fivefold where it is empty values, tenfold where it is names."""
    limits = ReadLimits(metadata=1 << 20)
    many = [element(0x00311000 + n, vr, value) for n in range(16)]
    data = meta() + dataset(*many)
    reader = Part10Reader(version="0" * 32, limits=limits)
    reader.feed(data[:5000])
    with pytest.raises(LimitExceeded, match="bytes of header"):
        reader.feed(data[5000 : len(data) // 2])


def test_one_value_is_bounded() -> None:
    """Implicit VR has 32 bits for the length of a short text."""
    value = b"x\\" * (1 << 20)
    data = pack("<HHI", 0x0008, 0x103E, len(value)) + value
    with pytest.raises(LimitExceeded, match=r"\(0008,103E\)"):
        read(meta("1.2.840.10008.1.2") + data, chunk=1 << 16)


WIDE = """
import resource, struct, sys
from gateway.dicom.encoding.part10 import Part10Reader
from gateway.errors import LimitExceeded
from tests.dicom.oracle import dataset, element, item, meta
from tests.dicom.encoding.test_wide import hostile
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
reader = Part10Reader(version="0" * 32)
outcome = "read"
try:
    for chunk in hostile(sys.argv[1]):
        reader.feed(chunk)
    found = reader.finish()
    placed = found.place_base()
except LimitExceeded as error:
    outcome = "refused"
print(outcome, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def hostile(kind: str) -> Iterator[bytes]:
    """Chunks of a file that costs more to read than it weighs, made as they are wanted."""
    if kind == "items":
        head = element(0x0040A730, "SQ", b"", -1)
        yield meta() + dataset() + head
        for _ in range(1000):
            yield item() * 1000
        return
    value, vr, count = {
        "private": (b"x" * 196, "UN", 307_000),
        "short": (b"xy", "LO", 450_000),
        "control": (b"\1" * 65_000, "UT", 3700),
        "names": (b"a\\" * 32_000, "PN", 1000),
        "wide": ("\U0001f600".encode() + b"x" * 196, "UN", 250_000),
        "nothing finite": (pack("<d", float("nan")), "FD", 450_000),
    }[kind]
    yield meta() + dataset()
    for start in range(0, count, 500):
        tags = (
            0x00310000 + 0x20000 * (n // 0xE000) + 0x1000 + n % 0xE000
            for n in range(start, min(start + 500, count))
        )
        yield b"".join(element(tag, vr, value) for tag in tags)


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("items", "refused"),
        ("private", "refused"),
        ("short", "read"),
        ("control", "refused"),
        ("names", "refused"),
        ("wide", "refused"),
        ("nothing finite", "refused"),
    ],
)
def test_memory_of_wide_headers(kind: str, outcome: str) -> None:
    # Measuring coverage would take longer, and memory of its own.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", WIDE, kind],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
    )
    said, grown = done.stdout.split() if done.returncode == 0 else (done.stderr, "0")
    assert said == outcome
    assert int(grown) < MOST
