"""What cannot be the same twice, by names that can.

A version id, and what is made from it (an entity tag, a boundary), is called after the request whose answer showed it
first: equal ones keep being equal, and one more does not rename all that follow.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.answers.ask import Answer, Ask
from tests.answers.bodies import is_archive, is_streamed, plain, sizeless, unnamed, unpacked

# What it names, and whether it is there, is as long as this and that took.
TIMING = "server-timing"
_TAG = re.compile(r'"([0-9a-f]{32})"')
_BOUNDARY = re.compile(r"boundary=\"?([0-9a-f]{40})")
_PROGRESS = re.compile(rb'"state":"[a-z]+","progress":\{"done":[0-9]+')
_METRIC = re.compile(r"^([^#\n].*?) [0-9.e+-]+$", re.MULTILINE)


class Normaliser:
    """Names of what was seen, for one recording from now on."""

    def __init__(self, now: float | None = None) -> None:
        now = time.time() if now is None else now
        self._names: dict[str, str] = {}
        self._versions = _versions(now)
        self._times = _times(now)

    def request(self, ask: Ask) -> Ask:
        """Return the request with names for what an answer before it brought."""
        headers = tuple((name, self._named(value)) for name, value in ask.headers)
        return replace(ask, path=self._named(ask.path), headers=headers)

    def answer(self, ask: Ask, answer: Answer) -> tuple[Answer, bool]:
        """Return the answer with names, and whether the length of its body is to be the same."""
        self._see(ask, answer)
        body, steady = self._body(ask, answer)
        shown = [(name.lower(), value) for name, value in answer.headers if name.lower() != TIMING]
        headers = tuple(sorted(self._header(ask, name, value, steady) for name, value in shown))
        return Answer(answer.status, headers, body, answer.torn), steady

    def _body(self, ask: Ask, answer: Answer) -> tuple[bytes, bool]:
        """The body with names, and whether its length says something."""
        if ask.path == "/metrics":
            return _metric_names(answer.body), False
        if is_archive(answer):
            return self._bytes(ask, unpacked(answer.body)), False
        if ask.derived and answer.status == 200:
            return self._bytes(ask, unnamed(answer.body)), False
        if ask.racing:
            return self._bytes(ask, _PROGRESS.sub(b'"state":"<any>"', answer.body)), False
        body = plain(answer)
        if is_streamed(answer):
            return self._bytes(ask, sizeless(body)), False
        named = self._bytes(ask, body)
        if not answer.header("content-encoding"):
            return named, True
        return (answer.body, True) if named == body else (named, False)

    def _see(self, ask: Ask, answer: Answer) -> None:
        """Remember what the header fields say is random."""
        tag = None if ask.fixed else _TAG.search(answer.header("etag"))
        boundary = _BOUNDARY.search(answer.header("content-type"))
        for kind, found in (("tag", tag), ("boundary", boundary)):
            if found:
                self._names.setdefault(found[1], f"<{kind} of {ask.name}>")
        if request := answer.header("x-request-id"):
            self._names[request] = "<request>"

    def _header(self, ask: Ask, name: str, value: str, steady: bool) -> tuple[str, str]:
        if name == "date":
            return name, "<now>"
        if name == "content-length" and not steady:
            return name, "<varies>"
        return name, self._text(ask, value)

    def _bytes(self, ask: Ask, body: bytes) -> bytes:
        return self._text(ask, body.decode("latin-1")).encode("latin-1")

    def _text(self, ask: Ask, text: str) -> str:
        for version in self._versions.findall(text):
            if version not in self._names:
                count = sum(name.startswith("<version ") for name in self._names.values() if ask.name in name)
                self._names[version] = f"<version {count + 1} of {ask.name}>"
        return self._named(self._times.sub(lambda found: re.sub("[0-9]", "0", found[0]), text))

    def _named(self, text: str) -> str:
        if not self._names:
            return text
        return _HEX.sub(lambda found: self._names.get(found[0], found[0]), text)


# What `_names` knows is a word of hex digits.
_HEX = re.compile(r"(?<![0-9a-f])(?:[0-9a-f]{40}|[0-9a-f]{32}|[0-9a-f]{16})(?![0-9a-f])")


def _versions(now: float) -> re.Pattern[str]:
    """UUIDs of version 7 (RFC 9562 5.7) as hex digits, drawn within days of now."""
    begins = sorted({f"{int((now + days * 86400) * 1000):012x}"[:5] for days in (-1, 0, 1, 2)})
    return re.compile(rf"(?<![0-9a-f])(?:{'|'.join(begins)})[0-9a-f]{{7}}7[0-9a-f]{{19}}(?![0-9a-f])")


def _times(now: float) -> re.Pattern[str]:
    """Times of the days from now, of RFC 3339 and of DICOM (PS3.5 6.2, DT), and microseconds since 1970.

    The last is when what is deleted now is given up.
    """
    days = [datetime.fromtimestamp(now, UTC) + timedelta(days) for days in range(-1, 9)]
    begins = {str(int((now + hours * 3600) * 1e6))[:6] for hours in range(-3, 6)}
    written = "|".join(f"{day:%Y-%m-%d}T[0-9:.]+|{day:%Y%m%d}[0-9]{{6}}(?:[.][0-9]+)?" for day in days)
    written += f"|(?:{'|'.join(sorted(begins))})[0-9]{{10}}(?![0-9])"
    return re.compile(rf"(?<![0-9.])(?:{written})")


def _metric_names(body: bytes) -> bytes:
    lines = _METRIC.sub(r"\1", body.decode()).splitlines()
    return "\n".join(sorted(lines)).encode()
