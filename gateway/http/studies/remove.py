"""DELETE on studies, series and instances: our own extension of the standard."""

from __future__ import annotations

from gateway.http.message.request import Request
from gateway.http.message.responses import Response
from gateway.http.parameters.paths import resource_path
from gateway.http.ports import RemovePort


class StudiesRemove:
    """Handler of DELETE; deleted resources answer 410 from then on."""

    def __init__(self, remove: RemovePort) -> None:
        self._remove = remove

    async def remove(self, request: Request) -> Response:
        path = resource_path(request.path_params)
        await self._remove.remove(request.scope, path, request.source)
        return Response(204, {"cache-control": "no-store"})
