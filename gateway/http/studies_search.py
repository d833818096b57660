"""QIDO-RS: the six search resources (PS3.18 10.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.http.accept import json_offers
from gateway.http.caching import REVALIDATE
from gateway.http.documents import documents
from gateway.http.httpsettings import HttpSettings
from gateway.http.paths import resource_path
from gateway.http.request import Request
from gateway.http.responses import Response
from gateway.http.searchparams import Target, search_query
from gateway.model import Level

if TYPE_CHECKING:
    from gateway.http.routes import Services
    from gateway.index.base import Page


class StudiesSearch:
    """Handlers of GET on `/studies`, `/series`, `/instances` and what is below them."""

    def __init__(self, services: Services, settings: HttpSettings) -> None:
        self._services = services
        self._limits = settings.limits

    async def search_studies(self, request: Request) -> Response:
        return await self._search(request, Level.STUDY)

    async def search_series(self, request: Request) -> Response:
        return await self._search(request, Level.SERIES)

    async def search_instances(self, request: Request) -> Response:
        return await self._search(request, Level.INSTANCE)

    async def _search(self, request: Request, level: Level) -> Response:
        """Zero matches are 204 without a body (10.6.3.1)."""
        within = resource_path(request.path_params) if request.path_params else None
        offer = request.accept.choose(json_offers())
        request.check_charset()
        asked = search_query(request.params, Target(level, within), self._limits)
        page = await self._services.search.search(request.scope, asked.query)
        headers = {"cache-control": REVALIDATE, **_said(page, asked.ignored, request.base)}
        if not page.rows:
            return Response(204, headers)
        return await documents(request, offer, page.rows, request.path, headers)


def _said(page: Page, ignored: list[str], base: str) -> dict[str, str]:
    """Warnings, in the words of 8.3.4.4.1, and the total where it was asked for."""
    lines = []
    if page.remaining:
        lines.append(f"299 {base}: There are {page.remaining} additional results that can be requested")
    unsupported = list(dict.fromkeys([*ignored, *page.ignored]))
    if unsupported:
        names = ", ".join(name[:80] for name in unsupported[:20])
        lines.append(f"299 {base}: The following parameters are not supported and were ignored: {names}")
    headers = {"warning": "\n".join(line.replace("\n", " ") for line in lines)} if lines else {}
    if page.total is not None:
        headers["x-total-count"] = str(page.total)
    return headers
