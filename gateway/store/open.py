"""The driver for a store URL."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from gateway.errors import BadParameter
from gateway.store.base import ObjectStore
from gateway.store.filesystem import FilesystemStore


def open_store(url: str, *, endpoint: str | None = None) -> ObjectStore:
    """`file:///folder` or `s3://bucket/prefix`, the latter with the standard AWS variables.

    Raises BadParameter.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path:
        return FilesystemStore(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc:
        return _s3(parts.netloc, parts.path, endpoint)
    expected = "file:///folder or s3://bucket/prefix"
    raise BadParameter(f"store URL '{url}': want {expected}", parameter="store", expected=expected)


def _s3(bucket: str, prefix: str, endpoint: str | None) -> ObjectStore:
    from gateway.store.s3 import S3Store  # its clients take a moment to import

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        if not os.environ.get(name):
            raise BadParameter(f"{name} is not set: an s3 store wants credentials", parameter=name)
    return S3Store(
        bucket,
        prefix,
        endpoint=endpoint,
        access=os.environ["AWS_ACCESS_KEY_ID"],
        secret=os.environ["AWS_SECRET_ACCESS_KEY"],
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
        token=os.environ.get("AWS_SESSION_TOKEN") or None,
    )
