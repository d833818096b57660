"""`dicomweb-gateway`: exit codes 0 done, 1 failed, 2 wrong use."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from importlib.metadata import version as distribution_version
from pathlib import Path

from gateway.cli import commands
from gateway.errors import BadParameter, GatewayError, IndexFailure, MigrationNeeded
from gateway.settings import Settings, load, mask


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "conformance":
        print(commands.conformance(options.format), end="")
        return 0
    if options.command == "version":
        print(f"dicomweb-gateway {distribution_version('dicomweb-gateway')}")
        return 0
    try:
        return _run(options, load(vars(options), config=options.config))
    except BadParameter as error:
        print(f"dicomweb-gateway: {error.detail}", file=sys.stderr)
        return 2
    except GatewayError as error:
        print(f"dicomweb-gateway: {error.detail}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("dicomweb-gateway: interrupted", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace, settings: Settings) -> int:
    try:
        return _command(options, settings)
    except MigrationNeeded:
        raise
    except IndexFailure as error:
        # Clients get only `detail`; the operator who runs the command needs to know which
        # index failed, and why.
        reason = f": {error.__cause__}" if error.__cause__ else ""
        raise GatewayError(f"{error.detail} ({mask(settings.index_url)}{reason})") from error


def _command(options: argparse.Namespace, settings: Settings) -> int:
    if options.command == "serve":
        return commands.serve(settings, rebuild=options.rebuild)
    if options.command == "import" and options.in_place:
        return asyncio.run(commands.import_in_place(settings, options.paths))
    if options.command == "import":
        return asyncio.run(commands.import_files(settings, [Path(p) for p in options.paths]))
    if options.command == "migrate":
        return asyncio.run(commands.migrate(settings))
    commands.check_data(settings)
    if options.command == "reclaim":
        return asyncio.run(commands.reclaim(settings, options.older_than))
    if options.command == "sweep":
        return asyncio.run(commands.sweep(settings, confirm=options.confirm))
    if options.command == "reindex":
        return asyncio.run(
            commands.reindex(settings, headers=options.headers, accept_gaps=options.accept_gaps)
        )
    return asyncio.run(commands.verify(settings, digests=not options.quick))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dicomweb-gateway", description="A DICOMweb (PS3.18) gateway.")
    told = f"dicomweb-gateway {distribution_version('dicomweb-gateway')}"
    parser.add_argument("--version", action="version", version=told)
    commands_ = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    shared = _make_shared_options()
    serve = commands_.add_parser("serve", parents=[shared], help="serve DICOMweb over HTTP")
    serve.add_argument("--host", help="address to bind (default 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to bind (default 8080; 0 picks a free one)")
    serve.add_argument("--workers", type=int, help="worker processes (default 1)")
    serve.add_argument("--public-url", help="what clients see, such as https://pacs.example.org")
    serve.add_argument("--cors-origin", action="append", help="origin that may read from a browser")
    serve.add_argument(
        "--trusted-proxy", action="append", metavar="NET", help="network whose Forwarded counts"
    )
    serve.add_argument(
        "--insecure",
        action="store_true",
        default=None,
        help="allow a bind that others reach, unauthenticated",
    )
    serve.add_argument(
        "--rebuild",
        action="store_true",
        help="where PostgreSQL lacks what the journal tells, replay it before serving",
    )
    serve.add_argument(
        "--strict", action="store_true", default=None, help="refuse what PS3.18 does not permit"
    )
    imports = commands_.add_parser("import", parents=[shared], help="load files, folders and zip archives")
    imports.add_argument(
        "paths", nargs="+", metavar="PATH", help="DICOM file, zip archive, or folder with all below it"
    )
    imports.add_argument(
        "--in-place",
        action="store_true",
        help="index folders, or s3://bucket/prefix, where they lie: nothing is copied, or written there",
    )
    commands_.add_parser("migrate", parents=[shared], help="bring the index's schema up to date")
    reclaim = commands_.add_parser(
        "reclaim", parents=[shared], help="give up the bytes of what was deleted and is past its undo window"
    )
    reclaim.add_argument(
        "--older-than",
        metavar="TIME",
        help="deleted longer ago than this, such as 12h or 0s; not the setting",
    )
    reindex = commands_.add_parser(
        "reindex",
        parents=[shared],
        help="rebuild the index from journal and objects, beside the one that serves",
    )
    reindex.add_argument(
        "--headers",
        action="store_true",
        help="read no more of the objects than what is before the pixels: their digests are not checked",
    )
    reindex.add_argument(
        "--accept-gaps",
        action="store_true",
        help="go on where the journal is damaged, without the changes that it lost",
    )
    sweep = commands_.add_parser(
        "sweep", parents=[shared], help="list objects that neither index nor journal names, older than a day"
    )
    sweep.add_argument(
        "--confirm", action="store_true", help="move them to the trash, however many there are"
    )
    verify = commands_.add_parser("verify", parents=[shared], help="compare journal, index and store")
    verify.add_argument("--quick", action="store_true", help="do not read the objects, only look for them")
    conformance = commands_.add_parser("conformance", help="print the DICOM conformance statement (PS3.2)")
    conformance.add_argument("--format", choices=("markdown", "json"), default="markdown")
    conformance.set_defaults(config=None)
    commands_.add_parser("version", help="print the version").set_defaults(config=None)
    return parser


def _make_shared_options() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--data", metavar="DIR", help="folder of the embedded default (default ./.data)")
    shared.add_argument("--store", metavar="URL", help="file:///… or s3://bucket/prefix")
    shared.add_argument("--index", metavar="URL", help="sqlite:///… or postgresql://…")
    shared.add_argument(
        "--policy", choices=("refuse", "replace", "keep-first"), help="other content, same UID"
    )
    shared.add_argument("--config", type=Path, metavar="FILE", help="TOML file with these settings")
    return shared


if __name__ == "__main__":
    sys.exit(main())
