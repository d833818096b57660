"""Search parameters as a query: one row per rule of PS3.18 8.3.4 and PS3.4 C.2.2.2."""

from __future__ import annotations

import pytest
from gateway.dicom.model.private import PrivateTag
from gateway.dicom.query.query import (
    DateTimeRange,
    Empty,
    Equals,
    Fuzzy,
    InItem,
    Match,
    OneOf,
    Query,
    Range,
    Universal,
    Wildcard,
)
from gateway.errors import BadParameter
from gateway.http.parameters.querystring import Params
from gateway.http.parameters.search import Limits, ParsedSearch, Target, search_query
from gateway.model import Level

PATIENT_NAME = (0x00100010,)
PATIENT_ID = (0x00100020,)
STUDY_DATE = (0x00080020,)
STUDY_TIME = (0x00080030,)
STUDY_UID = (0x0020000D,)
MODALITIES = (0x00080061,)
ACCESSION = (0x00080050,)
REQUEST = 0x00400275
ACME = PrivateTag(0x00231001, "Acme")
STEP_ID = 0x00400009
PROCEDURE_ID = 0x00401001


def asked(text: str) -> ParsedSearch:
    return search_query(Params(text.encode()), Target(Level.INSTANCE), Limits(200, 5000))


def query(text: str) -> Query:
    return asked(text).query


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", ()),
        ("?".strip("?"), ()),
        # names: keyword, tag in either case, repeated separators
        ("PatientID=1", (Equals(PATIENT_ID, "LO", "1"),)),
        ("00100020=1", (Equals(PATIENT_ID, "LO", "1"),)),
        ("0020000d=1.2", (Equals(STUDY_UID, "UI", "1.2"),)),
        ("&PatientID=1&&", (Equals(PATIENT_ID, "LO", "1"),)),
        # decoding: once, plus is a space but where a sign may stand, semicolon and equals are ordinary
        ("PatientID=a+b", (Equals(PATIENT_ID, "LO", "a b"),)),
        ("PatientName=Doe+van*", (Wildcard(PATIENT_NAME, "PN", "Doe van*"),)),
        ("PatientName=Doe+Jane&fuzzymatching=true", (Fuzzy(PATIENT_NAME, ("Doe", "Jane")),)),
        ("StudyDate=+20240131+", (Equals(STUDY_DATE, "DA", "20240131"),)),
        ("InstanceNumber=+7", (Equals((0x00200013,), "IS", "7"),)),
        ("RepetitionTime=1e+3", (Equals((0x00180080,), "DS", "1e+3"),)),
        ("RequestAttributesSequence.00400009=a+b", (InItem((REQUEST,), (Equals((STEP_ID,), "SH", "a b"),)),)),
        ("00231001=x+y&00230010=Ac+me", (Equals((PrivateTag(0x00231001, "Ac me"),), "LO", "x y"),)),
        ("PatientID=a%2Bb", (Equals(PATIENT_ID, "LO", "a+b"),)),
        ("PatientID=a%2541", (Equals(PATIENT_ID, "LO", "a%41"),)),
        ("PatientID=a;b=c", (Equals(PATIENT_ID, "LO", "a;b=c"),)),
        ("PatientID=a%26b", (Equals(PATIENT_ID, "LO", "a&b"),)),
        ("PatientName=M%C3%BCller", (Equals(PATIENT_NAME, "PN", "Müller"),)),
        ("PatientName=Doe%2C%20Jane", (Equals(PATIENT_NAME, "PN", "Doe, Jane"),)),
        # universal
        ("PatientID=", (Universal(PATIENT_ID),)),
        ("PatientID", (Universal(PATIENT_ID),)),
        ("PatientID=*", (Universal(PATIENT_ID),)),
        ("PatientID=%2A%2A", (Universal(PATIENT_ID),)),
        ("StudyInstanceUID=", (Universal(STUDY_UID),)),
        # wildcards
        ("PatientID=a*", (Wildcard(PATIENT_ID, "LO", "a*"),)),
        ("PatientName=%2ADoe%3F", (Wildcard(PATIENT_NAME, "PN", "*Doe?"),)),
        # a hyphen is no range in text
        ("AccessionNumber=2024-17", (Equals(ACCESSION, "SH", "2024-17"),)),
        ("PatientID=a_b%25", (Equals(PATIENT_ID, "LO", "a_b%"),)),
        # UID lists: raw, encoded, backslash; duplicates once
        ("StudyInstanceUID=1.2,1.3", (OneOf(STUDY_UID, "UI", ("1.2", "1.3")),)),
        ("StudyInstanceUID=1.2%2C1.3", (OneOf(STUDY_UID, "UI", ("1.2", "1.3")),)),
        ("StudyInstanceUID=1.2%5C1.3", (OneOf(STUDY_UID, "UI", ("1.2", "1.3")),)),
        ("StudyInstanceUID=1.2,1.2,1.3,", (OneOf(STUDY_UID, "UI", ("1.2", "1.3")),)),
        # modalities: any of them
        ("ModalitiesInStudy=CT,MR", (OneOf(MODALITIES, "CS", ("CT", "MR")),)),
        ("ModalitiesInStudy=CT%2CMR", (OneOf(MODALITIES, "CS", ("CT", "MR")),)),
        ("ModalitiesInStudy=CT", (Equals(MODALITIES, "CS", "CT"),)),
        # multiple value matching: all of them
        (
            "ModalitiesInStudy=CT,PT&multiplevaluematching=true",
            (Equals(MODALITIES, "CS", "CT"), Equals(MODALITIES, "CS", "PT")),
        ),
        # numbers in one spelling
        ("SeriesNumber=007", (Equals((0x00200011,), "IS", "7"),)),
        ("SeriesNumber=+7", (Equals((0x00200011,), "IS", "7"),)),
        ("SeriesNumber=-3", (Equals((0x00200011,), "IS", "-3"),)),
        ("Rows=0512", (Equals((0x00280010,), "US", "512"),)),
        # empty value matching
        ("PatientID=%22%22&emptyvaluematching=true", (Empty(PATIENT_ID, "LO"),)),
        ("PatientID=%22%22", (Equals(PATIENT_ID, "LO", '""'),)),
        ("PatientID=%22%22*&emptyvaluematching=true", (Wildcard(PATIENT_ID, "LO", '""*'),)),
        ("StudyDate=%22%22&emptyvaluematching=true", (Empty(STUDY_DATE, "DA"),)),
        # dates and times
        ("StudyDate=20240131", (Equals(STUDY_DATE, "DA", "20240131"),)),
        ("StudyDate=20240101-", (Range(STUDY_DATE, "DA", "20240101", None),)),
        ("StudyTime=2230", (Range(STUDY_TIME, "TM", "223000.000000", "223059.999999"),)),
        # combined date and time: ranges of both, nothing else
        (
            "StudyDate=20060705-20060707&StudyTime=1000-1800",
            (DateTimeRange(STUDY_DATE, STUDY_TIME, "20060705100000.000000", "20060707180059.999999"),),
        ),
        (
            "StudyTime=1000-&StudyDate=20060705-",
            (DateTimeRange(STUDY_DATE, STUDY_TIME, "20060705100000.000000", None),),
        ),
        (
            "StudyDate=-20060707&StudyTime=-1800",
            (DateTimeRange(STUDY_DATE, STUDY_TIME, None, "20060707180059.999999"),),
        ),
        (
            "StudyDate=20060705%2D20060707&StudyTime=1000",
            (
                Range(STUDY_DATE, "DA", "20060705", "20060707"),
                Range(STUDY_TIME, "TM", "100000.000000", "100059.999999"),
            ),
        ),
        # fuzzy
        ("PatientName=*X*&fuzzymatching=true", (Fuzzy(PATIENT_NAME, ("X",)),)),
        ("PatientName=O%27Neil^de%20la&fuzzymatching=true", (Fuzzy(PATIENT_NAME, ("O'Neil", "de", "la")),)),
        ("PatientName=D?e&fuzzymatching=true", (Wildcard(PATIENT_NAME, "PN", "D?e"),)),
        ("PatientName=*&fuzzymatching=true", (Universal(PATIENT_NAME),)),
        ("PatientName=Doe&fuzzymatching=false", (Equals(PATIENT_NAME, "PN", "Doe"),)),
        ("PatientID=Doe&fuzzymatching=true", (Equals(PATIENT_ID, "LO", "Doe"),)),
        # sequences: all keys within the same item, mixed spelling (C-QP-12)
        (
            "RequestAttributesSequence.00400009=A&00400275.RequestedProcedureID=B*",
            (
                InItem(
                    (REQUEST,),
                    (Equals((STEP_ID,), "SH", "A"), Wildcard((PROCEDURE_ID,), "SH", "B*")),
                ),
            ),
        ),
        ("RequestAttributesSequence.ScheduledProcedureStepID=", (Universal((REQUEST, STEP_ID)),)),
        ("RequestAttributesSequence=", (Universal((REQUEST,)),)),
        (
            "00400275.00400008.00080100=X",
            (InItem((REQUEST,), (InItem((0x00400008,), (Equals((0x00080100,), "SH", "X"),)),)),),
        ),
        # private elements by creator, whatever the block; at the top or beside them in items
        ("00230010=Acme&00231001=x", (Equals((ACME,), "LO", "x"),)),
        ("00231101=x&00230011=Acme", (Equals((ACME,), "LO", "x"),)),
        (
            "00400275.00231001=x&00400275.00230010=Acme",
            (InItem((REQUEST,), (Equals((ACME,), "LO", "x"),)),),
        ),
        ("00230010=Acme&00400275.00231001=x", (InItem((REQUEST,), (Equals((ACME,), "LO", "x"),)),)),
        # the zone of the query
        (
            "StudyDate=20240131&TimezoneOffsetFromUTC=-0500",
            (DateTimeRange(STUDY_DATE, STUDY_TIME, "20240131000000.000000", "20240131235959.999999", "-0500"),),
        ),
        (
            "StudyDate=20240131-&StudyTime=10-&TimezoneOffsetFromUTC=+0100",
            (DateTimeRange(STUDY_DATE, STUDY_TIME, "20240131100000.000000", None, "+0100"),),
        ),
        (
            "StudyTime=10&TimezoneOffsetFromUTC=+0100",
            (Range(STUDY_TIME, "TM", "100000.000000", "105959.999999", "+0100"),),
        ),
        # not a match key
        ("TimezoneOffsetFromUTC=+0100", ()),
        ("AcquisitionDateTime=2024013110&TimezoneOffsetFromUTC=+0100",
         (Range((0x0008002A,), "DT", "20240131090000.000000", "20240131095959.999999"),)),
    ],
)  # fmt: skip
def test_matches(text: str, matches: tuple[Match, ...]) -> None:
    assert query(text).matches == matches
    assert asked(text).ignored == []


@pytest.mark.parametrize(
    ("text", "ignored"),
    [
        ("PatientNam=x", ["PatientNam"]),
        ("patientid=x", ["patientid"]),  # case matters (C-QP-3)
        ("Limit=5", ["Limit"]),
        ("00080005=ISO_IR%20100", ["00080005"]),  # never matched
        ("00020010=1.2", ["00020010"]),
        ("PixelData=x", ["PixelData"]),
        ("00230510=x", ["00230510"]),  # no block of a creator
        ("includefield=Nonsense,PatientSex", ["includefield Nonsense"]),
    ],
)
def test_what_is_unknown_is_ignored_and_named(text: str, ignored: list[str]) -> None:
    found = asked(text)
    assert found.ignored == ignored
    assert found.query.matches == ()


@pytest.mark.parametrize(
    ("text", "parameter"),
    [
        ("PatientID=1&PatientID=2", "PatientID"),
        ("PatientID=1&00100020=1", "00100020"),
        ("PatientID=a,b", "PatientID"),
        ("Modality=CT,MR", "Modality"),
        ("Modality=CT,MR&multiplevaluematching=true", "Modality"),  # VM 1
        ("ModalitiesInStudy=C*,MR", "ModalitiesInStudy"),
        ("StudyDate=2013-05-09", "StudyDate"),
        ("StudyDate=20240131,20240201", "StudyDate"),
        ("StudyDate=2024*", "StudyDate"),
        ("StudyTime=10:15", "StudyTime"),
        ("SeriesNumber=x", "SeriesNumber"),
        ("SeriesNumber=1-5", "SeriesNumber"),
        ("SeriesNumber=*1", "SeriesNumber"),
        ("StudyInstanceUID=abc", "StudyInstanceUID"),
        ("StudyInstanceUID=1.2*", "StudyInstanceUID"),
        ("StudyInstanceUID=1.2,x", "StudyInstanceUID"),
        ("StudyDate=20240131-20240101", "StudyDate"),
        ("PatientID=%ZZ", "PatientID"),
        ("PatientID=100%", "PatientID"),
        ("PatientName=%E4", "PatientName"),  # not UTF-8
        ("00231001=x", "00231001"),
        ("00231001=x&00230010=", "00231001"),
        ("00231001=x&00230011=Acme", "00231001"),
        ("includefield=00231001", "includefield"),
        ("cursor=abc", "cursor"),
        ("cursor=", "cursor"),
        ("PatientID.StudyDate=20240131", "PatientID.StudyDate"),  # C-QP-11
        ("RequestAttributesSequence=x", "RequestAttributesSequence"),
        ("TimezoneOffsetFromUTC=0100", "TimezoneOffsetFromUTC"),
        # more than any data set can hold
        ("ModalitiesInStudy=" + ",".join(f"M{n}" for n in range(300)), "ModalitiesInStudy"),
        (f"PatientName={'%20'.join(f'w{n}' for n in range(100))}&fuzzymatching=true", "PatientName"),
        ("00081140." * 100 + "00081155=1", ("00081140." * 9)[:80]),
        ("includefield=" + "00081140." * 100 + "00081155", "includefield"),
        # control parameters
        ("fuzzymatching=TRUE", "fuzzymatching"),
        ("fuzzymatching=", "fuzzymatching"),
        ("emptyvaluematching=1", "emptyvaluematching"),
        ("multiplevaluematching=yes", "multiplevaluematching"),
        ("count=1", "count"),
        ("limit=-1", "limit"),
        ("limit=", "limit"),
        ("limit=ten", "limit"),
        ("limit=1&limit=2", "limit"),
        ("limit=+5", "limit"),
        ("offset=1.5", "offset"),
        ("offset=", "offset"),
    ],
)
def test_invalid_values_are_400_and_named(text: str, parameter: str) -> None:
    with pytest.raises(BadParameter) as raised:
        query(text)
    assert raised.value.parameter == parameter
    assert raised.value.expected


def test_words_that_are_repeated_ask_nothing_more() -> None:
    found = query(f"PatientName={'a%20' * 1500}b&fuzzymatching=true")
    assert found.matches == (Fuzzy(PATIENT_NAME, ("a", "b")),)


def test_values_do_not_get_into_messages() -> None:
    with pytest.raises(BadParameter) as raised:
        query("PatientBirthDate=Miller")
    assert "Miller" not in raised.value.detail


@pytest.mark.parametrize(
    ("text", "limit", "offset"),
    [
        ("", 200, 0),
        ("limit=10&offset=20", 10, 20),
        ("limit=0", 0, 0),
        ("limit=99999", 5000, 0),
        ("limit=999999999999999999&offset=999999999999999999", 5000, 1 << 53),
    ],
)
def test_limit_and_offset(text: str, limit: int, offset: int) -> None:
    found = query(text)
    assert (found.limit, found.offset) == (limit, offset)


@pytest.mark.parametrize(
    ("text", "paths", "everything"),
    [
        ("includefield=PatientSex,00081030", ((0x00100040,), (0x00081030,)), False),
        ("includefield=00081030%2C00080060", ((0x00081030,), (0x00080060,)), False),  # OHIF
        ("includefield=PatientSex&includefield=PatientSex,Modality", ((0x00100040,), (0x00080060,)), False),
        ("includefield=all", (), True),
        ("includefield=all,PatientSex", ((0x00100040,),), True),
        ("includefield=", (), False),
        ("includefield=PatientSex,+00081030", ((0x00100040,), (0x00081030,)), False),
        ("includefield=RequestAttributesSequence", ((REQUEST,),), False),
        ("includefield=00400275.00400009", ((REQUEST, STEP_ID),), False),
    ],
)
def test_includefield(text: str, paths: tuple[tuple[int, ...], ...], everything: bool) -> None:
    found = query(text)
    assert (found.include, found.include_all) == (paths, everything)


def test_includefield_beside_a_match_on_the_same_attribute() -> None:
    found = query("PatientID=1&includefield=PatientID")
    assert found.matches == (Equals(PATIENT_ID, "LO", "1"),)
    assert found.include == (PATIENT_ID,)


def test_count_and_what_clients_add() -> None:
    assert query("count=true").count
    assert not query("").count
    assert asked("_=1700000000&v=abc&accept=application/json&charset=utf-8").ignored == []


def test_what_ohif_sends() -> None:
    found = asked("PatientName=*X*&limit=101&offset=0&fuzzymatching=true&includefield=00081030%2C00080060")
    assert found.query.matches == (Fuzzy(PATIENT_NAME, ("X",)),)
    assert found.query.include == ((0x00081030,), (0x00080060,))
    assert found.ignored == []


def strict(text: str) -> ParsedSearch:
    return search_query(Params(text.encode()), Target(Level.INSTANCE), Limits(200, 5000, strict=True))


def test_under_strict_a_plus_is_a_plus() -> None:
    assert strict("PatientID=a+b").query.matches == (Equals(PATIENT_ID, "LO", "a+b"),)
    assert strict("includefield=PatientSex,+00081030").ignored == ["includefield +00081030"]


@pytest.mark.parametrize("include", ["", "&includefield=00231001", "&includefield=00231001&00230010="])
def test_a_creator_alone_selects_nothing(include: str) -> None:
    """Whatever is asked for beside it, in this and that block."""
    if include.endswith("="):
        with pytest.raises(BadParameter):
            asked("00230010=Acme" + include)
        return
    found = asked("00230010=Acme" + include)
    assert found.query.matches == ()
    assert found.ignored == ([] if include else ["00230010"])
    # Asked for, not matched on: it is given.
    assert asked("00230010=").query.matches == (Universal((0x00230010,)),)


def test_under_strict_a_creator_alone_is_a_400() -> None:
    with pytest.raises(BadParameter) as raised:
        strict("00230010=Acme")
    assert raised.value.parameter == "00230010"
    assert strict("00230010=Acme&includefield=00231001").query.matches == ()
    with pytest.raises(BadParameter):
        strict("RequestAttributesSequence.00230010=Acme")
