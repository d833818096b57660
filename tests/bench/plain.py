"""`python -m tests.bench.plain --tree BEFORE`: requests a second of another working tree and of this one, by turns.

Prints the ratio for /livez and for a frame of 128 KiB; machines are noisy, so the median of several rounds counts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests import build
from tests.bench.attacks import Target, path_of
from tests.bench.servers import ROOT, free_port
from tests.bench.stall import until_ready

CONNECTIONS = 4


@contextmanager
def _running(tree: Path) -> Iterator[tuple[Target, str]]:
    with tempfile.TemporaryDirectory(prefix="plain") as folder:
        port = free_port()
        command = [sys.executable, "-m", "gateway.cli.main", "serve", "--data", folder, "--port", str(port)]
        environment = {**os.environ, "PYTHONPATH": str(tree)}
        process = subprocess.Popen(command, cwd=tree, env=environment, stdout=subprocess.DEVNULL)
        try:
            target = Target(port)
            until_ready(target)
            ds = build.dataset(Rows=256, Columns=256, PixelData=bytes(1 << 17))
            target.stored(build.part10(ds))
            yield target, f"/dicom-web{path_of(ds)}/frames/1"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(40)


async def _rate(port: int, path: str, count: int) -> float:
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nUser-Agent: bench\r\n\r\n".encode()

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        for _ in range(count // CONNECTIONS):
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert head[9:12] == b"200", head
            await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    return count / (time.perf_counter() - began)


def main() -> None:
    """Measure by turns, print the median of the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tree", type=Path, required=True, help="working tree of the code before")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with ExitStack() as both:
        sides = [both.enter_context(_running(tree)) for tree in (options.tree.resolve(), ROOT)]
        for name, count in (("/livez", 4000), ("frame", 1500)):
            rates: list[list[float]] = []
            for _ in range(options.rounds):
                paths = [(target.port, "/livez" if name == "/livez" else frame) for target, frame in sides]
                rates.append([asyncio.run(_rate(port, path, count)) for port, path in paths])
            ratio = statistics.median(after / before for before, after in rates)
            before, after = (statistics.median(column) for column in zip(*rates, strict=True))
            print(f"{name}: {before:.0f} before, {after:.0f} after (requests a second), ratio {ratio:.3f}")


if __name__ == "__main__":
    main()
