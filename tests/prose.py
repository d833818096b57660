"""Check how the package speaks: functions are named by verbs, docstrings say what is done.

    python -m tests.prose [folder ...]

Prints each breach as `file:line: name: why` and ends with 1 where there is one. Two rules, both narrow enough to be
right every time: no function is named by a bare participle (properties may be), and no docstring begins with a relative
clause without its noun.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "gateway"
_IRREGULAR = """begun bound broken built chosen done drawn driven found frozen given gone grown held hidden kept known
laid left lost made meant paid said seen sent shown spent stood taken thrown told understood won worn written"""
# Verbs and nouns that only look like participles.
_NO_PARTICIPLES = "bleed embed exceed feed heed need proceed seed shed shred speed succeed weed"
_OPENINGS = "Of That Those What Which Who Whom Whose"
IRREGULAR, NO_PARTICIPLES, OPENINGS = (
    frozenset(words.split()) for words in (_IRREGULAR, _NO_PARTICIPLES, _OPENINGS)
)

Named = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | Named


def main(places: list[str]) -> int:
    breaches = [breach for place in places or [str(PACKAGE)] for breach in check_folder(Path(place))]
    for breach in breaches:
        print(breach)
    return 1 if breaches else 0


def check_folder(folder: Path) -> Iterator[str]:
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder]
    for file in files:
        yield from (f"{file}:{breach}" for breach in check(file.read_text()))


def check(source: str) -> Iterator[str]:
    """Yield `line: name: why` for each breach in one file."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, Documented):
            continue
        name = getattr(node, "name", "module")
        line = getattr(node, "lineno", 1)
        if isinstance(node, Named) and is_participle(name) and not is_property(node):
            yield f"{line}: {name}: a function is named by a verb"
        opening = (ast.get_docstring(node) or "").split(maxsplit=1)[:1]
        if opening and opening[0].rstrip(",") in OPENINGS:
            yield f"{line}: {name}: a docstring does not begin with '{opening[0]}'"


def is_participle(name: str) -> bool:
    first = name.strip("_").split("_")[0]
    if first == "of":
        return True
    return first in IRREGULAR or (first.endswith("ed") and len(first) > 3 and first not in NO_PARTICIPLES)


def is_property(node: Named) -> bool:
    return any("property" in ast.unparse(decorator) for decorator in node.decorator_list)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
