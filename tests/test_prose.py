"""The lint of `make check` finds what it is there for; the package itself is checked by `make check`."""

from __future__ import annotations

import pytest
from tests.prose import PACKAGE, check, check_folder

MADE = '''
"""{module}"""
class Shelf:
    """{kind}"""
    @property
    def filled(self) -> bool: ...
    def {method}(self) -> None:
        """{does}"""
'''
SOUND = {
    "module": "Shelves.",
    "kind": "A shelf.",
    "method": "fill",
    "does": "Fill it. Raises Full.",
}


def test_sound_prose_passes() -> None:
    assert list(check(MADE.format(**SOUND))) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"method": "filled"}, "7: filled: a function is named by a verb"),
        ({"method": "_written_twice"}, "7: _written_twice: a function is named by a verb"),
        ({"method": "of"}, "7: of: a function is named by a verb"),
        ({"does": "What is on it."}, "7: fill: a docstring does not begin with 'What'"),
        ({"kind": "Those that hold books."}, "3: Shelf: a docstring does not begin with 'Those'"),
        ({"module": "Of books."}, "1: module: a docstring does not begin with 'Of'"),
    ],
)
def test_each_breach_is_told(change: dict[str, str], told: str) -> None:
    assert list(check(MADE.format(**SOUND | change))) == [told]


def test_the_package_speaks_plainly() -> None:
    assert list(check_folder(PACKAGE)) == []
