"""QIDO-RS: the six resources, and what they can be asked with (PS3.18 10.6)."""

from __future__ import annotations

from tests.answers.ask import JSON, ROOT, XML, Asks, get, head, related
from tests.answers.held import Held, series, study, uids

MOST_PAGES = 4

STUDIES = (
    "",
    "limit=3",
    "limit=0",
    "limit=3&offset=5",
    "offset=100000",
    "limit=5&count=true",
    "count=true&limit=0",
    "PatientName=Doe*",
    "PatientName=doe^peter",
    "PatientName=DOE&fuzzymatching=true",
    "PatientName=Peter%20Doe&fuzzymatching=true",
    "PatientName=*Corpus*&includefield=all",
    "PatientName=%3F%3F%3F^*",
    "PatientName=*%D0%9B*",
    "PatientName=*%E5%B1%B1*",
    "PatientName=*%CE%94*&includefield=PatientName",
    "PatientID=*1*",
    "PatientID=1CT1",
    "PatientBirthDate=19000101-19991231",
    "StudyDate=20200101",
    "StudyDate=20000101-20041231",
    "StudyDate=-19991231",
    "StudyDate=20200101-",
    "StudyTime=080000-120000",
    "StudyTime=10",
    "StudyDate=20030505-20040827&StudyTime=050000-200000",
    "StudyDate=20200102&TimezoneOffsetFromUTC=%2B0100",
    "AccessionNumber=*",
    "AccessionNumber=%3F",
    "ModalitiesInStudy=CT",
    "ModalitiesInStudy=CT,MR",
    "ModalitiesInStudy=CT%5CMR&multiplevaluematching=true",
    "Modality=CT&limit=3",
    "00080061=SR",
    "ReferringPhysicianName=*",
    "StudyID=*&limit=5",
    "StudyDescription=*e*",
    "StudyDescription=%22%22&emptyvaluematching=true&limit=5",
    "AccessionNumber=%22%22&emptyvaluematching=true",
    "includefield=all&limit=4",
    "includefield=00081030&includefield=StudyDescription&limit=4",
    "includefield=PatientAge,PatientSize&limit=5",
    "includefield=NoSuchField&limit=2",
    "nosuchparameter=1&limit=2",
    "00100020=*&00100010=*&limit=5",
    "PatientName=&limit=4",
    "PatientComments=*&limit=3",
    "RetrieveURL=x&limit=2",
    "StudyInstanceUID=2.25.7301.9001",
    "StudyInstanceUID=2.25.7301.9001,1.2.826.0.1.3680043.10.999.41.1",
    "StudyInstanceUID=1.2.3.4.5.6",
    "PatientName=Doe%2A&limit=2&count=true&includefield=all&fuzzymatching=false",
    "accept=application/json&limit=1",
    "accept=application/dicom%2Bxml&limit=1",
)
SERIES = (
    "",
    "limit=4&count=true",
    "Modality=MR",
    "Modality=S*",
    "Modality=CT,PR",
    "SeriesNumber=1",
    "SeriesDescription=*",
    "SeriesDescription=%22%22&emptyvaluematching=true&limit=3",
    "PerformedProcedureStepStartDate=19900101-",
    "RequestAttributesSequence.ScheduledProcedureStepID=*",
    "00400275.00401001=*",
    "includefield=all&limit=3",
    "includefield=SeriesDate,BodyPartExamined&limit=3",
    "PatientName=Doe*&Modality=CT&includefield=PatientName",
    "StudyDate=20040101-20041231",
    "SOPClassUID=1.2.840.10008.5.1.4.1.1.2&limit=2",
    "SeriesNumber=x",
    "limit=2&offset=2",
)
INSTANCES = (
    "limit=10",
    "limit=10&offset=20",
    "SOPClassUID=1.2.840.10008.5.1.4.1.1.4",
    "SOPClassUID=1.2.840.10008.5.1.4.1.1.2,1.2.840.10008.5.1.4.1.1.4&limit=5",
    "InstanceNumber=1&limit=5",
    "NumberOfFrames=3",
    "Rows=64&includefield=Columns",
    "BitsAllocated=16&limit=3&includefield=all",
    "includefield=all&limit=3",
    "includefield=ReferencedSeriesSequence&Modality=PR",
    "includefield=00400260.00080100&limit=2",
    "includefield=PerFrameFunctionalGroupsSequence&limit=2&NumberOfFrames=10",
    "TransferSyntaxUID=1.2.840.10008.1.2.5",
    "AvailableTransferSyntaxUID=1.2.840.10008.1.2.5",
    "Modality=SR&includefield=ContentSequence&limit=2",
    "SOPInstanceUID=2.25.7301.8001",
    "count=true&limit=1",
    "PatientName=*^*&limit=2",
    "ImageType=DERIVED&limit=3",
    "00091001=x&limit=2",
)
BAD = (
    "limit=-1",
    "limit=x",
    "limit=1&limit=2",
    "offset=1.5",
    "cursor=nonsense",
    "fuzzymatching=maybe",
    "count=1",
    "StudyDate=2020",
    "StudyDate=20201301",
    "StudyDate=20200105-20200101",
    "StudyTime=9999",
    "StudyInstanceUID=1.2.x",
    "StudyInstanceUID=*",
    "PatientName=%FF%FE",
    "PatientName=Doe&PatientName=Roe",
    "PatientName=Doe&00100010=Roe",
    "TimezoneOffsetFromUTC=abc",
    "includefield=",
    "0010001=x",
    "00100010.00100010=x",
    "%00=1",
    "accept=nonsense",
    "charset=nonsense",
    "emptyvaluematching=2",
    "a=b=c&&&=",
)


def asks(held: Held) -> Asks:
    """Searches of every kind, page after page."""
    for where, queries in (("studies", STUDIES), ("series", SERIES), ("instances", INSTANCES)):
        for query in queries:
            yield get(f"search {where}?{query}", f"{ROOT}/{where}?{query}", JSON)
    for query in BAD:
        yield get(f"bad search ?{query}", f"{ROOT}/studies?{query}", JSON)
    yield from _below(held)
    yield from _forms()
    for where in ("studies", "series", "instances"):
        yield from _pages(where)


def _below(held: Held) -> Asks:
    """What is in a study or a series."""
    for name, path in held.some(
        "CT_small.dcm", "s1i1.dcm", "gen-dup-a.dcm", "emri_small.dcm", "reportsi.dcm"
    ):
        for what, below in (("study", study(path)), ("series", series(path))):
            if what == "study":
                yield get(f"series of the study of {name}", f"{below}/series", JSON)
                yield get(f"series of the study of {name}, all", f"{below}/series?includefield=all", JSON)
                yield get(f"MR series of the study of {name}", f"{below}/series?Modality=MR", JSON)
            yield get(f"instances of the {what} of {name}", f"{below}/instances", JSON)
            yield get(f"instances of the {what} of {name}, XML", f"{below}/instances?limit=2", related(XML))
            yield get(f"first instances of the {what} of {name}", f"{below}/instances?InstanceNumber=1", JSON)
            yield get(f"whose {what} of {name}", f"{below}/instances?PatientName=*&includefield=all", JSON)
    _, number, _ = uids(held.path("CT_small.dcm"))
    yield get("series of no study", f"{ROOT}/studies/1.2.3.4/series", JSON)
    yield get("instances of no series", f"{ROOT}/studies/1.2.3.4/series/{number}/instances", JSON)


def _forms() -> Asks:
    """The media types, codings and character sets of results."""
    for accept in (
        "",
        "*/*",
        "application/json",
        JSON,
        related(XML),
        XML,
        "text/html",
        f"{XML};q=0.9, {JSON};q=0.1",
    ):
        yield get(f"studies as {accept}", f"{ROOT}/studies?limit=3&PatientName=*", accept)
    for coding in ("gzip", "zstd", "gzip, zstd", "zstd;q=0.1, gzip", "identity", "*", "br", "gzip;q=0"):
        yield get(f"studies in {coding}", f"{ROOT}/studies?limit=20", JSON, accept_encoding=coding)
    for charset in ("utf-8", "iso-8859-1", "iso-8859-5;q=1, utf-8;q=0.1", "us-ascii", "shift_jis", "*"):
        yield get(f"studies in set {charset}", f"{ROOT}/studies", related(XML), accept_charset=charset)
        yield get(
            f"one study in set {charset}", f"{ROOT}/studies?limit=1", related(XML), accept_charset=charset
        )
    yield get("studies in a set by parameter", f"{ROOT}/studies?limit=2&charset=iso-8859-1", related(XML))
    yield head("head of studies", f"{ROOT}/studies?limit=3", JSON)
    yield head("head of no studies", f"{ROOT}/studies?PatientName=nobody", JSON)
    yield get("a slash behind", f"{ROOT}/studies/?limit=1", JSON)


def _pages(where: str) -> Asks:
    """From page to page by Link fields, and back with a cursor of another search."""
    path = f"{ROOT}/{where}?limit=7&includefield=all"
    for number in range(MOST_PAGES):
        answer = yield get(f"page {number} of {where}", path, JSON)
        link = answer.header("link")
        if not link.startswith("<"):
            return
        path = ROOT + link[1:].partition(">")[0].partition(ROOT)[2]
    cursor = path.partition("cursor=")[2]
    yield get(f"a cursor of other {where}", f"{ROOT}/{where}?PatientID=1&cursor={cursor}", JSON)
    yield get(f"a longer page of {where}", f"{ROOT}/{where}?limit=9&cursor={cursor}", JSON)
    yield get(f"a counted page of {where}", f"{ROOT}/{where}?limit=2&count=true&cursor={cursor}", JSON)
