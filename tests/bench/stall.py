"""`python -m tests.bench.stall`: does one client stop the others? Attacks beside a prober, one fresh server for each.

The prober asks for /livez and a small search every 20 ms on a connection each. The table says for each attack the longest
that an answer was waited for, the 99th percentile, the high-water mark of the server's memory, failed probes, how long
the server took to stop on SIGTERM afterwards, and what the attacker was told. `--tree DIR` runs the server from another
working tree, for figures before and after. Trust the ratios to the line 'nothing': machines are noisy.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import httpx
from tests.bench.attacks import SCENARIOS, Scenario, Target
from tests.bench.servers import ROOT, free_port, high_water

EVERY_SECONDS = 0.02
AFTER_SECONDS = 1.0
GIVE_UP_SECONDS = 60.0
PROBES = ("/livez", "/dicom-web/studies?limit=1")

Note: TypeAlias = "multiprocessing.Queue[str]"


@dataclass
class Row:
    """What an attack did; times in seconds, memory in bytes."""

    name: str
    waits: list[float] = field(default_factory=list)
    failed: int = 0
    memory: int = 0
    stopped: float = 0.0
    told: str = ""

    def text(self) -> str:
        longest = max(self.waits, default=GIVE_UP_SECONDS) * 1000
        p99 = statistics.quantiles(self.waits, n=100)[98] * 1000 if len(self.waits) > 1 else longest
        return (
            f"| {self.name} | {longest:.0f} | {p99:.1f} | {self.memory / (1 << 20):.0f} | {self.failed} "
            f"| {self.stopped:.1f} | {self.told} |"
        )


async def _probed(port: int, path: str) -> Any:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()

    async def ask() -> int:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        await reader.readexactly(length)
        return int(head[9:12])

    return ask, writer


async def _probe(port: int, path: str, row: Row, over: asyncio.Event) -> None:
    ask: Any = None
    writer: Any = None
    while not over.is_set():
        began = time.monotonic()
        try:
            if ask is None:
                ask, writer = await asyncio.wait_for(_probed(port, path), GIVE_UP_SECONDS)
            status = await asyncio.wait_for(ask(), GIVE_UP_SECONDS)
            row.failed += status not in (200, 204)
        except (OSError, EOFError, TimeoutError):
            row.failed += 1
            if writer is not None:
                writer.close()
            ask = writer = None
        waited = time.monotonic() - began
        row.waits.append(waited)
        await asyncio.sleep(max(0.0, EVERY_SECONDS - waited))
    if writer is not None:
        writer.close()


def _attack(name: str, target: Target, prepared: Any, notes: Note) -> None:
    """In a process of its own, so that what the attacker computes does not slow the prober."""
    with suppress(Exception):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        notes.put(SCENARIOS[name].attack(target, prepared))
    except Exception as error:
        notes.put(f"{type(error).__name__}")


async def _beside(scenario: Scenario, target: Target, prepared: Any, row: Row) -> None:
    over = asyncio.Event()
    probes = [asyncio.create_task(_probe(target.port, path, row, over)) for path in PROBES]
    context = multiprocessing.get_context("spawn")
    notes: Note = context.Queue()
    attacker = context.Process(target=_attack, args=(scenario.name, target, prepared, notes), daemon=True)
    await asyncio.sleep(0.5)
    attacker.start()
    await asyncio.to_thread(attacker.join, scenario.seconds)
    if attacker.is_alive():
        attacker.kill()
        row.told = f"not over after {scenario.seconds:g} s"
    await asyncio.sleep(AFTER_SECONDS)
    over.set()
    await asyncio.gather(*probes)
    with suppress(Exception):
        row.told = notes.get(timeout=1)
    attacker.join(5)


def measured(scenario: Scenario, tree: Path, scale: float) -> Row:
    """Run one attack on a server of its own."""
    row = Row(scenario.name)
    with tempfile.TemporaryDirectory(prefix="stall") as folder:
        port = free_port()
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli.main", "serve", "--data", folder, "--port", str(port)],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree), **scenario.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=_limit(scenario.descriptors),
        )
        try:
            target = Target(port, scale)
            until_ready(target)
            prepared = scenario.prepare(target)
            asyncio.run(_beside(scenario, target, prepared, row))
            row.memory = high_water(process.pid)
        finally:
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            row.stopped = time.monotonic() - began
    return row


def _limit(descriptors: int) -> Callable[[], None] | None:
    if not descriptors:
        return None
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))


def until_ready(target: Target) -> None:
    """Wait for the server."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            if httpx.get(f"{target.base}/readyz", timeout=5).status_code == 200:
                return
        time.sleep(0.05)
    raise SystemExit("the server did not start")


def main() -> None:
    """Run the attacks named, or all, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SCENARIOS)}")
    parser.add_argument(
        "--tree", type=Path, default=ROOT, help="working tree of the server (default: this one)"
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="of sizes and counts, where an attack has them"
    )
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    unknown = set(options.names) - SCENARIOS.keys()
    if unknown:
        parser.error(f"no attack is called {min(unknown)}")
    print(
        "| attack | longest stall (ms) | p99 (ms) | memory (MiB) | failed | stop (s) | the attacker was told |"
    )
    print("|---|---|---|---|---|---|---|", flush=True)
    rows = []
    for name in options.names or SCENARIOS:
        rows.append(measured(SCENARIOS[name], options.tree.resolve(), options.scale))
        print(rows[-1].text(), flush=True)
    if options.json:
        figures = {
            r.name: {"longest": max(r.waits), "memory": r.memory, "failed": r.failed, "stopped": r.stopped}
            for r in rows
        }
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
