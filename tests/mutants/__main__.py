"""`python -m tests.mutants -n 20 --seed 1`: does a test notice when one operator of the gateway is another?

Draws changes at random over the package, makes each in a copy of the tree, and runs the tests that are to notice: those
that name the module, of its folders, of the wire, until one fails. What no test notices survives and is printed. The
same seed over the same tree draws the same. `--only PATH[:LINE]` tries all changes there instead.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

from tests.mutants.choosing import choose_tests
from tests.mutants.mutations import Mutant, find_mutants

ROOT = Path(__file__).resolve().parents[2]
COPIED = (
    "gateway",
    "tests",
    "deploy",
    "openapi",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "Makefile",
    "CHANGELOG.md",
)
UNDECIDED = "undecided: no time"
NO_TESTS = 5
"""Exit code of pytest where none was collected."""


def main() -> int:
    asked = _parse()
    chosen = _choose(asked.only, asked.n, asked.seed)
    survivors: list[Mutant] = []
    undecided = 0
    with tempfile.TemporaryDirectory(prefix="gateway-mutants-") as folder:
        tree = _copy(Path(folder))
        for n, mutant in enumerate(chosen, 1):
            begun = time.monotonic()
            by = _find_killer(tree, mutant, asked.seconds)
            print(
                f"{n}/{len(chosen)} {by or 'SURVIVED'} {mutant} ({time.monotonic() - begun:.0f} s)",
                flush=True,
            )
            survivors += [] if by else [mutant]
            undecided += by == UNDECIDED
    decided = len(chosen) - undecided
    print(f"\nseed {asked.seed}: {decided - len(survivors)} of {decided} were noticed, {undecided} undecided")
    for mutant in survivors:
        print(f"survived: {mutant}")
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("-n", type=int, default=20, help="how many to draw")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--only", default="", help="PATH or PATH:LINE, all changes there")
    parser.add_argument("--seconds", type=float, default=240, help="for the tests of one change")
    return parser.parse_args()


def _choose(only: str, n: int, seed: int) -> list[Mutant]:
    path, _, line = only.partition(":")
    files = sorted((ROOT / path).rglob("*.py")) if (ROOT / path).is_dir() else [ROOT / path]
    if not only:
        files = sorted((ROOT / "gateway").rglob("*.py"))
    found = [
        mutant for file in files for mutant in find_mutants(file.relative_to(ROOT), file.read_text("utf-8"))
    ]
    if only:
        return [mutant for mutant in found if not line or mutant.line == int(line)]
    return random.Random(seed).sample(found, min(n, len(found)))


def _copy(folder: Path) -> Path:
    """Copy what tests read, so that nothing is changed here."""
    tree = folder / "tree"
    tree.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        elif source.exists():
            shutil.copy(source, tree / name)
    (tree.parent / "shared").symlink_to(ROOT.parent / "shared")
    return tree


def _find_killer(tree: Path, mutant: Mutant, seconds: float) -> str:
    """Return which group of tests noticed the change, '' where none did."""
    file = tree / mutant.file
    before = file.read_text("utf-8")
    deadline = time.monotonic() + seconds
    file.write_text(mutant.apply(before), "utf-8")
    try:
        for number, group in enumerate(choose_tests(tree, mutant.file), 1):
            try:
                ended = _run(tree, group, max(5.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                return UNDECIDED
            if ended not in (0, NO_TESTS):
                file.write_text(before, "utf-8")
                if _passes(tree, tuple(group)):
                    return f"noticed ({number})"
                file.write_text(mutant.apply(before), "utf-8")
        return ""
    finally:
        file.write_text(before, "utf-8")


@cache
def _passes(tree: Path, group: tuple[str, ...]) -> bool:
    """Whether tests pass without any change: what fails anyway notices nothing."""
    passes = _run(tree, list(group), 600) in (0, NO_TESTS)
    if not passes:
        print(f"these fail without a change, and are left out: {' '.join(group)}", flush=True)
    return passes


def _run(tree: Path, group: list[str], seconds: float) -> int:
    """Run tests to the first that fails; its process group ends with it. Raises TimeoutExpired."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n0", "--no-header", "-p", "no:cacheprovider"]
    command += ["--timeout", "60", "-m", "not long and not ceph and not fuzz", *group]
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(
        command, cwd=tree, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 15)
        process.wait(30)
        raise


if __name__ == "__main__":
    sys.exit(main())
