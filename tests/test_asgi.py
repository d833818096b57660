"""The application answers before its services have started, and after."""

from __future__ import annotations

from pathlib import Path

import httpx
from gateway.asgi import application
from gateway.settings import Settings


async def test_health_before_and_after_the_services_have_started(tmp_path: Path) -> None:
    app = application(Settings(data=str(tmp_path)))
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as web:
        for path in ("/", "/livez", "/openapi.json", "/dicom-web"):
            assert (await web.get(path)).status_code == 200
        assert (await web.options("/dicom-web")).status_code == 200
        assert (await web.get("/nothing")).status_code == 404
        assert (await web.get("/readyz")).status_code == 500
        async with app.router.lifespan_context(app):
            ready = await web.get("/readyz")
            assert (ready.status_code, ready.text) == (200, "ready\n")
            assert (await web.get("/dicom-web/studies")).status_code == 204
            metrics = (await web.get("/metrics")).text
    # One count for the whole process, from its first request on.
    assert 'http_requests_total{method="GET",status="404"} 1' in metrics
    assert 'http_requests_total{method="GET",status="500"} 1' in metrics
