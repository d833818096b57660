"""Parse query parameters (PS3.18 8.3.1).

Values are split on raw `&` and raw commas before they are decoded. `;` is an ordinary character, and so is
`+`, except in the values of a search (see `replace_plus`). Each piece is percent-decoded once, as UTF-8.
Names are case-sensitive.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from gateway.errors import BadParameter

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def decode(name: str, raw: str) -> str:
    """Return the value percent-decoded once. Raises BadParameter."""
    if _BAD_ESCAPE.search(raw):
        raise BadParameter(
            f"{name}: a '%' is not followed by two hex digits",
            parameter=name,
            expected="percent-encoded UTF-8",
        )
    try:
        return unquote_to_bytes(raw.encode("utf-8", "surrogateescape")).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadParameter(
            f"{name}: the value is not UTF-8", parameter=name, expected="percent-encoded UTF-8"
        ) from error


def replace_plus(raw: str) -> str:
    """Return the value with an encoded space for each `+`, as form encoders write it.

    A literal `+` is sent as `%2B`.
    """
    return raw.replace("+", "%20")


def _unquote(value: str) -> str:
    """Return the value without one pair of quotes around it, which the grammar permits (8.3.1)."""
    return (
        value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' and '"' not in value[1:-1] else value
    )


class Params:
    """The parameters of one request, in order, values not yet decoded."""

    __slots__ = ("pairs",)

    def __init__(self, query: bytes) -> None:
        text = query.decode("utf-8", "surrogateescape")
        self.pairs: list[tuple[str, str]] = []
        for piece in text.split("&"):
            if piece:
                name, _, value = piece.partition("=")
                name = unquote_to_bytes(name.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")
                self.pairs.append((name, value))

    def all(self, name: str) -> list[str]:
        """Return the raw values under `name`."""
        return [value for key, value in self.pairs if key == name]

    def one(self, name: str) -> str | None:
        """Return the decoded value, None where there is none. Raises BadParameter where it is repeated."""
        values = self.all(name)
        if len(values) > 1:
            raise BadParameter(f"{name}: given {len(values)} times", parameter=name, expected="once")
        return _unquote(decode(name, values[0])) if values else None

    def join(self, name: str) -> str | None:
        """Return all values under `name` as one comma-separated list, None where there is none."""
        values = self.all(name)
        return ",".join(_unquote(decode(name, value)) for value in values) if values else None

    def flag(self, name: str) -> bool:
        """Return whether the value is `true`; false where absent (Q-73). Raises BadParameter."""
        value = self.one(name)
        if value not in (None, "true", "false"):
            raise BadParameter(
                f"{name} '{value[:20]}': want true or false", parameter=name, expected="true or false"
            )
        return value == "true"

    def read_unsigned(self, name: str) -> int | None:
        """Return a whole number, 0 or more; None where absent (Q-82). Raises BadParameter."""
        value = self.one(name)
        if value is None:
            return None
        if not re.fullmatch(r"[0-9]{1,18}", value):
            raise BadParameter(
                f"{name} '{value[:20]}': want a whole number, 0 or more",
                parameter=name,
                expected="a whole number, 0 or more",
            )
        return int(value)
