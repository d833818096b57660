"""The corpus of DICOM files: `../shared/corpus` beside the checkout, or pydicom's own files without it."""

from __future__ import annotations

import csv
import hashlib
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydicom.data import get_testdata_file

ROOT = Path(__file__).resolve().parent.parent
CORPUS = Path(os.environ.get("GATEWAY_TEST_CORPUS", ROOT.parent / "shared" / "corpus"))
PYDICOM_FILES = (
    "CT_small.dcm",
    "MR_small.dcm",
    "test-SR.dcm",
    "rtplan.dcm",
    "SC_rgb_rle.dcm",
    "MR_small_RLE.dcm",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One file and what the manifest says of it."""

    name: str
    file: Path
    transfer_syntax: str
    odd: str
    sha256: str

    def read(self) -> bytes:
        data = self.file.read_bytes()
        if self.sha256 and hashlib.sha256(data).hexdigest() != self.sha256:
            raise AssertionError(f"corpus file {self.name} is not what its manifest says")
        return data


@cache
def rows() -> tuple[Row, ...]:
    """Every corpus file, `name` being the path below `files/`."""
    if not CORPUS.is_dir():
        found = [(name, get_testdata_file(name)) for name in PYDICOM_FILES]
        return tuple(Row(name, Path(str(path)), "", "", "") for name, path in found)
    with (CORPUS / "manifest.csv").open(newline="") as handle:
        entries = list(csv.DictReader(handle))
    return tuple(
        Row(
            e["path"].removeprefix("files/"),
            CORPUS / e["path"],
            e["transfer_syntax"],
            e["what_is_odd"],
            e["sha256"],
        )
        for e in entries
    )


def row(name: str) -> Row:
    """The one row of this name; a name may leave out the folder."""
    return next(r for r in rows() if r.name == name or r.name.endswith("/" + name))
