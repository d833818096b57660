"""`make bench`: the gateway beside Debian's Orthanc and the floor, same machine, same files, same client, one run.

The floor answers from memory what our server answered, and stores bodies with one fsync each.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.bench import data, servers
from tests.bench.client import Client, Request, client

JSON = "application/dicom+json"
OCTETS = 'multipart/related; type="application/octet-stream"'
STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
PREFIX = "/dicom-web"
CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Read:
    """One kind of reading; `target` is how many times faster than Orthanc's DICOMweb the issue wants it."""

    name: str
    paths: Sequence[str]
    accept: str
    target: float
    connections: int = CONNECTIONS


@dataclass(slots=True)
class Line:
    """Milliseconds a request (or MiB): ours, Orthanc's, the floor's."""

    name: str
    target: float
    ours: float = 0.0
    peer: float = 0.0
    floor: float | None = None

    def row(self) -> str:
        ratio = self.peer / self.ours
        floor = "" if self.floor is None else f"{self.floor:.2f}"
        met = "met" if ratio >= self.target else "missed"
        return f"| {self.name} | {self.ours:.2f} | {self.peer:.2f} | {floor} | {ratio:.1f} | {self.target:g} | {met} |"


def reads(sizes: data.Sizes) -> list[Read]:
    ct = f"/studies/{data.CT}/series/{data.CT}.1"
    multi, _ = data.multi_frame(1)
    slide, _ = data.slide(1)
    frames = [f"{ct}/instances/{data.ct_uid(n)}/frames/1" for n in range(sizes.instances)]
    return [
        Read("studies by patient", [f"/studies?PatientID=PAT9{n:05d}" for n in range(50)], JSON, 3),
        Read("studies by month", ["/studies?StudyDate=20240301-20240331&limit=100"], JSON, 10),
        Read(f"series metadata, {sizes.instances} instances", [f"{ct}/metadata"], JSON, 20, 1),
        Read("CT frame", frames, OCTETS, 5),
        Read(
            "frame of a native multi-frame",
            [f"{multi}/frames/{n + 1}" for n in range(sizes.frames)],
            OCTETS,
            100,
        ),
        Read(
            "JPEG tile of a slide, as stored",
            [f"{slide}/frames/{n + 1}" for n in range(sizes.tiles)],
            TILE,
            100,
        ),
        Read("whole CT study, as stored", [f"/studies/{data.CT}"], STORED, 1, 1),
    ]


TILE = 'multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.50'


def posts(sizes: data.Sizes) -> Iterator[Request]:
    """The CT series, ten instances a request."""
    yield from data.in_posts(f"{PREFIX}/studies", data.ct_series(sizes.instances), 10)


def others(sizes: data.Sizes) -> Iterator[Request]:
    yield from data.in_posts(f"{PREFIX}/studies", data.small_studies(sizes.studies), 20)
    for _, instance in (data.multi_frame(sizes.frames), data.slide(sizes.tiles)):
        yield data.stow(f"{PREFIX}/studies", [instance])


async def ingest(found: Client, sizes: data.Sizes) -> float:
    """Milliseconds an instance of the CT series, after the small studies are in."""
    await found.all(others(sizes), 2)
    rate = await found.all(posts(sizes), CONNECTIONS)
    return rate.seconds * 1000 / sizes.instances


async def timed(found: Client, read: Read, seconds: float) -> float:
    rate = await found.rate(list(map(_escaped, read.paths)), read.accept, read.connections, seconds)
    return rate.each * 1000


def _escaped(path: str) -> str:
    return quote(path, safe="/?&=-.")


async def prepare_floor(folder: Path, ours: Client, read: Read) -> None:
    """Give the floor our answer to the first path, under every path that is asked."""
    answer = await ours.get(_escaped(read.paths[0]), read.accept)
    name = f"answer-{abs(hash(read.name))}"
    (folder / name).write_bytes(answer.body)
    table = json.loads((folder / "answers.json").read_text())
    table.update({PREFIX + _escaped(path): [name, "application/octet-stream"] for path in read.paths})
    (folder / "answers.json").write_text(json.dumps(table))


async def measured(
    ours: servers.Server, peer: servers.Server, floor: servers.Server, folder: Path, sizes: data.Sizes
) -> list[Line]:
    lines: list[Line] = []
    async with (
        client(ours.port, PREFIX) as a,
        client(peer.port, PREFIX) as b,
        client(floor.port, PREFIX) as c,
    ):
        line = Line("ingest, an instance of 525 KB", 2)
        line.ours = await ingest(a, sizes)
        line.peer = await ingest(b, sizes)
        line.floor = (await c.all(posts(sizes), CONNECTIONS)).seconds * 1000 / sizes.instances
        lines.append(line)
        for read in reads(sizes):
            line = Line(read.name, read.target)
            await prepare_floor(folder, a, read)
            line.ours = await timed(a, read, sizes.seconds)
            line.floor = await timed(c, read, sizes.seconds)
            line.peer = await timed(b, read, sizes.seconds)
            lines.append(line)
            print(line.row(), file=sys.stderr, flush=True)
    lines.append(Line("memory at its peak, MiB", 2, ours.peak_memory() / 2**20, peer.peak_memory() / 2**20))
    return lines


def table(lines: Sequence[Line], show: Callable[[str], None]) -> None:
    show("| what (ms a request) | ours | Orthanc | floor | Orthanc / ours | target | |")
    show("|---|---|---|---|---|---|---|")
    for line in lines:
        show(line.row())


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--quick", action="store_true", help="small sizes: shows that it runs, ratios say little"
    )
    sizes = data.QUICK if options.parse_args().quick else data.Sizes()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            servers.gateway(folder / "ours") as ours,
            servers.orthanc(folder / "orthanc") as (peer, configuration),
            servers.floor(folder / "floor") as floor,
        ):
            print("Orthanc's configuration:", json.dumps(configuration), "\n")
            lines = asyncio.run(measured(ours, peer, floor, folder / "floor", sizes))
    table(lines, print)
    return 0


if __name__ == "__main__":
    sys.exit(main())
