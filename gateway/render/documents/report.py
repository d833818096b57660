"""Read a structured report as ordered lines: the patient and study, and the content items (PS3.3 C.17.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from gateway.dicom.dictionary import uid_name
from gateway.render.attributes import Attributes

CONTENT, TYPE, NAME, RELATION = "0040A730", "0040A040", "0040A043", "0040A010"
_REFERENCED, _FRAMES, _CLASS, _INSTANCE = "00081199", "00081160", "00081150", "00081155"
# A report that is deeper or longer is cut there; a line says so.
MOST_DEPTH, MOST_ITEMS = 40, 100_000
_POINTS_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Line:
    """One content item: number such as `1.2`, depth from 0, name, values, relation to its parent."""

    number: str
    depth: int
    name: str
    values: tuple[str, ...]
    relation: str = ""
    heading: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """The whole text of one report."""

    title: str
    about: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]


def read(attributes: Attributes) -> Report:
    """Return the text of an SR document; absent and invalid values are left out, and nothing raises."""
    title = code(attributes.item(NAME)) or "Structured report"
    return Report(title, tuple(_about(attributes)), tuple(_limit_lines(_items(attributes, "", 0))))


def code(item: Attributes | None) -> str:
    """Return a coded entry by its meaning, with its code in parentheses (PS3.3 8.8)."""
    if item is None:
        return ""
    meaning = item.text("00080104")
    value = item.text("00080100") or item.text("00080119") or item.text("00080120")
    scheme = item.text("00080102")
    shown = f"{value}, {scheme}" if scheme else value
    return f"{meaning} ({shown})" if meaning and value else meaning or shown


def name(attributes: Attributes, tag: str) -> str:
    """Return a person's name as people write it, with every group of it."""
    groups = [" ".join(filter(None, group.split("^"))) for group in attributes.groups(tag)]
    return " / ".join(filter(None, groups))


def _about(a: Attributes) -> Iterator[tuple[str, str]]:
    rows = (
        ("Patient", name(a, "00100010")),
        ("Patient ID", a.text("00100020")),
        ("Date of birth", date(a.text("00100030"))),
        ("Sex", a.text("00100040")),
        ("Study", a.text("00081030")),
        ("Study date", f"{date(a.text('00080020'))} {time(a.text('00080030'))}"),
        ("Accession number", a.text("00080050")),
        ("Referring physician", name(a, "00080090")),
        ("Institution", a.text("00080080")),
        ("Manufacturer", a.text("00080070")),
        ("Series", " ".join(filter(None, (a.text("0008103E"), a.text("00200011"))))),
        ("Content date", f"{date(a.text('00080023'))} {time(a.text('00080033'))}"),
        ("Completion", " ".join((a.text("0040A491"), a.text("0040A492"), a.text("0040A496")))),
        ("Verification", a.text("0040A493")),
        *(("Verified by", _observer(item)) for item in a.items("0040A073")),
        *(("Author", name(item, "0040A075") or name(item, "0040A123")) for item in a.items("0040A078")),
    )
    yield from ((label, value.strip()) for label, value in rows if value.strip())


def _observer(item: Attributes) -> str:
    who = (name(item, "0040A075"), item.text("0040A027"), moment(item.text("0040A030")))
    return ", ".join(filter(None, who))


def _items(parent: Attributes, number: str, depth: int) -> Iterator[Line]:
    if depth > MOST_DEPTH:
        yield Line(number, depth, "", ("deeper content is not shown",))
        return
    for count, item in enumerate(parent.items(CONTENT), 1):
        place = f"{number}.{count}" if number else str(count)
        yield Line(
            place,
            depth,
            code(item.item(NAME)),
            tuple(filter(None, _values(item))),
            item.text(RELATION),
            heading=item.text(TYPE) == "CONTAINER",
        )
        yield from _items(item, place, depth + 1)


def _limit_lines(lines: Iterator[Line]) -> Iterator[Line]:
    for count, line in enumerate(lines):
        if count >= MOST_ITEMS:
            yield Line("", 0, "", (f"more than {MOST_ITEMS} content items: the rest is not shown",))
            return
        yield line


def _values(item: Attributes) -> Iterator[str]:
    """Yield the values of a content item by its value type (PS3.3 Table C.17.3-7)."""
    kind = item.text(TYPE)
    if item.values("0040DB73"):
        place = item.texts("0040DB73")[1:]
        yield f"see item {'.'.join(place)}" if place else "see the whole report"
    elif kind in _SHOWN:
        yield from _SHOWN[kind](item)
    elif kind and kind != "CONTAINER":
        yield f"a value of type {kind}"


def long_text(item: Attributes, tag: str) -> str:
    """Return a text, also where the metadata gives it by reference."""
    raw = None if item.values(tag) else item.raw(tag)
    return raw.decode("utf-8", "replace").rstrip(" \0") if raw else item.text(tag)


def _format_measurement(item: Attributes) -> Iterator[str]:
    for measured in item.items("0040A300"):
        units = measured.item("004008EA")
        unit = "" if units is None else units.text("00080100") or units.text("00080104")
        meaning = "" if units is None else units.text("00080104")
        shown = f"{_number(measured)} {unit if unit != '1' else ''}".strip()
        yield f"{shown} ({meaning})" if meaning and meaning not in (unit, "no units") else shown
    yield code(item.item("0040A301"))


def _number(measured: Attributes) -> str:
    """Return the decimal value; without one, the exact value in other forms (PS3.3 C.18.1)."""
    above, below = measured.text("0040A162"), measured.text("0040A163")
    ratio = f"{above}/{below}" if above and below else ""
    return measured.text("0040A30A") or measured.text("0040A161") or ratio


def _reference(item: Attributes) -> str:
    frames = item.texts(_FRAMES)
    shown = f" frames {', '.join(frames)}" if frames else ""
    state = item.item(_REFERENCED)
    through = f" shown through {state.text(_INSTANCE)}" if state is not None else ""
    kind = item.text(_CLASS)
    return f"{item.text(_INSTANCE)} ({uid_name(kind) or kind}){shown}{through}"


def _points(item: Attributes) -> Iterator[str]:
    step = 3 if item.text(TYPE) == "SCOORD3D" else 2
    numbers = item.numbers("00700022")
    points = [numbers[at : at + step] for at in range(0, len(numbers), step)]
    shown = " ".join(",".join(f"{value:g}" for value in point) for point in points[:_POINTS_SHOWN])
    more = f" and {len(points) - _POINTS_SHOWN} more" if len(points) > _POINTS_SHOWN else ""
    yield f"{item.text('00700023')} {shown}{more}".strip()
    yield item.text("30060024")


def _times(item: Attributes) -> Iterator[str]:
    samples, offsets = item.texts("0040A132"), item.texts("0040A138")
    moments = [moment(text) for text in item.texts("0040A13A")]
    yield f"{item.text('0040A130')} {', '.join(samples or offsets or moments)}".strip()


def date(text: str) -> str:
    """Return 20240131 as 2024-01-31; any other text as it is."""
    text = text.strip()
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdigit() else text


def time(text: str) -> str:
    """Return 101500.5 as 10:15:00.5; any other text as it is."""
    text = text.strip()
    whole, point, fraction = text.partition(".")
    if len(whole) not in (2, 4, 6) or not whole.isdigit():
        return text
    return ":".join(whole[at : at + 2] for at in range(0, len(whole), 2)) + point + fraction


def moment(text: str) -> str:
    """Return date, time and zone of a DT."""
    text = text.strip()
    if len(text) < 8 or not text[:8].isdigit():
        return text
    rest = text[8:]
    cut = min((at for at in (rest.find("+"), rest.find("-")) if at >= 0), default=len(rest))
    return f"{date(text[:8])} {time(rest[:cut])} {rest[cut:]}".strip()


def _one(show: Callable[[Attributes], str]) -> Callable[[Attributes], Iterator[str]]:
    return lambda item: iter((show(item),))


_SHOWN: Mapping[str, Callable[[Attributes], Iterator[str]]] = {
    "TEXT": _one(lambda item: long_text(item, "0040A160")),
    "CODE": _one(lambda item: code(item.item("0040A168"))),
    "NUM": _format_measurement,
    "PNAME": _one(lambda item: name(item, "0040A123")),
    "DATE": _one(lambda item: date(item.text("0040A121"))),
    "TIME": _one(lambda item: time(item.text("0040A122"))),
    "DATETIME": _one(lambda item: moment(item.text("0040A120"))),
    "UIDREF": _one(lambda item: item.text("0040A124")),
    **dict.fromkeys(
        ("IMAGE", "COMPOSITE", "WAVEFORM"), lambda item: map(_reference, item.items(_REFERENCED))
    ),
    **dict.fromkeys(("SCOORD", "SCOORD3D"), _points),
    "TCOORD": _times,
    "TABLE": _one(
        lambda item: f"a table of {item.integer('0040A801')} rows, {item.integer('0040A802')} columns"
    ),
}
