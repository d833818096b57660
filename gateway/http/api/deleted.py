"""`/api/v1/deleted`: instances that were deleted and can be restored (our own API, not in PS3.18)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gateway.errors import BadParameter
from gateway.http.message.request import Request
from gateway.http.message.responses import Response, json_answer
from gateway.http.negotiation.accept import Offer
from gateway.http.parameters.paths import resource_path, uid
from gateway.index.base import Deleted
from gateway.model import Source
from gateway.services.admin.remove import Remove

JSON = "application/json"
MOST = 1000


class ApiDeleted:
    """Handlers of `/api/v1/deleted` and the paths below it."""

    def __init__(self, remove: Remove, undo_seconds: float | None) -> None:
        self._remove = remove
        self._window = undo_seconds

    async def list_deleted(self, request: Request) -> Response:
        """Return the deleted instances by series; `next` is the `after` of the following page."""
        request.accept.choose((Offer(JSON),))
        study = request.params.one("study")
        limit = min(request.params.read_unsigned("limit") or 100, MOST)
        found = await self._remove.list_deleted(
            request.scope, None if study is None else uid("study", study), _after(request), limit
        )
        body: dict[str, Any] = {"deleted": [self._render_deleted(one) for one in found]}
        if len(found) == limit:
            body["next"] = f"{found[-1].study}/{found[-1].series}"
        return json_answer(body)

    async def restore(self, request: Request) -> Response:
        """Restore a study, series or instance.

        Raises NotFound, Gone where the bytes were reclaimed, Conflict where nothing is deleted.
        """
        request.accept.choose((Offer(JSON),))
        path = resource_path(request.path_params)
        source = Source("api", peer=request.peer, partition=request.scope.partition)
        changes = await self._remove.restore(request.scope, path, source)
        return json_answer({"restored": len(changes), "url": f"{request.base}{path.url()}"})

    def _render_deleted(self, one: Deleted) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "study": one.study,
            "series": one.series,
            "instances": one.instances,
            "bytes": one.length,
            "deleted": _time(one.last),
        }
        if self._window is not None:
            shown["reclaimed"] = _time(one.first + round(self._window * 1e6))
        return shown


def _after(request: Request) -> tuple[str, str]:
    text = request.params.one("after")
    if not text:
        return "", ""
    study, slash, series = text.partition("/")
    if not slash:
        raise BadParameter(
            "after: want the 'next' of a page before", parameter="after", expected="two UIDs and a slash"
        )
    return uid("after", study), uid("after", series)


def _time(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="milliseconds")
