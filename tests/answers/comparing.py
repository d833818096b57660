"""Two recordings, and each difference in a line or two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.answers.recording import Entry

WIDTH = 160


def differences(before: Sequence[Entry], after: Sequence[Entry]) -> Iterator[str]:
    """Yield what differs, the request and the field named; nothing where all is the same."""
    old, new = ({str(entry["name"]): entry for entry in entries} for entries in (before, after))
    for name in old.keys() - new.keys():
        yield f"{name}: is not asked any more"
    for name in new.keys() - old.keys():
        yield f"{name}: was not asked before"
    shared = [name for name in old if name in new]
    if shared != [name for name in new if name in old]:
        yield "the requests are in another order"
    for name in shared:
        for said in _of(old[name], new[name]):
            yield f"{name}: {said}"


def _of(old: Entry, new: Entry) -> Iterator[str]:
    """What differs between two answers to a request."""
    for field in sorted(old.keys() | new.keys()):
        was, now = old.get(field), new.get(field)
        if was == now or field == "body":
            continue
        if isinstance(was, list) and isinstance(now, list):
            yield from _lists(field, was, now)
        elif field == "sha256":
            yield f"body: {_bodies(old.get('body'), new.get('body'), str(was), str(now))}"
        else:
            yield f"{field}: {was} → {now}"


def _lists(field: str, was: list[str], now: list[str]) -> Iterator[str]:
    gone, come = [x for x in was if x not in now], [x for x in now if x not in was]
    if not gone and not come:
        yield f"{field}: {was} → {now}"
    for name in dict.fromkeys(line.partition(":")[0] for line in (*gone, *come)):
        pair = (", ".join(x for x in side if x.partition(":")[0] == name) for side in (gone, come))
        yield f"{field}: " + " → ".join(text or "(none)" for text in pair)


def _bodies(was: object, now: object, before: str, after: str) -> str:
    """Where two texts part, or that the digests do."""
    if not isinstance(was, str) or not isinstance(now, str) or was == now:
        return f"{before[:16]} → {after[:16]}"
    at = next((i for i, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), min(len(was), len(now)))
    start = max(0, at - 40)
    return f"at {at}: {was[start : start + WIDTH]!r} → {now[start : start + WIDTH]!r}"
