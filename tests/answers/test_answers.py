"""That a recording tells apart what differs, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.answers.__main__ import compare
from tests.answers.ask import Answer, Ask
from tests.answers.comparing import differences
from tests.answers.normalising import Normaliser
from tests.answers.recording import Entry, entry_of

NOW = 1_790_000_000.0
VERSION = f"{int(NOW * 1000):012x}7abc8def0123456789ab"
OTHER = f"{int(NOW * 1000) + 60_000:012x}7abc9def0123456789cd"


def answer(body: bytes, **headers: str) -> Answer:
    given = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    return Answer(200, tuple((name.replace("_", "-"), value) for name, value in given.items()), body)


def entries(*answers: Answer) -> list[Entry]:
    normaliser = Normaliser(NOW)
    return [entry_of(Ask(f"ask {n}", "/x"), one, normaliser) for n, one in enumerate(answers)]


def named(before: Answer, after: Answer) -> list[str]:
    return list(differences(entries(before), entries(after)))


def test_the_same_is_the_same() -> None:
    assert named(answer(b"{}", etag='"a"'), answer(b"{}", etag='"a"')) == []


def test_one_byte_of_a_body_is_told() -> None:
    assert named(answer(b'{"a": 1}'), answer(b'{"a": 2}')) == [
        "ask 0: body: at 6: '{\"a\": 1}' → '{\"a\": 2}'"
    ]
    pixels = {"content_type": "image/png"}
    (said,) = named(answer(b"\0" * 9, **pixels), answer(b"\0" * 8 + b"\1", **pixels))
    assert said.startswith("ask 0: body: ")


def test_one_byte_of_a_header_is_told() -> None:
    assert named(answer(b"", allow="GET"), answer(b"", allow="GIT")) == [
        "ask 0: headers: allow: GET → allow: GIT"
    ]
    assert named(answer(b"", allow="GET"), answer(b"")) == ["ask 0: headers: allow: GET → (none)"]
    assert named(answer(b""), replace(answer(b""), status=204)) == ["ask 0: status: 200 → 204"]
    assert named(answer(b""), replace(answer(b""), torn=True)) == ["ask 0: torn: False → True"]


def test_a_byte_in_a_coded_body_is_told() -> None:
    import gzip

    made = [
        gzip.compress(f'{{"v": "{v}", "a": {a}}}'.encode(), mtime=0)
        for v, a in ((VERSION, 1), (OTHER, 1), (OTHER, 2))
    ]
    first, second, third = (answer(body, content_encoding="gzip") for body in made)
    assert named(first, second) == []
    assert len(named(first, third)) == 1


def test_times_versions_and_what_follows_from_them_are_not_compared() -> None:
    def told(version: str, second: int, tag: str) -> Answer:
        body = {
            "v": version,
            "at": f"2026-09-21T13:33:{second:02}.5Z",
            "dt": f"202609211333{second:02}",
            "us": 1790000000000000 + second,
        }
        return answer(
            json.dumps(body).encode(),
            etag=f'"{tag * 32}"',
            date=str(second),
            x_request_id=tag * 16,
            server_timing=f"index;dur={second}",
        )

    assert named(told(VERSION, 20, "a"), told(OTHER, 21, "b")) == []


@pytest.mark.parametrize("field", ["etag", "version"])
def test_what_was_equal_still_has_to_be(field: str) -> None:
    def told(value: str) -> Answer:
        return answer(b"", etag=f'"{value}"') if field == "etag" else answer(value.encode())

    same, apart = entries(told(VERSION), told(VERSION)), entries(told(VERSION), told(OTHER))
    assert len(list(differences(same, apart))) == 1


def test_entity_tags_that_follow_from_the_code_are_compared() -> None:
    made = [
        entry_of(Ask("fixed", "/x", fixed=True), answer(b"", etag=f'"{tag * 32}"'), Normaliser(NOW))
        for tag in "ab"
    ]
    assert len(list(differences(made[:1], made[1:]))) == 1


def test_requests_that_come_and_go_are_told() -> None:
    one, two = entries(answer(b""), answer(b""))
    assert list(differences([one, two], [one])) == ["ask 1: is not asked any more"]
    assert list(differences([one], [one, two])) == ["ask 1: was not asked before"]
    assert list(differences([one, two], [two, one])) == ["the requests are in another order"]


def test_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / name for name in ("old", "new")]
    for file, body in zip(files, (b"{}", b"[]"), strict=True):
        file.write_text("".join(json.dumps(e) + "\n" for e in entries(answer(body))), encoding="utf-8")
    assert compare(files[0], files[0]) == 0
    assert compare(*files) == 1
    assert "ask 0: body: at 0" in capsys.readouterr().out
