"""Retrieve Capabilities (PS3.18 8.9, Annexes G and H): one description, written as WADL and as JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from gateway.http.description.parameterdocs import PARAMETERS
from gateway.http.gate import Gate
from gateway.http.resources import TABLE
from gateway.http.routing import SERVICE
from gateway.http.settings import HttpSettings
from tests.http.fakes import make_unserved_gate

WADL, JSON = "application/vnd.sun.wadl+xml", "application/json"
NS = "{http://wadl.dev.java.net/2009/02}"
STUDY = "/studies/1.2"
INSTANCE = f"{STUDY}/series/1.3/instances/1.4"

# Table H-1 without what is optional and not offered: renderedmpr, rendered3d.
_OF_ALL = ("metadata", "rendered", "thumbnail", "bulkdata", "pixeldata")
_S, _E, _I = "studies/{StudyInstance}", "series/{SeriesInstance}", "instances/{SOPInstance}"
TABLE_H1 = {
    *("studies", _S, f"{_S}/series", f"{_S}/instances", f"{_S}/{_E}", f"{_S}/{_E}/instances"),
    *(f"{_S}/{_E}/{_I}", f"{_S}/{_E}/{_I}/frames/{{framelist}}", "series", "instances"),
    *(f"{above}/{last}" for above in (_S, f"{_S}/{_E}", f"{_S}/{_E}/{_I}") for last in _OF_ALL),
    *(f"{_S}/{_E}/{_I}/frames/{{framelist}}/{last}" for last in ("rendered", "thumbnail")),
}

# The schema of WADL (W3C submission of 2009-08-31): children in this order, attributes out of these.
SCHEMA: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "application": (("doc", "grammars", "resources", "resource_type"), set()),
    "resources": (("doc", "resource"), {"base"}),
    "resource": (("doc", "param", "method|resource"), {"id", "type", "queryType", "path"}),
    "method": (("doc", "request", "response"), {"name", "id", "href"}),
    "request": (("doc", "param", "representation"), set()),
    "response": (("doc", "param", "representation"), {"status"}),
    "param": (
        ("doc", "option", "link"),
        {"name", "style", "id", "type", "default", "path", "required", "repeating", "fixed"},
    ),
    "option": (("doc",), {"value", "mediaType"}),
    "representation": (("doc", "param"), {"id", "element", "mediaType", "href", "profile"}),
    "doc": ((), {"title", "{http://www.w3.org/XML/1998/namespace}lang"}),
}


class Web(httpx.AsyncClient):
    """Sends no field that it was not told to send."""

    strict = False


def application(**settings: Any) -> Gate:
    return make_unserved_gate(HttpSettings(cors_origins=("https://viewer.example",), **settings))


@pytest.fixture(params=[False, True], ids=["lenient", "strict"])
async def web(request: pytest.FixtureRequest) -> AsyncIterator[Web]:
    transport = httpx.ASGITransport(app=application(strict=request.param), raise_app_exceptions=False)
    async with Web(transport=transport, base_url="http://localhost:8080/dicom-web") as client:
        client.headers.pop("accept")
        client.headers.pop("accept-encoding")
        client.strict = request.param
        yield client


async def described(web: httpx.AsyncClient, path: str = "") -> ElementTree.Element:
    answer = await web.options(path, headers={"Accept": WADL})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == WADL
    return ElementTree.fromstring(answer.content)


def resources(element: ElementTree.Element, above: str = "") -> Iterator[tuple[str, ElementTree.Element]]:
    """Every resource element by its whole path."""
    for child in element.findall(f"{NS}resource"):
        path = f"{above}/{child.get('path')}".strip("/")
        yield path, child
        yield from resources(child, path)


def top(root: ElementTree.Element) -> ElementTree.Element:
    (found,) = root.findall(f"{NS}resources")
    return found


@pytest.mark.row("C-CAP-1", "C-CAP-2")
@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", WADL),
        (WADL, WADL),
        (JSON, JSON),
        (f"{WADL};q=0.5, {JSON}", JSON),
        (f"{JSON};q=0.5, {WADL}", WADL),
    ],
)
async def test_the_form_is_negotiated(web: Web, accept: str, kind: str) -> None:
    answer = await web.options("", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == kind
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.row("C-CAP-1")
async def test_other_forms_are_406(web: Web) -> None:
    answer = await web.options("", headers={"Accept": "image/png, application/problem+json;q=0.1"})
    assert answer.status_code == 406
    assert answer.json()["available"] == [WADL, JSON]


@pytest.mark.row("C-CAP-3", "C-ACC-8")
async def test_without_accept(web: Web) -> None:
    """406 where the letter is kept, else WADL (D-1)."""
    answer = await web.options("")
    assert answer.status_code == (406 if web.strict else 200)
    if answer.status_code == 200:
        assert answer.headers["content-type"] == WADL


@pytest.mark.row("C-CAP-4")
@pytest.mark.parametrize("accept", [WADL, JSON])
async def test_if_none_match(web: Web, accept: str) -> None:
    fields = {"Accept": accept}
    first = await web.options("", headers=fields)
    again = await web.options("", headers={**fields, "If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await web.options("", headers={**fields, "If-None-Match": '"other"'})).status_code == 200
    other = await web.options("/studies", headers=fields)
    assert other.headers["etag"] != first.headers["etag"]


@pytest.mark.row("C-CAP-5")
async def test_the_document_follows_the_schema_of_wadl(web: Web) -> None:
    root = await described(web)
    assert root.tag == f"{NS}application"
    assert top(root).get("base") == "http://localhost:8080/dicom-web"
    identifiers: list[str] = []
    for element in root.iter():
        _check(element)
        if element.tag == f"{NS}method":
            identifiers.append(element.get("id", ""))
    assert all(name.replace("-", "").isalnum() and name[0].isalpha() for name in identifiers)


def _check(element: ElementTree.Element) -> None:
    name = element.tag.removeprefix(NS)
    order, attributes = SCHEMA[name]
    assert set(element.attrib) <= attributes, name
    ranks = [
        next(n for n, group in enumerate(order) if child.tag.removeprefix(NS) in group.split("|"))
        for child in element
    ]
    assert ranks == sorted(ranks), f"children of {name} out of order"
    if name == "param":
        assert element.get("style") in {"header", "query", "template"}
        assert str(element.get("type")).startswith("xsd:")
    if name == "response":
        assert all(status.isdecimal() for status in element.attrib["status"].split())


@pytest.mark.row("C-CAP-5", "C-CAP-8")
async def test_the_tree_is_that_of_table_h_1(web: Web) -> None:
    found = {path for path, element in resources(top(await described(web)))}
    offered = {path for path in TABLE_H1 if _offered(path)}
    assert offered <= found
    assert {path for path in TABLE_H1 if "/rendered" not in path and "/thumbnail" not in path} <= found
    assert f"{_S}/{_E}/{_I}/bulkdata/{{BulkDataReference}}" in found


def _offered(path: str) -> bool:
    last = path.rpartition("/")[2]
    return last not in ("rendered", "thumbnail") or any(r.template.endswith(f"/{last}") for r in TABLE)


@pytest.mark.row("C-CAP-5")
async def test_every_method_of_every_resource_is_there(web: Web) -> None:
    methods = {
        path: [method.get("name") for method in element.findall(f"{NS}method")]
        for path, element in resources(top(await described(web)))
    }
    names = {"{study}": "{StudyInstance}", "{series}": "{SeriesInstance}", "{instance}": "{SOPInstance}"}
    names |= {"{frames}": "{framelist}", "{path...}": "{BulkDataReference}"}
    for resource in TABLE:
        if not resource.template.startswith(SERVICE + "/"):
            continue
        path = "/".join(
            names.get(s, s) for s in resource.template.removeprefix(SERVICE).strip("/").split("/")
        )
        assert methods[path] == list(resource.methods), path


@pytest.mark.row("C-CAP-6")
@pytest.mark.parametrize(
    ("path", "first", "below"),
    [
        ("/studies", "studies", {"studies/{StudyInstance}"}),
        (STUDY, "studies/{StudyInstance}", {"studies/{StudyInstance}/series"}),
        (f"{STUDY}/metadata", "studies/{StudyInstance}/metadata", set()),
        (f"{INSTANCE}/frames/1", f"{_S}/{_E}/{_I}/frames/{{framelist}}", set()),
    ],
)
async def test_below_the_root_only_what_is_there(web: Web, path: str, first: str, below: set[str]) -> None:
    root = await described(web, path)
    found = [place for place, _ in resources(top(root))]
    assert found[0] == first
    assert all(place.startswith(first) for place in found)
    assert below <= set(found)
    answer = await web.options(path, headers={"Accept": WADL})
    assert "GET" in answer.headers["allow"]


@pytest.mark.row("C-CAP-7")
async def test_json_says_what_wadl_says(web: Web) -> None:
    root = await described(web)
    document = (await web.options("", headers={"Accept": JSON})).json()
    _same(root, document["application"])


def _same(element: ElementTree.Element, members: dict[str, Any]) -> None:
    """Annex G: attributes as @name, unique elements as objects, repeatable ones as arrays, text as value."""
    for name, value in element.attrib.items():
        assert members["@" + name.replace("{http://www.w3.org/XML/1998/namespace}", "xml:")] == value
    if element.text and element.text.strip():
        assert members["value"] == element.text
    by_name: dict[str, list[ElementTree.Element]] = {}
    for child in element:
        by_name.setdefault(child.tag.removeprefix(NS), []).append(child)
    for name, children in by_name.items():
        written = members[name]
        if name in ("resources", "request"):
            assert isinstance(written, dict)
            written = [written]
        assert len(written) == len(children)
        for child, inner in zip(children, written, strict=True):
            _same(child, inner)
        if name == "doc":
            assert all({"@xml:lang", "@title", "value"} <= inner.keys() for inner in written)


@pytest.mark.row("C-CAP-9", "C-QP-15")
async def test_it_says_what_a_service_has_to_say_of_itself(web: Web) -> None:
    root = await described(web)
    said = {doc.get("title"): str(doc.text) for doc in root.findall(f"{NS}doc")}
    assert "UTF-8" in said["Character sets"]
    assert "ISO-8859-1" in said["Character sets"]
    assert said["Matching"] == "fuzzymatching, emptyvaluematching, multiplevaluematching"
    ours = {parameter.name for several in PARAMETERS.values() for parameter in several if parameter.ours}
    assert {"cursor", "count", "v"} <= ours
    assert all(f"{name}:" in said["Parameters beyond the standard"] for name in ours)
    for _, element in resources(top(root)):
        for method in element.findall(f"{NS}method"):
            assert [r.get("status") for r in method.findall(f"{NS}response")]


async def test_it_does_not_claim_kinds_of_matching_that_are_switched_off() -> None:
    transport = httpx.ASGITransport(app=application(unsupported_matching=("fuzzymatching",)))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost/dicom-web") as web:
        said = {doc.get("title"): doc.text for doc in await described(web)}
    assert said["Matching"] == "emptyvaluematching, multiplevaluematching"


@pytest.mark.row("C-CAP-10")
async def test_a_preflight_is_answered_as_one(web: Web) -> None:
    asked = {"Origin": "https://viewer.example", "Access-Control-Request-Method": "GET"}
    answer = await web.options("/studies", headers=asked)
    assert answer.status_code == 204
    assert "POST" in answer.headers["access-control-allow-methods"]
    plain = await web.options("/studies", headers={"Origin": "https://viewer.example", "Accept": WADL})
    assert plain.headers["content-type"] == WADL
    assert plain.headers["access-control-allow-origin"] == "https://viewer.example"


async def test_unknown_places_have_no_description(web: Web) -> None:
    assert (await web.options("/nothing", headers={"Accept": WADL})).status_code == 404
