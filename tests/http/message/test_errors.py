"""Failures as answers: status by class, one form on every route."""

from __future__ import annotations

import inspect
import logging

import orjson
import pytest
from gateway import errors
from gateway.http.message import errors as http_errors
from gateway.http.message.conditional import RangeNotSatisfiable
from gateway.http.message.errors import failure, status_of


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.BadRequest("x"), 400),
        (errors.BadParameter("x"), 400),
        (errors.Truncated("x"), 400),
        (errors.Forbidden("x"), 403),
        (errors.NotFound("x"), 404),
        (errors.Gone("x"), 410),
        (http_errors.MethodNotAllowed("PUT", "GET"), 405),
        (errors.NotAcceptable("x"), 406),
        (errors.CodecError("x"), 406),
        (errors.Conflict("x"), 409),
        (errors.TooLarge("x"), 413),
        (errors.UnsupportedMedia("x"), 415),
        (RangeNotSatisfiable(5), 416),
        (http_errors.Misdirected("x"), 421),
        (errors.ObjectMissing("x"), 502),
        (errors.StoreUnavailable("x"), 503),
        (errors.IndexUnavailable("x"), 503),
        (errors.MigrationNeeded("x"), 503),
        (errors.Busy("x"), 503),
        (errors.StoreFull("x"), 507),
    ],
)
def test_status(error: errors.GatewayError, status: int) -> None:
    assert status_of(error) == status


def test_only_a_bug_is_500() -> None:
    for _, cls in inspect.getmembers(errors, inspect.isclass):
        if issubclass(cls, errors.GatewayError) and cls is not errors.GatewayError:
            assert status_of(cls("x")) != 500


def test_a_problem_names_what_is_wrong_and_what_was_wanted() -> None:
    response = failure(
        errors.BadParameter("limit 'x': want a number", parameter="limit", expected="a number"), None
    )
    assert response.status == 400
    assert response.headers["content-type"] == "application/problem+json"
    problem = orjson.loads(b"".join(response.pieces))
    assert problem.pop("requestId") == response.headers["x-request-id"]
    assert problem == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "limit 'x': want a number",
        "parameter": "limit",
        "expected": "a number",
    }


def test_a_406_lists_what_could_be_had() -> None:
    response = failure(errors.NotAcceptable("x", available=["a/b", "c/d"]), "image/png")
    assert orjson.loads(response.pieces[0])["available"] == ["a/b", "c/d"]


def test_a_bug_shows_nothing_but_its_id(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "gateway.http"):
        response = failure(RuntimeError("secret"), None)
    assert response.status == 500
    assert b"secret" not in response.pieces[0]
    assert response.headers["x-request-id"] in response.pieces[0].decode()
    assert len(caplog.records) == 1


def test_what_drivers_say_stays_inside() -> None:
    response = failure(errors.StoreUnavailable("GET http://minio:9000/secret-bucket: refused"), None)
    assert b"secret-bucket" not in response.pieces[0]
    assert response.headers["retry-after"] == "2"


def test_special_headers() -> None:
    assert failure(http_errors.MethodNotAllowed("PUT", "GET, HEAD"), None).headers["allow"] == "GET, HEAD"
    assert failure(RangeNotSatisfiable(5), None).headers["content-range"] == "bytes */5"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "application/problem+json"),
        ("*/*", "application/problem+json"),
        ("application/json", "application/problem+json"),
        ("application/dicom+json", "application/problem+json"),
        ('multipart/related; type="application/dicom"', "application/problem+json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("text/plain;q=0.5, application/problem+json", "application/problem+json"),
    ],
)
def test_the_form_follows_accept(accept: str | None, content_type: str) -> None:
    response = failure(errors.NotFound("no <such> thing"), accept)
    assert response.headers["content-type"] == content_type
    if content_type.startswith("text/html"):
        assert b"no &lt;such&gt; thing" in response.pieces[0]
