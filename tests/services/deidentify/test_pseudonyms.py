"""Pseudonyms, and the file that their key is in."""

from __future__ import annotations

import re
import stat
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gateway.errors import StoreError
from gateway.services.deidentify.pseudonyms import LENGTH, Pseudonyms, key_of
from gateway.settings import Settings
from hypothesis import given
from hypothesis import strategies as st

KEY = bytes(range(32))


@given(st.text(max_size=80))
def test_uids(old: str) -> None:
    new = Pseudonyms(KEY).uid(old)
    assert re.fullmatch(r"2\.25\.[1-9][0-9]{0,38}", new)
    assert (uuid.UUID(int=int(new[5:])).version, uuid.UUID(int=int(new[5:])).variant) == (8, uuid.RFC_4122)
    assert new == Pseudonyms(KEY).uid(old)
    assert new not in {Pseudonyms(KEY[::-1]).uid(old), Pseudonyms(KEY, "project 7").uid(old)}


def test_the_fingerprint_tells_keys_apart_and_not_more() -> None:
    prints = {Pseudonyms(KEY).fingerprint, Pseudonyms(KEY[::-1]).fingerprint}
    assert len(prints) == 2
    assert not any(KEY.hex()[:8] in one for one in prints)


def test_whoever_is_first_makes_the_key(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deidentification.key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: key_of(path, make=True), range(32)))
    assert len(keys) == 1
    assert len(next(iter(keys))) == LENGTH
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_keys_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with pytest.raises(StoreError, match="cannot be read"):
        key_of(path, make=False)
    path.write_bytes(bytes(31))
    with pytest.raises(StoreError, match="31 bytes"):
        key_of(path, make=True)


def test_where_the_key_is(tmp_path: Path) -> None:
    embedded = Settings(data=str(tmp_path))
    assert embedded.deidentification_key_file == tmp_path.resolve() / "deidentification.key"
    assert embedded.makes_deidentification_key
    shared = Settings(data=str(tmp_path), index="postgresql://nowhere/x")
    assert shared.deidentification_key_file is None
    named = Settings(index="postgresql://nowhere/x", deidentification_key=str(tmp_path / "k"))
    assert named.deidentification_key_file == (tmp_path / "k").resolve()
    assert not named.makes_deidentification_key
