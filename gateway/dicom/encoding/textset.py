"""Choose the Specific Character Set of a data set, and encode its text (PS3.3 C.12.1.1.2, PS3.5 6.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.dicom.encoding.charsets import charset

UTF8 = "ISO_IR 192"


@dataclass(frozen=True, slots=True)
class TextSet:
    """A character set to write; `term` is the value of (0008,0005), empty for the default repertoire."""

    term: str
    codec: str

    def encode(self, text: str) -> bytes:
        """Return the encoded text. Raises UnicodeEncodeError for a lone surrogate."""
        return text.encode(self.codec)


def fitting(terms: Iterable[str], texts: Iterable[str], *, other_text: bool = False) -> TextSet:
    """Return the declared set if it can hold all of `texts`, else UTF-8 (S-58).

    `other_text` says that there is text by reference, in UTF-8. Sets with code extensions are used for ASCII
    only: other text is written as UTF-8, which loses nothing.
    """
    declared = "\\".join(terms)
    if other_text:
        return TextSet(UTF8, "utf-8")
    found = charset(declared.encode("latin-1", "replace"))
    extended = "\\" in declared or "2022" in declared or found.problem or not found.plain
    codec = "ascii" if extended or not found.declared else found.codec
    try:
        for text in texts:
            text.encode(codec)
    except UnicodeEncodeError:
        return TextSet(UTF8, "utf-8")
    return TextSet("" if found.problem else declared, codec)
