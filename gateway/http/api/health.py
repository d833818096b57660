"""A page that describes the service, and the two health checks."""

from __future__ import annotations

import html

from gateway.http.message.request import Request
from gateway.http.message.responses import Response
from gateway.http.ports import ReadinessPort

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>DICOMweb gateway</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem}}
pre{{background:#f3f3f3;padding:1rem;white-space:pre-wrap;overflow-wrap:anywhere}}</style>
<h1>DICOMweb gateway</h1>
<p>This is a DICOMweb (PS3.18) server. Its service root is <a href="{base}/studies">{base}</a>.</p>
<p>Find, read and store:</p>
<pre>curl '{base}/studies?limit=5'
curl '{base}/studies/{{study}}/metadata'
curl -X POST -H 'Content-Type: application/dicom' --data-binary @file.dcm '{base}/studies'</pre>
<p>All that is served: <a href="{root}/openapi.json">openapi.json</a>, and by <code>OPTIONS</code> as PS3.18 8.9
has it:</p>
<pre>curl -X OPTIONS -H 'Accept: application/json' '{base}/'</pre>
<p>Health: <a href="{root}/livez">livez</a>, <a href="{root}/readyz">readyz</a>.</p>
</html>
"""


class Pages:
    """Handlers of `/`, the service root, and `/livez`: they use no service, and show no patient data."""

    async def home(self, request: Request) -> Response:
        base = html.escape(request.base)
        page = _PAGE.format(base=base, root=base.removesuffix("/dicom-web"))
        headers = {
            "content-type": "text/html; charset=utf-8",
            "cache-control": "no-cache",
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
        }
        return Response(200, headers, [page.encode()])

    async def livez(self, request: Request) -> Response:
        """Return 200: the process answers."""
        return _plain("ok\n")


class Ready:
    """Handler of `/readyz`."""

    def __init__(self, readiness: ReadinessPort) -> None:
        self._readiness = readiness

    async def readyz(self, request: Request) -> Response:
        """Return 200 where store and index answer and there is room, else a problem, 503 or 507."""
        await self._readiness.check(request.scope)
        await self._readiness.check_room()
        return _plain("ready\n")


def _plain(text: str) -> Response:
    return Response(200, {"content-type": "text/plain", "cache-control": "no-store"}, [text.encode()])
