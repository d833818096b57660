"""Character sets as a table: PS3.18 8.8 and Annex D."""

from __future__ import annotations

import pytest
from gateway.errors import NotAcceptable
from gateway.http.negotiation.charset import (
    ANNEX_D,
    UTF8,
    WRITABLE,
    choose_charset,
    find_charset,
    recode,
    recode_xml,
)

# PS3.18 Annex D, as the standard lists it.
PAIRS = {
    "ISO-8859-1": "ISO_IR 100",
    "ISO-8859-2": "ISO_IR 101",
    "ISO-8859-3": "ISO_IR 109",
    "ISO-8859-4": "ISO_IR 110",
    "ISO-8859-5": "ISO_IR 144",
    "ISO-8859-6": "ISO_IR 127",
    "ISO-8859-7": "ISO_IR 126",
    "ISO-8859-8": "ISO_IR 138",
    "ISO-8859-9": "ISO_IR 148",
    "ISO-8859-15": "ISO_IR 203",
    "TIS-620": "ISO_IR 166",
    "ISO-2022-JP": "ISO 2022 IR 13\\ISO 2022 IR 87",
    "ISO-2022-KR": "ISO 2022 IR 6\\ISO 2022 IR 149",
    "ISO-2022-CN": "ISO 2022 IR 6\\ISO 2022 IR 58",
    "GB18030": "GB18030",
    "GBK": "GBK",
    "UTF-8": "ISO_IR 192",
}


@pytest.mark.row("C-CHS-10")
@pytest.mark.parametrize(("name", "term"), PAIRS.items())
def test_names_and_defined_terms_mean_the_same(name: str, term: str) -> None:
    assert (
        find_charset(name)
        == find_charset(name.lower())
        == find_charset(term)
        == find_charset(f'"{term}"')
        == name
    )
    assert term in ANNEX_D[name][0]


@pytest.mark.row("C-CHS-4")
@pytest.mark.parametrize("spelling", ["UTF-8", "utf-8", "Utf-8"])
def test_utf_8_is_known_by_its_name(spelling: str) -> None:
    assert choose_charset(None, spelling, None, WRITABLE) == UTF8


@pytest.mark.row("C-CHS-2", "C-CHS-6", "C-CHS-8")
@pytest.mark.parametrize(
    ("named", "parameter", "header", "offered", "expected"),
    [
        (None, None, None, (UTF8,), UTF8),
        (None, None, "utf-8", (UTF8,), UTF8),
        (None, None, "ISO-8859-1, utf-8;q=0.7, *;q=0.7", (UTF8,), UTF8),
        (None, None, "*", WRITABLE, UTF8),
        (None, None, "ISO-8859-1", (UTF8,), None),
        (None, None, "utf-8;q=0, ISO-8859-1", (UTF8,), None),
        (None, None, "utf-8;q=0, ISO-8859-1", WRITABLE, "ISO-8859-1"),
        (None, None, "no-such-set", (UTF8,), UTF8),  # left out (8.8.1)
        (None, None, "", (UTF8,), UTF8),
        (None, "ISO_IR 192", None, (UTF8,), UTF8),
        (None, "iso-8859-1", None, (UTF8,), None),
        (None, "iso-8859-1", "utf-8", (UTF8,), UTF8),
        (None, "utf-8", "iso-8859-1", WRITABLE, UTF8),  # the parameter before the header
        ("iso-8859-2", "utf-8", "iso-8859-1", WRITABLE, "ISO-8859-2"),  # the media type before both
        ("nonsense", "nonsense, more", None, (UTF8,), UTF8),
        (None, "gbk;q=0.2, gb18030;q=0.3", None, WRITABLE, "GB18030"),
        (None, "gbk, utf-8", None, WRITABLE, UTF8),  # of several as welcome, UTF-8
        (None, "gbk;q=x", None, WRITABLE, None),
        (None, "ISO-2022-CN", None, WRITABLE, None),  # known, and not written
    ],
)
def test_choice(
    named: str | None,
    parameter: str | None,
    header: str | None,
    offered: tuple[str, ...],
    expected: str | None,
) -> None:
    if expected is not None:
        assert choose_charset(named, parameter, header, offered) == expected
        return
    with pytest.raises(NotAcceptable) as raised:
        choose_charset(named, parameter, header, offered)
    assert raised.value.available == tuple(f"charset={name}" for name in offered)


@pytest.mark.row("C-CHS-7")
def test_nothing_is_replaced() -> None:
    assert recode("Müller".encode(), "ISO-8859-1") == b"M\xfcller"
    assert recode("Müller".encode(), UTF8) == "Müller".encode()
    with pytest.raises(NotAcceptable, match="US-ASCII"):
        recode("Müller".encode(), "US-ASCII")


def test_a_document_declares_its_encoding() -> None:
    document = '<?xml version="1.0" encoding="UTF-8"?>\n<a>ü</a>'.encode()
    assert recode_xml(document, UTF8) == document
    assert recode_xml(document, "ISO-8859-1") == b'<?xml version="1.0" encoding="ISO-8859-1"?>\n<a>\xfc</a>'


@pytest.mark.parametrize("name", WRITABLE)
def test_every_set_can_be_written(name: str) -> None:
    assert recode(b"plain", name).endswith(b"plain")
