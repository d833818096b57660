"""Files, folders and zip archives into the gateway; what was done is noted, so that it can be resumed."""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from gateway.errors import BadParameter
from gateway.model import Source
from gateway.services.ingest import Ingest
from gateway.services.outcomes import Outcome

CHUNK = 1 << 20
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file, or a member of a zip archive. `mark` changes when the file does."""

    file: Path
    member: str
    size: int
    mark: str

    @property
    def name(self) -> str:
        return f"{self.file}!{self.member}" if self.member else str(self.file)


@dataclass(slots=True)
class Tally:
    """What an import did so far. `refused` has (name, reason) of each file that was not taken."""

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
    """Every regular file below `paths`, sorted; archives are opened up."""
    for path in paths:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            stat = file.stat()
            mark = f"{stat.st_size}:{stat.st_mtime_ns}"
            if zipfile.is_zipfile(file) and not _is_part10(file):
                yield from _members(file, mark)
            else:
                yield Candidate(file, "", stat.st_size, mark)


def _is_part10(file: Path) -> bool:
    with file.open("rb") as handle:
        return handle.read(132)[128:] == b"DICM"


def _members(file: Path, mark: str) -> Iterator[Candidate]:
    with zipfile.ZipFile(file) as archive:
        for info in sorted(archive.infolist(), key=lambda i: i.filename):
            if not info.is_dir():
                yield Candidate(file, info.filename, info.file_size, mark)


class Notes:
    """Which candidates are done, in an append-only file; a torn last line is as if it were not there."""

    def __init__(self, file: Path) -> None:
        """Raises BadParameter where there cannot be such a file."""
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
        self.tally = Tally()

    async def run(self, found: Iterable[Candidate]) -> AsyncIterator[Candidate]:
        """Yields each candidate once it is done, so that the caller can show progress."""
        batch: list[Candidate] = []
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

    async def _batch(self, batch: list[Candidate]) -> AsyncIterator[Candidate]:
        outcomes = await asyncio.gather(*(self._one(candidate) for candidate in batch))
        for candidate, outcome in zip(batch, outcomes, strict=True):
            self.tally.count(candidate.name, outcome)
            yield candidate
        self._notes.add(c for c, o in zip(batch, outcomes, strict=True) if o.failure is None)

    async def _one(self, candidate: Candidate) -> Outcome:
        session = self._ingest.session(self._source)
        try:
            await session.take(_bytes_of(candidate))
        except (OSError, zipfile.BadZipFile) as error:
            return Outcome(None, 0xC000, f"cannot be read: {type(error).__name__}")
        return (await session.finish())[0]


async def _bytes_of(candidate: Candidate) -> AsyncIterator[bytes]:
    handle = await asyncio.to_thread(_open, candidate)
    try:
        while chunk := await asyncio.to_thread(handle.read, CHUNK):
            yield chunk
    finally:
        await asyncio.to_thread(handle.close)


def _open(candidate: Candidate) -> BinaryIO:
    if not candidate.member:
        return candidate.file.open("rb")
    # The archive object stays open as long as the member it hands out.
    return zipfile.ZipFile(candidate.file).open(candidate.member)  # type: ignore[return-value]
