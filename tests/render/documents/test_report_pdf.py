"""Reports as PDF, read back by pdfium: every word is there, in every script, on the page."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import pypdfium2
import pytest
from gateway.render.attributes import Attributes
from gateway.render.documents import pdf as room
from gateway.render.documents.pdf import pdf
from gateway.render.documents.written import plain
from tests.render.documents.test_documents import item, reports, words


def pages(data: bytes) -> list[str]:
    document = pypdfium2.PdfDocument(data)
    return [page.get_textpage().get_text_range() for page in document]


def report(*items: dict[str, Any], **more: Any) -> Attributes:
    return Attributes({"0040A730": {"vr": "SQ", "Value": list(items)}, **more})


def text(value: str) -> dict[str, Any]:
    return item("TEXT", "Finding", t0040A160=("UT", value))


@pytest.mark.row("C-RT-9")
def test_every_word_of_a_report_is_on_its_pages() -> None:
    compared = 0
    for row, model in reports():
        shown = " ".join(pages(pdf(Attributes(model))))
        there = words(unicodedata.normalize("NFKC", shown))
        missing = words(unicodedata.normalize("NFKC", plain(Attributes(model)))) - there
        # A word too long for a line is cut.
        assert not [word for word in missing if word not in re.sub(r"\s", "", shown)], row.name
        compared += 1
    assert compared >= min(10, len(reports()))


@pytest.mark.parametrize(
    "value", ["Müller Łódź", "病院で撮影", "서울대학교병원", "ไทย", "Ελληνικά Кириллица", "שלום עולם"]
)
def test_scripts(value: str) -> None:
    shown = "".join(pages(pdf(report(text(value)))))
    assert all(word in shown for word in value.split())


def test_arabic_is_joined_and_what_has_no_letters_is_numbered() -> None:
    (shown,) = pages(pdf(report(text("مرحبا"), text("नमस्ते"))))
    assert "مرحبا" in unicodedata.normalize("NFKC", shown)
    assert "[0928][092E]" in shown


def test_nothing_is_beyond_the_page() -> None:
    deep: dict[str, Any] = text("leaf " * 40)
    for _ in range(30):
        deep = {**text("word " * 40), "0040A730": {"vr": "SQ", "Value": [deep]}}
    data = pdf(report(deep, text("x" * 400), text("あ" * 300), text("\u202e" + "שלום " * 80)))
    for page in pypdfium2.PdfDocument(data):
        width, height = page.get_size()
        for thing in page.get_objects():
            left, bottom, right, top = thing.get_bounds()
            assert left > 30
            assert right < width - 30
            assert bottom > 20
            assert top < height - 20


def test_the_same_report_is_the_same_file() -> None:
    assert pdf(report(text("same"))) == pdf(report(text("same")))


def test_nothing_runs_and_nothing_is_fetched() -> None:
    data = pdf(report(text("(/JS) <script> https://example.org/ /OpenAction")))
    assert not re.search(rb"/(JS|JavaScript|OpenAction\s*<<|AA|URI|Launch)\b", data)


def test_what_is_left_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_CHARACTERS", 100)
    shown = "".join(pages(pdf(report(*[text("some words")] * 20))))
    assert shown.count("some words") == 4
    assert "the rest is not shown" in shown
