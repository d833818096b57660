"""Tags and UIDs are named in one place by their PS3.6 keyword, and only there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import gateway
import pytest
from gateway.dicom import tagnumbers, tags, uids
from pydicom.datadict import DicomDictionary
from pydicom.uid import UID_dictionary

PACKAGE = Path(gateway.__file__).parent
HOMES = {PACKAGE / "dicom" / f"{name}.py" for name in ("tags", "tagnumbers", "uids")}

# Eight digits by themselves that are a value: a date, an empty AT, the digits.
VALUES = {"00000000"}
# Standard, and younger than the dictionary of pydicom 3.0.
YOUNGER_UIDS = {
    "JPEG_XL_LOSSLESS",
    "JPEG_XL_JPEG_RECOMPRESSION",
    "JPEG_XL",
    "DEFLATED_IMAGE_FRAME_COMPRESSION",
    "LABEL_MAP_SEGMENTATION_STORAGE",
}

_TAG_TEXT = re.compile(r"(?<![0-9A-Za-z])[0-9A-F]{8}(?![0-9A-Za-z])")
_TAG_NUMBER = re.compile(r"0x[0-9A-Fa-f]{4}_?[0-9A-Fa-f]{4}\Z")
_UID = re.compile(r"1\\?\.2\\?\.840\\?\.10008")


def _constants(module: object) -> dict[str, object]:
    return {name: value for name, value in vars(module).items() if name.isupper()}


def _squeeze(name: str) -> str:
    """A keyword without what tells words apart."""
    return name.replace("_", "").lower()


def find_literals(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each tag or UID that is spelled out, outside of docstrings."""
    tree = ast.parse(source)
    prose = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    masks = {
        id(operand)
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd)
        for operand in (node.left, node.right)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in prose:
            continue
        if isinstance(node.value, str | bytes):
            text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
            for found in _TAG_TEXT.findall(text):
                if int(found, 16) in DicomDictionary and found not in VALUES:
                    yield node.lineno, found
            if _UID.search(text):
                yield node.lineno, text
        elif isinstance(node.value, int) and id(node) not in masks:
            spelled = ast.get_source_segment(source, node) or ""
            if _TAG_NUMBER.match(spelled) and node.value in DicomDictionary:
                yield node.lineno, spelled


def test_no_tag_or_uid_is_spelled_out() -> None:
    """The table of the standard's tags is read by keyword everywhere else."""
    found = [
        f"{path.relative_to(PACKAGE)}:{line}: {text}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path not in HOMES
        for line, text in find_literals(path.read_text("utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        'x = "00280010"',
        "x = 0x00280010",
        "x = f\"{a.text('00280010')}\"",
        """x = b'"00083002":{"vr":'""",
        'x = "1.2.840.10008.1.2"',
        'x = f"1.2.840.10008.1.2.4.{n}"',
        r'x = re.compile(r"1\.2\.840\.10008\.1\.2")',
    ],
)
def test_a_literal_would_be_found(source: str) -> None:
    assert len(list(find_literals(source))) == 1


def test_prose_dates_and_masks_are_none() -> None:
    source = '"""The path 00280010/1/00280011 of 1.2.840.10008.1.2."""\nx = ("20240131", 0x0000FFFF, y & 0x00020010)'
    assert list(find_literals(source)) == []


def test_tags_bear_their_keyword() -> None:
    named = _constants(tags)
    assert named
    for name, tag in named.items():
        assert isinstance(tag, str)
        assert _squeeze(name) == DicomDictionary[int(tag, 16)][4].lower(), name
        assert tag == f"{int(tag, 16):08X}"


def test_tag_numbers_bear_their_keyword() -> None:
    named = _constants(tagnumbers)
    assert named
    for name, tag in named.items():
        assert isinstance(tag, int)
        assert _squeeze(name) == DicomDictionary[tag][4].lower(), name
        assert name not in _constants(tags) or int(str(getattr(tags, name)), 16) == tag


def test_uids_bear_their_keyword() -> None:
    for name, uid in _constants(uids).items():
        assert isinstance(uid, str)
        if uid.endswith("."):
            assert any(known.startswith(uid) for known in UID_dictionary), name
        elif name in YOUNGER_UIDS:
            assert uid not in UID_dictionary, f"{name} is known by now: take it off the list"
        else:
            assert _squeeze(name) == UID_dictionary[uid][4].lower(), name


@pytest.mark.parametrize("module", ["tags", "tagnumbers", "uids"])
def test_only_what_code_names_is_there(module: str) -> None:
    sources = [
        path.read_text("utf-8") for path in PACKAGE.parent.glob("gateway/**/*.py") if path not in HOMES
    ]
    sources += [path.read_text("utf-8") for path in Path(__file__).parent.parent.rglob("*.py")]
    named = {name for source in sources for name in re.findall(rf"\b{module}\.([A-Z][A-Z0-9_]*)", source)}
    assert set(_constants({"tags": tags, "tagnumbers": tagnumbers, "uids": uids}[module])) == named
