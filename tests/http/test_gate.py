"""What holds for every request, whatever the services behind it: routes, methods, health, the door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from gateway.app import Gateway
from gateway.asgi import make_handlers
from gateway.http.resources import TABLE
from gateway.http.routing import Router, bind_methods
from gateway.http.settings import HttpSettings
from gateway.settings import Settings
from tests.http.fakes import make_unserved_gate

STUDY = "/dicom-web/studies/1.2"
INSTANCE = f"{STUDY}/series/1.3/instances/1.4"


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app = make_unserved_gate(HttpSettings(cors_origins=("https://viewer.example",)))
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080") as client:
        yield client


async def test_every_operation_has_a_handler(tmp_path: Path) -> None:
    wanted = {operation.handler for resource in TABLE for operation in resource.methods.values()}
    gateway = await Gateway.open(Settings(data=str(tmp_path)))
    try:
        assert wanted <= set(bind_methods(make_handlers(gateway, HttpSettings())))
    finally:
        await gateway.close()


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("/", {}),
        ("/dicom-web/", {}),
        ("/dicom-web/studies", {}),
        ("/dicom-web/studies/", {}),
        (STUDY, {"study": "1.2"}),
        (f"{STUDY}/metadata", {"study": "1.2"}),
        (f"{STUDY}/instances", {"study": "1.2"}),
        (f"{INSTANCE}/frames/1,2", {"study": "1.2", "series": "1.3", "instance": "1.4", "frames": "1,2"}),
        (
            f"{INSTANCE}/bulkdata/00400275/1/00400007",
            {"study": "1.2", "series": "1.3", "instance": "1.4", "path": "00400275/1/00400007"},
        ),
    ],
)
def test_routes(path: str, values: dict[str, str]) -> None:
    assert Router(TABLE).find(path)[1] == values


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/dicom-web/nothing",
        f"{STUDY}/nothing",
        "/dicom-web//studies",
        f"{INSTANCE}/frames",
        f"{INSTANCE}/frames/1/metadata",
        f"{INSTANCE}/frames/1/pixeldata",
        f"{INSTANCE}/frames/1/bulkdata",
    ],
)
async def test_unknown_paths_are_404(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == "Not Found"
    assert answer.json()["detail"].startswith(
        f"no resource has the path '{path}'; DICOMweb is at /dicom-web,"
    )


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/dicom-web/studies", "GET, HEAD, POST, OPTIONS"),
        ("DELETE", "/dicom-web/studies", "GET, HEAD, POST, OPTIONS"),
        ("PUT", STUDY, "GET, HEAD, POST, DELETE, OPTIONS"),
        ("POST", f"{STUDY}/metadata", "GET, HEAD, OPTIONS"),
        ("PATCH", INSTANCE, "GET, HEAD, DELETE, OPTIONS"),
        ("TRACE", "/", "GET, HEAD, OPTIONS"),
    ],
)
async def test_other_methods_are_405_with_allow(
    http: httpx.AsyncClient, method: str, path: str, allow: str
) -> None:
    answer = await http.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allow


async def test_options_beside_the_service_says_what_is_allowed(http: httpx.AsyncClient) -> None:
    answer = await http.options("/livez")
    assert answer.status_code == 204
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert "content-length" not in answer.headers
    assert (await http.options("/nothing")).status_code == 404


async def test_preflight(http: httpx.AsyncClient) -> None:
    asked = {"Origin": "https://viewer.example", "Access-Control-Request-Method": "GET"}
    answer = await http.options(STUDY, headers={**asked, "Access-Control-Request-Headers": "accept"})
    assert answer.headers["access-control-allow-origin"] == "https://viewer.example"
    assert answer.status_code == 204
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "accept"
    refused = await http.options(STUDY, headers={**asked, "Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in refused.headers


async def test_failures_can_be_read_by_the_viewer_as_well(http: httpx.AsyncClient) -> None:
    answer = await http.get("/nothing", headers={"Origin": "https://viewer.example"})
    assert answer.headers["access-control-allow-origin"] == "https://viewer.example"
    assert answer.headers["vary"] == "Accept, Accept-Charset, Accept-Encoding, Origin"


@pytest.mark.parametrize("path", ["/", "/livez"])
async def test_pages_and_head(http: httpx.AsyncClient, path: str) -> None:
    got, head = await http.get(path), await http.head(path)
    assert got.status_code == head.status_code == 200
    assert head.headers["content-length"] == str(len(got.content))
    assert head.content == b""


async def test_the_page_shows_how_to_begin(http: httpx.AsyncClient) -> None:
    page = (await http.get("/")).text
    assert "curl 'http://localhost:8080/dicom-web/studies?limit=5'" in page


async def test_a_foreign_host_is_421(http: httpx.AsyncClient) -> None:
    answer = await http.get("/", headers={"Host": "evil.example"})
    assert answer.status_code == 421
    assert answer.json()["parameter"] == "Host"


async def test_bad_requests_are_seen_before_any_service(http: httpx.AsyncClient) -> None:
    """Reaching a service would be a 500."""
    for path, parameter in [
        ("/dicom-web/studies/abc", "study"),
        (f"{INSTANCE}/frames/0", "frames"),
        (f"{INSTANCE}/frames/1-3", "frames"),
        ("/dicom-web/studies?limit=x", "limit"),
        ("/dicom-web/studies?StudyDate=2013-05-09", "StudyDate"),
        (f"{STUDY}/metadata?accept=*/*", "accept"),
    ]:
        answer = await http.get(path)
        assert (answer.status_code, answer.json()["parameter"]) == (400, parameter)
    assert (await http.get("/dicom-web/studies", headers={"Accept": "image/png"})).status_code == 406


@pytest.mark.row("S-5", "S-27", "S-29", "S-84")
async def test_media_that_is_not_taken_is_415(http: httpx.AsyncClient) -> None:
    for content_type in (
        "text/plain",
        "application/zip",
        "application/json",
        "multipart/form-data; boundary=b",
    ):
        answer = await http.post("/dicom-web/studies", content=b"x", headers={"Content-Type": content_type})
        assert answer.status_code == 415
        assert answer.json()["available"] == [
            'multipart/related; type="application/dicom"',
            "application/dicom",
            'multipart/related; type="application/dicom+json"',
            'multipart/related; type="application/dicom+xml"',
            "application/dicom+json",
            "application/dicom+xml",
        ]
    assert (await http.post("/dicom-web/studies", content=b"x")).status_code == 415
    answer = await http.post(
        "/dicom-web/studies",
        content=b"x",
        headers={"Content-Type": "application/dicom", "Content-Encoding": "br"},
    )
    assert answer.status_code == 415


async def test_a_multipart_type_without_boundary_is_400(http: httpx.AsyncClient) -> None:
    headers = {"Content-Type": 'multipart/related; type="application/dicom"'}
    answer = await http.post("/dicom-web/studies", content=b"x", headers=headers)
    assert answer.status_code == 400
    assert "boundary" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "status"), [("GET", 400), ("POST", 400), ("DELETE", 400), ("OPTIONS", 200)]
)
async def test_a_line_feed_in_a_path_is_a_character_like_any_other(
    http: httpx.AsyncClient, method: str, status: int
) -> None:
    kind = {"Content-Type": "application/dicom"} if method == "POST" else {}
    answer = await http.request(
        method, "/dicom-web/studies/1.2%0A3", headers=kind, content=b"x" if kind else None
    )
    assert answer.status_code == status
    if status == 400:
        assert answer.json()["parameter"] == "study"
    nowhere = await http.get("/nothing%0Aat/all")
    assert (nowhere.status_code, nowhere.json()["status"]) == (404, 404)
