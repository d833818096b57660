"""Attributes in requests (PS3.18 8.3.4.1): keywords or tags, joined by dots into the items of sequences.

A private element needs its creator as another match parameter of the request, at the same level or at the
top: then it is found in any block of a data set.
"""

from __future__ import annotations

import re

from gateway.dicom.dictionary import tag_of
from gateway.dicom.limits import LIMITS
from gateway.dicom.model.private import CREATORS, PrivateTag, creator_of, is_creator, is_private
from gateway.dicom.query.query import Path
from gateway.errors import BadParameter
from gateway.http.parameters.querystring import Params, decode, replace_plus

_HEX = re.compile(r"[0-9A-Fa-f]{8}\Z")


def plain_path(name: str) -> Path | None:
    """Return the path of keywords or tags joined by dots, None where one is unknown (C-QP-11, C-QP-12)."""
    path: list[int] = []
    for piece in name.split("."):
        tag = int(piece, 16) if _HEX.match(piece) else tag_of(piece)
        if tag is None or tag >> 16 in (0x0000, 0x0002, 0xFFFE):
            return None
        path.append(tag)
    return tuple(path)


class Names:
    """The attributes of one request; `used` are the creator elements that private elements referred to."""

    def __init__(self, params: Params, *, plus: bool = True) -> None:
        """Read the creators. `plus`: `+` means itself, else a space."""
        self.used: set[Path] = set()
        self._creators: dict[Path, str] = {}
        for name, raw in params.pairs:
            path = plain_path(name)
            if path is not None and is_creator(path[-1]):
                self._creators[path] = decode(name, raw if plus else replace_plus(raw)).strip()

    def path(self, name: str, parameter: str = "") -> Path | None:
        """Return the path of an attribute, None where the name is unknown.

        Raises BadParameter where a private element has no creator (Q-26), and where the path is deeper than
        stored data sets. `parameter` is the parameter that holds the name, where the name is not a
        parameter itself.
        """
        raw = plain_path(name)
        if raw is None:
            return None
        if len(raw) > LIMITS.depth + 1:
            raise BadParameter(
                f"{name[:80]}…: {len(raw)} attributes on the way, deeper than any data set is taken",
                parameter=parameter or name[:80],
                expected=f"{LIMITS.depth} sequences at most",
            )
        path: list[int] = []
        for depth, tag in enumerate(raw):
            if not is_private(tag) or is_creator(tag):
                path.append(tag)
            elif creator_of(tag) & 0xFFFF not in CREATORS:
                return None
            else:
                path.append(PrivateTag(tag, self._creator(parameter or name, raw[:depth], tag)))
        return tuple(path)

    def _creator(self, name: str, above: Path, tag: int) -> str:
        for place in ((*above, creator_of(tag)), (creator_of(tag),)):
            if self._creators.get(place):
                self.used.add(place)
                return self._creators[place]
        wanted = f"{creator_of(tag):08X}"
        raise BadParameter(
            f"{name}: a private attribute needs its creator, {wanted}=…, beside it",
            parameter=name,
            expected=wanted,
        )
