"""Convert text of a data set to UTF-8 in pieces of any size (PS3.18 F.2.2 note 4; PS3.5 6.1)."""

from __future__ import annotations

import codecs
from typing import Any

from gateway.dicom import tags
from gateway.dicom.dataset import ReadOnlyDataSet
from gateway.dicom.encoding.charsets import JIS_ROMAN, Charset, charset

# VRs whose characters Specific Character Set decides (PS3.5 6.1.2.2) and whose values may be bulk data.
TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_CONTROLS = (b"\n", b"\f", b"\r", b"\t")
# Text with escape sequences is cut at a control character, which resets to the first set. Without a control character
# in so many bytes it is cut anywhere.
_MOST_HELD = 1 << 20


def charset_at(model: ReadOnlyDataSet, path: str) -> Charset:
    """Return the character set of the element at `path` (`00400275/1/00400007`).

    The innermost item on the path that declares a set decides.
    """
    found = _find_declared(model, charset(b""))
    level: Any = model
    parts = path.split("/")
    for tag, number in zip(parts[0:-1:2], parts[1::2], strict=True):
        items = level.get(tag, {}).get("Value", ())
        level = items[int(number) - 1] or {} if int(number) <= len(items) else {}
        found = _find_declared(level, found)
    return found


def _find_declared(level: ReadOnlyDataSet, inherited: Charset) -> Charset:
    if tags.SPECIFIC_CHARACTER_SET not in level:
        return inherited
    terms = level[tags.SPECIFIC_CHARACTER_SET].get("Value") or [""]
    return charset("\\".join(str(term or "") for term in terms).encode("latin-1", "replace"))


class ToUtf8:
    """Push translator to UTF-8, whose result is always valid.

    Bytes that the declared set does not define become U+FFFD.
    """

    def __init__(self, source: Charset) -> None:
        self._source = source
        self._plain = codecs.getincrementaldecoder(source.codec)("replace")
        self._escaped = False
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes, and return the text that is certain so far."""
        text = ""
        if not self._escaped:
            before, escape, rest = chunk.partition(b"\x1b")
            text = self._decode(before, bool(escape))
            if not escape:
                return text.encode()
            self._escaped, chunk = True, escape + rest
        data = self._held + chunk
        cut = 1 + max(data.rfind(control) for control in _CONTROLS)
        if not cut and len(data) > _MOST_HELD:
            cut = len(data)
        self._held = data[cut:]
        return (text + self._source.text(data[:cut])[0]).encode()

    def finish(self) -> bytes:
        """Return the rest."""
        text = self._source.text(self._held)[0] if self._escaped else self._decode(b"", True)
        return text.encode()

    def _decode(self, data: bytes, final: bool) -> str:
        text = self._plain.decode(data, final)
        if final:
            self._plain.reset()
        return text if self._source.plain else text.translate(JIS_ROMAN)
