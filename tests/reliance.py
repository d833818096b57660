"""Which test modules rely on the files of tests/corpus.py, as told by their imports."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "tests" / "corpus.py"


@cache
def relies(module: Path) -> bool:
    """Return whether it imports tests.corpus, itself or by what it imports, wherever the statement stands."""
    seen, pending = {module}, [module]
    while pending:
        found = _imported(pending.pop()) - seen
        if CORPUS in found:
            return True
        seen |= found
        pending += found
    return False


@cache
def _imported(module: Path) -> frozenset[Path]:
    """Return the files below tests/ that it imports; a fixture's comes with the conftest.py of its folders."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    files = {ROOT / (name.replace(".", "/") + ".py") for name in names if name.startswith("tests.")}
    files |= {module.parent / "conftest.py"} if module.parent != ROOT / "tests" else set()
    return frozenset(file for file in files if file.is_file())
