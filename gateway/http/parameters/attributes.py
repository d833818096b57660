"""Attributes as requests name them (PS3.18 8.3.4.1): keywords or tags, joined by dots into the items of sequences.

A private element needs its creator as another match parameter of the request, beside it or at the top: by that
it is found in whatever block a data set has it.
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
    """Keywords or tags joined by dots, None where one is unknown (C-QP-11, C-QP-12)."""
    path: list[int] = []
    for piece in name.split("."):
        tag = int(piece, 16) if _HEX.match(piece) else tag_of(piece)
        if tag is None or tag >> 16 in (0x0000, 0x0002, 0xFFFE):
            return None
        path.append(tag)
    return tuple(path)


class Names:
    """The attributes of one request; `used` are the creator elements that said what a private element is."""

    def __init__(self, params: Params, *, plus: bool = True) -> None:
        """`plus`: a `+` is one, else it stands for a space."""
        self.used: set[Path] = set()
        self._creators: dict[Path, str] = {}
        for name, raw in params.pairs:
            path = plain_path(name)
            if path is not None and is_creator(path[-1]):
                self._creators[path] = decode(name, raw if plus else replace_plus(raw)).strip()

    def path(self, name: str, parameter: str = "") -> Path | None:
        """None where the name is unknown. Raises BadParameter where a private element has no creator (Q-26), and
        beyond the depth of what is stored.

        `parameter` is what holds the name, where it is not a parameter itself.
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
