"""Pass a request through guard, router and handler, and send the answer.

The URLs are the table in resources.py; asgi.py builds the handlers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from gateway.errors import Busy
from gateway.http.description.capabilities import Capabilities
from gateway.http.message.delivery import Taking
from gateway.http.message.disconnect import CancelOnDisconnect
from gateway.http.message.errors import LengthRequired, MethodNotAllowed, TargetTooLong, failure
from gateway.http.message.guard import Guard
from gateway.http.message.request import ClientGone, Request, headers_of
from gateway.http.message.responses import Response
from gateway.http.parameters.paths import check_strict
from gateway.http.resources import TABLE
from gateway.http.routing import SERVICE, WADO, Resource, Router, bind_methods
from gateway.http.settings import HttpSettings
from gateway.logs import About, about
from gateway.services import clientpace, timing
from gateway.services.counters import Counters

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
# Methods that only read: their work may be cancelled at any point.
WATCHED = frozenset({"GET", "HEAD"})
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
API = "/api/"
# The HTTP parser below us refuses URLs of 64 KiB with a 400 and no reason.
MAX_TARGET = 60 << 10
VARY = "Accept, Accept-Charset, Accept-Encoding, Origin"


class Gate:
    """The entry of every request: one place for the guard, failures, and common header fields.

    `handlers` are the objects whose methods the table of resources names.
    """

    def __init__(self, handlers: Iterable[object], settings: HttpSettings, counters: Counters) -> None:
        self._counters = counters
        self._guard = Guard(settings)
        self._router = Router(TABLE)
        self._methods = bind_methods(handlers)
        self._capabilities = Capabilities(TABLE, settings)
        self._strict = settings.strict
        self._relative = settings.relative_bulkdata

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        spent = timing.start()
        about.set(About(scope["method"]))
        reader = clientpace.start()
        headers = headers_of(scope)
        try:
            response = await self._answer_while_connected(scope, headers, receive)
        except ClientGone:
            return
        except Exception as error:
            response = failure(error, headers.get("accept"), strict=self._strict)
        self._count(scope["method"], response.status)
        response.headers["vary"] = VARY
        if spent.seconds:
            response.headers["server-timing"] = spent.header()
        if "origin" in headers:
            response.headers.update(self._guard.cors(headers))
        taking = Taking(reader, send)
        try:
            await response.send(scope["method"], receive, taking)
        except Busy as error:
            if not taking.begun:
                response = failure(error, headers.get("accept"), strict=self._strict)
                await response.send(scope["method"], receive, send)

    async def _answer_while_connected(
        self, scope: AsgiScope, headers: dict[str, str], receive: Receive
    ) -> Response:
        """Return the answer; cancel a request without a body when its client disconnects.

        Raises ClientGone.
        """
        if scope["method"] not in WATCHED:
            return await self._answer(scope, headers, receive)
        leaving = CancelOnDisconnect(receive)
        try:
            return await self._answer(scope, headers, receive)
        except asyncio.CancelledError as error:
            if not leaving.gone:
                raise
            raise ClientGone from error
        finally:
            leaving.close()

    def _count(self, method: str, status: int) -> None:
        # A client may send any method: unknown ones share one counter.
        known = method if method in METHODS else "other"
        self._counters.add(f'http_requests_total{{method="{known}",status="{status}"}}')

    async def _answer(self, scope: AsgiScope, headers: dict[str, str], receive: Receive) -> Response:
        base = self._guard.base(scope, headers)
        peer = self._guard.peer(scope, headers)
        if (reader := clientpace.current()) is not None:
            reader.peer = peer
        method = scope["method"]
        resource, values = self._router.find(scope["path"])
        if (request_ := about.get()) is not None:
            request_.route = resource.template
        if method == "OPTIONS" and ("access-control-request-method" in headers or not _is_ours(resource)):
            allow = resource.allow
            return Response(204, {"allow": allow, **self._guard.preflight(headers, allow)})
        operation = resource.methods.get("GET" if method == "HEAD" else method)
        if operation is None and method != "OPTIONS":
            raise MethodNotAllowed(method, resource.allow)
        request = Request(
            method,
            scope["path"],
            scope["query_string"],
            headers,
            peer,
            base,
            receive,
            path_params=values,
            strict=self._strict and (_is_ours(resource) or resource.template == WADO),
            relative=self._relative,
        )
        self._check(scope, request, has_body=bool(operation and operation.takes))
        if resource.template.startswith(API) and method not in SAFE:
            self._guard.check_intent(headers, base, operation.takes if operation else ())
        if operation is None:
            return await self._capabilities.answer(request, resource)
        return await self._methods[operation.handler](request)

    def _check(self, scope: AsgiScope, request: Request, *, has_body: bool) -> None:
        """Check the request before a handler sees it. Raises TargetTooLong, LengthRequired, BadParameter."""
        if len(request.path) + len(request.query) > MAX_TARGET:
            raise TargetTooLong(f"the request target is longer than the {MAX_TARGET} bytes that are taken")
        # An HTTP/1 request without either field has no body. If the operation needs one, the client is told.
        sized = bool(request.headers.keys() & {"content-length", "transfer-encoding"})
        if has_body and not sized and str(scope.get("http_version", "1")).startswith("1"):
            raise LengthRequired(
                "want Content-Length, or Transfer-Encoding: chunked", expected="Content-Length"
            )
        if request.strict:
            check_strict(request.path_params)


def _is_ours(resource: Resource) -> bool:
    """Return whether PS3.18 defines the resource: the service root and everything below."""
    return resource.template == SERVICE or resource.template.startswith(SERVICE + "/")
