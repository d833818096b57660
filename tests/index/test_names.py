"""The table of forty names, asked of each driver: columns and n-grams find what the exact matcher finds."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.dicom.query.match import satisfies
from gateway.dicom.query.query import Equals, Fuzzy, Match, Query, Wildcard
from gateway.index.driver import SqlIndex
from gateway.model import Level, Source
from tests.dicom.query.names import NAMES
from tests.index.factories import SCOPE, Maker, person, uids

NAME = (0x00100010,)
PATTERNS = (
    *("M*", "*berg*", "?i^*", "山*", "*郎", "smith^*", "*^j*", "O'N*", "?", "??", "*=山田^太郎", "ya*=*=や*"),
    *("s?hmidt*", "*ß*", "иван*", "ｽｽﾞｷ*", "anonymous^*", "*.*", "a^b", "*n*n*", "=*", "*^"),
)


async def table(index: SqlIndex) -> dict[str, str]:
    """The names by the UID of their study."""
    maker = Maker()
    made = {f"1.{n}": name for n, (name, _, _) in enumerate(NAMES, 1)}
    await index.admit([maker.version(uid, f"{uid}.1", t00100010=person(name)) for uid, name in made.items()])
    return made


async def found(index: SqlIndex, match: Match) -> set[str]:
    return set(uids((await index.search(SCOPE, Query(Level.STUDY, matches=(match,)))).rows, "0020000D"))


def wanted(names: dict[str, str], match: Match) -> set[str]:
    return {uid for uid, name in names.items() if satisfies({"00100010": person(name)}, (match,))}


async def assert_agree(index: SqlIndex, names: dict[str, str], matches: Iterable[Match]) -> None:
    for match in matches:
        assert await found(index, match) == wanted(names, match), match


async def test_fuzzy_words(index: SqlIndex) -> None:
    names = await table(index)
    for uid, (_, hits, misses) in zip(names, NAMES, strict=True):
        for asked in (*hits, *misses):
            match = Fuzzy(NAME, tuple(asked.split()))
            seen = await found(index, match)
            assert (uid in seen) is (asked in hits), asked
            assert seen == wanted(names, match), asked


async def test_whole_names(index: SqlIndex) -> None:
    names = await table(index)
    asked = [*(name for name, _, _ in NAMES), "muller^jurgen", "山田^太郎", "=山田^太郎", "smith^john", "li"]
    await assert_agree(index, names, (Equals(NAME, "PN", name) for name in asked))


async def test_patterns(index: SqlIndex) -> None:
    names = await table(index)
    await assert_agree(index, names, (Wildcard(NAME, "PN", pattern) for pattern in PATTERNS))


async def test_a_changed_name_leaves_no_ngrams_behind(index: SqlIndex) -> None:
    maker = Maker()
    first = maker.version(t00100010=person("Berger^Anna"))
    second = maker.version(t00100010=person("Talmann^Otto"))
    await index.admit([first, second])
    await index.remove(SCOPE, first.identity.path, Source("stow"), "")
    assert await found(index, Wildcard(NAME, "PN", "*erg*")) == set()
    assert await found(index, Wildcard(NAME, "PN", "*alm*")) == {"1.1"}
    assert await found(index, Fuzzy(NAME, ("otto",))) == {"1.1"}
