"""Cache headers and conditional answers that all retrievals share."""

from __future__ import annotations

from gateway.http.message.conditional import is_match
from gateway.http.message.request import Request
from gateway.http.message.responses import Response

REVALIDATE = "private, no-cache"
IMMUTABLE = "private, max-age=31536000, immutable"


def caching(request: Request, tag: str, version: str | None = None) -> dict[str, str]:
    """Header fields of a representation; a URL that names the version it is of never changes its answer."""
    fixed = version is not None and request.version == version
    return {"etag": tag, "cache-control": IMMUTABLE if fixed else REVALIDATE}


def not_modified(request: Request, headers: dict[str, str]) -> Response | None:
    """304 where the client has this representation already."""
    if is_match(request.headers.get("if-none-match"), headers["etag"]):
        return Response(304, headers)
    return None
