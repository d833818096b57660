"""Each parameter and header field: absent, empty, repeated, of a wrong type, out of range, contradictory.

A case is (request, status) or (request, header fields, status). A status of 400 and above may be followed by what
the answer says is expected. Text instead of a case says why there can be none.
"""

from __future__ import annotations

from typing import Any, TypeAlias

KINDS = ("absent", "empty", "repeated", "wrong type", "out of range", "contradictory")

STUDY = "/dicom-web/studies/1.2"
INSTANCE = f"{STUDY}/series/1.3/instances/1.4.1"
METADATA, FRAMES, BULK = f"{INSTANCE}/metadata", f"{INSTANCE}/frames/1", f"{INSTANCE}/bulkdata/7FE00010"
STUDIES, KEYS = "/dicom-web/studies", "/api/v1/keys"
JSON, DICOM, OCTETS = "application/dicom+json", "application/dicom", "application/octet-stream"

Case: TypeAlias = tuple[Any, ...] | str
NO_RANGE = "any text of the right form is taken"
NO_OTHER = "nothing else speaks of the same"


def _flag(name: str) -> dict[str, Case]:
    expected = "true or false"
    return {
        "absent": (f"GET {STUDIES}", 204),
        "empty": (f"GET {STUDIES}?{name}=", 400, expected),
        "repeated": (f"GET {STUDIES}?{name}=true&{name}=true", 400, "once"),
        "wrong type": (f"GET {STUDIES}?{name}=yes", 400, expected),
        "out of range": (f"GET {STUDIES}?{name}=TRUE", 400, expected),
        "contradictory": (f"GET {STUDIES}?{name}=true&{name}=false", 400, "once"),
    }


def _count(name: str, where: str = STUDIES, absent: int = 204) -> dict[str, Case]:
    expected = "a whole number, 0 or more"
    return {
        "absent": (f"GET {where}", absent),
        "empty": (f"GET {where}?{name}=", 400, expected),
        "repeated": (f"GET {where}?{name}=1&{name}=1", 400, "once"),
        "wrong type": (f"GET {where}?{name}=ten", 400, expected),
        "out of range": (f"GET {where}?{name}=-1", 400, expected),
        "contradictory": (f"GET {where}?{name}=1&{name}=2", 400, "once"),
    }


def _match(name: str, wrong: str, expected: str, beyond: str = "", status: int = 400) -> dict[str, Case]:
    """A match key. Empty, it matches everything (8.3.4.1)."""
    where = "/dicom-web/instances"
    return {
        "absent": (f"GET {where}", 204),
        "empty": (f"GET {where}?{name}=", 204),
        "repeated": (f"GET {where}?{name}=1&{name}=1", 400, "once"),
        "wrong type": (f"GET {where}?{name}={wrong}", 400, expected) if wrong else NO_RANGE,
        "out of range": (f"GET {where}?{name}={beyond}", status, expected) if beyond else NO_RANGE,
        "contradictory": (f"GET {where}?{name}=1&{name}=2", 400, "once"),
    }


def _text(name: str) -> dict[str, Case]:
    """Text of any kind; what is no list must be one value."""
    one = "one value; a comma within a value is sent as %2C"
    return {
        **_match(name, "%FF%FE", "percent-encoded UTF-8", "a,b", 400),
        "out of range": (f"GET {STUDIES}?{name}=a,b", 400, one),
    }


def _temporal(name: str, expected: str, wrong: str, beyond: str) -> dict[str, Case]:
    return _match(name, wrong, expected, beyond)


def _uid(name: str, template: str) -> dict[str, Case]:
    """A UID in the path, `{}` in the template."""
    expected = "1 to 64 digits and dots"
    return {
        "absent": "it is another resource then",
        "empty": (f"GET {template.format('')}", 400, expected),
        "repeated": (f"GET {template.format('1.2,1.3')}", 400, expected),
        "wrong type": (f"GET {template.format('abc')}", 400, expected),
        "out of range": (f"GET {template.format('1.' * 32 + '1')}", 400, expected),
        "contradictory": "what does not lie below what stands before it is a 404: tests/wire",
    }


CASES: dict[str, dict[str, Case]] = {
    # -- own services
    "X-Requested-With": {
        "absent": (f"DELETE {KEYS}/x", 403, "X-Requested-With"),
        "empty": (f"DELETE {KEYS}/x", {"X-Requested-With": ""}, 403, "X-Requested-With"),
        "repeated": (f"DELETE {KEYS}/x", {"X-Requested-With": "a, b"}, 404, "query key"),
        "wrong type": NO_RANGE,
        "out of range": NO_RANGE,
        "contradictory": (
            f"DELETE {KEYS}/x",
            {"X-Requested-With": "a", "Origin": "https://other.example"},
            403,
            "origin",
        ),
    },
    # -- all services
    "accept": {
        "absent": (f"GET {METADATA}", 200),
        "empty": (f"GET {METADATA}?accept=", 400, "media types"),
        "repeated": (f"GET {METADATA}?accept={JSON}&accept=text/csv", 200),
        "wrong type": (f"GET {METADATA}?accept=json", 400, "media types"),
        "out of range": (f"GET {METADATA}?accept=*/*", 400, "media types"),
        "contradictory": (f"GET {METADATA}?accept={JSON},text/html", 200),
    },
    "charset": {
        "absent": (f"GET {METADATA}", 200),
        "empty": (f"GET {METADATA}?charset=", 200),
        "repeated": (f"GET {METADATA}?charset=gbk&charset=utf-8", 200),
        "wrong type": (f"GET {METADATA}?charset=nonsense", 200),
        "out of range": (f"GET {METADATA}?charset=gbk", {"Accept": JSON}, 406, "charset=UTF-8"),
        "contradictory": (f"GET {METADATA}?charset=gbk", {"Accept": JSON, "Accept-Charset": "utf-8"}, 200),
    },
    "Accept": {
        "absent": (f"GET {METADATA}", 200),
        "empty": (f"GET {METADATA}", {"Accept": ""}, 200),
        "repeated": (f"GET {METADATA}", {"Accept": f"{JSON}, {JSON}"}, 200),
        "wrong type": (f"GET {METADATA}", {"Accept": "json"}, 406, JSON),
        "out of range": (f"GET {METADATA}", {"Accept": f"{JSON};q=2"}, 406, JSON),
        "contradictory": (f"GET {METADATA}", {"Accept": f"{JSON}, image/png"}, 200),
    },
    "Accept-Charset": {
        "absent": (f"GET {METADATA}", 200),
        "empty": (f"GET {METADATA}", {"Accept-Charset": ""}, 200),
        "repeated": (f"GET {METADATA}", {"Accept-Charset": "gbk, utf-8"}, 200),
        "wrong type": (f"GET {METADATA}", {"Accept-Charset": "nonsense"}, 200),
        "out of range": (f"GET {METADATA}", {"Accept": JSON, "Accept-Charset": "gbk"}, 406, "charset=UTF-8"),
        "contradictory": (
            f"GET {METADATA}",
            {"Accept": JSON, "Accept-Charset": "utf-8;q=0, utf-8;q=0"},
            406,
            "charset=UTF-8",
        ),
    },
    "Accept-Encoding": {
        "absent": (f"GET {METADATA}", 200),
        "empty": (f"GET {METADATA}", {"Accept-Encoding": ""}, 200),
        "repeated": (f"GET {METADATA}", {"Accept-Encoding": "gzip, gzip"}, 200),
        "wrong type": (f"GET {METADATA}", {"Accept-Encoding": "nonsense"}, 200),
        "out of range": (f"GET {METADATA}", {"Accept-Encoding": "gzip;q=9"}, 200),
        "contradictory": (f"GET {METADATA}", {"Accept-Encoding": "gzip;q=0, gzip;q=1, identity;q=0"}, 200),
    },
    "If-None-Match": {
        "absent": (f"GET {METADATA}", 200),
        "empty": (f"GET {METADATA}", {"If-None-Match": ""}, 200),
        "repeated": (f"GET {METADATA}", {"If-None-Match": '"a", "b"'}, 200),
        "wrong type": (f"GET {METADATA}", {"If-None-Match": "no quotes"}, 200),
        "out of range": (f"GET {METADATA}", {"If-None-Match": "*"}, 304),
        "contradictory": (f"GET {METADATA}", {"If-None-Match": '"a", *'}, 200),
    },
    "Range": {
        "absent": (f"GET {BULK}", {"Accept": OCTETS}, 200),
        "empty": (f"GET {BULK}", {"Accept": OCTETS, "Range": ""}, 200),
        "repeated": (f"GET {BULK}", {"Accept": OCTETS, "Range": "bytes=0-1, bytes=2-3"}, 200),
        "wrong type": (f"GET {BULK}", {"Accept": OCTETS, "Range": "bytes=a-b"}, 200),
        "out of range": (f"GET {BULK}", {"Accept": OCTETS, "Range": "bytes=99999-"}, 416, ""),
        "contradictory": (f"GET {BULK}", {"Accept": OCTETS, "Range": "bytes=5-2"}, 200),
    },
    "If-Range": {
        "absent": (f"GET {BULK}", {"Accept": OCTETS, "Range": "bytes=0-1"}, 206),
        "empty": (f"GET {BULK}", {"Accept": OCTETS, "Range": "bytes=0-1", "If-Range": ""}, 200),
        "repeated": (f"GET {BULK}", {"Accept": OCTETS, "Range": "bytes=0-1", "If-Range": '"a", "b"'}, 200),
        "wrong type": (f"GET {BULK}", {"Accept": OCTETS, "Range": "bytes=0-1", "If-Range": "no tag"}, 200),
        "out of range": (f"GET {BULK}", {"Accept": OCTETS, "Range": "bytes=0-1", "If-Range": '"old"'}, 200),
        "contradictory": (f"GET {BULK}", {"Accept": OCTETS, "If-Range": '"old"'}, 200),
    },
    "Content-Type": {
        "absent": (f"POST {STUDIES}", 415, DICOM),
        "empty": (f"POST {STUDIES}", {"Content-Type": ""}, 415, DICOM),
        "repeated": (f"POST {STUDIES}", {"Content-Type": f"{DICOM}, {DICOM}"}, 415, DICOM),
        "wrong type": (f"POST {STUDIES}", {"Content-Type": "text/plain"}, 415, DICOM),
        "out of range": (f"POST {STUDIES}", {"Content-Type": "multipart/form-data; boundary=b"}, 415, DICOM),
        "contradictory": (f"POST {STUDIES}", {"Content-Type": f'multipart/related; type="{DICOM}"'}, 400, ""),
    },
    "Content-Encoding": {
        "absent": (f"POST {STUDIES}", {"Content-Type": DICOM}, 200),
        "empty": (f"POST {STUDIES}", {"Content-Type": DICOM, "Content-Encoding": ""}, 200),
        "repeated": (
            f"POST {STUDIES}",
            {"Content-Type": DICOM, "Content-Encoding": "br, compress"},
            415,
            "gzip",
        ),
        "wrong type": (
            f"POST {STUDIES}",
            {"Content-Type": DICOM, "Content-Encoding": "nonsense"},
            415,
            "gzip",
        ),
        "out of range": (
            f"POST {STUDIES}",
            {"Content-Type": DICOM, "Content-Encoding": "compress"},
            415,
            "gzip",
        ),
        "contradictory": (f"POST {STUDIES}", {"Content-Type": DICOM, "Content-Encoding": "gzip"}, 400, ""),
    },
    "Host": {
        "absent": "HTTP/1.0: the socket says where it came to (tests/wire)",
        "empty": (f"GET {STUDIES}", {"Host": ""}, 204),
        "repeated": (f"GET {STUDIES}", {"Host": "localhost, localhost"}, 421, ""),
        "wrong type": (f"GET {STUDIES}", {"Host": "not a host"}, 421, ""),
        "out of range": (f"GET {STUDIES}", {"Host": "elsewhere.example"}, 421, "public-url"),
        "contradictory": (f"GET {STUDIES}", {"Host": "localhost:99999999"}, 421, ""),
    },
    # -- search
    "limit": _count("limit"),
    "offset": _count("offset"),
    "cursor": {
        "absent": (f"GET {STUDIES}", 204),
        "empty": (f"GET {STUDIES}?cursor=", 400, "Link"),
        "repeated": (f"GET {STUDIES}?cursor=AAAA&cursor=AAAA", 400, "once"),
        "wrong type": (f"GET {STUDIES}?cursor=nonsense", 400, "Link"),
        "out of range": (f"GET {STUDIES}?cursor=AAAAAAAAAAAAAAAA", 400, "Link"),
        "contradictory": (f"GET {STUDIES}?cursor=AAAA&offset=5", 400, "one of the two"),
    },
    "count": _flag("count"),
    "fuzzymatching": _flag("fuzzymatching"),
    "emptyvaluematching": _flag("emptyvaluematching"),
    "multiplevaluematching": _flag("multiplevaluematching"),
    "includefield": {
        "absent": (f"GET {STUDIES}", 204),
        "empty": (f"GET {STUDIES}?includefield=", 204),
        "repeated": (f"GET {STUDIES}?includefield=StudyID&includefield=StudyID", 204),
        "wrong type": (f"GET {STUDIES}?includefield=%FF", 400, "percent-encoded UTF-8"),
        "out of range": (f"GET {STUDIES}?includefield=NoSuchAttribute", 204),
        "contradictory": (f"GET {STUDIES}?includefield=all,StudyID", 204),
    },
    "TimezoneOffsetFromUTC": _match("TimezoneOffsetFromUTC", "Berlin", "+", "+2500"),
    "StudyDate": _temporal("StudyDate", "a date", "yesterday", "20241399"),
    "StudyTime": _temporal("StudyTime", "a time", "noon", "256000"),
    "PatientBirthDate": _temporal("PatientBirthDate", "a date", "yesterday", "20241399"),
    "PerformedProcedureStepStartDate": _temporal(
        "PerformedProcedureStepStartDate", "a date", "x", "20240230"
    ),
    "PerformedProcedureStepStartTime": _temporal("PerformedProcedureStepStartTime", "a time", "x", "246000"),
    "StudyInstanceUID": _match("StudyInstanceUID", "abc", "a UID", "1." * 32 + "1"),
    "SeriesInstanceUID": _match("SeriesInstanceUID", "abc", "a UID", "1." * 32 + "1"),
    "SOPInstanceUID": _match("SOPInstanceUID", "abc", "a UID", "1." * 32 + "1"),
    "SOPClassUID": _match("SOPClassUID", "abc", "a UID", "1." * 32 + "1"),
    "SeriesNumber": _match("SeriesNumber", "one", "a whole number", "1234567890123"),
    "InstanceNumber": _match("InstanceNumber", "one", "a whole number", "1234567890123"),
    "ModalitiesInStudy": {
        **_match("ModalitiesInStudy", "%FF", "percent-encoded UTF-8"),
        "out of range": (f"GET {STUDIES}?ModalitiesInStudy=C*,MR", 400, "a list of values without wildcards"),
    },
    **{
        name: _text(name)
        for name in (
            *("AccessionNumber", "ReferringPhysicianName", "PatientName", "PatientID", "StudyID"),
            *("StudyDescription",),
        )
    },
    **{
        name: _match(name, "%FF", "percent-encoded UTF-8")
        for name in (
            *("Modality", "SeriesDescription", "RequestAttributesSequence.ScheduledProcedureStepID"),
            "RequestAttributesSequence.RequestedProcedureID",
        )
    },
    # -- paths
    "study": _uid("study", "/dicom-web/studies/{}/metadata"),
    "series": _uid("series", f"{STUDY}/series/{{}}/metadata"),
    "instance": _uid("instance", f"{STUDY}/series/1.3/instances/{{}}/metadata"),
    "frames": {
        "absent": (f"GET {INSTANCE}/frames", 404),
        "empty": (f"GET {INSTANCE}/frames/1,,2", 400, "1-based numbers"),
        "repeated": (f"GET {INSTANCE}/frames/1,1", 200),
        "wrong type": (f"GET {INSTANCE}/frames/one", 400, "1-based numbers"),
        "out of range": (f"GET {INSTANCE}/frames/0", 400, "1-based numbers"),
        "contradictory": (f"GET {INSTANCE}/frames/3-1", 400, "1-based numbers"),
    },
    "path": {
        "absent": "it is all bulk data of the instance then",
        "empty": "it is all bulk data of the instance then",
        "repeated": (f"GET {BULK}/7FE00010", 404),
        "wrong type": (f"GET {INSTANCE}/bulkdata/PixelData", 404),
        "out of range": (f"GET {INSTANCE}/bulkdata/00400275/0/00400007", 404),
        "contradictory": (f"GET {INSTANCE}/bulkdata/00400275/1", 404),
    },
    "v": {
        "absent": (f"GET {BULK}", 200),
        "empty": (f"GET {BULK}?v=", 200),
        "repeated": (f"GET {BULK}?v=1&v=1", 400, "once"),
        "wrong type": (f"GET {BULK}?v=nonsense", 200),
        "out of range": NO_RANGE,
        "contradictory": (f"GET {BULK}?v=1&v=2", 400, "once"),
    },
    # -- our own API
    "id": {
        "absent": "it is the list of all keys then",
        "empty": "it is the list of all keys then",
        "repeated": (f"GET {KEYS}/1,2", 404, "number"),
        "wrong type": (f"GET {KEYS}/abc", 404, "number"),
        "out of range": (f"GET {KEYS}/-1", 404, "number"),
        "contradictory": NO_OTHER,
    },
}
