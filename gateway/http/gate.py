"""The way of a request: guard → route → handler → answer. The URLs themselves are the table in
resources.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from starlette.applications import Starlette
from starlette.types import Lifespan, Receive, Send
from starlette.types import Scope as AsgiScope

from gateway.errors import Busy
from gateway.http.api.deleted import ApiDeleted
from gateway.http.api.health import Pages
from gateway.http.api.keys import ApiKeys
from gateway.http.api.metrics import Metrics
from gateway.http.api.quarantine import ApiQuarantine
from gateway.http.description.capabilities import Capabilities
from gateway.http.description.openapi import OpenApi
from gateway.http.message.delivery import Taking
from gateway.http.message.disconnect import CancelOnDisconnect
from gateway.http.message.errors import LengthRequired, MethodNotAllowed, TargetTooLong, failure
from gateway.http.message.guard import Guard
from gateway.http.message.request import ClientGone, Request, headers_of
from gateway.http.message.responses import Response
from gateway.http.parameters.paths import check_strict
from gateway.http.resources import SERVICE, TABLE, WADO, Resource, Router
from gateway.http.settings import HttpSettings
from gateway.http.studies.bulk import StudiesBulk
from gateway.http.studies.remove import StudiesRemove
from gateway.http.studies.rendered import StudiesRendered
from gateway.http.studies.retrieve import StudiesRetrieve
from gateway.http.studies.search import StudiesSearch
from gateway.http.studies.store import StudiesStore
from gateway.http.studies.wadouri import WadoUri
from gateway.logs import About, about
from gateway.services import readers, timing
from gateway.services.counters import Counters

if TYPE_CHECKING:
    from gateway.services.admin.quarantine import Quarantine
    from gateway.services.admin.querykeys import QueryKeys
    from gateway.services.admin.remove import Remove
    from gateway.services.deidentify.anonymize import Anonymize
    from gateway.services.ingest.assemble import Assemble
    from gateway.services.ingest.ingest import Ingest
    from gateway.services.readiness import Readiness
    from gateway.services.render.documents import Documents
    from gateway.services.render.presentationstates import States
    from gateway.services.render.rendered import Rendered
    from gateway.services.render.thumbnail import Thumbnails
    from gateway.services.retrieve.archive import Archive
    from gateway.services.retrieve.retrieve import Retrieve
    from gateway.services.search import Search

__all__ = ["HttpSettings", "Services", "build"]

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
# What reads only may be given up at any point.
WATCHED = frozenset({"GET", "HEAD"})
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
API = "/api/"
# The parser of HTTP below us takes no URL of 64 KiB: it answers 400 and does not say why.
MAX_TARGET = 60 << 10
VARY = "Accept, Accept-Charset, Accept-Encoding, Origin"


class Services:
    """The use cases; bound when the server starts, before the first request."""

    ingest: Ingest
    retrieve: Retrieve
    search: Search
    remove: Remove
    assemble: Assemble
    archive: Archive
    anonymous: Anonymize
    rendered: Rendered
    documents: Documents
    states: States
    thumbnails: Thumbnails
    keys: QueryKeys
    quarantine: Quarantine
    readiness: Readiness

    def __init__(self) -> None:
        self.counters = Counters()

    def bind(
        self,
        *,
        ingest: Ingest,
        retrieve: Retrieve,
        search: Search,
        remove: Remove,
        assemble: Assemble | None = None,
    ) -> None:
        if assemble is not None:
            self.assemble = assemble
        self.ingest = ingest
        self.retrieve = retrieve
        self.search = search
        self.remove = remove


def build(
    services: Services, settings: HttpSettings, *, lifespan: Lifespan[Starlette] | None = None
) -> Starlette:
    """The ASGI application."""
    app = Starlette(lifespan=lifespan)
    # Not by a Mount, whose pattern leaves paths with a line feed out.
    app.router.default = Gate(services, settings)
    return app


def handlers(services: Services, settings: HttpSettings) -> dict[str, Handler]:
    """The handler of each operation that the table names."""
    rooms = (
        ApiDeleted(services, settings.undo_seconds),
        ApiKeys(services),
        ApiQuarantine(services),
        Metrics(services),
        OpenApi(),
        Pages(services),
        StudiesBulk(services),
        StudiesRemove(services),
        StudiesRendered(services),
        StudiesRetrieve(services),
        StudiesSearch(services, settings),
        StudiesStore(services, settings),
        WadoUri(services),
    )
    names = {operation.handler for resource in TABLE for operation in resource.methods.values()}
    return {name: next(getattr(room, name) for room in rooms if hasattr(room, name)) for name in names}


class Gate:
    """Every request comes through here: one place for the guard, failures, and what all answers carry."""

    def __init__(self, services: Services, settings: HttpSettings) -> None:
        self._services = services
        self._guard = Guard(settings)
        self._router = Router()
        self._handlers = handlers(services, settings)
        self._capabilities = Capabilities(settings)
        self._strict = settings.strict
        self._relative = settings.relative_bulkdata

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        spent = timing.start()
        about.set(About(scope["method"]))
        reader = readers.start()
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
        """The answer; of a request without a body, given up when nobody waits for it. Raises ClientGone."""
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
        # A client may name any method it likes: that must not make a counter each.
        known = method if method in METHODS else "other"
        self._services.counters.add(f'http_requests_total{{method="{known}",status="{status}"}}')

    async def _answer(self, scope: AsgiScope, headers: dict[str, str], receive: Receive) -> Response:
        base = self._guard.base(scope, headers)
        peer = self._guard.peer(scope, headers)
        if (reader := readers.current()) is not None:
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
        return await self._handlers[operation.handler](request)

    def _check(self, scope: AsgiScope, request: Request, *, has_body: bool) -> None:
        """What no handler needs to look at. Raises TargetTooLong, LengthRequired, BadParameter."""
        if len(request.path) + len(request.query) > MAX_TARGET:
            raise TargetTooLong(f"the request target is longer than the {MAX_TARGET} bytes that are taken")
        # In HTTP/1 a request without either has no body: who has to send one is told so.
        sized = bool(request.headers.keys() & {"content-length", "transfer-encoding"})
        if has_body and not sized and str(scope.get("http_version", "1")).startswith("1"):
            raise LengthRequired(
                "want Content-Length, or Transfer-Encoding: chunked", expected="Content-Length"
            )
        if request.strict:
            check_strict(request.path_params)


def _is_ours(resource: Resource) -> bool:
    """Whether PS3.18 speaks of it: the service root and what is below."""
    return resource.template == SERVICE or resource.template.startswith(SERVICE + "/")
