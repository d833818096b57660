"""The commands of the command line, each a function."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from gateway.app import Gateway
from gateway.conformance import rows, statement
from gateway.errors import BadParameter, GatewayError
from gateway.model import Source
from gateway.server import run
from gateway.services.admin.advice import advice
from gateway.services.admin.verify import Verify
from gateway.services.ingest.importing import Import, Notes, Tally, candidates
from gateway.services.ingest.inplace import InPlace
from gateway.services.recovery.reindex import Rebuilt, Reindex
from gateway.settings import Settings, seconds

TELL_SECONDS = 5.0


def serve(settings: Settings, *, rebuild: bool = False) -> int:
    """Serve until a signal stops it; return the exit code.

    Refuses a bind that others can reach, as there is no authentication yet.
    """
    if not settings.is_loopback and not settings.insecure:
        raise BadParameter(
            f"host {settings.host} can be reached by others and there is no authentication: "
            "bind 127.0.0.1 behind a proxy that authenticates, or say --insecure",
            parameter="host",
        )
    # An error of store or index is printed here, in a line, before a worker starts.
    asyncio.run(_try(settings, rebuild))
    bound = _bind(settings.host.strip("[]"), settings.port)
    port = int(bound.getsockname()[1])
    # Worker processes are started fresh and read their settings from the environment.
    settings = replace(settings, port=port)
    os.environ.update(settings.environment())
    print(f"dicomweb-gateway: http://{settings.host}:{port}/dicom-web", flush=True)
    return run.serve("gateway.asgi:create", settings, bound)


def _bind(host: str, port: int) -> socket.socket:
    """Bind a socket as uvicorn does, but with errors that name host and port. Raises GatewayError."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        reason = (error.strerror or str(error)).lower()
        raise GatewayError(f"cannot bind {host} port {port}: {reason}; --port 0 picks a free one") from error
    bound.set_inheritable(True)
    return bound


async def _try(settings: Settings, rebuild: bool) -> None:
    async with _open(settings) as gateway:
        await gateway.readiness.check()
        await compare_and_replay(gateway, rebuild=rebuild)


async def compare_and_replay(gateway: Gateway, *, rebuild: bool = False) -> None:
    """Compare index and journal, and replay missing changes; progress is shown on stderr."""
    with tqdm(unit="change", desc="replayed", disable=not sys.stderr.isatty(), delay=1) as bar:
        told = time.monotonic()

        def show(done: int, total: int) -> None:
            nonlocal told
            bar.total = total
            bar.update(done - bar.n)
            if not sys.stderr.isatty() and (done == total or time.monotonic() - told > TELL_SECONDS):
                told = time.monotonic()
                print(f"replayed {done} of {total} changes", file=sys.stderr, flush=True)

        await gateway.compare(rebuild=rebuild, progress=show)


@asynccontextmanager
async def _open(settings: Settings, *, check: bool = True) -> AsyncIterator[Gateway]:
    gateway = await Gateway.open(settings, check=check)
    try:
        yield gateway
    finally:
        await gateway.close()


async def import_files(settings: Settings, paths: Sequence[Path]) -> int:
    """Import the files under `paths`; return 1 if anything was refused."""
    for path in paths:
        if not path.exists():
            raise BadParameter(f"'{path}': no such file or folder", parameter="PATH")
    name = hashlib.sha256("\n".join(str(p.resolve()) for p in paths).encode()).hexdigest()[:16]
    notes = Notes(Path(settings.data) / "imports" / f"{name}.done")
    async with _open(settings) as gateway:
        await gateway.start(follow=False)
        job = Import(gateway.ingest, Source("import"), notes)
        found = list(candidates(paths))
        with tqdm(total=len(found), unit="file", disable=not sys.stderr.isatty()) as bar:
            async for _ in job.run(found):
                bar.update()
    return _print_tally(job.tally)


def _print_tally(tally: Tally) -> int:
    for file, reason in tally.refused:
        print(f"refused {file}: {reason}", file=sys.stderr)
    print(
        f"{tally.stored} stored, {tally.again} received again, {tally.skipped} done before, "
        f"{len(tally.refused)} refused"
    )
    return 1 if tally.refused else 0


async def import_in_place(settings: Settings, paths: Sequence[str]) -> int:
    """Index the objects in these folders or buckets by reference; return 1 if anything was refused."""
    urls = [path if "://" in path else Path(path).resolve().as_uri() for path in paths]
    tally = Tally()
    async with _open(settings) as gateway:
        await gateway.start(follow=False)
        source = Source("import")
        job = InPlace(gateway.store, gateway.commits, source, policy=gateway.policies.rule(source).repeat)
        with tqdm(unit="file", disable=not sys.stderr.isatty()) as bar:
            for url in urls:
                async with gateway.place(url) as place:
                    async for found in place.find():
                        tally.count(found.path, await job.take(found))
                        bar.update()
    return _print_tally(tally)


async def reclaim(settings: Settings, older_than: str | None) -> int:
    """Reclaim the bytes of versions deleted longer ago than the undo window, or than `older_than`."""
    wanted = settings.undo_window if older_than is None else older_than
    if wanted == "never":
        raise BadParameter("undo_window is 'never': say --older-than, such as 30d", parameter="older_than")
    window = seconds("older_than", wanted)
    async with _open(settings) as gateway:
        await compare_and_replay(gateway)
        await gateway.start(follow=False)
        tally = await gateway.reclaim.run(window)
    print(f"{tally.versions} deleted versions reclaimed, {tally.length} bytes")
    if tally.left:
        print(f"{tally.left} objects could not be deleted: they are swept later", file=sys.stderr)
    return 1 if tally.left else 0


async def sweep(settings: Settings, *, confirm: bool) -> int:
    """List the objects that neither index nor journal names, or move them to the trash."""
    async with _open(settings) as gateway:
        await gateway.start(follow=False)
        swept = await gateway.sweeper.run(confirmed=confirm, dry=not confirm)
    if swept.why_not:
        raise GatewayError(f"nothing swept: {swept.why_not}")
    for key in (*swept.orphans, *swept.derived):
        print(key)
    verb = "swept" if confirm else "to be swept with --confirm"
    print(f"{swept.count} objects {verb}, {len(swept.given_up)} past the undo window in the trash")
    return 0


def conformance(format: str) -> str:
    """Return the conformance statement of this version: `markdown` to read, `json` for the rows alone."""
    found = rows.load_packaged()
    return rows.dump(found) if format == "json" else statement.markdown(found)


def check_data(settings: Settings) -> None:
    """Raise BadParameter where the data folder is missing.

    A mistyped folder would otherwise be made, found empty and reported as undamaged.
    """
    if not settings.store and not settings.index and not Path(settings.data).is_dir():
        raise BadParameter(
            f"data '{settings.data}': no such folder; want one that a gateway stored in", parameter="data"
        )


async def migrate(settings: Settings) -> int:
    async with _open(settings, check=False) as gateway:
        await gateway.index.migrate()
    print("the schema is up to date")
    return 0


async def reindex(settings: Settings, *, headers: bool, accept_gaps: bool) -> int:
    """Build a second index and put it in the place of the serving one; return 1 for damage."""
    async with _open(settings, check=False) as gateway:
        await gateway.index.migrate()
        job = Reindex(gateway.store, gateway.index, headers=headers, accept_gaps=accept_gaps)
        with tqdm(unit="change", disable=not sys.stderr.isatty()) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            done = await job.run(show)
        for problem in done.problems:
            print(problem.sentence, file=sys.stderr)
        damaged = 0
        async for stored in job.list_damaged():
            damaged += 1
            print(
                f"damaged: {stored.locator.key} ({stored.identity.instance}): {stored.damage}",
                file=sys.stderr,
            )
    print(_format_rebuilt(done))
    if damaged:
        print(
            f"{damaged} damaged: store these instances again, or bring their objects back and run reindex again"
        )
    return 1 if damaged or done.problems else 0


def _format_rebuilt(done: Rebuilt) -> str:
    rate = max(done.seconds, 1e-9)
    lines = [
        f"{done.changes + done.caught_up} changes replayed, {done.objects} objects read in {done.seconds:.1f} s: "
        f"{done.objects / rate:.0f} objects/s, {done.length / 1e6 / rate:.1f} MB/s"
    ]
    if done.begun:
        lines.append(f"went on after revision {done.begun}, where another run had come to")
    if done.filled:
        lines.append(f"{done.filled} changes that the journal has lost were taken from the index before")
    if done.journaled:
        lines.append(f"{done.journaled} changes that the journal did not tell were journaled again")
    if done.restored:
        lines.append(f"{done.restored} objects were brought back from the trash")
    if done.left_out:
        lines.append("the index before told otherwise than the journal: what only it knew is left out")
    return "\n".join(lines)


async def verify(settings: Settings, *, digests: bool) -> int:
    """Print the differences between store, journal and index, and advice; return 1 for damage."""
    damaged = 0
    kinds: dict[str, int] = {}
    async with _open(settings) as gateway:
        async for difference in Verify(gateway.store, gateway.index).differences(digests=digests):
            kinds[difference.kind] = kinds.get(difference.kind, 0) + 1
            damaged += difference.is_damage
            print(f"{difference.kind}: {difference.what}")
    orphans = f" ({kinds['orphan']} orphans)" if "orphan" in kinds else ""
    print((f"{damaged} damaged" if damaged else "no damage") + orphans)
    for sentence in advice(kinds):
        print(f"- {sentence}")
    return 1 if damaged else 0
