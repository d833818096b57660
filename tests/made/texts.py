"""Character sets (PS3.3 C.12.1.1.2, PS3.5 6.1): each as it should be, and as it should not."""

from __future__ import annotations

from tests.made.raw import Elements, element, file, grey, item

GB = b"\x1b$)A"
COMMENTS = 0x00104000
DESCRIPTION = 0x00081030


def texts() -> dict[str, bytes]:
    return {f"charsets/{name}.dcm": file(name, elements) for name, elements in _made().items()}


def _made() -> dict[str, Elements]:
    return {name: grey(name, *named) for name, named in _NAMED.items()} | {
        "gen-gbk-backslash-trail-byte": grey("gen-gbk-backslash-trail-byte", b"GBK", "誠^乗".encode("gbk"))
        | {DESCRIPTION: element(DESCRIPTION, "LO", "乗車誠".encode("gbk"))},
        "gen-ir13-yen-0x5c": grey("gen-ir13-yen-0x5c", b"ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ".encode("shift_jis"))
        | {COMMENTS: element(COMMENTS, "LT", b"\\1000 ~ \xb1")},
        "gen-iso2022-ir58-multivalue": grey(
            "gen-iso2022-ir58-multivalue",
            b"\\ISO 2022 IR 58",
            b"Wang^XiaoDong=" + GB + "王".encode("gb2312") + b"^" + GB + "小东".encode("gb2312"),
        )
        | {
            DESCRIPTION: element(
                DESCRIPTION,
                "LO",
                GB + "第一".encode("gb2312") + b"\\" + GB + "第二".encode("gb2312") + b"\\third",
            )
        },
        "gen-item-charset-differs": grey("gen-item-charset-differs", b"ISO_IR 100", b"M\xfcller")
        | {0x00400275: _items()},
        "gen-pn-empty-groups": grey("gen-pn-empty-groups", patient="=山田^太郎".encode())
        | {0x00101001: element(0x00101001, "PN", "A^B==\\=甲^乙=\\==ﾋﾗ".encode())},
        "gen-utf8-undeclared": {
            tag: value
            for tag, value in grey("gen-utf8-undeclared", patient="Müller^Zoë".encode()).items()
            if tag != 0x00080005
        },
        "gen-utf8-astral-rtl-nfd": grey(
            "gen-utf8-astral-rtl-nfd", patient="𠮷野^e\u0301\u202e=😀^😀=שלום".encode()
        )
        | {COMMENTS: element(COMMENTS, "LT", "family 👨\u200d👩\u200d👧".encode())},
    }


_NAMED = {
    "gen-latin2": (b"ISO_IR 101", "Wałęsa^Łukasz".encode("iso8859-2")),
    "gen-latin4": (b"ISO_IR 110", "Ķēniņš^Jānis".encode("iso8859-4")),
    "gen-thai": (b"ISO_IR 166", "นามสกุล^ชื่อ".encode("tis-620")),
    "gen-unknown-term": (b"LATIN-1", b"M\xfcller"),
    "gen-utf8-declared-latin1": (b"ISO_IR 100", "Müller^Zoë".encode()),
    "gen-iso2022-ir100-ir144-escapes": (
        b"ISO 2022 IR 100\\ISO 2022 IR 144",
        b"M\xfcller^\x1b-L" + "Иван".encode("iso8859-5"),
    ),
    "gen-iso2022-ir159-kanji": (
        b"ISO 2022 IR 13\\ISO 2022 IR 87\\ISO 2022 IR 159",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=".encode("shift_jis") + b'\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$(D0!0"\x1b(J',
    ),
}


def _items() -> bytes:
    """Return Request Attributes: the first item has a character set of its own, the second its data set's."""
    first = element(0x00080005, "CS", b"ISO_IR 144")
    first += element(0x00400007, "LO", "Колено".encode("iso8859-5"))
    second = element(0x00400007, "LO", b"Sch\xe4del")
    return element(0x00400275, "SQ", item(first) + item(second))
