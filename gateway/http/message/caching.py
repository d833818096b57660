"""Cache header fields and conditional answers, for all retrievals."""

from __future__ import annotations

from gateway.http.message.conditional import is_match
from gateway.http.message.request import Request
from gateway.http.message.responses import Response

REVALIDATE = "private, no-cache"
IMMUTABLE = "private, max-age=31536000, immutable"


def caching(request: Request, tag: str, version: str | None = None) -> dict[str, str]:
    """Return the cache header fields of a representation.

    A URL that names the current `version` never changes its answer: it may be cached for ever.
    """
    fixed = version is not None and request.version == version
    return {"etag": tag, "cache-control": IMMUTABLE if fixed else REVALIDATE}


def not_modified(request: Request, headers: dict[str, str]) -> Response | None:
    """Return a 304 where the client has this representation already, else None."""
    if is_match(request.headers.get("if-none-match"), headers["etag"]):
        return Response(304, headers)
    return None
