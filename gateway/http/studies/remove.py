"""DELETE on studies, series and instances: ours, beside the standard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.http.message.request import Request
from gateway.http.message.responses import Response
from gateway.http.parameters.paths import resource_path

if TYPE_CHECKING:
    from gateway.http.gate import Services


class StudiesRemove:
    """Handler of DELETE; what was deleted answers 410 from then on."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def remove(self, request: Request) -> Response:
        path = resource_path(request.path_params)
        await self._services.remove.remove(request.scope, path, request.source)
        return Response(204, {"cache-control": "no-store"})
