"""Data sets that are right but seldom seen: every VR, nesting, private blocks, empty values (PS3.5)."""

from __future__ import annotations

import struct

from tests.made.raw import UNDEFINED, Elements, element, file, grey, implicit, item, plain, us


def structures() -> dict[str, bytes]:
    return {f"structure/{name}.dcm": file(name, elements) for name, elements in _made().items()}


def _made() -> dict[str, Elements]:
    return {
        "gen-empty-pixeldata": plain("gen-empty-pixeldata") | {0x7FE00010: element(0x7FE00010, "OW", b"")},
        "gen-empty-sq-and-empty-item": plain("gen-empty-sq-and-empty-item")
        | {
            0x00081115: element(0x00081115, "SQ", b""),
            0x00081140: element(0x00081140, "SQ", item(b"")),
        },
        "gen-every-vr": plain("gen-every-vr") | _every_vr(),
        "gen-group-length-elements": plain("gen-group-length-elements")
        | {tag: element(tag, "UL", struct.pack("<I", 1234)) for tag in (0x00080000, 0x00100000)},
        "gen-hostile-strings": plain("gen-hostile-strings", patient=b"<script>alert('x')</script>^A")
        | {0x00081030: element(0x00081030, "LO", b'"><img src=x onerror=alert(1)>')},
        "gen-huge-text": plain("gen-huge-text")
        | {
            0x00104000: element(0x00104000, "LT", b"x" * 10240),
            0x0040A160: element(0x0040A160, "UT", "ä".encode() * 600_000),
        },
        "gen-nested-40-deep": plain("gen-nested-40-deep") | {0x0040A730: _nested(40)},
        "gen-private-two-blocks-orphan": plain("gen-private-two-blocks-orphan") | _private(),
        "gen-repeating-groups": grey("gen-repeating-groups") | _repeating(),
        "gen-trailing-padding": grey("gen-trailing-padding")
        | {0xFFFCFFFC: element(0xFFFCFFFC, "OB", bytes(64))},
        "gen-un-undefined-implicit-sq": plain("gen-un-undefined-implicit-sq")
        | {0x00091002: _unknown()}
        | {0x00090010: element(0x00090010, "LO", b"MADE")},
    }


def _every_vr() -> Elements:
    values = {
        0x00080008: ("CS", b"ORIGINAL\\\\AXIAL"),
        0x00080014: ("UI", b"1.2.3"),
        0x00080021: ("DA", b"20200229"),
        0x0008002A: ("DT", b"20200102030405.123456+0900"),
        0x00080031: ("TM", b"235960.999999"),
        0x00080054: ("AE", b"AET"),
        0x00081030: ("LO", b"a b"),
        0x00081190: ("UR", b"http://example.invalid/a?b=c&d=<e>"),
        0x00089459: ("FL", struct.pack("<f", float("inf"))),
        0x00101010: ("AS", b"042Y"),
        0x00104000: ("LT", b" lead\r\n\ttab"),
        0x00186016: ("UL", struct.pack("<I", 0xFFFFFFFF)),
        0x00186020: ("SL", struct.pack("<i", -1)),
        0x00189073: ("FD", struct.pack("<2d", 1.5, float("nan"))),
        0x00189219: ("SS", struct.pack("<h", -1)),
        0x00189908: ("UC", b"u1\\u2"),
        0x00200013: ("IS", b"+007"),
        0x00280009: ("AT", struct.pack("<4H", 0x18, 0x1063, 0x18, 0x1065)),
        0x00280010: ("US", struct.pack("<H", 0xFFFF)),
        0x00281050: ("DS", b"1.5e-3\\-0\\ 12"),
        0x00400280: ("ST", b"st"),
        0x0040A160: ("UT", b"text"),
        0x00420011: ("OB", b"%PDF"),
        0x00660016: ("OF", struct.pack("<3f", 1, 2, 3)),
        0x00660040: ("OL", struct.pack("<2I", 1, 2)),
        0x00701A07: ("OD", struct.pack("<d", 0.5)),
        0x00720082: ("SV", struct.pack("<2q", -1, 1 << 62)),
        0x00720083: ("UV", struct.pack("<Q", (1 << 64) - 1)),
        0x7FE00001: ("OV", struct.pack("<Q", 0)),
    }
    return {tag: element(tag, vr, value) for tag, (vr, value) in values.items()}


def _nested(levels: int) -> bytes:
    content = element(0x0040A160, "UT", b"deepest")
    for level in range(levels):
        length = UNDEFINED if level % 2 else None
        end = implicit(0xFFFEE00D, b"") if level % 2 else b""
        content = element(0x0040A730, "SQ", item(content + end, length))
    return content


def _private() -> Elements:
    inner = element(0x00110010, "LO", b"MADE B") + element(0x00111001, "DS", b"2.5")
    return {
        0x00110010: element(0x00110010, "LO", b"MADE A"),
        0x00110011: element(0x00110011, "LO", b"MADE B"),
        0x00111001: element(0x00111001, "LO", b"one"),
        0x00111002: element(0x00111002, "SQ", item(inner)),
        0x00111003: element(0x00111003, "UN", b"\1\2\3\4"),
        0x00111101: element(0x00111101, "DS", b"1.5"),
        0x00131001: element(0x00131001, "LO", b"orphan"),
    }


def _repeating() -> Elements:
    found = {0x50000005: us(0x50000005, 1), 0x50003000: element(0x50003000, "OW", b"\0\1" * 4)}
    for group, bits in ((0x60000000, b"\xaa\x55" * 4), (0x60020000, bytes(8))):
        found |= {
            group | 0x10: us(group | 0x10, 8),
            group | 0x11: us(group | 0x11, 8),
            group | 0x40: element(group | 0x40, "CS", b"G"),
            group | 0x50: element(group | 0x50, "SS", struct.pack("<2h", -3, 1)),
            group | 0x100: us(group | 0x100, 1),
            group | 0x102: us(group | 0x102, 0),
            group | 0x3000: element(group | 0x3000, "OW", bits),
        }
    return found


def _unknown() -> bytes:
    """Return UN of undefined length: implicit VR within (PS3.5 6.2.2 note 4)."""
    inner = implicit(0xFFFEE000, implicit(0x00080100, b"CODE") + implicit(0xFFFEE00D, b""), UNDEFINED)
    return element(0x00091002, "UN", inner + implicit(0xFFFEE0DD, b""), UNDEFINED)
