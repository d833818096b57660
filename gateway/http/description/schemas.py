"""Hand-written pieces of the OpenAPI description: schemas, and the answers of each operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.dicom import tags, uids

TAG_PATTERN: Final = "^[0-9A-F]{8}$"
UID: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": r"^[0-9.]{1,64}$",
    "examples": [uids.VERIFICATION],
}

PATH_PARAMETERS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "study": ("Study Instance UID.", UID),
    "series": ("Series Instance UID.", UID),
    "instance": ("SOP Instance UID.", UID),
    "frames": (
        "1-based frame numbers, separated by commas.",
        {"type": "string", "pattern": r"^[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*$", "maxLength": 8000},
    ),
    "path": (
        "Where the value is: a tag, before it tag and 1-based item number of each sequence around it. Slashes are "
        "sent as they are.",
        {"type": "string", "pattern": r"^([0-9A-F]{8}/[1-9][0-9]{0,8}/)*[0-9A-F]{8}$"},
    ),
    "id": ("The number of a query key.", {"type": "string", "pattern": "^[0-9]{1,18}$"}),
}

SCHEMAS: Final[Mapping[str, Any]] = {
    "DataSet": {
        "description": "A data set in the DICOM JSON Model (PS3.18 Annex F): attributes by tag.",
        "type": "object",
        "patternProperties": {TAG_PATTERN: {"$ref": "#/components/schemas/Attribute"}},
        "additionalProperties": False,
    },
    "Attribute": {
        "type": "object",
        "required": ["vr"],
        "properties": {
            "vr": {"type": "string", "pattern": "^[A-Z]{2}$"},
            "Value": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Value"}},
            "BulkDataURI": {"type": "string", "format": "uri-reference"},
            "InlineBinary": {"type": "string", "contentEncoding": "base64"},
        },
        "additionalProperties": False,
        "dependentSchemas": {
            "Value": {"not": {"anyOf": [{"required": ["BulkDataURI"]}, {"required": ["InlineBinary"]}]}},
            "BulkDataURI": {"not": {"required": ["InlineBinary"]}},
        },
    },
    "Value": {
        "oneOf": [
            {"type": ["string", "number", "null"]},
            {"$ref": "#/components/schemas/PersonName"},
            {"$ref": "#/components/schemas/DataSet"},
        ]
    },
    "PersonName": {
        "type": "object",
        "minProperties": 1,
        "properties": {name: {"type": "string"} for name in ("Alphabetic", "Ideographic", "Phonetic")},
        "additionalProperties": False,
    },
    "Problem": {
        "description": "What went wrong (RFC 9457).",
        "type": "object",
        "required": ["type", "title", "status", "detail", "requestId"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string"},
            "parameter": {"type": "string", "description": "The parameter or header field that is wrong."},
            "tag": {"type": "string"},
            "uid": {"type": "string"},
            "expected": {"type": "string", "description": "What is accepted instead."},
            "available": {"type": "array", "items": {"type": "string"}},
            "requestId": {"type": "string"},
        },
        "additionalProperties": False,
    },
    "QueryKey": {
        "type": "object",
        "required": ["id", "key", "name", "vr", "level", "state", "progress", "failed", "declared"],
        "properties": {
            "id": {"type": "integer"},
            "key": {"type": "string"},
            "name": {"type": "string"},
            "vr": {"type": "string"},
            "level": {"enum": ["study", "series", "instance"]},
            "state": {"type": "string"},
            "progress": {
                "type": "object",
                "required": ["done", "total"],
                "properties": {"done": {"type": "integer"}, "total": {"type": "integer"}},
            },
            "failed": {"type": "integer"},
            "declared": {},
        },
        "additionalProperties": False,
    },
    "QueryKeys": {
        "type": "object",
        "required": ["keys"],
        "properties": {"keys": {"type": "array", "items": {"$ref": "#/components/schemas/QueryKey"}}},
    },
    "QueryKeyDeclaration": {
        "type": "object",
        "required": ["key"],
        "properties": {
            "key": {"type": "string", "minLength": 1, "examples": [tags.PROTOCOL_NAME, "00231001[Acme 1.0]"]},
            "vr": {"type": "string", "pattern": "^([A-Z]{2})?$"},
        },
        "additionalProperties": False,
    },
    "QueryKeyFailures": {
        "type": "object",
        "required": ["failures"],
        "properties": {
            "failures": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["reason"],
                    "properties": {
                        name: {"type": "string"} for name in ("study", "series", "instance", "reason")
                    },
                    "additionalProperties": False,
                },
            },
            "next": {"type": "string"},
        },
        "additionalProperties": False,
    },
    "Deleted": {
        "type": "object",
        "required": ["deleted"],
        "properties": {
            "deleted": {
                "type": "array",
                "items": {
                    "description": "Instances of a series that can be restored, until they are reclaimed.",
                    "type": "object",
                    "required": ["study", "series", "instances", "bytes", "deleted"],
                    "properties": {
                        "study": UID,
                        "series": UID,
                        "instances": {"type": "integer", "minimum": 1},
                        "bytes": {"type": "integer", "minimum": 0},
                        "deleted": {"type": "string", "format": "date-time"},
                        "reclaimed": {"type": "string", "format": "date-time"},
                    },
                    "additionalProperties": False,
                },
            },
            "next": {"type": "string"},
        },
        "additionalProperties": False,
    },
    "Quarantined": {
        "type": "object",
        "required": ["quarantined", "remaining"],
        "properties": {
            "quarantined": {
                "type": "array",
                "items": {
                    "description": "Instances of a series that a rule of the site set aside.",
                    "type": "object",
                    "required": ["study", "series", "instances"],
                    "properties": {
                        "study": UID,
                        "series": UID,
                        "instances": {"type": "integer", "minimum": 1},
                        "modality": {"type": "string"},
                    },
                    "additionalProperties": False,
                },
            },
            "remaining": {"type": "integer", "minimum": 0},
        },
        "additionalProperties": False,
    },
    "Released": {
        "type": "object",
        "required": ["released", "failed", "url"],
        "properties": {
            "released": {"type": "integer", "minimum": 0},
            "failed": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["reason"],
                    "properties": {"instance": UID, "reason": {"type": "string"}},
                    "additionalProperties": False,
                },
            },
            "url": {"type": "string", "format": "uri"},
        },
        "additionalProperties": False,
    },
    "Restored": {
        "type": "object",
        "required": ["restored", "url"],
        "properties": {
            "restored": {"type": "integer", "minimum": 1},
            "url": {"type": "string", "format": "uri"},
        },
        "additionalProperties": False,
    },
    "Capabilities": {
        "description": "A capabilities description (PS3.18 Annex G).",
        "type": "object",
        "required": ["application"],
        "properties": {
            "application": {
                "type": "object",
                "required": ["resources"],
                "properties": {"resources": {"type": "object", "required": ["@base"]}},
            }
        },
    },
    "DataSets": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/DataSet"}},
    "OpenApi": {"type": "object", "required": ["openapi", "info", "paths"]},
}

# Schemas of JSON bodies, by operation.
JSON_OF: Final[Mapping[str, str]] = {
    "store": "DataSet",
    "list_deleted": "Deleted",
    "restore": "Restored",
    "list_quarantined": "Quarantined",
    "release": "Released",
    "list_keys": "QueryKeys",
    "declare_key": "QueryKey",
    "show_key": "QueryKey",
    "key_failures": "QueryKeyFailures",
    "openapi": "OpenApi",
    "capabilities": "Capabilities",
}
TAKEN: Final[Mapping[str, str]] = {"declare_key": "QueryKeyDeclaration"}

_RETRIEVED = {"200": "All of it.", "304": "The client has it already."}
_SEARCHED = {"200": "What matches.", "204": "Nothing matches."}
# Successful answers by operation; 200 where none is given.
ANSWERS: Final[Mapping[str, Mapping[str, str]]] = {
    "search_studies": _SEARCHED,
    "search_series": _SEARCHED,
    "search_instances": _SEARCHED,
    "store": {
        "200": "All instances are stored.",
        "202": "Some are stored, or stored with warnings.",
        "409": "None is stored; the body says why each failed.",
    },
    "instances": {**_RETRIEVED, "206": "The range, or those instances that can be sent as is acceptable."},
    "metadata": {**_RETRIEVED, "206": "Those instances that are not damaged in the archive."},
    "frames": {**_RETRIEVED, "206": "The range."},
    "bulk": {**_RETRIEVED, "206": "The range."},
    "all_bulk": {**_RETRIEVED, "206": "Those values that can be sent as is acceptable."},
    "pixel_data": {**_RETRIEVED, "206": "Those values that can be sent as is acceptable."},
    "rendered": {**_RETRIEVED, "206": "The range, or those instances that can be rendered as is acceptable."},
    "thumbnail": {**_RETRIEVED, "206": "The range."},
    "wado": {**_RETRIEVED, "206": "The range."},
    "remove": {"204": "It is gone: 410 from now on."},
    "release": {"200": "It is where it belongs, but for what failed there."},
    "discard": {"204": "It is gone."},
    "restore": {"200": "What was deleted last is there again, but for what was stored anew."},
    "declare_key": {"200": "It was declared already.", "201": "It is declared."},
    "drop_key": {"204": "It is dropped."},
    "openapi": {"200": "This description.", "304": "The client has it already."},
}

PROBLEMS: Final[Mapping[str, str]] = {
    "400": "A parameter, a path or the body is wrong; the answer names it and what is accepted.",
    "403": "It is not done here, such as to de-identify, or a page of another site may have asked for it.",
    "404": "There is no such thing.",
    "406": "Nothing of what is accepted can be sent; the answer lists what can.",
    "409": "It does not fit what is there.",
    "410": "It was deleted.",
    "411": "There is no Content-Length.",
    "413": "Too much at once.",
    "414": "The request target is too long.",
    "415": "The media type of the body is not taken; the answer lists what is.",
    "416": "The range lies outside.",
    "421": "The Host header names another host.",
    "502": "The object store failed, or what it holds is damaged.",
    "503": "Overloaded, or store or index do not answer: try again after Retry-After seconds.",
    "507": "The object store is full.",
}
_EVERYWHERE = ("414", "421", "503")
_READ = ("400", "404", "406", "410", "416", "502")
_SEARCH = ("400", "406", "413")
# Failures by operation, in addition to those of any request.
FAILURES: Final[Mapping[str, tuple[str, ...]]] = {
    "search_studies": _SEARCH,
    "search_series": (*_SEARCH, "404"),
    "search_instances": (*_SEARCH, "404"),
    "store": ("400", "406", "410", "411", "413", "415", "502", "507"),
    "instances": _READ,
    "metadata": _READ,
    "frames": _READ,
    "bulk": _READ,
    "all_bulk": _READ,
    "pixel_data": _READ,
    "rendered": (*_READ, "413"),
    "thumbnail": _READ,
    "wado": (*_READ, "403"),
    "remove": ("400", "404", "410"),
    "list_deleted": ("400", "406"),
    "list_quarantined": ("400", "406"),
    "release": ("400", "403", "404", "406", "409", "410", "411", "502"),
    "discard": ("400", "403", "404", "410"),
    "restore": ("400", "403", "404", "406", "409", "410", "411"),
    "list_keys": ("400", "406"),
    "declare_key": ("400", "403", "406", "409", "411", "413", "415"),
    "show_key": ("400", "404", "406"),
    "drop_key": ("400", "403", "404", "409"),
    "key_failures": ("400", "404", "406"),
    "openapi": ("400", "406"),
    "capabilities": ("400", "404", "406"),
}


def failures_of(name: str) -> list[str]:
    """Return the statuses of its problems, sorted."""
    return sorted({*FAILURES.get(name, ()), *_EVERYWHERE})
