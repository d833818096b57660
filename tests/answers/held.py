"""What the gateway was given, and where it says that it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.answers.ask import ROOT, Answer, Asks, stored
from tests.corpus import Row, rows

# Folders of files that are broken, or the same instance on purpose.
LAST = ("identity/gen-dup", "malformed/")
KNOWN = 0x0111
FEW = (
    "CT_small.dcm",
    "MR_small_RLE.dcm",
    "emri_small.dcm",
    "examples_ybr_color.dcm",
    "gen-dup-a.dcm",
    "gen-encapsulated-pdf.dcm",
    "gen-h264-102.dcm",
    "reportsi.dcm",
    "chrRuss.dcm",
    "gen-meta-sop-mismatch.dcm",
    "gen-bad-ds.dcm",
    "no_meta.dcm",
    "SC_rgb_small_odd.dcm",
)


class Held:
    """Paths of instances by the names of their files."""

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}

    def add(self, name: str, path: str) -> None:
        self._paths.setdefault(name, path)

    def some(self, *names: str) -> Iterator[tuple[str, str]]:
        """Yield those that are there, of these names (a folder may be left out)."""
        for name in names:
            for known, path in self._paths.items():
                if known == name or known.endswith("/" + name):
                    yield name, path
                    break

    def path(self, name: str) -> str:
        """Return where the instance of a file is that every machine has. Raises KeyError."""
        for _, path in self.some(name):
            return path
        raise KeyError(name)

    def all(self) -> Iterator[tuple[str, str]]:
        """Yield every instance once, in the order of storing."""
        seen: set[str] = set()
        for name, path in self._paths.items():
            if path not in seen:
                seen.add(path)
                yield name, path


def files(*, few: bool = False) -> Sequence[Row]:
    """Return every file, or one of a kind, by name; those that are broken last, as they may name the others' UIDs."""
    found = sorted(rows(), key=lambda row: (row.name.startswith(LAST), row.name))
    return [row for row in found if not few or row.name.rpartition("/")[2] in FEW]


def filling(files: Sequence[Row], held: Held) -> Asks:
    """Store one file after another and remember where each is."""
    for number, row in enumerate(files):
        data = row.read()
        answer = yield stored(f"store {row.name}", f"{ROOT}/studies", data)
        if _is_known(answer) and not row.name.startswith(LAST):
            uid = answer.json()["00081198"]["Value"][0]["00081155"]["Value"][0]
            answer = yield stored(
                f"store {row.name}, renamed", f"{ROOT}/studies", _renamed(data, uid, number)
            )
        told = answer.json() or {}
        for item in told.get("00081199", {}).get("Value", ()):
            for url in item["00081190"].get("Value", ()):
                held.add(row.name, ROOT + url.partition(ROOT)[2])


def _is_known(answer: Answer) -> bool:
    """Whether all that was wrong is that another file of the same instance came before, in another syntax often."""
    failed = (answer.json() or {}).get("00081198", {}).get("Value", ())
    return [item["00081197"]["Value"] for item in failed] == [[KNOWN]]


def _renamed(data: bytes, uid: str, number: int) -> bytes:
    """The file as of another instance; nothing changes where the UID is not in clear."""
    return data.replace(uid.encode(), f"{uid[:-3]}{100 + number}".encode())


def study(path: str) -> str:
    """Return the path of the study that an instance is in."""
    return path.partition("/series/")[0]


def series(path: str) -> str:
    """Return the path of the series that an instance is in."""
    return path.partition("/instances/")[0]


def uids(path: str) -> tuple[str, str, str]:
    """Return those of study, series and instance."""
    pieces = path.split("/")
    return pieces[3], pieces[5], pieces[7]
