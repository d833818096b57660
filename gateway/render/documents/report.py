"""Read a structured report as ordered lines: the patient and study, and the content items (PS3.3 C.17.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from gateway.dicom import tags
from gateway.dicom.dictionary import uid_name
from gateway.render.attributes import Attributes

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
    title = code(attributes.item(tags.CONCEPT_NAME_CODE_SEQUENCE)) or "Structured report"
    return Report(title, tuple(_about(attributes)), tuple(_limit_lines(_items(attributes, "", 0))))


def code(item: Attributes | None) -> str:
    """Return a coded entry by its meaning, with its code in parentheses (PS3.3 8.8)."""
    if item is None:
        return ""
    meaning = item.text(tags.CODE_MEANING)
    value = item.text(tags.CODE_VALUE) or item.text(tags.LONG_CODE_VALUE) or item.text(tags.URN_CODE_VALUE)
    scheme = item.text(tags.CODING_SCHEME_DESIGNATOR)
    shown = f"{value}, {scheme}" if scheme else value
    return f"{meaning} ({shown})" if meaning and value else meaning or shown


def name(attributes: Attributes, tag: str) -> str:
    """Return a person's name as people write it, with every group of it."""
    groups = [" ".join(filter(None, group.split("^"))) for group in attributes.groups(tag)]
    return " / ".join(filter(None, groups))


def _about(a: Attributes) -> Iterator[tuple[str, str]]:
    rows = (
        ("Patient", name(a, tags.PATIENT_NAME)),
        ("Patient ID", a.text(tags.PATIENT_ID)),
        ("Date of birth", date(a.text(tags.PATIENT_BIRTH_DATE))),
        ("Sex", a.text(tags.PATIENT_SEX)),
        ("Study", a.text(tags.STUDY_DESCRIPTION)),
        ("Study date", f"{date(a.text(tags.STUDY_DATE))} {time(a.text(tags.STUDY_TIME))}"),
        ("Accession number", a.text(tags.ACCESSION_NUMBER)),
        ("Referring physician", name(a, tags.REFERRING_PHYSICIAN_NAME)),
        ("Institution", a.text(tags.INSTITUTION_NAME)),
        ("Manufacturer", a.text(tags.MANUFACTURER)),
        ("Series", " ".join(filter(None, (a.text(tags.SERIES_DESCRIPTION), a.text(tags.SERIES_NUMBER))))),
        ("Content date", f"{date(a.text(tags.CONTENT_DATE))} {time(a.text(tags.CONTENT_TIME))}"),
        (
            "Completion",
            " ".join(
                (
                    a.text(tags.COMPLETION_FLAG),
                    a.text(tags.COMPLETION_FLAG_DESCRIPTION),
                    a.text(tags.PRELIMINARY_FLAG),
                )
            ),
        ),
        ("Verification", a.text(tags.VERIFICATION_FLAG)),
        *(("Verified by", _observer(item)) for item in a.items(tags.VERIFYING_OBSERVER_SEQUENCE)),
        *(
            ("Author", name(item, tags.VERIFYING_OBSERVER_NAME) or name(item, tags.PERSON_NAME))
            for item in a.items(tags.AUTHOR_OBSERVER_SEQUENCE)
        ),
    )
    yield from ((label, value.strip()) for label, value in rows if value.strip())


def _observer(item: Attributes) -> str:
    who = (
        name(item, tags.VERIFYING_OBSERVER_NAME),
        item.text(tags.VERIFYING_ORGANIZATION),
        moment(item.text(tags.VERIFICATION_DATE_TIME)),
    )
    return ", ".join(filter(None, who))


def _items(parent: Attributes, number: str, depth: int) -> Iterator[Line]:
    if depth > MOST_DEPTH:
        yield Line(number, depth, "", ("deeper content is not shown",))
        return
    for count, item in enumerate(parent.items(tags.CONTENT_SEQUENCE), 1):
        place = f"{number}.{count}" if number else str(count)
        yield Line(
            place,
            depth,
            code(item.item(tags.CONCEPT_NAME_CODE_SEQUENCE)),
            tuple(filter(None, _values(item))),
            item.text(tags.RELATIONSHIP_TYPE),
            heading=item.text(tags.VALUE_TYPE) == "CONTAINER",
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
    kind = item.text(tags.VALUE_TYPE)
    if item.values(tags.REFERENCED_CONTENT_ITEM_IDENTIFIER):
        place = item.texts(tags.REFERENCED_CONTENT_ITEM_IDENTIFIER)[1:]
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
    for measured in item.items(tags.MEASURED_VALUE_SEQUENCE):
        units = measured.item(tags.MEASUREMENT_UNITS_CODE_SEQUENCE)
        unit = "" if units is None else units.text(tags.CODE_VALUE) or units.text(tags.CODE_MEANING)
        meaning = "" if units is None else units.text(tags.CODE_MEANING)
        shown = f"{_number(measured)} {unit if unit != '1' else ''}".strip()
        yield f"{shown} ({meaning})" if meaning and meaning not in (unit, "no units") else shown
    yield code(item.item(tags.NUMERIC_VALUE_QUALIFIER_CODE_SEQUENCE))


def _number(measured: Attributes) -> str:
    """Return the decimal value; without one, the exact value in other forms (PS3.3 C.18.1)."""
    above, below = (
        measured.text(tags.RATIONAL_NUMERATOR_VALUE),
        measured.text(tags.RATIONAL_DENOMINATOR_VALUE),
    )
    ratio = f"{above}/{below}" if above and below else ""
    return measured.text(tags.NUMERIC_VALUE) or measured.text(tags.FLOATING_POINT_VALUE) or ratio


def _reference(item: Attributes) -> str:
    frames = item.texts(tags.REFERENCED_FRAME_NUMBER)
    shown = f" frames {', '.join(frames)}" if frames else ""
    state = item.item(tags.REFERENCED_SOP_SEQUENCE)
    through = f" shown through {state.text(tags.REFERENCED_SOP_INSTANCE_UID)}" if state is not None else ""
    kind = item.text(tags.REFERENCED_SOP_CLASS_UID)
    return f"{item.text(tags.REFERENCED_SOP_INSTANCE_UID)} ({uid_name(kind) or kind}){shown}{through}"


def _points(item: Attributes) -> Iterator[str]:
    step = 3 if item.text(tags.VALUE_TYPE) == "SCOORD3D" else 2
    numbers = item.numbers(tags.GRAPHIC_DATA)
    points = [numbers[at : at + step] for at in range(0, len(numbers), step)]
    shown = " ".join(",".join(f"{value:g}" for value in point) for point in points[:_POINTS_SHOWN])
    more = f" and {len(points) - _POINTS_SHOWN} more" if len(points) > _POINTS_SHOWN else ""
    yield f"{item.text(tags.GRAPHIC_TYPE)} {shown}{more}".strip()
    yield item.text(tags.REFERENCED_FRAME_OF_REFERENCE_UID)


def _times(item: Attributes) -> Iterator[str]:
    samples, offsets = item.texts(tags.REFERENCED_SAMPLE_POSITIONS), item.texts(tags.REFERENCED_TIME_OFFSETS)
    moments = [moment(text) for text in item.texts(tags.REFERENCED_DATE_TIME)]
    yield f"{item.text(tags.TEMPORAL_RANGE_TYPE)} {', '.join(samples or offsets or moments)}".strip()


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
    "TEXT": _one(lambda item: long_text(item, tags.TEXT_VALUE)),
    "CODE": _one(lambda item: code(item.item(tags.CONCEPT_CODE_SEQUENCE))),
    "NUM": _format_measurement,
    "PNAME": _one(lambda item: name(item, tags.PERSON_NAME)),
    "DATE": _one(lambda item: date(item.text(tags.DATE))),
    "TIME": _one(lambda item: time(item.text(tags.TIME))),
    "DATETIME": _one(lambda item: moment(item.text(tags.DATE_TIME))),
    "UIDREF": _one(lambda item: item.text(tags.UID)),
    **dict.fromkeys(
        ("IMAGE", "COMPOSITE", "WAVEFORM"),
        lambda item: map(_reference, item.items(tags.REFERENCED_SOP_SEQUENCE)),
    ),
    **dict.fromkeys(("SCOORD", "SCOORD3D"), _points),
    "TCOORD": _times,
    "TABLE": _one(
        lambda item: (
            f"a table of {item.integer(tags.TABULATED_VALUES_SEQUENCE)} rows, {item.integer(tags.NUMBER_OF_TABLE_ROWS)} columns"
        )
    ),
}
