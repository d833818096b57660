"""Data sets that Hypothesis makes up and pydicom writes, read by both."""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, Sequence, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID
from tests.dicom.oracle import differences, read

SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")
ALPHABETS = {
    "ISO_IR 6": "ABCxyz019 -_'\"",
    "ISO_IR 100": "ABCxyzäöüß é",
    "ISO_IR 144": "ABC Люкбщ",
    "ISO_IR 192": "ABC äЛ山😀 \"'",
    "GB18030": "ABC 王小东誠鱫",
}


def text(alphabet: str, most: int) -> st.SearchStrategy[str]:
    return st.text(alphabet, max_size=most).map(str.strip)


def several(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(values, st.lists(values, max_size=4))


def value_of(vr: str, alphabet: str) -> st.SearchStrategy[Any]:
    ascii_text = text("ABC019_", 16)
    return {
        "AE": several(ascii_text),
        "AS": several(st.sampled_from(["012Y", "003M"])),
        "AT": several(st.integers(0, 2**32 - 1)),
        "CS": several(ascii_text),
        "DA": several(st.sampled_from(["20200131", ""])),
        "DS": several(st.from_regex(r"-?(0|[1-9][0-9]{0,4})(\.[0-9]{1,4})?", fullmatch=True)),
        "DT": several(st.sampled_from(["20200131120000.5+0100", "2020"])),
        "FD": several(st.floats()),
        "FL": several(st.floats(width=32)),
        "IS": several(st.integers(-(2**31), 2**31 - 1)),
        "LO": several(text(alphabet, 20)),
        "LT": text(alphabet + "\\\r\n\t", 60),
        "OB": st.binary(max_size=40).map(lambda raw: raw * 2),
        "OD": st.binary(max_size=4).map(lambda raw: raw * 8),
        "OF": st.binary(max_size=8).map(lambda raw: raw * 4),
        "OL": st.binary(max_size=8).map(lambda raw: raw * 4),
        "OV": st.binary(max_size=4).map(lambda raw: raw * 8),
        "OW": st.sampled_from([b"\1\2", b"\1\2\3\4", b"\7\1" * 700]),
        "PN": several(text(alphabet, 12).filter(bool)),
        "SH": several(text(alphabet, 12)),
        "SL": several(st.integers(-(2**31), 2**31 - 1)),
        "SS": several(st.integers(-(2**15), 2**15 - 1)),
        "ST": text(alphabet + "\\", 40),
        "SV": several(st.integers(-(2**63), 2**63 - 1)),
        "TM": several(st.sampled_from(["1200", "235959.123"])),
        "UC": several(text(alphabet, 30)),
        "UI": several(st.sampled_from(["1.2.3", "2.25.123"])),
        "UL": several(st.integers(0, 2**32 - 1)),
        "UN": st.binary(max_size=20).map(lambda raw: raw * 2),
        "UR": text("abc:/.?%20", 30),
        "US": several(st.integers(0, 2**16 - 1)),
        "UT": text(alphabet + "\\\n", 100),
        "UV": several(st.integers(0, 2**64 - 1)),
    }[vr]


VRS = (
    *("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "OB", "OD", "OF", "OL", "OV"),
    *("OW", "PN", "SH", "SL", "SS", "ST", "SV", "TM", "UC", "UI", "UL", "UN", "UR", "US", "UT", "UV"),
)
PUBLIC = {
    "LO": 0x00081030,
    "PN": 0x00100010,
    "DS": 0x00280030,
    "IS": 0x00200013,
    "US": 0x00280010,
    "LT": 0x00104000,
    "UI": 0x00081150,
    "FD": 0x00189303,
    "SH": 0x00080050,
    "UT": 0x0040A160,
}


@st.composite
def elements(draw: st.DrawFn, alphabet: str, depth: int) -> Dataset:
    made = Dataset()
    for vr in draw(st.lists(st.sampled_from(sorted(PUBLIC)), unique=True, max_size=4)):
        made.add_new(PUBLIC[vr], vr, draw(value_of(vr, alphabet)))
    private = draw(st.lists(st.sampled_from(VRS), max_size=6))
    if private:
        block = made.private_block(0x0099, "NOBODY KNOWS", create=True)
        for offset, vr in enumerate(private):
            block.add_new(offset, vr, draw(value_of(vr, alphabet)))
    if depth:
        items = draw(st.lists(elements(alphabet, depth - 1), max_size=3))
        for item in items:
            item.is_undefined_length_sequence_item = draw(st.booleans())
        made.add_new(0x00400275, "SQ", Sequence(items))
        made["00400275"].is_undefined_length = draw(st.booleans())
    return made


@st.composite
def files(draw: st.DrawFn) -> bytes:
    charset = draw(st.sampled_from(sorted(ALPHABETS)))
    made = draw(elements(ALPHABETS[charset], 2))
    made.SpecificCharacterSet = charset
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.2", "1.2.4"
    out = BytesIO()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(draw(st.sampled_from(SYNTAXES)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcmwrite(out, made, enforce_file_format=True)
    return out.getvalue()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(files(), st.integers(1, 300))
def test_both_read_the_same_in_pieces_of_any_size(data: bytes, chunk: int) -> None:
    assert list(differences(data)) == []
    assert read(data, chunk=chunk) == read(data)
