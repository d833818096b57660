"""The table of all resources, with their methods and representations.

Routes, `Allow`, the capabilities and the OpenAPI description are made from it. GET implies HEAD; OPTIONS is
answered everywhere. The methods are those of the handlers, which asgi.py builds with the services they use.
"""

from __future__ import annotations

from gateway.http.api.deleted import ApiDeleted
from gateway.http.api.health import Pages, Ready
from gateway.http.api.keys import ApiKeys
from gateway.http.api.metrics import Metrics
from gateway.http.api.quarantine import ApiQuarantine
from gateway.http.description.openapi import OpenApi
from gateway.http.negotiation.media import COMPRESSED, DICOM
from gateway.http.routing import SERVICE, WADO, Operation, Resource, Unbound
from gateway.http.studies.bulk import StudiesBulk
from gateway.http.studies.remove import StudiesRemove
from gateway.http.studies.rendered import StudiesRendered
from gateway.http.studies.retrieve import StudiesRetrieve
from gateway.http.studies.search import StudiesSearch
from gateway.http.studies.store import StudiesStore
from gateway.http.studies.wadouri import WadoUri

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


def _search(handler: Unbound) -> Operation:
    return Operation(handler, _RESULTS)


_PICTURES = ("image/jpeg", "image/png", "image/gif", "image/jp2", "image/jph", "image/jxl")
_SHOWN = ("video/mpeg", "video/mp4", "video/H265", "text/html", "text/plain", "text/xml", "application/pdf")
_RENDERED = Operation(
    StudiesRendered.render,
    (*_PICTURES, *_SHOWN, *(f'multipart/related; type="{media}"' for media in (*_PICTURES, *_SHOWN))),
    name="rendered",
)
_URI = Operation(WadoUri.wado, ("image/jpeg", DICOM, *_PICTURES[1:], *_SHOWN))


def _make_rendered(template: str) -> tuple[Resource, ...]:
    """Return the rendered resources of a study, series, instance or of frames."""
    return (
        Resource(f"{template}/rendered", {"GET": _RENDERED}),
        Resource(f"{template}/thumbnail", {"GET": Operation(StudiesRendered.thumbnail, _PICTURES)}),
    )


def _all_of(template: str) -> tuple[Resource, ...]:
    """Return the resources for all bulk data and all pixel data below a study, series or instance."""
    return (
        Resource(f"{template}/bulkdata", {"GET": Operation(StudiesBulk.all_bulk, _PIXELS[:1])}),
        Resource(f"{template}/pixeldata", {"GET": Operation(StudiesBulk.pixel_data, _PIXELS[:1])}),
    )


TABLE: tuple[Resource, ...] = (
    Resource("/", {"GET": Operation(Pages.home, ("text/html",))}),
    Resource("/livez", {"GET": Operation(Pages.livez, ("text/plain",))}),
    Resource("/readyz", {"GET": Operation(Ready.readyz, ("text/plain",))}),
    Resource("/openapi.json", {"GET": Operation(OpenApi.openapi, _API)}),
    Resource("/metrics", {"GET": Operation(Metrics.metrics, ("text/plain",))}),
    Resource(
        "/api/v1/keys",
        {"GET": Operation(ApiKeys.list_keys, _API), "POST": Operation(ApiKeys.declare_key, _API, _API)},
    ),
    Resource(
        "/api/v1/keys/{id}", {"GET": Operation(ApiKeys.show_key, _API), "DELETE": Operation(ApiKeys.drop_key)}
    ),
    Resource("/api/v1/keys/{id}/failures", {"GET": Operation(ApiKeys.key_failures, _API)}),
    Resource("/api/v1/deleted", {"GET": Operation(ApiDeleted.list_deleted, _API)}),
    *(
        Resource(
            f"/api/v1/deleted{path.removeprefix(SERVICE)}/restore",
            {"POST": Operation(ApiDeleted.restore, _API)},
        )
        for path in (_STUDY, _SERIES, _INSTANCE)
    ),
    Resource("/api/v1/quarantine", {"GET": Operation(ApiQuarantine.list_quarantined, _API)}),
    *(
        resource
        for path in (_STUDY, _SERIES, _INSTANCE)
        for template in (f"/api/v1/quarantine{path.removeprefix(SERVICE)}",)
        for resource in (
            Resource(template, {"DELETE": Operation(ApiQuarantine.discard)}),
            Resource(f"{template}/release", {"POST": Operation(ApiQuarantine.release, _API)}),
        )
    ),
    Resource(SERVICE, {"GET": Operation(Pages.home, ("text/html",))}),
    Resource(
        f"{SERVICE}/studies",
        {
            "GET": _search(StudiesSearch.search_studies),
            "POST": Operation(StudiesStore.store, _STORED, _STORE_IN),
        },
    ),
    Resource(f"{SERVICE}/series", {"GET": _search(StudiesSearch.search_series)}),
    Resource(f"{SERVICE}/instances", {"GET": _search(StudiesSearch.search_instances)}),
    Resource(
        _STUDY,
        {
            "GET": Operation(StudiesRetrieve.instances, (*_FILES, *_ZIP)),
            "POST": Operation(StudiesStore.store, _STORED, _STORE_IN),
            "DELETE": Operation(StudiesRemove.remove),
        },
    ),
    Resource(f"{_STUDY}/metadata", {"GET": Operation(StudiesRetrieve.metadata, _RESULTS)}),
    Resource(f"{_STUDY}/series", {"GET": _search(StudiesSearch.search_series)}),
    Resource(f"{_STUDY}/instances", {"GET": _search(StudiesSearch.search_instances)}),
    Resource(
        _SERIES,
        {
            "GET": Operation(StudiesRetrieve.instances, (*_FILES, *_ZIP)),
            "DELETE": Operation(StudiesRemove.remove),
        },
    ),
    Resource(f"{_SERIES}/metadata", {"GET": Operation(StudiesRetrieve.metadata, _RESULTS)}),
    Resource(f"{_SERIES}/instances", {"GET": _search(StudiesSearch.search_instances)}),
    Resource(
        _INSTANCE,
        {
            "GET": Operation(StudiesRetrieve.instances, (*_FILES, "application/dicom", *_ZIP)),
            "DELETE": Operation(StudiesRemove.remove),
        },
    ),
    Resource(
        f"{_INSTANCE}/metadata",
        {"GET": Operation(StudiesRetrieve.metadata, (*_RESULTS, "application/dicom+xml"))},
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
    Resource(f"{_INSTANCE}/frames/{{frames}}", {"GET": Operation(StudiesRetrieve.frames, _PIXELS)}),
    Resource(f"{_INSTANCE}/bulkdata/{{path...}}", {"GET": Operation(StudiesRetrieve.bulk, _PIXELS[:2])}),
)
