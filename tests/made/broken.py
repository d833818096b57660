"""Files that break PS3.5 or PS3.10, each in one place, and instances that share what should be their own."""

from __future__ import annotations

import struct
import zlib

from tests.made.raw import (
    DEFLATED,
    IMPLICIT,
    PIXELS,
    Elements,
    element,
    file,
    grey,
    item,
    joined,
    plain,
    uid,
    us,
)

STUDY, INSTANCE = 0x0020000D, 0x00080018


def broken() -> dict[str, bytes]:
    made = _bytes() | {name: file(name, elements) for name, elements in _elements().items()}
    return {f"malformed/{name}.dcm": data for name, data in made.items()}


def _elements() -> dict[str, Elements]:
    return {
        "gen-bad-ds": plain("gen-bad-ds") | {0x00281050: element(0x00281050, "DS", b"1,5\\abc", 7)},
        "gen-da-impossible": plain("gen-da-impossible")
        | {0x00080023: element(0x00080023, "DA", b"20201399")},
        "gen-length-beyond-eof": grey("gen-length-beyond-eof")
        | {0x7FE00010: element(0x7FE00010, "OW", PIXELS, 1_000_000)},
        "gen-million-frames": grey("gen-million-frames")
        | {0x00280008: element(0x00280008, "IS", b"1000000")},
        "gen-missing-SOPInstanceUID": _without("gen-missing-SOPInstanceUID", INSTANCE),
        "gen-missing-StudyInstanceUID": _without("gen-missing-StudyInstanceUID", STUDY),
        "gen-nul-in-text": grey("gen-nul-in-text", patient=b"Nul\0in^Name\0\0"),
        "gen-odd-length-lo": plain("gen-odd-length-lo") | {0x00081030: element(0x00081030, "LO", b"odd", 3)},
        "gen-sq-item-too-long": plain("gen-sq-item-too-long")
        | {0x00081115: element(0x00081115, "SQ", item(element(0x00080060, "CS", b"OT"), 200))},
        "gen-study-uid-70-chars": grey("gen-study-uid-70-chars")
        | {STUDY: element(STUDY, "UI", b"1.2" + b".12345678" * 7 + b".123")},
        "gen-study-uid-empty": grey("gen-study-uid-empty") | {STUDY: element(STUDY, "UI", b"")},
        "gen-study-uid-space": grey("gen-study-uid-space")
        | {STUDY: element(STUDY, "UI", uid("gen-study-uid-space/study").encode() + b" ")},
        "gen-unknown-vr": plain("gen-unknown-vr") | {0x00081030: element(0x00081030, "ZZ", b"what")},
        "gen-us-one-byte": plain("gen-us-one-byte") | {0x00280103: element(0x00280103, "US", b"\1", 1)},
        "gen-zero-rows": grey("gen-zero-rows")
        | {0x00280010: us(0x00280010, 0), 0x00280011: us(0x00280011, 0)},
    }


def _bytes() -> dict[str, bytes]:
    explicit = joined(grey("gen-declares-implicit-is-explicit"))
    cut = file("gen-cut-in-dataset", plain("gen-cut-in-dataset"))
    disorder = joined(grey("gen-tags-out-of-order")) + element(0x00080060, "CS", b"MR")
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", 0)
    return {
        "gen-cut-in-dataset": cut[:-30],
        "gen-declares-implicit-is-explicit": file("gen-declares-implicit-is-explicit", explicit, IMPLICIT),
        "gen-deflate-corrupt": _deflate_corrupt(),
        "gen-empty-file": b"",
        "gen-html-preamble": file(
            "gen-html-preamble", grey("gen-html-preamble"), preamble=b"<html><script>alert(1)</script>"
        ),
        "gen-meta-sop-mismatch": file(
            "gen-meta-sop-mismatch", grey("gen-meta-sop-mismatch"), instance=uid("another")
        ),
        "gen-not-dicom-text": b"this is no DICOM\r\n",
        "gen-only-preamble": bytes(128) + b"DICM",
        "gen-tags-out-of-order": file("gen-tags-out-of-order", disorder),
        "gen-tiff-preamble": file("gen-tiff-preamble", grey("gen-tiff-preamble"), preamble=tiff),
        "no_preamble_dicm_in_data": bytes(128) + b"DICM" + joined(grey("no_preamble_dicm_in_data")),
    }


def _without(name: str, tag: int) -> Elements:
    return {key: value for key, value in grey(name).items() if key != tag}


def _deflate_corrupt() -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    data = deflater.compress(joined(grey("gen-deflate-corrupt"))) + deflater.flush()
    return file("gen-deflate-corrupt", data[:-12] + b"\xff" * 12, DEFLATED)


def identities() -> dict[str, bytes]:
    """Return instances under one UID that differ in pixels, name or study, and a study of two patients."""
    first = grey("gen-dup-a")
    other = {
        "gen-dup-a": first,
        "gen-dup-b-pixels": first | {0x7FE00010: element(0x7FE00010, "OW", PIXELS[::-1])},
        "gen-dup-c-name": first | {0x00100010: element(0x00100010, "PN", b"Other^Name")},
        "gen-dup-d-study": first | {STUDY: element(STUDY, "UI", uid("elsewhere").encode())},
        "gen-study-two-patients": grey("gen-study-two-patients") | {STUDY: first[STUDY]},
    }
    return {
        f"identity/{name}.dcm": file("gen-dup-a" if "dup" in name else name, elements)
        for name, elements in other.items()
    }
