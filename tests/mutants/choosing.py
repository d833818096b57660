"""Which tests are asked about a module of the gateway: those that name it, then those of its folders, then the wire's."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

# What a room is seen through, where its own tests say nothing: most of the gateway is tested by what it answers.
WIRE = {
    "http": ("wire", "openapi"),
    "services": ("wire", "faults/test_cut.py"),
    "render": ("wire/rendered", "wire/studies/test_transcode.py"),
    "dicom": ("wire/studies",),
    "index": ("wire/studies/test_search.py",),
    "store": ("wire/studies/test_broken_store.py",),
    "server": ("server",),
    "cli": ("cli",),
    "conformance": ("conformance",),
}


@cache
def _tests(root: Path) -> dict[Path, str]:
    """Files of tests below `root`, and their text."""
    return {path: path.read_text(encoding="utf-8") for path in sorted((root / "tests").rglob("test_*.py"))}


def choose_tests(root: Path, file: Path) -> list[list[str]]:
    """Return groups of test files for `file` (relative to `root`), the likeliest to notice first; none twice."""
    inside = file.relative_to("gateway").with_suffix("")
    module = ".".join(("gateway", *inside.parts))
    tests = root / "tests"
    everything = _tests(root)
    names = re.compile(
        rf"from {re.escape(module)} import|from {re.escape(module.rpartition('.')[0])} import [^\n]*\b{inside.name}\b"
    )
    mirrored = tests / inside.parent / f"test_{inside.name}.py"
    first = [path for path in everything if path == mirrored or names.search(everything[path])]
    folders = [tests / inside.parent] if inside.parent.parts else [tests]
    if inside.parent.parts:
        folders.append(tests / inside.parts[0])
    second = [path for path in everything if any(path.is_relative_to(folder) for folder in folders[:1])]
    third = [path for path in everything if any(path.is_relative_to(folder) for folder in folders[1:])]
    through = [tests / name for name in WIRE.get(inside.parts[0], ("wire/message", "cli"))]
    last = [path for path in everything if any(path.is_relative_to(folder) for folder in through)]
    groups: list[list[str]] = []
    seen: set[Path] = set()
    for group in (first, second, third, last):
        fresh = [path for path in group if path not in seen]
        seen.update(fresh)
        if fresh:
            groups.append([str(path.relative_to(root)) for path in fresh])
    return groups
