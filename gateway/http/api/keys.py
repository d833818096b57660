"""`/api/v1/keys`: query keys beyond the built-in ones (our own API, not in PS3.18).

A key as JSON: `{"key": "00231001[Acme 1.0]", "vr": "DS"}`, in the form of
gateway/dicom/query/declaredkeys.py.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from gateway.dicom import tags
from gateway.dicom.query.declaredkeys import Definition, name, parse_definition
from gateway.errors import BadParameter, BadRequest, NotFound, UnsupportedMedia
from gateway.http.message.request import Request
from gateway.http.message.responses import Response, json_answer
from gateway.http.negotiation.accept import Offer
from gateway.http.ports import KeysPort
from gateway.index.base import ExtraKey, KeyFailure

JSON = "application/json"
MOST_BODY = 1 << 16
MOST_FAILURES = 1000
_ID = re.compile(r"[0-9]{1,18}\Z")


class ApiKeys:
    """Handlers of `/api/v1/keys` and the paths below it."""

    def __init__(self, keys: KeysPort) -> None:
        self._keys = keys

    async def list_keys(self, request: Request) -> Response:
        return _json(request, 200, {"keys": [_render_key(key) for key in await self._keys.all()]})

    async def declare_key(self, request: Request) -> Response:
        """Declare a key: 201 with Location, 200 where it is declared already.

        Raises BadParameter, Conflict.
        """
        definition = _definition(await _body(request))
        key, fresh = await self._keys.declare(definition, request.source)
        response = _json(request, 201 if fresh else 200, _render_key(key))
        response.headers["location"] = f"{request.base.removesuffix('/dicom-web')}/api/v1/keys/{key.id}"
        return response

    async def show_key(self, request: Request) -> Response:
        number = _id(request)
        return _json(request, 200, _render_key(await self._keys.one(number)))

    async def drop_key(self, request: Request) -> Response:
        number = _id(request)
        await self._keys.drop(number, request.source)
        return Response(204, {})

    async def key_failures(self, request: Request) -> Response:
        """Return instances whose value could not be indexed; `next` is the `after` of the following page."""
        limit = min(request.params.read_unsigned("limit") or 100, MOST_FAILURES)
        after = request.params.one("after") or ""
        found = await self._keys.failures(_id(request), after, limit)
        body: dict[str, Any] = {"failures": [_render_failure(failure) for failure in found]}
        if len(found) == limit:
            body["next"] = found[-1].place
        return _json(request, 200, body)


def _id(request: Request) -> int:
    text = request.path_params["id"]
    if not _ID.match(text):
        raise NotFound("there is no such query key; want the number that GET /api/v1/keys shows")
    return int(text)


async def _body(request: Request) -> dict[str, Any]:
    media = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if media != JSON:
        raise UnsupportedMedia(f"the body is {media[:80]}", available=(JSON,))
    data = b"".join([chunk async for chunk in request.body(MOST_BODY)])
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadRequest("the body is no JSON", expected='{"key": "…", "vr": "…"}') from error
    if not isinstance(body, dict):
        raise BadRequest("the body is no JSON object", expected='{"key": "…", "vr": "…"}')
    return body


def _definition(body: dict[str, Any]) -> Definition:
    unknown = sorted(body.keys() - {"key", "vr"})
    if unknown:
        raise BadParameter(
            f"{unknown[0][:80]}: no such member", parameter=unknown[0][:80], expected="key, vr"
        )
    key, vr = body.get("key"), body.get("vr", "")
    if not isinstance(key, str) or not key:
        raise BadParameter(
            "key: want the attribute as text", parameter="key", expected=f"{tags.PROTOCOL_NAME}, for one"
        )
    if not isinstance(vr, str) or not re.fullmatch(r"(?:[A-Z]{2})?", vr):
        raise BadParameter("vr: want two capital letters", parameter="vr", expected="DS, for one")
    return parse_definition(key, vr)


def _render_key(key: ExtraKey) -> dict[str, Any]:
    definition = Definition(key.path, key.vr)
    return {
        "id": key.id,
        "key": str(definition),
        "name": name(definition),
        "vr": key.vr,
        "level": key.level.value,
        "state": key.state,
        "progress": {"done": key.done, "total": key.total},
        "failed": key.failed,
        "declared": key.declared,
    }


def _render_failure(failure: KeyFailure) -> dict[str, str]:
    named = {"study": failure.study, "series": failure.series, "instance": failure.instance}
    return {level: uid for level, uid in named.items() if uid} | {"reason": failure.reason}


def _json(request: Request, status: int, body: object) -> Response:
    request.accept.choose((Offer(JSON),))
    return json_answer(body, status)
