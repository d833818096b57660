"""Native DICOM Model documents (PS3.19 A.1.5) of DICOM JSON data sets."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from gateway.dicom.model.nativexml import NAMESPACE, to_xml
from gateway.errors import DicomError
from tests.corpus import rows
from tests.dicom.oracle import parsed, read

_IN = f"{{{NAMESPACE}}}"
_SPACE = "{http://www.w3.org/XML/1998/namespace}space"


def document(dataset: dict[str, Any]) -> ElementTree.Element:
    root = ElementTree.fromstring(to_xml(dataset))
    assert root.tag == f"{_IN}NativeDicomModel"
    return root


def only(dataset: dict[str, Any]) -> ElementTree.Element:
    """The one attribute of a document."""
    (attribute,) = document(dataset)
    return attribute


def texts(element: ElementTree.Element) -> list[tuple[str, str | None]]:
    return [(child.tag.removeprefix(_IN), child.text) for child in element]


@pytest.mark.row("X-1", "X-2")
def test_the_root_preserves_space() -> None:
    assert document({}).get(_SPACE) == "preserve"


@pytest.mark.row("X-4", "X-5", "X-6")
def test_an_attribute_has_tag_vr_and_keyword() -> None:
    assert only({"00280010": {"vr": "US", "Value": [512]}}).attrib == {
        "tag": "00280010",
        "vr": "US",
        "keyword": "Rows",
    }
    assert "keyword" not in only({"00081FFF": {"vr": "UN"}}).attrib


@pytest.mark.row("X-11", "X-13")
def test_values_are_numbered_and_empty_ones_stay() -> None:
    found = only({"00081090": {"vr": "LO", "Value": ["MPG", None, " XR3"]}})
    assert [(value.get("number"), value.text) for value in found] == [
        ("1", "MPG"),
        ("2", None),
        ("3", " XR3"),
    ]


@pytest.mark.row("X-12")
@pytest.mark.parametrize("vr", ["US", "SQ", "PN", "OB"])
def test_an_empty_element_has_no_children(vr: str) -> None:
    assert len(only({"00280010": {"vr": vr}})) == 0


@pytest.mark.row("X-15")
def test_names_are_told_by_component() -> None:
    name = {"Alphabetic": "Yamada^Tarou^^Dr^Jr", "Phonetic": "^b"}
    first, second = only({"00100010": {"vr": "PN", "Value": [name, None]}})
    assert [group.tag.removeprefix(_IN) for group in first] == ["Alphabetic", "Phonetic"]
    assert texts(first[0]) == [
        ("FamilyName", "Yamada"),
        ("GivenName", "Tarou"),
        ("NamePrefix", "Dr"),
        ("NameSuffix", "Jr"),
    ]
    assert texts(first[1]) == [("GivenName", "b")]
    assert (second.get("number"), len(second)) == ("2", 0)


@pytest.mark.row("X-16")
def test_items_nest_and_may_be_empty() -> None:
    inner = {"00400007": {"vr": "LO", "Value": ["CT"]}}
    first, second = only({"00400275": {"vr": "SQ", "Value": [inner, {}]}})
    assert [first.get("number"), second.get("number"), len(second)] == ["1", "2", 0]
    assert texts(first[0]) == [("Value", "CT")]


@pytest.mark.row("X-17", "X-18")
def test_bytes_are_inline_or_by_reference() -> None:
    assert texts(only({"00420011": {"vr": "OB", "InlineBinary": "AAE="}})) == [("InlineBinary", "AAE=")]
    url = 'http://pacs/bulk?a=1&b="2"'
    (bulk,) = only({"7FE00010": {"vr": "OW", "BulkDataURI": url}})
    assert (bulk.tag, bulk.attrib) == (f"{_IN}BulkData", {"uri": url})


@pytest.mark.row("X-7")
def test_private_elements_name_their_creator_and_not_their_block() -> None:
    creator = 'A & "B"'
    found = only({"00091000": {"vr": "LO"}, "00090010": {"vr": "LO", "Value": [creator]}})
    assert found.attrib == {"tag": "00090000", "vr": "LO", "privateCreator": creator}


def test_the_creator_is_that_of_the_same_item() -> None:
    item = {"00090010": {"vr": "LO", "Value": ["INNER"]}, "00091001": {"vr": "LO"}}
    outer = {
        "00090010": {"vr": "LO", "Value": ["OUTER"]},
        "00091001": {"vr": "SQ", "Value": [item]},
    }
    found = only(outer)
    assert found.get("privateCreator") == "OUTER"
    assert found[0][0].get("privateCreator") == "INNER"


def test_private_elements_without_creator_keep_their_tags() -> None:
    dataset = {"00090001": {"vr": "UN"}, "00091001": {"vr": "UN"}, "00092001": {"vr": "UN"}}
    found = document({**dataset, "00090020": {"vr": "LO"}})
    assert [attribute.attrib for attribute in found] == [{"tag": tag, "vr": "UN"} for tag in dataset]


@pytest.mark.row("X-9")
def test_group_lengths_and_file_meta_are_left_out() -> None:
    dataset = {tag: {"vr": "UL", "Value": [1]} for tag in ("00020010", "00080000", "00090000")}
    assert len(document(dataset)) == 0


@pytest.mark.row("X-21")
def test_characters_that_xml_cannot_hold_are_replaced() -> None:
    text = "a\0b\x0cc\x1bd\ufffee\ud800f"
    ((_, found),) = texts(only({"00080081": {"vr": "ST", "Value": [text]}}))
    assert found == "a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf"


@pytest.mark.row("X-19", "X-22", "X-25")
def test_markup_and_line_ends_survive() -> None:
    text = 'a\r\nb\tc <&>" ]]> 王 \U0001f600'
    written = to_xml({"00080081": {"vr": "ST", "Value": [text]}})
    assert b"&#13;\n" in written
    assert ElementTree.fromstring(written)[0][0].text == text


@pytest.mark.row("X-1", "X-4", "X-10", "X-21")
def test_every_file_of_the_corpus_is_well_formed() -> None:
    tried = 0
    for row in rows():
        try:
            found = read(row.read())
        except DicomError:
            continue
        root = document(parsed(found.metadata))
        assert "00080018" in [attribute.get("tag") for attribute in root], row.name
        tried += 1
    assert tried
