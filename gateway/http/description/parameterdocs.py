"""Parameters of each operation, for the capabilities document and the OpenAPI description.

Operations have the names of `resources.TABLE`. `schema` is the JSON Schema of the decoded value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.http.negotiation.charset import WRITABLE

TEXT: Final[Mapping[str, Any]] = {"type": "string"}
FLAG: Final[Mapping[str, Any]] = {"type": "boolean", "default": False}
COUNT: Final[Mapping[str, Any]] = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
UID: Final[Mapping[str, Any]] = {"type": "string", "pattern": r"^[0-9.]{1,64}$"}
UIDS: Final[Mapping[str, Any]] = {
    "type": "string",
    "pattern": r"^[0-9.]{1,64}(,[0-9.]{1,64})*$",
    "maxLength": 6500,
}
DATES: Final[Mapping[str, Any]] = {
    "type": "string",
    "examples": ["20240131", "20240101-20240131", "-20231231"],
}
TIMES: Final[Mapping[str, Any]] = {"type": "string", "examples": ["1015", "080000-095959.999999"]}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter or header field.

    `values` are all values it may have; `ours`: not in PS3.18 (8.3).
    """

    name: str
    text: str
    schema: Mapping[str, Any] = field(default_factory=lambda: TEXT)
    where: str = "query"
    repeats: bool = False
    ours: bool = False
    values: Sequence[str] = ()
    required: bool = False


ACCEPT = Parameter(
    "accept", "Media types to choose from before those of the Accept field (8.3.3.1).", repeats=True
)
CHARSET = Parameter(
    "charset", f"Character sets of text, with weights (8.3.3.2): {', '.join(WRITABLE)}.", repeats=True
)
VERSION = Parameter(
    "v", "The version of the instance that a BulkDataURI is of; with it the answer never changes.", ours=True
)
IF_NONE_MATCH = Parameter("If-None-Match", "Entity tags that the client has (8.9.3.1).", where="header")
RANGE = Parameter("Range", "Bytes of a single part answer: first-last, first- or -count.", where="header")
IF_RANGE = Parameter("If-Range", "The entity tag that the range is of.", where="header")
ENCODING = Parameter(
    "Accept-Encoding",
    "Content codings of JSON and XML.",
    where="header",
    values=("gzip", "zstd", "identity"),
)
INTENT = Parameter(
    "X-Requested-With",
    "Any text: it shows that no page of another site sent the request. Content-Type: application/json does as well.",
    where="header",
    ours=True,
    required=True,
)
SETS = Parameter("Accept-Charset", "Character sets of text, with weights (8.8.4).", where="header")

VIEWPORT = Parameter(
    "viewport",
    "vw,vh: the largest picture inside them; vw,vh,sx,sy,sw,sh: of a part of the source (8.3.5.1.3).",
    {"type": "string", "pattern": r"^[0-9]{1,5},[0-9]{1,5}(,[-+0-9.eE]*){0,4}$", "examples": ["512,512"]},
)
_RENDERING = (
    Parameter("annotation", "patient, technique, or both, written on the picture (8.3.5.1.1)."),
    Parameter(
        "quality",
        "Of lossy media types (8.3.5.1.2): of JPEG libjpeg's scale, of the others as strong.",
        {"type": "integer", "minimum": 1, "maximum": 100},
    ),
    VIEWPORT,
    Parameter(
        "window",
        "center,width,function; function is linear, linear-exact or sigmoid (8.3.5.1.4).",
        {"type": "string", "examples": ["40,400,linear"]},
    ),
    Parameter(
        "iccprofile",
        "Which colour profile to convert to and embed (8.3.5.1.5).",
        values=("no", "yes", "srgb", "adobergb", "rommrgb", "displayp3"),
    ),
)
_URI = (
    Parameter("requestType", "WADO.", values=("WADO",), required=True),
    Parameter("studyUID", "Study Instance UID.", UID, required=True),
    Parameter("seriesUID", "Series Instance UID.", UID, required=True),
    Parameter("objectUID", "SOP Instance UID.", UID, required=True),
    Parameter("contentType", "Media types to choose from before those of the Accept field (9.1.2.2.1)."),
    CHARSET,
    Parameter(
        "anonymize",
        "yes: without who it is of, by the Basic Profile of PS3.15 with Clean Pixel Data; 403 where the pixels may show "
        "it, or it is no image (9.4.1.2.1).",
        values=("yes",),
    ),
    Parameter("transferSyntax", "One UID, or * for as it is stored; of application/dicom (9.4.1.2.3)."),
    Parameter("annotation", "patient, technique, or both, written on the picture (9.5.1.2.2)."),
    Parameter("imageAnnotation", "The same by the name of Table 9.5.1-1."),
    Parameter(
        "imageQuality", "Of lossy media types (9.5.1.2.3).", {"type": "integer", "minimum": 1, "maximum": 100}
    ),
    Parameter(
        "rows", "The picture is no higher (9.5.1.2.4).", {"type": "integer", "minimum": 1, "maximum": 16384}
    ),
    Parameter(
        "columns", "The picture is no wider (9.5.1.2.4).", {"type": "integer", "minimum": 1, "maximum": 16384}
    ),
    Parameter(
        "region",
        "xmin,ymin,xmax,ymax, in fractions of the image (9.5.1.2.5).",
        {"type": "string", "examples": ["0,0,0.5,0.5"]},
    ),
    Parameter("windowCenter", "A decimal; goes with windowWidth (9.5.1.2.6).", {"type": "number"}),
    Parameter("windowWidth", "A decimal from 1 (9.5.1.2.6).", {"type": "number", "minimum": 1}),
    Parameter(
        "frameNumber", "Of a multi-frame image or a video (9.5.1.2.1).", {"type": "integer", "minimum": 1}
    ),
    Parameter("presentationUID", "A presentation state of the same study (9.5.1.2.7).", UID),
    Parameter("presentationSeriesUID", "The series of that state (9.5.1.2.7).", UID),
)

_NEGOTIATED = (ACCEPT, CHARSET, SETS)
_DOCUMENT = (*_NEGOTIATED, ENCODING)
_RETRIEVED = (ACCEPT, IF_NONE_MATCH, RANGE, IF_RANGE)


def _key(name: str, text: str, schema: Mapping[str, Any] = TEXT) -> Parameter:
    return Parameter(name, text, schema)


_PAGING = (
    Parameter("limit", "How many results at most (8.3.4.4).", COUNT),
    Parameter("offset", "How many results to leave out first (8.3.4.4).", COUNT),
    Parameter("cursor", 'Where the page before ended, from a Link with rel="next".', ours=True),
    Parameter("count", "Whether to say in X-Total-Count how many match.", FLAG, ours=True),
)
_MATCHING = (
    Parameter("fuzzymatching", "Names by sound and order of their parts (8.3.4.2).", FLAG),
    Parameter("emptyvaluematching", 'Whether "" matches what has no value (8.3.4.5).', FLAG),
    Parameter("multiplevaluematching", "Whether all values of a list have to be there (8.3.4.6).", FLAG),
    Parameter(
        "includefield",
        "Attributes to add to the results: tags, keywords, paths joined by dots, or all (8.3.4.3).",
        repeats=True,
    ),
    Parameter("TimezoneOffsetFromUTC", "The zone that dates and times of the search are in, such as +0100."),
)
_STUDY = (
    _key("StudyDate", "A date or a range of dates.", DATES),
    _key("StudyTime", "A time or a range of times.", TIMES),
    _key("AccessionNumber", "May hold * and ?."),
    _key("ModalitiesInStudy", "One or several, separated by commas."),
    _key("ReferringPhysicianName", "May hold * and ?."),
    _key("PatientName", "May hold * and ?."),
    _key("PatientID", "May hold * and ?."),
    _key("PatientBirthDate", "A date or a range of dates.", DATES),
    _key("StudyInstanceUID", "One or several, separated by commas.", UIDS),
    _key("StudyID", "May hold * and ?."),
    _key("StudyDescription", "May hold * and ?."),
)
_SERIES = (
    _key("Modality", "May hold * and ?."),
    _key("SeriesInstanceUID", "One or several, separated by commas.", UIDS),
    _key("SeriesNumber", "A whole number.", {"type": "string", "pattern": r"^[+-]?[0-9]{1,12}$"}),
    _key("SeriesDescription", "May hold * and ?."),
    _key("PerformedProcedureStepStartDate", "A date or a range of dates.", DATES),
    _key("PerformedProcedureStepStartTime", "A time or a range of times.", TIMES),
    _key("RequestAttributesSequence.ScheduledProcedureStepID", "May hold * and ?."),
    _key("RequestAttributesSequence.RequestedProcedureID", "May hold * and ?."),
)
_INSTANCE = (
    _key("SOPClassUID", "One or several, separated by commas.", UIDS),
    _key("SOPInstanceUID", "One or several, separated by commas.", UIDS),
    _key("InstanceNumber", "A whole number.", {"type": "string", "pattern": r"^[+-]?[0-9]{1,12}$"}),
)
_SEARCH = (*_PAGING, *_MATCHING, *_DOCUMENT)

# Any other attribute can be matched on as well, by keyword, tag or path (10.6.1.2.1).
ANY_ATTRIBUTE = frozenset({"search_studies", "search_series", "search_instances"})

PARAMETERS: Final[Mapping[str, Sequence[Parameter]]] = {
    "search_studies": (*_STUDY, *_SEARCH),
    "search_series": (*_STUDY, *_SERIES, *_SEARCH),
    "search_instances": (*_STUDY, *_SERIES, *_INSTANCE, *_SEARCH),
    "store": (*_DOCUMENT,),
    "instances": _RETRIEVED,
    "metadata": (*_DOCUMENT, IF_NONE_MATCH),
    "frames": _RETRIEVED,
    "bulk": (*_RETRIEVED, VERSION),
    "all_bulk": (ACCEPT, IF_NONE_MATCH),
    "pixel_data": (ACCEPT, IF_NONE_MATCH),
    "rendered": (*_RENDERING, *_RETRIEVED, CHARSET, SETS),
    "thumbnail": (VIEWPORT, *_RETRIEVED),
    "wado": (*_URI, SETS, IF_NONE_MATCH, RANGE, IF_RANGE),
    "remove": (),
    "home": (),
    "livez": (),
    "readyz": (),
    "metrics": (),
    "openapi": (IF_NONE_MATCH, ENCODING),
    "list_deleted": (
        Parameter("study", "Of this study only.", UID),
        Parameter("limit", "How many series at most.", COUNT),
        Parameter(
            "after",
            "The `next` of the page before.",
            {"type": "string", "pattern": r"^[0-9.]{1,64}/[0-9.]{1,64}$"},
        ),
    ),
    "restore": (INTENT,),
    "list_quarantined": (
        Parameter("limit", "How many series at most.", COUNT),
        Parameter("offset", "How many series to leave out first.", COUNT),
    ),
    "release": (INTENT,),
    "discard": (INTENT,),
    "list_keys": (),
    "declare_key": (),
    "show_key": (),
    "drop_key": (INTENT,),
    "key_failures": (
        Parameter("limit", "How many at most.", COUNT),
        Parameter("after", "The `next` of the page before."),
    ),
}


def parameters_of(name: str) -> Sequence[Parameter]:
    """Return the parameters of the operation of this name."""
    return PARAMETERS.get(name, ())
