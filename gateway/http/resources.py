"""What we speak: resources × methods × representations, as one table.

Routes, `Allow`, and the capabilities are made from it. GET implies HEAD; OPTIONS is answered everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.errors import NotFound
from gateway.http.negotiation.media import COMPRESSED, DICOM

SERVICE = "/dicom-web"
# The URI service (PS3.18 9), also below the service root.
WADO = "/wado"

_STUDY = f"{SERVICE}/studies/{{study}}"
_SERIES = f"{_STUDY}/series/{{series}}"
_INSTANCE = f"{_SERIES}/instances/{{instance}}"

_STORE_IN = (
    'multipart/related; type="application/dicom"',
    "application/dicom",
    'multipart/related; type="application/dicom+json"',
    'multipart/related; type="application/dicom+xml"',
    "application/dicom+json",
    "application/dicom+xml",
)
_RESULTS = ("application/dicom+json", 'multipart/related; type="application/dicom+xml"')
_API = ("application/json",)
_STORED = ("application/dicom+json", "application/dicom+xml")
_FILES = ('multipart/related; type="application/dicom"',)
# An extension, never chosen for a wildcard.
_ZIP = ("application/zip",)
_PIXELS = (
    'multipart/related; type="application/octet-stream"',
    "application/octet-stream",
    *(f'multipart/related; type="{media}"' for media in dict.fromkeys(COMPRESSED.values())),
    *dict.fromkeys(COMPRESSED.values()),
)


@dataclass(frozen=True, slots=True)
class Operation:
    """What a method does: the handler's name, what it takes and what it gives, the default first."""

    handler: str
    gives: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resource:
    """A URL template and its methods. `{name}` is one segment, `{name...}` all that follow."""

    template: str
    methods: Mapping[str, Operation]

    @property
    def allow(self) -> str:
        """The value of an `Allow` field."""
        methods = list(self.methods)
        if "GET" in methods:
            methods.insert(methods.index("GET") + 1, "HEAD")
        return ", ".join([*methods, "OPTIONS"])


def _search(handler: str) -> Operation:
    return Operation(handler, _RESULTS)


_PICTURES = ("image/jpeg", "image/png", "image/gif", "image/jp2", "image/jph", "image/jxl")
_SHOWN = ("video/mpeg", "video/mp4", "video/H265", "text/html", "text/plain", "text/xml", "application/pdf")
_RENDERED = Operation(
    "rendered",
    (*_PICTURES, *_SHOWN, *(f'multipart/related; type="{media}"' for media in (*_PICTURES, *_SHOWN))),
)
_URI = Operation("wado", ("image/jpeg", DICOM, *_PICTURES[1:], *_SHOWN))


def _make_rendered(template: str) -> tuple[Resource, ...]:
    """What a study, series, instance or frames of it look like."""
    return (
        Resource(f"{template}/rendered", {"GET": _RENDERED}),
        Resource(f"{template}/thumbnail", {"GET": Operation("thumbnail", _PICTURES)}),
    )


def _all_of(template: str) -> tuple[Resource, ...]:
    """Everything of a kind below a study, series or instance."""
    return (
        Resource(f"{template}/bulkdata", {"GET": Operation("all_bulk", _PIXELS[:1])}),
        Resource(f"{template}/pixeldata", {"GET": Operation("pixel_data", _PIXELS[:1])}),
    )


TABLE: tuple[Resource, ...] = (
    Resource("/", {"GET": Operation("home", ("text/html",))}),
    Resource("/livez", {"GET": Operation("livez", ("text/plain",))}),
    Resource("/readyz", {"GET": Operation("readyz", ("text/plain",))}),
    Resource("/openapi.json", {"GET": Operation("openapi", _API)}),
    Resource("/metrics", {"GET": Operation("metrics", ("text/plain",))}),
    Resource(
        "/api/v1/keys",
        {"GET": Operation("list_keys", _API), "POST": Operation("declare_key", _API, _API)},
    ),
    Resource("/api/v1/keys/{id}", {"GET": Operation("show_key", _API), "DELETE": Operation("drop_key")}),
    Resource("/api/v1/keys/{id}/failures", {"GET": Operation("key_failures", _API)}),
    Resource("/api/v1/deleted", {"GET": Operation("list_deleted", _API)}),
    *(
        Resource(f"/api/v1/deleted{path.removeprefix(SERVICE)}/restore", {"POST": Operation("restore", _API)})
        for path in (_STUDY, _SERIES, _INSTANCE)
    ),
    Resource("/api/v1/quarantine", {"GET": Operation("list_quarantined", _API)}),
    *(
        resource
        for path in (_STUDY, _SERIES, _INSTANCE)
        for template in (f"/api/v1/quarantine{path.removeprefix(SERVICE)}",)
        for resource in (
            Resource(template, {"DELETE": Operation("discard")}),
            Resource(f"{template}/release", {"POST": Operation("release", _API)}),
        )
    ),
    Resource(SERVICE, {"GET": Operation("home", ("text/html",))}),
    Resource(
        f"{SERVICE}/studies",
        {"GET": _search("search_studies"), "POST": Operation("store", _STORED, _STORE_IN)},
    ),
    Resource(f"{SERVICE}/series", {"GET": _search("search_series")}),
    Resource(f"{SERVICE}/instances", {"GET": _search("search_instances")}),
    Resource(
        _STUDY,
        {
            "GET": Operation("instances", (*_FILES, *_ZIP)),
            "POST": Operation("store", _STORED, _STORE_IN),
            "DELETE": Operation("remove"),
        },
    ),
    Resource(f"{_STUDY}/metadata", {"GET": Operation("metadata", _RESULTS)}),
    Resource(f"{_STUDY}/series", {"GET": _search("search_series")}),
    Resource(f"{_STUDY}/instances", {"GET": _search("search_instances")}),
    Resource(_SERIES, {"GET": Operation("instances", (*_FILES, *_ZIP)), "DELETE": Operation("remove")}),
    Resource(f"{_SERIES}/metadata", {"GET": Operation("metadata", _RESULTS)}),
    Resource(f"{_SERIES}/instances", {"GET": _search("search_instances")}),
    Resource(
        _INSTANCE,
        {"GET": Operation("instances", (*_FILES, "application/dicom", *_ZIP)), "DELETE": Operation("remove")},
    ),
    Resource(
        f"{_INSTANCE}/metadata",
        {"GET": Operation("metadata", (*_RESULTS, "application/dicom+xml"))},
    ),
    Resource(WADO, {"GET": _URI}),
    Resource(f"{SERVICE}{WADO}", {"GET": _URI}),
    *_make_rendered(_STUDY),
    *_make_rendered(_SERIES),
    *_make_rendered(_INSTANCE),
    *_make_rendered(f"{_INSTANCE}/frames/{{frames}}"),
    *_all_of(_STUDY),
    *_all_of(_SERIES),
    *_all_of(_INSTANCE),
    Resource(f"{_INSTANCE}/frames/{{frames}}", {"GET": Operation("frames", _PIXELS)}),
    Resource(f"{_INSTANCE}/bulkdata/{{path...}}", {"GET": Operation("bulk", _PIXELS[:2])}),
)


@dataclass(slots=True)
class _Node:
    literals: dict[str, _Node] = field(default_factory=dict)
    parameter: tuple[str, _Node] | None = None
    rest: tuple[str, Resource] | None = None
    resource: Resource | None = None


class Router:
    """Finds the resource of a path by walking its segments."""

    def __init__(self, table: Iterable[Resource] = TABLE) -> None:
        self._root = _Node()
        for resource in table:
            self._add(resource)

    def _add(self, resource: Resource) -> None:
        node = self._root
        for segment in _segments(resource.template):
            if segment.endswith("...}"):
                node.rest = (segment[1:-4], resource)
                return
            if segment.startswith("{"):
                if node.parameter is None:
                    node.parameter = (segment[1:-1], _Node())
                node = node.parameter[1]
            else:
                node = node.literals.setdefault(segment, _Node())
        node.resource = resource

    def find(self, path: str) -> tuple[Resource, dict[str, str]]:
        """The resource and its path parameters; one slash at the end is overlooked. Raises NotFound."""
        node, values = self._root, dict[str, str]()
        segments = _segments(path)
        for index, segment in enumerate(segments):
            following = node.literals.get(segment)
            if following is None and node.rest is not None:
                name, resource = node.rest
                values[name] = "/".join(segments[index:])
                return resource, values
            if following is None and node.parameter is not None:
                name, following = node.parameter
                values[name] = segment
            if following is None:
                raise _unknown(path)
            node = following
        if node.resource is None:
            raise _unknown(path)
        return node.resource, values


def _unknown(path: str) -> NotFound:
    """Wrong roots are the commonest mistake of clients: the answer says where ours is."""
    return NotFound(
        f"no resource has the path {path[:200]!a}; DICOMweb is at {SERVICE}, /openapi.json lists all"
    )


def _segments(path: str) -> list[str]:
    path = path.removeprefix("/").removesuffix("/")
    return path.split("/") if path else []
