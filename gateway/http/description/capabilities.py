"""Retrieve Capabilities (PS3.18 8.9): the methods below a resource, as WADL (Annex H) and as JSON (Annex G).

Both are written from one tree, which is made from the table of resources and `parameterdocs.PARAMETERS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import orjson

from gateway.extras import list_missing
from gateway.http.description.parameterdocs import ANY_ATTRIBUTE, Parameter, parameters_of
from gateway.http.message.caching import not_modified
from gateway.http.message.conditional import entity_tag
from gateway.http.message.request import Request
from gateway.http.message.responses import Response
from gateway.http.negotiation.accept import Offer
from gateway.http.negotiation.charset import WRITABLE
from gateway.http.parameters.search import UNSUPPORTED
from gateway.http.routing import SERVICE, Operation, Resource
from gateway.http.settings import HttpSettings
from gateway.http.studies.documents import make_encoded_response

WADL = "application/vnd.sun.wadl+xml"
JSON = "application/json"
OFFERS = (Offer(WADL), Offer(JSON))
NAMESPACE = "http://wadl.dev.java.net/2009/02"
XSD = "http://www.w3.org/2001/XMLSchema"

# Names of Table H-1 for the parameters of our templates.
_SEGMENTS = {
    "study": "StudyInstance",
    "series": "SeriesInstance",
    "instance": "SOPInstance",
    "frames": "framelist",
    "path...": "BulkDataReference",
}
# Names of the transactions, by operation.
_TRANSACTIONS = {
    "instances": "Retrieve",
    "metadata": "RetrieveMetadata",
    "frames": "RetrieveFrames",
    "bulk": "RetrieveBulkdata",
    "all_bulk": "RetrieveBulkdata",
    "pixel_data": "RetrievePixelData",
    "rendered": "RetrieveRendered",
    "thumbnail": "RetrieveThumbnail",
    "search_studies": "SearchForStudies",
    "search_series": "SearchForSeries",
    "search_instances": "SearchForInstances",
    "store": "StoreInstances",
    "remove": "Delete",
    "wado": "RetrieveByURI",
}

# An element: its name, attributes, and children or text.
Element = tuple[str, dict[str, str], "list[Element] | str"]


class Capabilities:
    """Answers OPTIONS at the service root and below it."""

    def __init__(self, table: Sequence[Resource], settings: HttpSettings) -> None:
        self._table = table
        self._settings = settings

    async def answer(self, request: Request, resource: Resource) -> Response:
        """Return 200 with the description, or 304 (8.9.3.1). Raises NotAcceptable."""
        offer = request.accept.choose(OFFERS)
        root = description(self._table, resource, request.base, self._settings)
        body = wadl(root) if offer.media == WADL else as_json(root)
        coding = request.headers.get("accept-encoding")
        tag = entity_tag("capabilities", body, coding)
        headers = {"etag": tag, "cache-control": "no-cache", "allow": resource.allow}
        if unchanged := not_modified(request, headers):
            return unchanged
        return await make_encoded_response(request, 200, {**headers, "content-type": offer.media}, body)


def description(table: Sequence[Resource], target: Resource, base: str, settings: HttpSettings) -> Element:
    """Return the `application` element: the target and all resources below, with their methods (Annex H)."""
    below = [r for r in table if _is_below(r.template, target.template)]
    tree = [_resource(target, below, target.template.removeprefix(SERVICE).strip("/"))]
    service = target.template == SERVICE
    children = tree[0][2] if service else tree
    assert not isinstance(children, str)
    resources: Element = (
        "resources",
        {"base": base},
        [c for c in children if not service or c[0] == "resource"],
    )
    return ("application", {"xmlns": NAMESPACE, "xmlns:xsd": XSD}, [*_docs(table, settings), resources])


def _is_below(template: str, target: str) -> bool:
    return template != target and template.startswith(target.rstrip("/") + "/")


def _docs(table: Sequence[Resource], settings: HttpSettings) -> Iterator[Element]:
    """Yield the statements that PS3.18 8.3 and 8.8 require of a service."""
    matching = [name for name in UNSUPPORTED if name not in settings.unsupported_matching]
    yield _doc("DICOMweb gateway", "Studies service of DICOM PS3.18: store, search, retrieve.")
    yield _doc("Character sets", ", ".join(WRITABLE) + "; application/dicom+json is UTF-8 always")
    yield _doc("Matching", ", ".join(matching) or "none of fuzzy, empty value and multiple value matching")
    yield _doc("Results", f"a search gives {settings.limits.most} at most")
    ours = {
        p.name: p.text for r in table for o in r.methods.values() for p in parameters_of(o.name) if p.ours
    }
    yield _doc("Parameters beyond the standard", " ".join(f"{name}: {text}" for name, text in ours.items()))
    yield _doc("Methods beyond the standard", "DELETE on studies, series and instances")
    if missing := list_missing():
        yield _doc("Parts that are not installed", ", ".join(missing))
    yield _doc("Strictness", "strict" if settings.strict else "lenient: no Accept header counts as */*")


def _doc(title: str, text: str) -> Element:
    return ("doc", {"xml:lang": "en", "title": title}, text)


def _resource(resource: Resource | None, below: list[Resource], path: str) -> Element:
    """Return the element of one resource.

    `path` is relative to the resource above; `below` are all resources under it.
    """
    children: list[Element] = [
        (
            "param",
            {
                "name": _SEGMENTS.get(name, name),
                "style": "template",
                "type": "xsd:string",
                "required": "true",
            },
            [],
        )
        for name in _placeholders(path)
    ]
    if resource is not None:
        children += [_method(method, operation, resource) for method, operation in resource.methods.items()]
    children += _children("" if resource is None else resource.template, below)
    return ("resource", {"path": _format_path(path)}, children)


def _children(template: str, below: list[Resource]) -> list[Element]:
    """Return the elements of the resources directly under `template`.

    A resource without a parent in the table gets a path of several segments.
    """
    found: list[Element] = []
    for resource in below:
        if any(_is_below(resource.template, other.template) for other in below):
            continue
        under = [other for other in below if _is_below(other.template, resource.template)]
        found.append(_resource(resource, under, resource.template[len(template) :].strip("/")))
    return found


def _placeholders(path: str) -> list[str]:
    return [segment[1:-1] for segment in path.split("/") if segment.startswith("{")]


def _format_path(path: str) -> str:
    return "/".join(
        f"{{{_SEGMENTS.get(s[1:-1], s[1:-1])}}}" if s.startswith("{") else s for s in path.split("/")
    )


def _method(method: str, operation: Operation, resource: Resource) -> Element:
    asked: list[Element] = []
    if operation.gives:
        asked.append(_accept(operation))
    asked += [_param(parameter) for parameter in parameters_of(operation.name)]
    if operation.name in ANY_ATTRIBUTE:
        text = "{attributeID}: any other attribute, by keyword, tag or path of them (10.6.1.2.1)"
        asked.append(
            ("param", {"name": "{attributeID}", "style": "query", "type": "xsd:string"}, [_doc("", text)])
        )
    asked += [("representation", {"mediaType": media}, []) for media in operation.takes]
    given: list[Element] = [("representation", {"mediaType": media}, []) for media in operation.gives]
    status = "200" if operation.gives else "204"
    if operation.name.startswith("search"):
        status = "200 204"
    elif operation.name == "store":
        status = "200 202 409"
    failed: Element = ("representation", {"mediaType": "application/problem+json"}, [])
    return (
        "method",
        {"name": method, "id": _identifier(operation, resource)},
        [
            ("request", {}, asked),
            ("response", {"status": status}, given),
            ("response", {"status": "400 404 406 410" if method == "GET" else "400 404 410 415"}, [failed]),
        ],
    )


def _identifier(operation: Operation, resource: Resource) -> str:
    """Return an identifier that is unique in the document, with names of Annex H (RetrieveMetadata)."""
    name = _TRANSACTIONS.get(operation.name, operation.name)
    places = [_SEGMENTS.get(p, p).removesuffix("Instance") for p in _placeholders(resource.template)]
    last = [s for s in resource.template.split("/") if s and not s.startswith("{")][-1]
    return "-".join([name, *places, *([last] if last in ("rendered", "thumbnail") else [])])


def _accept(operation: Operation) -> Element:
    options: list[Element] = [("option", {"value": media}, []) for media in operation.gives]
    attributes = {"name": "Accept", "style": "header", "type": "xsd:string", "default": operation.gives[0]}
    return ("param", attributes, options)


def _param(parameter: Parameter) -> Element:
    kind = {"boolean": "xsd:boolean", "integer": "xsd:unsignedLong"}.get(
        parameter.schema["type"], "xsd:string"
    )
    attributes = {"name": parameter.name, "style": parameter.where, "type": kind}
    if parameter.repeats:
        attributes["repeating"] = "true"
    if parameter.required:
        attributes["required"] = "true"
    if "default" in parameter.schema:
        attributes["default"] = str(parameter.schema["default"]).lower()
    options: list[Element] = [("option", {"value": value}, []) for value in parameter.values]
    return ("param", attributes, [_doc("", parameter.text), *options])


# -- writing the tree ----------------------------------------------------------------------------------


def wadl(root: Element) -> bytes:
    """Return the tree as XML."""
    return ('<?xml version="1.0" encoding="UTF-8"?>\n' + "".join(_xml(root))).encode()


def _xml(element: Element) -> Iterator[str]:
    name, attributes, content = element
    yield f"<{name}" + "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items() if value)
    if not content:
        yield "/>"
        return
    yield ">"
    if isinstance(content, str):
        yield escape(content)
    else:
        for child in content:
            yield from _xml(child)
    yield f"</{name}>"


# Elements that may occur several times are arrays, the others objects (Annex G).
_ONCE = frozenset({"application", "resources", "request"})


def as_json(root: Element) -> bytes:
    """Return the tree as JSON: attributes are members that begin with @, text is `value`."""
    return orjson.dumps({root[0]: _members(root)})


def _members(element: Element) -> dict[str, Any]:
    _, attributes, content = element
    made: dict[str, Any] = {f"@{key}": value for key, value in attributes.items() if value or key == "title"}
    if isinstance(content, str):
        return {**made, "value": content}
    for child in content:
        if child[0] in _ONCE:
            made[child[0]] = _members(child)
        else:
            made.setdefault(child[0], []).append(_members(child))
    return made
