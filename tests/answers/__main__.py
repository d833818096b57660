"""What a gateway answers, recorded, so that a change that is to change nothing can be held against it.

    python -m tests.answers record FILE       before a change: start a gateway of this checkout, ask it, write FILE
    python -m tests.answers compare FILE      after it: record again, name each difference, exit with 1 where there is one
    python -m tests.answers compare FILE NEW  two recordings, nothing is started

It knows no module of the gateway: the command is the one that pyproject.toml names, and all else goes over HTTP. So
the same recorder runs on the code before and after everything in it was renamed. It starts a lenient gateway on a
fresh folder and SQLite, stores the files of tests/corpus.py one by one, asks it what `kinds` lists, then does the same
on a smaller scale with a strict one. The Host field is always that of `client.HOST`, so no answer depends on a port.

A line of a recording is a request (name, method, path, header fields) and its answer (status, header fields, length and
SHA-256 of the body, and the body itself where it is short text). All is as it was sent but for what cannot be the same
twice (`normalising`): times of recording, version ids, the entity tags and boundaries that are made from them, ids
of requests. These have names by where they were first seen, so that two that were equal still have to be.

Both recordings want the same files: where one was made with the corpus and the other without, they differ.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.answers.comparing import differences
from tests.answers.recording import read, record


def main() -> int:
    """Return 0, or 1 where recordings differ."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.answers", description="Record and compare answers."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record", help="ask a gateway of this checkout, write what it answers")
    recording.add_argument("file", type=Path)
    comparing = commands.add_parser("compare", help="name what is answered otherwise than was recorded")
    comparing.add_argument("file", type=Path)
    comparing.add_argument("new", type=Path, nargs="?", help="another recording; without it one is made")
    options = parser.parse_args()
    if options.command == "record":
        _record(options.file)
        return 0
    if options.new is not None:
        return compare(options.file, options.new)
    with tempfile.TemporaryDirectory(prefix="answers-") as folder:
        made = Path(folder) / "answers.jsonl"
        _record(made)
        return compare(options.file, made)


def _record(file: Path) -> None:
    began = time.monotonic()
    count = record(file, lambda what: print(what, file=sys.stderr, flush=True))
    print(f"{count} requests recorded in {time.monotonic() - began:.0f} s", file=sys.stderr)


def compare(before: Path, after: Path) -> int:
    """Print each difference; 1 where there is one."""
    old, new = read(before), read(after)
    found = list(differences(old, new))
    for line in found:
        print(line)
    print(f"{len(found)} differences in {len(old)} requests", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
