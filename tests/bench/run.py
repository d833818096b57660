"""`make bench`: the gateway beside Debian's Orthanc and the floor, same machine, same files, same client, one run.

The floor answers from memory what our server answered, and stores bodies with one fsync each. A line called
'first time' asks for everything once, before any cache of either server can hold it; the others ask again
and again. Both servers have the files in the page cache.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from tests.bench import data, servers
from tests.bench.client import Answer, Client, Rate, Request, client

JSON = "application/dicom+json"
OCTETS = 'multipart/related; type="application/octet-stream"'
TILE = 'multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.50'
STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
PREFIX = "/dicom-web"
CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Read:
    """One kind of reading; `target` is how many times faster than Orthanc's DICOMweb the issue wants it.

    `first` asks for a line of its own for the first time; `rest` for one by Orthanc's own frame path.
    """

    name: str
    paths: Sequence[str]
    accept: str
    target: float
    connections: int = CONNECTIONS
    first: bool = False
    rest: bool = False


@dataclass(slots=True)
class Line:
    """Milliseconds a request (or MiB): ours, Orthanc's DICOMweb and REST, the floor's."""

    name: str
    target: float
    ours: float = 0.0
    peer: float = 0.0
    rest: float | None = None
    floor: float | None = None

    def row(self) -> str:
        ratio = self.peer / self.ours
        verdict = "met" if ratio >= self.target else "missed"
        cells = [self.name, f"{self.ours:.2f}", f"{self.peer:.2f}", _number(self.rest), _number(self.floor)]
        return "| " + " | ".join([*cells, f"{ratio:.1f}", f"{self.target:g}", verdict]) + " |"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def reads(sizes: data.Sizes) -> list[Read]:
    ct = f"/studies/{data.CT}/series/{data.CT}.1"
    multi, _ = data.multi_frame(1)
    slide, _ = data.slide(1)
    patients = [f"/studies?PatientID=PAT9{n:05d}" for n in range(min(50, sizes.studies))]
    frames = [f"{ct}/instances/{data.ct_uid(n)}/frames/1" for n in range(sizes.instances)]
    native = [f"{multi}/frames/{n + 1}" for n in range(sizes.frames)]
    tiles = [f"{slide}/frames/{n + 1}" for n in range(sizes.tiles)]
    metadata = f"series metadata, {sizes.instances} instances"
    return [
        Read("studies by patient", patients, JSON, 3),
        Read("studies by month", ["/studies?StudyDate=20240301-20240331&limit=100"], JSON, 10),
        Read(metadata, [f"{ct}/metadata"], JSON, 20, 1, first=True),
        Read("CT frame", frames, OCTETS, 5, first=True, rest=True),
        Read("frame of a native multi-frame", native, OCTETS, 100, rest=True),
        Read("JPEG tile of a slide, as stored", tiles, TILE, 100, rest=True),
        Read("whole CT study, as stored", [f"/studies/{data.CT}"], STORED, 1, 1),
    ]


def posts(sizes: data.Sizes) -> Iterator[Request]:
    """The CT series, ten instances a request."""
    yield from data.in_posts(f"{PREFIX}/studies", data.ct_series(sizes.instances), 10)


def others(sizes: data.Sizes) -> Iterator[Request]:
    yield from data.in_posts(f"{PREFIX}/studies", data.small_studies(sizes.studies), 20)
    for _, instance in (data.multi_frame(sizes.frames), data.slide(sizes.tiles)):
        yield data.stow(f"{PREFIX}/studies", [instance])


async def ingest(found: Client, sizes: data.Sizes, before: Iterator[Request]) -> float:
    """Milliseconds an instance of the CT series, once `before` is in."""
    await found.all(before, 2)
    # What another server left to be written must not slow this one's fsync.
    await asyncio.to_thread(os.sync)
    rate = await found.all(posts(sizes), CONNECTIONS)
    return rate.seconds * 1000 / sizes.instances


async def once(found: Client, read: Read) -> float:
    """Milliseconds a request, every path asked for one time."""
    requests = (Request("GET", found.prefix + _escaped(path), read.accept) for path in read.paths)
    return (await found.all(requests, read.connections)).each * 1000


async def timed(found: Client, read: Read, paths: Sequence[str], seconds: float) -> float:
    rate: Rate = await found.rate([_escaped(p) for p in paths], read.accept, read.connections, seconds)
    return rate.each * 1000


def _escaped(path: str) -> str:
    return quote(path, safe="/?&=-.")


async def rest_paths(orthanc: Client, read: Read) -> list[str]:
    """The same frames by Orthanc's own path, `/instances/{id}/frames/{n from 0}/raw`."""
    known: dict[str, str] = {}
    paths: list[str] = []
    for path in read.paths:
        uid, frame = path.split("/instances/")[1].split("/frames/")
        if uid not in known:
            lookup = Request("POST", "/tools/lookup", "*/*", "text/plain", [uid.encode()])
            known[uid] = json.loads((await orthanc.send(lookup, keep=True)).body)[0]["ID"]
        paths.append(f"/instances/{known[uid]}/frames/{int(frame) - 1}/raw")
    return paths


def check_same(read: Read, ours: Answer, theirs: Answer) -> None:
    """A ratio means nothing where one of the two answers something else."""
    if read.accept == JSON:
        a, b = len(json.loads(ours.body)), len(json.loads(theirs.body))
        same = a == b > 0
    else:
        a, b = ours.length, theirs.length
        same = abs(a - b) <= 0.02 * a
    if not same:
        raise SystemExit(f"{read.name}: ours answers {a} and Orthanc {b} (objects, or bytes), not the same")


def prepare_floor(folder: Path, answer: Answer, read: Read) -> None:
    """Give the floor our answer to the first path, under every path that is asked."""
    answers = folder / "answers.json"
    table = json.loads(answers.read_text())
    name = f"answer-{len(list(folder.glob('answer-*')))}"
    (folder / name).write_bytes(answer.body)
    table.update({PREFIX + _escaped(path): [name, "application/octet-stream"] for path in read.paths})
    answers.write_text(json.dumps(table))


@dataclass(frozen=True, slots=True)
class Bench:
    ours: Client
    peer: Client
    rest: Client
    floor: Client
    folder: Path
    sizes: data.Sizes

    async def lines(self) -> list[Line]:
        lines = [await self.ingested()]
        for read in reads(self.sizes):
            lines += await self.read(read)
            print(lines[-1].row(), file=sys.stderr, flush=True)
        return lines

    async def ingested(self) -> Line:
        line = Line("ingest, an instance of 525 KB", 2)
        line.ours = await ingest(self.ours, self.sizes, others(self.sizes))
        line.peer = await ingest(self.peer, self.sizes, others(self.sizes))
        line.floor = await ingest(self.floor, self.sizes, iter(()))
        return line

    async def read(self, read: Read) -> list[Line]:
        lines: list[Line] = []
        if read.first:
            first = Line(f"{read.name}, first time", read.target)
            first.ours, first.peer = await once(self.ours, read), await once(self.peer, read)
            lines.append(first)
        path = _escaped(read.paths[0])
        answer = await self.ours.get(path, read.accept)
        check_same(read, answer, await self.peer.get(path, read.accept))
        prepare_floor(self.folder, answer, read)
        line = Line(read.name, read.target)
        line.ours = await timed(self.ours, read, read.paths, self.sizes.seconds)
        line.floor = await timed(self.floor, read, read.paths, self.sizes.seconds)
        line.peer = await timed(self.peer, read, read.paths, self.sizes.seconds)
        if read.rest:
            paths = await rest_paths(self.rest, read)
            line.rest = await timed(self.rest, replace(read, accept="*/*"), paths, self.sizes.seconds)
        return [*lines, line]


async def measured(
    ours: servers.Server, peer: servers.Server, floor: servers.Server, folder: Path, sizes: data.Sizes
) -> list[Line]:
    async with (
        client(ours.port, PREFIX) as a,
        client(peer.port, PREFIX) as b,
        client(peer.port) as rest,
        client(floor.port, PREFIX) as c,
    ):
        lines = await Bench(a, b, rest, c, folder, sizes).lines()
    mine, theirs = ours.peak_memory() / 2**20, peer.peak_memory() / 2**20
    return [*lines, Line("memory at its peak, MiB", 2, mine, theirs)]


def table(lines: Sequence[Line], show: Callable[[str], None]) -> None:
    show("| what (ms a request) | ours | Orthanc | Orthanc REST | floor | Orthanc / ours | target | |")
    show("|---|---|---|---|---|---|---|---|")
    for line in lines:
        show(line.row())


def options() -> tuple[data.Sizes, int]:
    """Sizes and how many workers of ours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: it runs, the ratios say little")
    parser.add_argument("--instances", type=int, help="of the CT series (default 600)")
    parser.add_argument("--studies", type=int, help="small studies that are searched (default 2000)")
    cores = min(os.cpu_count() or 1, 4)
    parser.add_argument("--workers", type=int, default=cores, help="processes of ours (default: a core each)")
    given = parser.parse_args()
    sizes = data.QUICK if given.quick else data.Sizes()
    sizes = replace(
        sizes, instances=given.instances or sizes.instances, studies=given.studies or sizes.studies
    )
    return sizes, given.workers


def main() -> int:
    sizes, workers = options()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            servers.gateway(folder / "ours", workers) as ours,
            servers.orthanc(folder / "orthanc") as (peer, configuration),
            servers.floor(folder / "floor") as floor,
        ):
            print(f"Ours: defaults, with --workers {workers} (Orthanc answers with 50 threads)")
            print("Orthanc's configuration:", json.dumps(configuration), "\n")
            lines = asyncio.run(measured(ours, peer, floor, folder / "floor", sizes))
    table(lines, print)
    return 0


if __name__ == "__main__":
    sys.exit(main())
