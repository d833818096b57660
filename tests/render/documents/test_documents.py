"""Reports written out: complete beside dcmtk's, escaped, and in the set of characters that is asked."""

from __future__ import annotations

import html as entities
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from gateway.dicom.dataset import DataSet
from gateway.dicom.encoding.part10 import Part10Reader
from gateway.errors import GatewayError
from gateway.render.attributes import Attributes
from gateway.render.documents.report import date, moment, read, time
from gateway.render.documents.written import html, plain
from tests.corpus import Row, rows
from tests.servers import missing

SR = "1.2.840.10008.5.1.4.1.1.88."


def model_of(row: Row) -> dict[str, Any] | None:
    reader = Part10Reader(version="0" * 32)
    try:
        reader.feed(row.read())
        found = reader.finish()
    except GatewayError:
        return None
    if not found.identity.sop_class.startswith(SR):
        return None
    model: dict[str, Any] = json.loads(found.metadata.replace(b"\0", b""))
    return model


def reports() -> list[tuple[Row, dict[str, Any]]]:
    return [(row, model) for row in rows() if (model := model_of(row)) is not None]


class Texts(HTMLParser):
    """Everything that a reader sees."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()
        self.hidden = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.hidden = tag in ("style", "title")
        assert not [key for key, _ in attrs if key.startswith("on") or key in ("src", "href")]

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.found.append(data)


def seen(page: str) -> str:
    parser = Texts()
    parser.feed(page)
    return " ".join(parser.found)


def test_an_image_is_named_by_its_kind() -> None:
    reference: DataSet = {
        "00081150": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
        "00081155": {"vr": "UI", "Value": ["1.9"]},
    }
    found = read(
        Attributes(
            {"0040A730": {"vr": "SQ", "Value": [item("IMAGE", "Picture", t00081199=("SQ", reference))]}}
        )
    )
    assert found.lines[0].values == ("1.9 (CT Image Storage)",)


def words(text: str) -> set[str]:
    return set(re.findall(r"[^\W_]{3,}", text))


@pytest.mark.row("C-RT-6", "C-RT-7", "R-RN-6")
def test_what_dcmtk_shows_of_a_report_is_in_ours(tmp_path: Path) -> None:
    if shutil.which("dsr2html") is None:
        missing("dcmtk", "dsr2html of Debian's dcmtk is not there")
    compared = 0
    for row, model in reports():
        done = subprocess.run(
            ["dsr2html", "-Ee", "-Er", "+U8", str(row.file)],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            continue
        body = re.sub(
            r"(?is)<style.*?</style>|<title.*?</title>|<head.*?</head>|<!--.*?-->", " ", done.stdout
        )
        theirs = entities.unescape(re.sub(r"<[^>]+>", " ", body))
        values = _values(model)
        expected = {word for word in words(theirs) if word in values}
        ours = words(seen(html(Attributes(model), "UTF-8")))
        assert expected - ours == set(), row.name
        assert expected - words(plain(Attributes(model))) == set(), row.name
        compared += 1
    assert compared >= min(10, len(reports()))


def _values(model: Any) -> set[str]:
    """Words of every value of the content tree: what dcmtk adds of its own is none."""
    if isinstance(model, dict):
        return {word for key, value in model.items() if key != "00080016" for word in _values(value)}
    if isinstance(model, list):
        return {word for value in model for word in _values(value)}
    return words(str(model))


def item(kind: str, name: str, *, relation: str = "CONTAINS", **members: Any) -> dict[str, Any]:
    concept: DataSet = {"00080100": {"vr": "SH", "Value": ["1"]}, "00080104": {"vr": "LO", "Value": [name]}}
    return {
        "0040A010": {"vr": "CS", "Value": [relation]},
        "0040A040": {"vr": "CS", "Value": [kind]},
        "0040A043": {"vr": "SQ", "Value": [concept]},
        **{tag[1:]: {"vr": vr, "Value": list(values)} for tag, (vr, *values) in members.items()},
    }


def coded(meaning: str, value: str = "X", scheme: str = "99T") -> dict[str, Any]:
    return {
        "00080100": {"vr": "SH", "Value": [value]},
        "00080102": {"vr": "SH", "Value": [scheme]},
        "00080104": {"vr": "LO", "Value": [meaning]},
    }


MEASURED: DataSet = {
    "0040A30A": {"vr": "DS", "Value": [12.5]},
    "004008EA": {"vr": "SQ", "Value": [coded("millimeter", "mm")]},
}
THIRD: DataSet = {"0040A162": {"vr": "SL", "Value": [1]}, "0040A163": {"vr": "UL", "Value": [3]}}
REFERRED: DataSet = {
    "00081150": {"vr": "UI", "Value": ["1.2"]},
    "00081155": {"vr": "UI", "Value": ["1.9"]},
    "00081160": {"vr": "IS", "Value": [2, 3]},
}
TAGS = frozenset(
    (
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "table",
        "tr",
        "th",
        "td",
        "ul",
        "li",
        "b",
        "span",
        "p",
    )
)
ITEMS = [
    (item("TEXT", "Finding", t0040A160=("UT", "two\nlines")), "two\nlines"),
    (item("CODE", "Site", t0040A168=("SQ", coded("Liver"))), "Liver (X, 99T)"),
    (
        item(
            "NUM",
            "Size",
            t0040A300=(
                "SQ",
                {
                    "0040A30A": {"vr": "DS", "Value": [12.5]},
                    "004008EA": {"vr": "SQ", "Value": [coded("millimeter", "mm")]},
                },
            ),
        ),
        "12.5 mm (millimeter)",
    ),
    (item("NUM", "Failed", t0040A301=("SQ", coded("Not a number"))), "Not a number (X, 99T)"),
    (
        item("PNAME", "Reader", t0040A123=("PN", {"Alphabetic": "Doe^Jane", "Ideographic": "山田^太郎"})),
        "Doe Jane / 山田 太郎",
    ),
    (item("DATE", "When", t0040A121=("DA", "20240131")), "2024-01-31"),
    (item("TIME", "At", t0040A122=("TM", "101500.5")), "10:15:00.5"),
    (item("DATETIME", "Moment", t0040A120=("DT", "20240131101500.5+0100")), "2024-01-31 10:15:00.5 +0100"),
    (item("UIDREF", "Object", t0040A124=("UI", "1.2.3")), "1.2.3"),
    (
        item(
            "IMAGE",
            "Picture",
            t00081199=(
                "SQ",
                {
                    "00081150": {"vr": "UI", "Value": ["1.2"]},
                    "00081155": {"vr": "UI", "Value": ["1.9"]},
                    "00081160": {"vr": "IS", "Value": [2, 3]},
                },
            ),
        ),
        "1.9 (1.2) frames 2, 3",
    ),
    (
        item("SCOORD", "Outline", t00700023=("CS", "POLYLINE"), t00700022=("FL", 1, 2, 3.5, 4)),
        "POLYLINE 1,2 3.5,4",
    ),
    (item("SCOORD3D", "Point", t00700023=("CS", "POINT"), t00700022=("FL", 1, 2, 3)), "POINT 1,2,3"),
    (item("TCOORD", "Span", t0040A130=("CS", "SEGMENT"), t0040A138=("DS", 0.5, 1)), "SEGMENT 0.5, 1"),
    (item("X", "By reference", t0040DB73=("UL", 1, 2, 4)), "see item 2.4"),
    (item("X", "Root", t0040DB73=("UL", 1)), "see the whole report"),
    (item("NUM", "Third", t0040A300=("SQ", THIRD)), "1/3"),
    (item("NEW", "Unknown"), "a value of type NEW"),
]


@pytest.mark.row("R-RN-6")
@pytest.mark.parametrize(("content", "shown"), ITEMS, ids=lambda v: v if isinstance(v, str) else "")
def test_value_types(content: dict[str, Any], shown: str) -> None:
    model: DataSet = {"0040A730": {"vr": "SQ", "Value": [content]}}
    (line,) = read(Attributes(model)).lines
    assert line.values == (shown,)
    assert all(piece in plain(Attributes(model)) for piece in shown.split("\n"))


def test_the_tree_keeps_its_shape() -> None:
    inner = item("CONTAINER", "Inner")
    inner["0040A730"] = {"vr": "SQ", "Value": [item("TEXT", "Deep", t0040A160=("UT", "x"))]}
    model: DataSet = {"0040A730": {"vr": "SQ", "Value": [inner, item("TEXT", "Last", t0040A160=("UT", "y"))]}}
    report = read(Attributes(model))
    assert [(line.number, line.depth) for line in report.lines] == [("1", 0), ("1.1", 1), ("2", 0)]
    page = html(Attributes(model), "UTF-8")
    assert page.count("<ul>") == page.count("</ul>") == 2


def test_nothing_in_a_report_becomes_markup() -> None:
    evil = '<script>alert("1")</script><img src=x onerror=y>\x1b\x0b'
    model: DataSet = {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": evil}]},
        "0040A043": {"vr": "SQ", "Value": [coded(evil)]},
        "0040A730": {"vr": "SQ", "Value": [item("TEXT", evil, t0040A160=("UT", evil))]},
    }
    page = html(Attributes(model), "UTF-8")
    assert not set(page) & set(map(chr, (*range(9), 11, 12, *range(14, 32))))
    parser = Texts()
    parser.feed(page)
    assert parser.tags <= TAGS
    assert "<script" not in page


def test_hostile_trees_end() -> None:
    deep: dict[str, Any] = item("TEXT", "x")
    for _ in range(200):
        deep = {**item("CONTAINER", "x"), "0040A730": {"vr": "SQ", "Value": [deep]}}
    report = read(Attributes({"0040A730": {"vr": "SQ", "Value": [deep]}}))
    assert report.lines[-1].values == ("deeper content is not shown",)
    odd: DataSet = {
        "0040A730": {
            "vr": "SQ",
            "Value": [None, {}, {"0040A040": {"vr": "CS"}}, {"0040A300": {"vr": "SQ", "Value": [None]}}],
        }
    }
    assert len(read(Attributes(odd)).lines) == 4


@pytest.mark.parametrize(
    ("given", "shown"), [("20240131", "2024-01-31"), ("2024.01.31", "2024.01.31"), ("", ""), ("soon", "soon")]
)
def test_dates(given: str, shown: str) -> None:
    assert date(given) == shown
    assert moment(given) == shown
    assert time("1") == "1"
