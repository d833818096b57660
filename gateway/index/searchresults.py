"""Attributes of one search result (PS3.18 10.6.3.3): required ones, matched ones and included ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gateway.dicom import tagnumbers, tags
from gateway.dicom.dataset import Attribute, DataSet
from gateway.dicom.dictionary import vr_of
from gateway.dicom.model.private import PrivateTag, creator_key, where
from gateway.dicom.query.levels import RANK, level_of
from gateway.dicom.query.match import satisfies
from gateway.dicom.query.query import DateTimeRange, InItem, Match, Path, Query, Universal
from gateway.index import rows
from gateway.index.entities import Entity
from gateway.model import Level

_REQUEST_KEYS: tuple[Path, ...] = tuple((int(tag, 16),) for tag in rows.REQUEST_KEYS)
# The answer is in UTF-8, whatever the character set of the data set is.
_CHARACTER_SET = tags.SPECIFIC_CHARACTER_SET
_ALWAYS = {
    Level.STUDY: frozenset(int(tag, 16) for tag in rows.STUDY_REQUIRED)
    | {
        tagnumbers.STUDY_INSTANCE_UID,
        tagnumbers.INSTANCE_AVAILABILITY,
        tagnumbers.MODALITIES_IN_STUDY,
        tagnumbers.RETRIEVE_URL,
        tagnumbers.NUMBER_OF_STUDY_RELATED_SERIES,
        tagnumbers.NUMBER_OF_STUDY_RELATED_INSTANCES,
    },
    Level.SERIES: frozenset(int(tag, 16) for tag in rows.SERIES_REQUIRED)
    | {
        tagnumbers.STUDY_INSTANCE_UID,
        tagnumbers.SERIES_INSTANCE_UID,
        tagnumbers.RETRIEVE_URL,
        tagnumbers.NUMBER_OF_SERIES_RELATED_INSTANCES,
    },
    Level.INSTANCE: frozenset(int(tag, 16) for tag in rows.INSTANCE_REQUIRED)
    | {
        tagnumbers.SOP_CLASS_UID,
        tagnumbers.SOP_INSTANCE_UID,
        tagnumbers.STUDY_INSTANCE_UID,
        tagnumbers.SERIES_INSTANCE_UID,
        tagnumbers.INSTANCE_AVAILABILITY,
        tagnumbers.RETRIEVE_URL,
        tagnumbers.AVAILABLE_TRANSFER_SYNTAX_UID,
    },
}
_BESIDE = frozenset({tagnumbers.STUDY_DESCRIPTION})
_READY = _ALWAYS[Level.INSTANCE] | {
    *(int(tag, 16) for tag in rows.INSTANCE_IF_KNOWN),
    tagnumbers.TRANSFER_SYNTAX_UID,
}


def find_shown_levels(query: Query) -> tuple[Level, ...]:
    """Return the levels to show.

    Relational searches also show the levels above (PS3.18 10.6.3.3.2, 10.6.3.3.3).
    """
    if query.level is Level.STUDY:
        return (Level.STUDY,)
    above: list[Level] = [] if query.within is not None else [Level.STUDY]
    if query.level is Level.INSTANCE and (query.within is None or query.within.series is None):
        above.append(Level.SERIES)
    return (*above, query.level)


@dataclass(slots=True)
class SearchResults:
    """The attributes that a query returns beyond the required ones.

    `plain` are attributes, `whole` those of them to return with all items, `parts` paths into the items of a
    sequence, and `items` the matches on items.
    """

    query: Query
    plain: list[int] = field(default_factory=list)
    whole: set[int] = field(default_factory=set)
    parts: dict[int, list[Path]] = field(default_factory=dict)
    items: dict[int, list[InItem]] = field(default_factory=dict)

    @classmethod
    def from_query(cls, query: Query) -> SearchResults:
        made = cls(query)
        for path in query.include:
            made._want(path, whole=True)
        for match in query.matches:
            made._add_matched(match)
        return made

    def _want(self, path: Path, *, whole: bool = False) -> None:
        tag = path[0]
        if RANK[level_of(tag)] > RANK[self.query.level]:
            return
        if len(path) > 1:
            self.parts.setdefault(tag, []).append(path[1:])
            return
        self.plain.append(tag)
        if whole:
            self.whole.add(tag)

    def _add_matched(self, match: Match) -> None:
        if isinstance(match, DateTimeRange):
            self._want(match.date)
            self._want(match.time)
        elif isinstance(match, InItem):
            for path in _paths_of(match):
                self._want(path)
            self.items.setdefault(match.path[0], []).append(match)
        else:
            self._want(match.path, whole=isinstance(match, Universal))

    @property
    def are_ready(self) -> bool:
        """Whether the stored answers have all attributes that are wanted."""
        ready = _ALWAYS[self.query.level]
        return (
            len(find_shown_levels(self.query)) == 1
            and not (self.query.include_all or self.parts or self.items)
            and (ready | _BESIDE if self.query.level is Level.STUDY else ready).issuperset(self.plain)
        )

    @property
    def wants_description(self) -> bool:
        """Whether Study Description is wanted; it is stored next to the answer of a study."""
        return self.query.level is Level.STUDY and not _BESIDE.isdisjoint(self.plain)

    @property
    def wants_metadata(self) -> bool:
        """Whether an instance's answer needs attributes that are only in its metadata."""
        wanted = {*self.plain, *self.parts}
        return self.query.include_all or any(
            level_of(tag) is Level.INSTANCE and tag not in _READY for tag in wanted
        )

    def compose(self, found: dict[Level, Entity]) -> DataSet:
        """Return the attributes of one row; `found` holds the levels from the study down to it."""
        answer: DataSet = {}
        for level in find_shown_levels(self.query):
            answer |= found[level].answer
            if self.query.include_all:
                # `all` means the attributes of the levels that are shown.
                answer = _all_of(level, found[level]) | _without_part(answer)
        for tag in self.plain:
            self._add(answer, tag, found)
        for tag in self.parts.keys() | self.items.keys():
            self._shape(answer, tag, found)
        answer.pop(_CHARACTER_SET, None)
        return answer

    def _add(self, answer: DataSet, tag: int, found: dict[Level, Entity]) -> None:
        if tag == tagnumbers.TRANSFER_SYNTAX_UID:
            # It is an element of the file meta information, not of the data set (PS3.10 7.1): the stored
            # answer has it.
            answer[tags.TRANSFER_SYNTAX_UID] = found[Level.INSTANCE].answer[
                tags.AVAILABLE_TRANSFER_SYNTAX_UID
            ]
            return
        key, attribute = _attribute(found, tag)
        if attribute is not None and (key not in answer or tag in self.whole):
            answer[key] = attribute
            self._with_creator(answer, key, tag, found)
        elif not isinstance(tag, PrivateTag) and (vr := vr_of(tag)[:2]):
            answer.setdefault(key, {"vr": vr})

    def _with_creator(self, answer: DataSet, key: str, tag: int, found: dict[Level, Entity]) -> None:
        """Add the private creator element, which names the owner of a private element (PS3.18 8.3.4.3)."""
        if isinstance(tag, PrivateTag):
            *_, own = found.values()
            answer[creator_key(key)] = own.attributes[creator_key(key)]

    def _shape(self, answer: DataSet, tag: int, found: dict[Level, Entity]) -> None:
        """Reduce a matched sequence to matching items, and these to wanted attributes (PS3.4 C.2.2.2.6)."""
        if RANK[level_of(tag)] > RANK[self.query.level]:
            return
        key, attribute = _attribute(found, tag)
        items = rows.items_of(attribute)
        if items is None:
            if attribute is not None or not isinstance(tag, PrivateTag):
                answer.setdefault(key, attribute or {"vr": "SQ"})
            return
        items = _fitting(items, self.items.get(tag, ()))
        if tag not in self.whole and not self.query.include_all:
            wanted = [
                *self.parts.get(tag, ()),
                *(_REQUEST_KEYS if tag == tagnumbers.REQUEST_ATTRIBUTES_SEQUENCE else ()),
            ]
            items = [_project(item, wanted) for item in items]
        answer[key] = {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
        self._with_creator(answer, key, tag, found)


def _fitting(items: Sequence[DataSet], matches: Sequence[InItem]) -> list[DataSet]:
    """Return the items that match; nested sequences with matches of their own are reduced likewise."""
    fitting = [item for item in items if all(satisfies(item, match.keys) for match in matches)]
    inner: dict[int, list[InItem]] = {}
    for match in matches:
        for key in match.keys:
            if isinstance(key, InItem):
                inner.setdefault(key.path[0], []).append(key)
    return [_narrow(item, inner) for item in fitting] if inner else fitting


def _narrow(item: DataSet, inner: dict[int, list[InItem]]) -> DataSet:
    made = dict(item)
    for tag, matches in inner.items():
        items = rows.items_of(item.get(where(item, tag)))
        if items is not None:
            made[where(item, tag)] = {"vr": "SQ", "Value": _fitting(items, matches)}
    return made


def _paths_of(match: InItem) -> Iterator[Path]:
    for key in match.keys:
        if isinstance(key, InItem):
            yield from ((*match.path, *path) for path in _paths_of(key))
        elif isinstance(key, DateTimeRange):
            yield from ((*match.path, *path) for path in (key.date, key.time))
        else:
            yield (*match.path, *key.path)


def _all_of(level: Level, entity: Entity) -> DataSet:
    """Return the attributes of this level.

    An instance's data set holds attributes of the levels above, too.
    """
    attributes = entity.attributes
    if level is not Level.INSTANCE:
        return attributes
    return {tag: value for tag, value in attributes.items() if level_of(int(tag, 16)) is level}


def _without_part(answer: DataSet) -> DataSet:
    """Return the answer without Request Attributes Sequence: answers show a part of its items only."""
    return {tag: value for tag, value in answer.items() if tag != tags.REQUEST_ATTRIBUTES_SEQUENCE}


def _attribute(found: dict[Level, Entity], tag: int) -> tuple[str, Attribute | None]:
    """Return the key of an attribute, and its value as its level shows it, else as the row itself has it."""
    *_, own = found.values()
    key = where(own.attributes, tag)
    return key, found[level_of(tag)].attributes.get(key) or own.attributes.get(key)


def _project(item: DataSet, paths: Sequence[Path]) -> DataSet:
    """Return the parts of an item that paths name; a missing attribute becomes an empty one."""
    made: DataSet = {}
    for tag in dict.fromkeys(path[0] for path in paths):
        key, below = where(item, tag), [path[1:] for path in paths if path[0] == tag]
        items = rows.items_of(item.get(key))
        if items is not None and all(below):
            made[key] = {"vr": "SQ", "Value": [_project(inner, below) for inner in items]}
        elif key in item or (key and vr_of(tag)):
            made[key] = item.get(key, {"vr": vr_of(tag)[:2]})
        if isinstance(tag, PrivateTag) and key in item:
            made[creator_key(key)] = item[creator_key(key)]
    return dict(sorted(made.items()))
