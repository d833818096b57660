"""Media types as clients write them."""

from __future__ import annotations

import pytest
from gateway.http.negotiation.media import find_compressed_type, parse_media_type, split_quoted


@pytest.mark.parametrize(
    ("text", "essence", "parameters"),
    [
        ("application/dicom", "application/dicom", {}),
        ("Application/DICOM", "application/dicom", {}),
        ("*/*", "*/*", {}),
        ("image/*;q=0.5", "image/*", {"q": "0.5"}),
        ('multipart/related; type="application/dicom"', "multipart/related", {"type": "application/dicom"}),
        ("multipart/related; type=application/dicom", "multipart/related", {"type": "application/dicom"}),
        ('multipart/related;type="*/*"', "multipart/related", {"type": "*/*"}),
        (
            'multipart/related; boundary="a;b,c"; TYPE="application/dicom"',
            "multipart/related",
            {"boundary": "a;b,c", "type": "application/dicom"},
        ),
        (
            'multipart/related; type="application/dicom; transfer-syntax=1.2.840.10008.1.2.4.70"',
            "multipart/related",
            {"type": "application/dicom", "transfer-syntax": "1.2.840.10008.1.2.4.70"},
        ),
        ('a/b; x="q\\"uote\\\\"', "a/b", {"x": 'q"uote\\'}),
        ("a/b; x = y ;", "a/b", {"x": "y"}),
        ("multipart/related; boundary='()+_,-./:=?", "multipart/related", {"boundary": "'()+_,-./:=?"}),
    ],
)
def test_parsed(text: str, essence: str, parameters: dict[str, str]) -> None:
    media = parse_media_type(text)
    assert media is not None
    assert media.essence == essence
    assert dict(media.parameters) == parameters


@pytest.mark.parametrize(
    "text", ["", "dicom", "a/", "/b", "a b/c", 'a/b; x="open', "a/b; x", "a/b; =y", "a/b/c"]
)
def test_malformed(text: str) -> None:
    assert parse_media_type(text) is None


def test_commas_in_quotes_do_not_split() -> None:
    assert list(split_quoted('a/b; x="1,2", c/d', ",")) == ['a/b; x="1,2"', "c/d"]
    assert list(split_quoted('"a\\",b",c', ",")) == ['"a\\",b"', "c"]


def test_the_type_of_a_codestream() -> None:
    assert find_compressed_type("1.2.840.10008.1.2.4.80") == "image/jls"
    assert find_compressed_type("1.2.840.10008.1.2.5") == "image/dicom-rle"
    assert find_compressed_type("1.2.3.4") == "application/octet-stream"
