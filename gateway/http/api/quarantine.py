"""`/api/v1/quarantine`: instances that a rule of the site set aside (our own API, not in PS3.18)."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.dicom import tags
from gateway.dicom.dataset import DataSet
from gateway.errors import Conflict
from gateway.http.message.request import Request
from gateway.http.message.responses import Response, json_answer
from gateway.http.negotiation.accept import Offer
from gateway.http.parameters.paths import resource_path
from gateway.model import Source
from gateway.services.admin.quarantine import Quarantine
from gateway.services.ingest.outcomes import Outcome

JSON = "application/json"
MOST = 1000
MOST_FAILED = 100


class ApiQuarantine:
    """Handlers of `/api/v1/quarantine` and the paths below it."""

    def __init__(self, quarantine: Quarantine) -> None:
        self._quarantine = quarantine

    async def list_quarantined(self, request: Request) -> Response:
        """Return the instances in quarantine by series; `remaining` is the number of series that follow."""
        request.accept.choose((Offer(JSON),))
        limit = min(request.params.read_unsigned("limit") or 100, MOST)
        offset = request.params.read_unsigned("offset") or 0
        page = await self._quarantine.list_series(request.scope, limit, offset)
        shown = [_render_row(orjson.loads(row.replace(b"\0", b""))) for row in page.rows]
        return json_answer({"quarantined": shown, "remaining": page.remaining})

    async def release(self, request: Request) -> Response:
        """Release instances; those that could not be released stay, and are listed with the reason.

        Raises NotFound, Gone, Conflict where none could be released.
        """
        request.accept.choose((Offer(JSON),))
        path = resource_path(request.path_params)
        source = Source("release", peer=request.peer, partition=request.scope.partition)
        done = await self._quarantine.release(request.scope, path, source)
        if not done.count and done.failed:
            raise Conflict(f"nothing could be released: {done.failed[0].detail}")
        failed = [_render_failure(outcome) for outcome in done.failed[:MOST_FAILED]]
        return json_answer({"released": done.count, "failed": failed, "url": f"{request.base}{path.url()}"})

    async def discard(self, request: Request) -> Response:
        """Delete instances in quarantine. Raises NotFound, Gone."""
        source = Source("api", peer=request.peer, partition=request.scope.partition)
        await self._quarantine.discard(request.scope, resource_path(request.path_params), source)
        return Response(204, {"cache-control": "no-store"})


def _render_row(row: DataSet) -> dict[str, Any]:
    def value(tag: str) -> Any:
        return (row.get(tag, {}).get("Value") or [None])[0]

    shown = {
        "study": value(tags.STUDY_INSTANCE_UID),
        "series": value(tags.SERIES_INSTANCE_UID),
        "instances": value(tags.NUMBER_OF_SERIES_RELATED_INSTANCES),
    }
    return shown | ({"modality": value(tags.MODALITY)} if value(tags.MODALITY) else {})


def _render_failure(outcome: Outcome) -> dict[str, str]:
    instance = {"instance": outcome.identity.instance} if outcome.identity is not None else {}
    return {**instance, "reason": f"{outcome.failure:04X}H {outcome.detail}"}
