"""Pages of other sites change nothing (issue B10): what a browser sends for them unasked is refused."""

from __future__ import annotations

import httpx
import pytest
from tests import build
from tests.live import LiveServer, multipart

OTHER = "https://other.example"
FORMS = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b")


def deleted(server: LiveServer) -> str:
    """The path of a study that was deleted."""
    ds = build.dataset()
    body, media = multipart([build.part10(ds)])
    path = f"/studies/{ds.StudyInstanceUID}"
    assert (
        httpx.post(f"{server.root}/studies", content=body, headers={"Content-Type": media}).status_code == 200
    )
    assert httpx.delete(f"{server.root}{path}").status_code == 204
    return path


@pytest.mark.parametrize("media", [*FORMS, ""])
def test_a_form_of_another_site_restores_nothing(server: LiveServer, media: str) -> None:
    path = deleted(server)
    headers = {"Origin": OTHER, "Sec-Fetch-Site": "cross-site"} | ({"Content-Type": media} if media else {})
    for sent in (
        headers,
        {"Content-Type": media} if media else {},
    ):  # old browsers do not say where it is from
        answer = httpx.post(f"{server.base}/api/v1/deleted{path}/restore", content=b"a=b", headers=sent)
        assert answer.status_code == 403
    assert httpx.get(f"{server.root}{path}").status_code == 410


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json", "Origin": OTHER},
        {"X-Requested-With": "a", "Origin": OTHER},
        {"X-Requested-With": "a", "Origin": "null"},
        {"X-Requested-With": "a", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_another_origin_is_refused_whatever_it_sends(server: LiveServer, headers: dict[str, str]) -> None:
    path = deleted(server)
    assert httpx.post(f"{server.base}/api/v1/deleted{path}/restore", headers=headers).status_code == 403
    assert httpx.get(f"{server.root}{path}").status_code == 410


@pytest.mark.parametrize("way", ["json", "header", "own page"])
def test_who_means_it_restores(server: LiveServer, way: str) -> None:
    path = deleted(server)
    headers = {
        "json": {"Content-Type": "application/json"},
        "header": {"X-Requested-With": "curl"},
        "own page": {"X-Requested-With": "a", "Origin": server.base, "Sec-Fetch-Site": "same-origin"},
    }[way]
    answer = httpx.post(f"{server.base}/api/v1/deleted{path}/restore", headers=headers)
    assert answer.status_code == 200, answer.text
    assert httpx.get(f"{server.root}{path}").status_code == 200


def test_a_key_is_not_declared_without_a_type(server: LiveServer) -> None:
    """Fetch sends a Blob without a type, and asks nobody first."""
    refused = httpx.post(f"{server.base}/api/v1/keys", content=b'{"key": "00181030"}')
    assert refused.status_code == 403


@pytest.mark.parametrize("media", [*FORMS, ""])
def test_no_form_is_a_stow(server: LiveServer, media: str) -> None:
    """Of what STOW takes, nothing can be sent by a page of another site without a preflight request."""
    ds = build.dataset()
    headers = {"Origin": OTHER} | ({"Content-Type": media} if media else {})
    answer = httpx.post(f"{server.root}/studies", content=build.part10(ds), headers=headers)
    assert answer.status_code == 415
    assert httpx.get(f"{server.root}/studies/{ds.StudyInstanceUID}").status_code == 404


@pytest.mark.parametrize("method", ["DELETE", "POST", "PUT"])
@pytest.mark.parametrize("path", ["/dicom-web/studies/1.2", "/api/v1/keys"])
def test_a_preflight_request_of_another_site_is_told_no(server: LiveServer, method: str, path: str) -> None:
    answer = httpx.options(
        f"{server.base}{path}",
        headers={
            "Origin": OTHER,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "content-type, x-requested-with",
        },
    )
    assert not [name for name in answer.headers if name.startswith("access-control-")]
