"""Write a report as PDF (PS3.18 Table 8.7.4-1, category Text).

Pages are A4, and of each font only the letters in use are embedded.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime

from fpdf import FPDF
from fpdf.enums import XPos, YPos

from gateway.dicom import tags
from gateway.render.attributes import Attributes
from gateway.render.documents.report import read
from gateway.render.documents.written import label_line
from gateway.render.stages.fonts import font_file, runs

TITLE, PLAIN = 16.0, 10.0
# Millimetres.
_MARGIN, _INDENT, _LABEL, _DEEPEST = 15.0, 5.0, 45.0, 100.0
# Most characters of the report that are laid out; a line says where more are missing.
MOST_CHARACTERS = 500_000

logging.getLogger("fontTools").setLevel(logging.ERROR)


def pdf(attributes: Attributes) -> bytes:
    """Return the report as PDF; its text can be searched and copied.

    Texts beyond `MOST_CHARACTERS` are left out, and a line says so.
    """
    report = read(attributes)
    page = _Pages(report.title, _find_creation_date(attributes))
    page.text(report.title, 0, TITLE)
    page.gap(2)
    for label, value in report.about:
        page.pair(label, value)
    page.gap(3)
    left = MOST_CHARACTERS
    for line in report.lines:
        label, values = label_line(line)
        left -= len(label) + sum(map(len, values))
        if left < 0:
            page.text("The report goes on: the rest is not shown here.", 0)
            break
        indent = min(line.depth * _INDENT, _DEEPEST)
        beside = values[:1] if values and "\n" not in values[0] else ()
        page.text(": ".join((label, *beside)), indent)
        for value in values[len(beside) :]:
            page.text(value, indent + _INDENT)
    return page.bytes()


def _find_creation_date(attributes: Attributes) -> datetime:
    """Return Content Date as the time of the file; 1970 where there is none.

    With the current time the file would differ at each request.
    """
    try:
        return datetime.strptime(attributes.text(tags.CONTENT_DATE).strip(), "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return datetime(1970, 1, 1, tzinfo=UTC)


class _Pages:
    """Lines of text one below the other, each letter in a font that covers it."""

    def __init__(self, title: str, made: datetime) -> None:
        self._pdf = FPDF(format="A4")
        self._pdf.set_title(title)
        self._pdf.set_margin(_MARGIN)
        self._pdf.set_auto_page_break(True, _MARGIN)
        self._pdf.set_creation_date(made)
        self._pdf.add_page()
        self._known: set[int] = set()
        self._widths: dict[str, float] = {}

    def bytes(self) -> bytes:
        return bytes(self._pdf.output())

    def gap(self, millimetres: float) -> None:
        self._pdf.ln(millimetres)

    def pair(self, label: str, value: str) -> None:
        """Write a label, with its value to the right of it."""
        self._line(label, 0, PLAIN, below=False)
        self.text(value, _LABEL)

    def text(self, text: str, indent: float, size: float = PLAIN) -> None:
        """Write text wrapped at words, or at letters where a word is too long."""
        room = self._pdf.epw - indent
        for paragraph in text.splitlines() or [""]:
            for line in self._wrap(paragraph, room, size):
                self._line(line, indent, size)

    def _line(self, text: str, indent: float, size: float, *, below: bool = True) -> None:
        height = size * 0.5
        self._pdf.set_x(_MARGIN + indent)
        for run, number in runs(text):
            self._use(number, size)
            self._pdf.cell(self._pdf.get_string_width(run), height, run, new_x=XPos.END, new_y=YPos.TOP)
        if below:
            self._pdf.ln(height)

    def _use(self, number: int, size: float) -> None:
        name = f"f{number}"
        if number not in self._known:
            self._pdf.add_font(name, fname=font_file(number))
            self._known.add(number)
        self._pdf.set_font(name, size=size)
        # Otherwise `cell` would leave a margin on both sides of each piece.
        self._pdf.c_margin = 0

    def _wrap(self, text: str, room: float, size: float) -> Iterator[str]:
        line, taken = "", 0.0
        for word in _words(text):
            width = self._width(word, size)
            if taken + width > room and line:
                yield line
                line, taken, word = "", 0.0, word.lstrip()
                width = self._width(word, size)
            while width > room:
                cut = self._count_fitting(word, room, size)
                yield word[:cut]
                word = word[cut:]
                width = self._width(word, size)
            line, taken = line + word, taken + width
        yield line

    def _width(self, text: str, size: float) -> float:
        return sum(self._letter(letter) for letter in text) * size

    def _letter(self, letter: str) -> float:
        """Return the width of a letter in a size of 1; joined letters are no wider."""
        found = self._widths.get(letter)
        if found is None:
            found = 0.0
            for run, number in runs(letter):
                self._use(number, 1)
                found += self._pdf.get_string_width(run)
            self._widths[letter] = found
        return found

    def _count_fitting(self, word: str, room: float, size: float) -> int:
        taken = 0.0
        for at, letter in enumerate(word):
            taken += self._letter(letter) * size
            if taken > room:
                return max(at, 1)
        return len(word)


def _words(text: str) -> Iterator[str]:
    """Yield each word with the spaces before it, and each ideograph, since a line may end after it."""
    word = ""
    for letter in text.replace("\t", " "):
        wide = (
            "\u2e80" <= letter <= "\u9fff" or "\uac00" <= letter <= "\ud7a3" or "\uf900" <= letter <= "\ufaff"
        )
        if word and (wide or (letter == " " and not word.isspace())):
            yield word
            word = ""
        word += letter
        if wide:
            yield word
            word = ""
    if word:
        yield word
