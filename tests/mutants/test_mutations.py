"""Mutants are made where they are said to be, differ by one operator, and the tests that are chosen are there."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from tests.mutants.choosing import choose_tests
from tests.mutants.mutations import find_mutants

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("a >= b", ["(a > b)"]),
        ("a < b <= c", ["(a <= b <= c)", "(a < b < c)"]),
        ("x is None", ["(x is not None)"]),
        ("not x", ["(x)"]),
        ("a and b and c", ["(a or b or c)"]),
        ("f(é + 1)", ["f((é - 1))"]),
        ("'é' + x", []),
        ("def f(a: int | None) -> str | None: return a", []),
        ("(a,) + b", []),
    ],
)
def test_one_operator_is_another(text: str, changed: list[str]) -> None:
    assert [mutant.apply(text) for mutant in find_mutants(Path("x.py"), text)] == changed


def test_every_mutant_of_a_module_is_python_and_another() -> None:
    file = ROOT / "gateway" / "index" / "searching.py"
    text = file.read_text(encoding="utf-8")
    found = list(find_mutants(file.relative_to(ROOT), text))
    assert len(found) > 20
    plain = ast.dump(ast.parse(text))
    assert all(ast.dump(ast.parse(mutant.apply(text))) != plain for mutant in found)


def test_tests_are_chosen_from_near_to_far() -> None:
    groups = choose_tests(ROOT, Path("gateway/render/stages/color.py"))
    assert "tests/render/stages/test_color.py" in groups[0] + groups[1]
    assert any("tests/wire/rendered/test_rendered.py" in group for group in groups[1:])
    chosen = [name for group in groups for name in group]
    assert len(chosen) == len(set(chosen))
    assert all((ROOT / name).is_file() for name in chosen)


def test_every_module_has_tests_to_be_asked() -> None:
    for file in sorted((ROOT / "gateway").rglob("*.py")):
        assert choose_tests(ROOT, file.relative_to(ROOT)), file


@pytest.mark.parametrize(
    ("text", "wanted", "word"), [("x >= 1", True, "SURVIVED"), ("x == 9", False, "noticed")]
)
def test_survivors_are_named(tmp_path: Path, text: str, wanted: bool, word: str) -> None:
    """A tree of one module and one test, which sees that 5 is more than 1 and not that 1 is as much."""
    from tests.mutants.__main__ import _find_killer

    (tmp_path / "gateway" / "http").mkdir(parents=True)
    (tmp_path / "tests" / "http").mkdir(parents=True)
    file = tmp_path / "gateway" / "http" / "thing.py"
    file.write_text(f"def judge(x):\n    return {text}\n")
    test = f"from gateway.http.thing import judge\ndef test_judge():\n    assert judge(5) is {wanted}\n"
    (tmp_path / "tests" / "http" / "test_thing.py").write_text(test)
    (mutant,) = find_mutants(Path("gateway/http/thing.py"), file.read_text())
    assert (_find_killer(tmp_path, mutant, 60) or "SURVIVED").startswith(word)
    assert file.read_text() == f"def judge(x):\n    return {text}\n"


def test_the_command_says_how_it_is_used() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutants", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert "--seed" in done.stdout
