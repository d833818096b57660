"""QIDO-RS: the six search resources (PS3.18 10.6)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from gateway.dicom.query.query import Query
from gateway.errors import TooLarge
from gateway.http.message.caching import REVALIDATE
from gateway.http.message.request import Request
from gateway.http.message.responses import Response
from gateway.http.negotiation.accept import json_offers
from gateway.http.parameters import cursors
from gateway.http.parameters.paths import resource_path
from gateway.http.parameters.search import Limits, ParsedSearch, Target, is_private_asked, search_query
from gateway.http.ports import SearchPort
from gateway.http.routing import SERVICE
from gateway.http.studies.documents import documents
from gateway.http.studies.pagedresults import long_documents
from gateway.model import Level

if TYPE_CHECKING:
    from gateway.index.base import Page


class StudiesSearch:
    """Handlers of GET on `/studies`, `/series`, `/instances` and the search resources below them."""

    def __init__(self, search: SearchPort, limits: Limits) -> None:
        self._service = search
        self._limits = limits

    async def search_studies(self, request: Request) -> Response:
        return await self._search(request, Level.STUDY)

    async def search_series(self, request: Request) -> Response:
        return await self._search(request, Level.SERIES)

    async def search_instances(self, request: Request) -> Response:
        return await self._search(request, Level.INSTANCE)

    async def _search(self, request: Request, level: Level) -> Response:
        """Return the results; without any, 204 and no body (10.6.3.1)."""
        within = resource_path(request.path_params) if request.path_params else None
        offer = request.accept.choose(json_offers())
        charset = request.charset(offer)
        vrs = await self._service.vrs() if is_private_asked(request.params) else {}
        asked = search_query(request.params, Target(level, within), self._limits, vrs)
        page = await self._find(request, asked.query)
        headers = {"cache-control": REVALIDATE, **_make_warnings(page, asked, request.base)}
        if not page.rows:
            return Response(204, headers)
        if page.remaining and page.last is not None:
            headers["link"] = f'<{_next(request, cursors.write_cursor(asked.query, page.last))}>; rel="next"'
        if page.rest:
            pieces = self._service.pages(request.scope, asked.query, page)
            return long_documents(request, offer, pieces, request.path, headers, charset)
        return await documents(request, offer, page.rows, request.path, headers, charset)

    async def _find(self, request: Request, query: Query) -> Page:
        """Return a page of results.

        Raises TooLarge where the search matches more than is allowed (10.6.3.1).
        """
        most = self._limits.most_matches
        if not most:
            return await self._service.search(request.scope, query)
        page = await self._service.search(request.scope, replace(query, count=True))
        if page.total is not None and page.total > most:
            raise TooLarge(
                f"the search matches more than the {most} results that are allowed; ask for less",
                expected="more or narrower match parameters",
            )
        return page if query.count else replace(page, total=None)


def _next(request: Request, cursor: str) -> str:
    """Return the URL of the same search, continued after this page."""
    pairs = [(name, value) for name, value in request.params.pairs if name not in ("offset", "cursor")]
    query = "&".join(
        f"{quote(name, safe='.')}={_ascii(value)}" for name, value in [*pairs, ("cursor", cursor)]
    )
    return f"{request.base}{request.path.partition(SERVICE)[2]}?{query}"


def _ascii(raw: str) -> str:
    """Return a value as it was sent; characters that a URI must not have are encoded."""
    return quote(raw.encode("utf-8", "surrogateescape"), safe="%!$'()*+,-./:;=?@_~")


def _make_warnings(page: Page, asked: ParsedSearch, base: str) -> dict[str, str]:
    """Return the warnings, in the words of 8.3.4.4.1, and the total where it was requested."""
    lines = [f"299 {base}: {warning}" for warning in asked.warnings]
    if page.remaining:
        lines.append(f"299 {base}: There are {page.remaining} additional results that can be requested")
    unsupported = list(dict.fromkeys([*asked.ignored, *page.ignored]))
    if unsupported:
        names = ", ".join(name[:80] for name in unsupported[:20])
        lines.append(f"299 {base}: The following parameters are not supported and were ignored: {names}")
    headers = {"warning": "\n".join(line.replace("\n", " ") for line in lines)} if lines else {}
    if page.total is not None:
        headers["x-total-count"] = str(page.total)
    return headers
