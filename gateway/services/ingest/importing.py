"""Import files, folders and zip archives; notes of what was done let an import be resumed."""

from __future__ import annotations

import asyncio
import lzma
import struct
import threading
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from gateway.dicom.limits import LIMITS
from gateway.errors import BadParameter
from gateway.model import Source
from gateway.services.ingest.ingest import Ingest
from gateway.services.ingest.outcomes import CANNOT_UNDERSTAND, Outcome

CHUNK = 1 << 20
AT_ONCE = 8
# Errors that zipfile raises for an archive or member that is damaged, encrypted, or compressed by an
# unknown method.
_BROKEN = (
    *(OSError, EOFError, RuntimeError, NotImplementedError, ValueError, OverflowError, IndexError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
)
_ENCRYPTED = 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file, or a member of a zip archive.

    `mark` changes when the file does; `refused` says why it cannot be read.
    """

    file: Path
    member: str
    size: int
    mark: str
    refused: str = ""
    info: zipfile.ZipInfo | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """Return a name that is safe to print on a terminal, whatever an archive calls its members."""
        text = f"{self.file}!{self.member}" if self.member else str(self.file)
        return text if text.isprintable() else ascii(text)[1:-1]


@dataclass(slots=True)
class Tally:
    """Counts of an import so far. `refused` has (name, reason) of each file that was not stored."""

    stored: int = 0
    again: int = 0
    skipped: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)

    def count(self, name: str, outcome: Outcome) -> None:
        if outcome.failure is not None:
            self.refused.append((name, f"{outcome.failure:04X}H {outcome.detail}"))
        elif outcome.fresh:
            self.stored += 1
        else:
            self.again += 1


def candidates(paths: Iterable[Path]) -> Iterator[Candidate]:
    """Yield every regular file below `paths`, sorted, and the members of archives."""
    for path in paths:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            try:
                stat = file.stat()
                mark = f"{stat.st_size}:{stat.st_mtime_ns}"
                is_archive = zipfile.is_zipfile(file) and not _is_part10(file)
            except OSError as error:
                yield Candidate(file, "", 0, "", _unreadable(error))
                continue
            if is_archive:
                yield from _members(file, mark)
            else:
                yield Candidate(file, "", stat.st_size, mark)


def _is_part10(file: Path) -> bool:
    with file.open("rb") as handle:
        return handle.read(132)[128:] == b"DICM"


def _members(file: Path, mark: str) -> Iterator[Candidate]:
    try:
        with zipfile.ZipFile(file) as archive:
            found = sorted(archive.infolist(), key=lambda info: info.filename)
    except _BROKEN as error:
        yield Candidate(file, "", 0, mark, f"the archive's directory {_unreadable(error)}")
        return
    for info in found:
        if not info.is_dir():
            yield Candidate(file, info.filename, info.file_size, mark, _obstacle(info), info)


def _obstacle(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if info.file_size > max(LIMITS.inflation_floor, LIMITS.inflation_ratio * info.compress_size):
        return f"grows more than {LIMITS.inflation_ratio}-fold"
    return ""


def _unreadable(error: Exception) -> str:
    """Return why a file cannot be read, by the kind of error only: a message may quote the file."""
    if isinstance(error, NotImplementedError):
        return "is compressed by a method that is not known here"
    return f"cannot be read: {type(error).__name__}"


class _Archives:
    """Open archives; each is opened once while its members follow one another."""

    def __init__(self) -> None:
        self._open: dict[Path, zipfile.ZipFile] = {}
        self._lock = threading.Lock()

    def open(self, candidate: Candidate) -> BinaryIO:
        """Open the file, or the member of an archive. Blocking. Raises one of `_BROKEN`."""
        if candidate.info is None:
            return candidate.file.open("rb")
        with self._lock:  # the ZipFile counts its readers, and is not safe for several threads
            archive = self._open.get(candidate.file)
            if archive is None:
                archive = self._open[candidate.file] = zipfile.ZipFile(candidate.file)
            return archive.open(candidate.info)  # type: ignore[return-value]

    def close(self, handle: BinaryIO) -> None:
        with self._lock:
            handle.close()

    def keep(self, files: set[Path]) -> None:
        """Close all archives but these."""
        for file in self._open.keys() - files:
            self._open.pop(file).close()


class Notes:
    """The candidates that are done, in an append-only file; a torn last line is ignored."""

    def __init__(self, file: Path) -> None:
        """Read the file. Raises BadParameter where its folder cannot be made."""
        self._file = file
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            why = f"{file.parent}: {error.strerror}; notes of what was imported are kept there"
            raise BadParameter(why, parameter="data") from error
        self._done = set(file.read_text().splitlines()) if file.exists() else set()

    def has(self, candidate: Candidate) -> bool:
        return self._line(candidate) in self._done

    def add(self, candidates: Iterable[Candidate]) -> None:
        with self._file.open("a") as handle:
            handle.writelines(f"{self._line(c)}\n" for c in candidates)

    @staticmethod
    def _line(candidate: Candidate) -> str:
        return f"{candidate.mark}\t{candidate.name!r}"


class Import:
    """Sends candidates through ingest, a few at a time."""

    def __init__(self, ingest: Ingest, source: Source, notes: Notes) -> None:
        self._ingest = ingest
        self._source = source
        self._notes = notes
        self._archives = _Archives()
        self.tally = Tally()

    async def run(self, found: Iterable[Candidate]) -> AsyncIterator[Candidate]:
        """Import the candidates; yield each once it is done, so that the caller can show progress."""
        batch: list[Candidate] = []
        try:
            for candidate in found:
                if self._notes.has(candidate):
                    self.tally.skipped += 1
                    yield candidate
                    continue
                batch.append(candidate)
                if len(batch) == AT_ONCE:
                    async for done in self._batch(batch):
                        yield done
                    batch = []
            async for done in self._batch(batch):
                yield done
        finally:
            self._archives.keep(set())

    async def _batch(self, batch: list[Candidate]) -> AsyncIterator[Candidate]:
        self._archives.keep({candidate.file for candidate in batch})
        outcomes = await asyncio.gather(*(self._one(candidate) for candidate in batch))
        for candidate, outcome in zip(batch, outcomes, strict=True):
            self.tally.count(candidate.name, outcome)
            yield candidate
        self._notes.add(c for c, o in zip(batch, outcomes, strict=True) if o.failure is None)

    async def _one(self, candidate: Candidate) -> Outcome:
        if candidate.refused:
            return Outcome(None, CANNOT_UNDERSTAND, candidate.refused)
        session = self._ingest.session(self._source)
        try:
            await session.take(self._bytes_of(candidate))
        except _BROKEN as error:
            await session.finish()
            return Outcome(None, CANNOT_UNDERSTAND, _unreadable(error))
        return (await session.finish())[0]

    async def _bytes_of(self, candidate: Candidate) -> AsyncIterator[bytes]:
        handle = await asyncio.to_thread(self._archives.open, candidate)
        try:
            while chunk := await asyncio.to_thread(handle.read, CHUNK):
                yield chunk
        finally:
            await asyncio.to_thread(self._archives.close, handle)
