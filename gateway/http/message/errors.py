"""Turn failures into answers: one table from error class to status, one form (RFC 9457).

No other module knows the status of a failure.
"""

from __future__ import annotations

import html
import logging
import os
from collections.abc import Mapping
from http import HTTPStatus

import orjson

from gateway import errors
from gateway.http.message.conditional import RangeNotSatisfiable
from gateway.http.message.responses import Response
from gateway.http.negotiation.accept import Accept, Offer
from gateway.logs import about

log = logging.getLogger("gateway.http")


class MethodNotAllowed(errors.GatewayError):
    """The resource exists, but not with this method; `allow` lists its methods."""

    def __init__(self, method: str, allow: str) -> None:
        super().__init__(f"method {method} is not offered here; want {allow}", expected=allow)
        self.allow = allow


class LengthRequired(errors.GatewayError):
    """The request needs a body, and has neither Content-Length nor Transfer-Encoding."""


class TargetTooLong(errors.GatewayError):
    """The request target is longer than the limit."""


class Misdirected(errors.GatewayError):
    """The request names a host that is not ours."""


STATUS: Mapping[type[errors.GatewayError], int] = {
    errors.BadRequest: 400,
    errors.DicomError: 400,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    MethodNotAllowed: 405,
    errors.NotAcceptable: 406,
    errors.CodecError: 406,
    errors.Conflict: 409,
    errors.Gone: 410,
    LengthRequired: 411,
    errors.TooLarge: 413,
    TargetTooLong: 414,
    errors.UnsupportedMedia: 415,
    RangeNotSatisfiable: 416,
    Misdirected: 421,
    errors.StoreError: 502,
    errors.StoreUnavailable: 503,
    errors.StoreFull: 507,
    errors.IndexFailure: 503,
    errors.ForeignArchive: 503,
    errors.IndexBehind: 503,
    errors.Busy: 503,
    errors.GatewayError: 500,
}

PROBLEM = Offer("application/problem+json")
HTML = Offer("text/html")
TEXT = Offer("text/plain")
_LENIENT = Offer("application/dicom+json")  # a client that accepts DICOM JSON or JSON can read a problem

# The details of these errors may hold internals of drivers: clients get these sentences instead.
_SILENT: Mapping[type[errors.GatewayError], str] = {
    errors.StoreFull: "the object store has no room left",
    errors.StoreUnavailable: "the object store does not answer; try again later",
    errors.ObjectChanged: "the file was indexed in place and has changed since; import it again",
    errors.StoreError: "the object store failed to give the bytes; tell the operator",
    errors.IndexFailure: "the index does not answer; try again later",
}


def status_of(error: errors.GatewayError) -> int:
    """Return the status of the nearest class in the table."""
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def failure(error: Exception, accept_header: str | None, *, strict: bool = False) -> Response:
    """Return the answer to a request that failed; a bug is a 500 that shows only its request id.

    Where no form of the answer is acceptable, it is HTML under `strict` (PS3.18 8.6.3), else JSON.
    """
    request = about.get()
    request_id = request.id if request is not None else os.urandom(8).hex()
    if not isinstance(error, errors.GatewayError):
        log.error("unexpected failure", extra={"status": 500}, exc_info=error)
        problem = {"status": 500, "detail": "the gateway failed unexpectedly; give the operator the id"}
    else:
        problem = _problem(error)
        if problem["status"] in (500, 502, 503, 507):
            log.warning("failed", extra={"status": problem["status"]}, exc_info=error)
    status = int(str(problem["status"]))
    phrase = HTTPStatus(status).phrase
    problem = {"type": "about:blank", "title": phrase, **problem, "requestId": request_id}
    response = _render_problem(problem, accept_header, HTML if strict else PROBLEM)
    response.headers.update(_extra_headers(error, status))
    response.headers["x-request-id"] = request_id
    return response


def _problem(error: errors.GatewayError) -> dict[str, object]:
    silent = next((text for cls, text in _SILENT.items() if isinstance(error, cls)), None)
    if isinstance(error, errors.ObjectDamaged):
        silent = None  # its detail is our own sentence: the client has to know that waiting will not help
    problem: dict[str, object] = {"status": status_of(error), "detail": silent or error.detail}
    for name in ("parameter", "tag", "uid", "expected"):
        value = getattr(error, name)
        if value is not None:
            problem[name] = value
    if isinstance(error, errors.NotAcceptable | errors.UnsupportedMedia) and error.available:
        problem["available"] = list(error.available)
    return problem


def _extra_headers(error: Exception, status: int) -> dict[str, str]:
    headers = {"cache-control": "no-store"}
    if isinstance(error, MethodNotAllowed):
        headers["allow"] = error.allow
    if isinstance(error, RangeNotSatisfiable):
        headers["content-range"] = f"bytes */{error.length}"
    if status == 503:
        headers["retry-after"] = "2"
    return headers


def _sayable(value: object) -> object:
    """Return the value without lone surrogates: a client may have sent them, and UTF-8 has none."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _render_problem(problem: dict[str, object], accept_header: str | None, otherwise: Offer) -> Response:
    """Return the problem as problem+json, unless text or HTML is preferred."""
    problem = {name: _sayable(value) for name, value in problem.items()}
    ranked = _parse_accept(accept_header).rank((PROBLEM, _LENIENT, HTML, TEXT))
    chosen = ranked[0] if ranked else otherwise
    status = int(str(problem["status"]))
    if chosen is HTML:
        return Response(status, {"content-type": "text/html; charset=utf-8"}, [_html(problem)])
    if chosen is TEXT:
        text = "\n".join([f"{status} {problem['title']}: {problem['detail']}", *_available(problem), ""])
        return Response(status, {"content-type": "text/plain; charset=utf-8"}, [text.encode()])
    body = orjson.dumps(problem)
    return Response(status, {"content-type": "application/problem+json"}, [body])


def _parse_accept(header: str | None) -> Accept:
    """Return the parsed Accept header; a header that accepts anything where it cannot be parsed."""
    try:
        return Accept.parse(header)
    except errors.BadParameter:
        return Accept.parse(None)


def _available(problem: dict[str, object]) -> list[str]:
    listed = problem.get("available")
    return [str(item) for item in listed] if isinstance(listed, list) else []


def _html(problem: dict[str, object]) -> bytes:
    rows = "".join(
        f"<dt>{html.escape(name)}<dd>{html.escape(str(value))}"
        for name, value in problem.items()
        if name not in ("type", "title", "status", "detail", "available")
    )
    title = html.escape(f"{problem['status']} {problem['title']}")
    page = f"<!doctype html><title>{title}</title><h1>{title}</h1>"
    listed = "".join(f"<li>{html.escape(item)}" for item in _available(problem))
    listed = f"<ul>{listed}</ul>" if listed else ""
    return f"{page}<p>{html.escape(str(problem['detail']))}<dl>{rows}</dl>{listed}\n".encode()
