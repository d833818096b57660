"""The driver for a store URL."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from gateway.errors import BadParameter
from gateway.store.base import ObjectStore
from gateway.store.filesystem import FilesystemStore


def open_store(url: str, *, endpoint: str | None = None) -> ObjectStore:
    """`file:///folder` or, with `gateway.store.s3`, `s3://bucket/prefix`. Raises BadParameter."""
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path:
        return FilesystemStore(Path(unquote(parts.path)))
    raise BadParameter(
        f"store URL '{url}': want file:///folder", parameter="store", expected="file:///folder"
    )
