"""The OpenAPI description covers what the table of resources serves, and lies in `openapi/` as it is served."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest
import schemathesis
from gateway.http.description import openapi, schemas
from gateway.http.description.parameterdocs import PARAMETERS, parameters_of
from gateway.http.resources import TABLE
from gateway.http.routing import Operation, Resource
from gateway.http.settings import HttpSettings
from gateway.http.studies.store import TAKEN
from tests.http.fakes import make_unserved_gate
from tests.live import ROOT

FILE = ROOT / "openapi" / "openapi.json"


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(openapi.write_description(TABLE))
    return found


def test_the_file_is_what_is_served() -> None:
    assert FILE.read_bytes() == openapi.write_description(TABLE), "run `make openapi`"


async def test_it_is_served() -> None:
    transport = httpx.ASGITransport(app=make_unserved_gate(HttpSettings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as web:
        answer = await web.get("/openapi.json")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.content == FILE.read_bytes()
        tag = {"If-None-Match": answer.headers["etag"]}
        assert (await web.get("/openapi.json", headers=tag)).status_code == 304
        assert "/openapi.json" in (await web.get("/")).text


def test_it_is_valid(description: dict[str, Any]) -> None:
    schemathesis.openapi.from_dict(description).validate()


OPERATIONS = [(r, method, operation) for r in TABLE for method, operation in r.methods.items()]


@pytest.mark.parametrize(
    ("resource", "method", "operation"), OPERATIONS, ids=[f"{m} {r.template}" for r, m, _ in OPERATIONS]
)
def test_it_covers(
    description: dict[str, Any], resource: Resource, method: str, operation: Operation
) -> None:
    """Every route, method, parameter, and media type either way."""
    path = openapi.path_of(resource)
    item = description["paths"][path]
    described = item[method.lower()]
    placeholders = {p["name"] for p in item.get("parameters", ())}
    assert placeholders == {s[1:-1] for s in path.split("/") if s.startswith("{")}
    named = {(p["name"], p["in"]) for p in described.get("parameters", ())}
    assert {(p.name, p.where) for p in parameters_of(operation.name)} <= named
    assert operation.name in PARAMETERS, f"no parameters are said of {operation.name}"
    content = described.get("requestBody", {}).get("content", {})
    assert set(content) == {media.replace('"', "") for media in operation.takes}
    given = {
        media
        for status, answer in described["responses"].items()
        if status < "300"
        for media in answer.get("content", {})
    }
    assert given == {media.replace('"', "") for media in operation.gives}
    assert operation.name in schemas.FAILURES or not operation.name.startswith(("search", "store"))


def test_nothing_else_is_described(description: dict[str, Any]) -> None:
    assert set(description["paths"]) == {openapi.path_of(resource) for resource in TABLE}
    for resource in TABLE:
        methods = set(description["paths"][openapi.path_of(resource)]) - {"parameters", "options"}
        assert methods == {method.lower() for method in resource.methods}
    names = {operation.name for resource in TABLE for operation in resource.methods.values()}
    assert set(PARAMETERS) == names


def test_operations_have_names_of_their_own(description: dict[str, Any]) -> None:
    names = [
        o["operationId"] for i in description["paths"].values() for m, o in i.items() if m != "parameters"
    ]
    assert len(names) == len(set(names))


def test_references_lead_somewhere(description: dict[str, Any]) -> None:
    def check(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                _, *steps = node["$ref"].split("/")
                found = description
                for step in steps:
                    found = found[step]
            for value in node.values():
                check(value)
        elif isinstance(node, list):
            for value in node:
                check(value)

    check(description)


def test_the_table_says_what_the_store_takes() -> None:
    (studies,) = [r for r in TABLE if r.template == "/dicom-web/studies"]
    assert set(studies.methods["POST"].takes) == set(TAKEN)
