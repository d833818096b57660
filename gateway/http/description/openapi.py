"""The OpenAPI 3.1 description of all resources, made from their table; `/openapi.json`.

`python -m gateway.http` writes it to standard output; `make openapi` updates `openapi/openapi.json` with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import orjson

from gateway.http.description import schemas
from gateway.http.description.parameterdocs import ANY_ATTRIBUTE, Parameter, parameters_of
from gateway.http.message.caching import not_modified
from gateway.http.message.conditional import entity_tag
from gateway.http.message.request import Request
from gateway.http.message.responses import Response
from gateway.http.negotiation.accept import Offer
from gateway.http.routing import SERVICE, WADO, Resource
from gateway.http.studies.documents import make_encoded_response

JSON = "application/json"
PROBLEM_TYPES = ("application/problem+json", "text/html", "text/plain")
_CAPABILITIES = ("application/vnd.sun.wadl+xml", JSON)

ABOUT = (
    "The Studies service of DICOM PS3.18 over an object store: STOW-RS, QIDO-RS, WADO-RS, and what stands beside it. "
    "HEAD is answered wherever GET is. Parameters that are not known are ignored, as PS3.18 8.3 demands; known ones with "
    "a wrong value are a 400 that names them and what is accepted."
)


class OpenApi:
    """Handler of `/openapi.json`. `table` has all resources, this one included."""

    def __init__(self, table: Sequence[Resource]) -> None:
        self._table = table

    @cached_property
    def _body(self) -> bytes:
        return write_description(self._table)

    async def openapi(self, request: Request) -> Response:
        request.accept.choose((Offer(JSON),))
        body = self._body
        tag = entity_tag("openapi", body, request.headers.get("accept-encoding"))
        headers = {"content-type": JSON, "etag": tag, "cache-control": "no-cache"}
        return not_modified(request, headers) or await make_encoded_response(request, 200, headers, body)


def write_description(table: Sequence[Resource]) -> bytes:
    """Return the description as JSON."""
    return orjson.dumps(description(table), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def description(table: Sequence[Resource]) -> dict[str, Any]:
    """Return the description."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "DICOMweb gateway", "version": _version(), "description": ABOUT},
        "servers": [{"url": "/"}],
        "paths": {path_of(resource): dict(_operations(resource)) for resource in table},
        "components": {"schemas": dict(schemas.SCHEMAS), "responses": _all_problems()},
    }


def path_of(resource: Resource) -> str:
    """Return the template in the syntax of OpenAPI."""
    return resource.template.replace("...}", "}")


def _version() -> str:
    try:
        return version("dicomweb-gateway")
    except PackageNotFoundError:
        return "0"


def _operations(resource: Resource) -> Iterator[tuple[str, dict[str, Any]]]:
    if names := [s[1:-1] for s in path_of(resource).split("/") if s.startswith("{")]:
        yield "parameters", [_in_path(name) for name in names]  # type: ignore[misc]
    for method, operation in resource.methods.items():
        yield method.lower(), _operation(method, operation.name, resource, operation.gives, operation.takes)
    if resource.template == SERVICE or resource.template.startswith(SERVICE + "/"):
        yield "options", _operation("OPTIONS", "capabilities", resource, _CAPABILITIES)
    else:
        yield "options", _plain_options(resource)


def _plain_options(resource: Resource) -> dict[str, Any]:
    answers = {"204": {"description": "The methods, in Allow."}, **_problems(["421", "503"])}
    return {"operationId": _identifier("OPTIONS", "allow", resource), "responses": answers}


def _in_path(name: str) -> dict[str, Any]:
    text, schema = schemas.PATH_PARAMETERS[name]
    return {"name": name, "in": "path", "required": True, "description": text, "schema": dict(schema)}


def _identifier(method: str, name: str, resource: Resource) -> str:
    """Return a unique identifier: method, operation, and the path without its braces."""
    whole = resource.template in (SERVICE, SERVICE + WADO)
    place = resource.template if whole else resource.template.removeprefix(SERVICE)
    place = place.strip("/").replace("...", "")
    return "-".join(filter(None, [method.lower(), name, *(s.strip("{}") for s in place.split("/"))]))


def _operation(
    method: str, name: str, resource: Resource, gives: Sequence[str], takes: Sequence[str] = ()
) -> dict[str, Any]:
    made: dict[str, Any] = {"operationId": _identifier(method, name, resource), "tags": [name]}
    parameters = [_parameter(parameter) for parameter in parameters_of(name)]
    if name in ANY_ATTRIBUTE:
        parameters.append(_any_attribute())
    if parameters:
        made["parameters"] = parameters
    if takes:
        content = {_bare(media): _describe_body(name, media) for media in takes}
        made["requestBody"] = {"required": True, "content": content}
    made["responses"] = {**_answers(name, gives), **_problems(schemas.failures_of(name))}
    if "409" in schemas.ANSWERS.get(name, {}):
        made["responses"]["409"] = _answers(name, gives)["409"]
    return made


def _describe_body(name: str, media: str) -> dict[str, Any]:
    return _body("DataSets" if media == "application/dicom+json" else schemas.TAKEN.get(name))


def _bare(media: str) -> str:
    """Return a media type without quotes; a multipart type keeps its `type`, the type of the parts."""
    return media.replace('"', "")


def _body(schema: str | None) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{schema}"}} if schema else {}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema = dict(parameter.schema)
    if parameter.values:
        schema["examples"] = list(parameter.values)
    if parameter.repeats:
        schema = {"type": "array", "items": schema}
    made: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.text,
        "schema": schema,
    }
    if parameter.required:
        made["required"] = True
    return made | ({"style": "form", "explode": False} if parameter.repeats else {})


def _any_attribute() -> dict[str, Any]:
    text = (
        "Any other attribute to match on, by keyword, tag, or path of them joined by dots (PS3.18 8.3.4.1)."
    )
    schema = {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 3}
    return {
        "name": "attributes",
        "in": "query",
        "description": text,
        "style": "form",
        "explode": True,
        "schema": schema,
    }


def _answers(name: str, gives: Sequence[str]) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for status, text in schemas.ANSWERS.get(name, {"200": "What is asked for."}).items():
        answers[status] = {"description": text}
        if status not in ("204", "304"):
            answers[status]["content"] = {_bare(m): _schema(name, m) for m in gives}
    return answers


def _schema(name: str, media: str) -> dict[str, Any]:
    if media == JSON or (media == "application/dicom+json" and name in schemas.JSON_OF):
        return _body(schemas.JSON_OF.get(name))
    if media == "application/dicom+json":
        return _body("DataSets")
    return {}


def _problems(statuses: list[str]) -> dict[str, Any]:
    return {status: {"$ref": f"#/components/responses/Problem{status}"} for status in statuses}


def _all_problems() -> dict[str, Any]:
    content = {media: _body("Problem" if media.endswith("json") else None) for media in PROBLEM_TYPES}
    return {f"Problem{s}": {"description": text, "content": content} for s, text in schemas.PROBLEMS.items()}
