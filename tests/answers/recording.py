"""A recording: every request that is asked, and its answer, a line of JSON each."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeAlias

from tests.answers.ask import Answer, Ask, Asks
from tests.answers.bodies import readable
from tests.answers.client import Client
from tests.answers.held import Held, files, filling
from tests.answers.kinds import rules
from tests.answers.kinds.listed import LENIENT, STRICT
from tests.answers.normalising import Normaliser
from tests.answers.serving import serving
from tests.corpus import Row

Entry: TypeAlias = dict[str, object]
ORIGIN = "https://viewer.example.org"


class Kind(Protocol):
    """A module of `kinds`."""

    __name__: str

    def asks(self, held: Held) -> Asks:
        """What it asks."""


@dataclass(slots=True)
class Recorder:
    """Asks one gateway. `prefix` tells its requests from those of others."""

    client: Client
    prefix: str
    normaliser: Normaliser
    names: set[str]

    def run(self, asks: Asks) -> Iterator[Entry]:
        """Yield an entry for each request; what they answer goes back to who asks."""
        answer: Answer | None = None
        while True:
            try:
                ask = next(asks) if answer is None else asks.send(answer)
            except StopIteration:
                return
            answer = self.client.answer(ask)
            yield self._entry(ask, answer)

    def _entry(self, ask: Ask, answer: Answer) -> Entry:
        name = f"{self.prefix}: {ask.name}"
        if name in self.names:
            raise ValueError(f"two requests are called '{name}'")
        self.names.add(name)
        return entry_of(replace(ask, name=name), answer, self.normaliser)


def entry_of(ask: Ask, answer: Answer, normaliser: Normaliser) -> Entry:
    """Return what is written of a request and its answer."""
    asked = normaliser.request(ask)
    seen, steady = normaliser.answer(ask, answer)
    entry: Entry = {
        "name": ask.name,
        "method": ask.method,
        "path": asked.path,
        "asked": [": ".join(field) for field in asked.headers],
        "sent": _digest(ask.body or b""),
        "status": seen.status,
        "headers": [": ".join(field) for field in seen.headers],
        "length": len(answer.body) if steady else "<varies>",
        "sha256": _digest(seen.body),
        "torn": seen.torn,
    }
    text = readable(answer, seen.body)
    return entry if text is None else {**entry, "body": text}


def record(file: Path, told: Callable[[str], None]) -> int:
    """Ask a lenient and a strict gateway everything and write what they answer; how many requests it were."""
    count = 0
    with file.open("w", encoding="utf-8") as out, tempfile.TemporaryDirectory(prefix="answers-") as folder:
        for entry in _entries(Path(folder), told):
            out.write(json.dumps(entry, ensure_ascii=False) + "\n")
            count += 1
    return count


def _entries(folder: Path, told: Callable[[str], None]) -> Iterator[Entry]:
    setups: tuple[tuple[str, tuple[str, ...], dict[str, str], Sequence[Kind], Sequence[Row]], ...] = (
        ("lenient", (), {"GATEWAY_STORE_RULES": json.dumps(rules.RULES)}, LENIENT, files()),
        ("strict", ("--strict",), {}, STRICT, files(few=True)),
    )
    for prefix, options, environment, kinds, stored in setups:
        place = folder / prefix
        place.mkdir()
        with serving(place, "--cors-origin", ORIGIN, *options, environment=environment) as port:
            client, held = Client(port), Held()
            normaliser = Normaliser()
            told(f"{prefix}: {len(stored)} files are stored")
            yield from Recorder(client, f"{prefix} filling", normaliser, set()).run(filling(stored, held))
            for kind in kinds:
                kind_name = kind.__name__.rpartition(".")[2]
                told(f"{prefix}: {kind_name}")
                recorder = Recorder(client, f"{prefix} {kind_name}", normaliser, set())
                yield from recorder.run(kind.asks(held))
            client.close()
            if prefix == "lenient":  # the other one is asked too little to meet all of them each time
                yield {"name": f"{prefix}: what Server-Timing named", "names": sorted(client.timed)}


def read(file: Path) -> list[Entry]:
    """Return the entries of a recording."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
