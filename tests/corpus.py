"""The DICOM files that tests go through, by name.

What is always there: files that packages bring (`portable.csv` lists them; none is fetched) and what `tests/made`
makes from seeds. Where the corpus is (`../shared/corpus` beside the checkout, or where GATEWAY_TEST_CORPUS says) it
comes on top, and a file of it takes the place of the one that was made under its name: made is what stands in for it.
"""

from __future__ import annotations

import atexit
import csv
import hashlib
import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from tests.made.broken import broken, identities
from tests.made.objects import objects
from tests.made.streams import codestreams, derived, fragments, videos
from tests.made.structures import structures
from tests.made.texts import texts
from tests.servers import missing

ROOT = Path(__file__).resolve().parent.parent
CORPUS = Path(os.environ.get("GATEWAY_TEST_CORPUS", ROOT.parent / "shared" / "corpus"))
PORTABLE = Path(__file__).with_name("portable.csv")
SEGMENTS = "modality-seg-map-other/liver.dcm"
MAKERS: tuple[Callable[[], dict[str, bytes]], ...] = (
    texts,
    structures,
    broken,
    identities,
    fragments,
    codestreams,
    videos,
    objects,
)
_SYNTAX = re.compile(rb"\x02\0\x10\0UI..([0-9.]+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Row:
    """One file and what is known of it."""

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
    """Every file: the corpus where it is, what packages bring, what is made. `name` is the path in the corpus."""
    found: dict[str, Row] = {}
    for row in (*_corpus(), *_packaged(), *_made()):
        found.setdefault(row.name, row)
    return tuple(found.values())


def row(name: str) -> Row:
    """Return the one row of this name; a name may leave out the folder. Skips where only the corpus has it."""
    found = next((r for r in rows() if r.name == name or r.name.endswith("/" + name)), None)
    if found is None:
        wanted()
    assert found is not None, f"there is no file {name}"
    return found


def there() -> bool:
    """Return whether the corpus is."""
    return CORPUS.is_dir()


def wanted() -> None:
    """Skip the test, or fail it where GATEWAY_TEST_REQUIRE names the corpus; returns where the corpus is."""
    if not there():
        missing("corpus", "wants files that only ../shared/corpus has (GATEWAY_TEST_CORPUS)")


def portable() -> tuple[Row, ...]:
    """Return what is there on any machine, whether the corpus is or not."""
    return (*_packaged(), *_made())


def _corpus() -> tuple[Row, ...]:
    if not there():
        return ()
    with (CORPUS / "manifest.csv").open(newline="", encoding="utf-8") as handle:
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


@cache
def _packaged() -> tuple[Row, ...]:
    with PORTABLE.open(newline="", encoding="utf-8") as handle:
        entries = list(csv.DictReader(handle))
    return tuple(Row(e["name"], _installed(e["path"]), e["transfer_syntax"], "", "") for e in entries)


def _installed(path: str) -> Path:
    """Return the file of a package that is installed; nothing is imported, nothing fetched."""
    package, _, rest = path.partition("/")
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    file = next((Path(folder) / rest for folder in folders if (Path(folder) / rest).is_file()), None)
    if file is None:
        raise AssertionError(f"{path} is not installed: `make` installs the releases of requirements.lock")
    return file


@cache
def _made() -> tuple[Row, ...]:
    segments = next(row for row in _packaged() if row.name == SEGMENTS).read()
    folder = Path(tempfile.mkdtemp(prefix="made-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    found = []
    makers: list[Callable[[], dict[str, bytes]]] = [*MAKERS, partial(derived, segments)]
    for make in makers:
        for name, data in make().items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            syntax = _SYNTAX.search(data[:600])
            found.append(Row(name, file, syntax[1].decode() if syntax else "", "", ""))
    return tuple(found)
