"""The choice of the driver for a store URL."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from gateway.errors import BadParameter
from gateway.extras import Extra, require_for_setting
from gateway.store.base import ObjectStore, Place
from gateway.store.filesystem import FilesystemStore
from gateway.store.inplace import Folder

S = TypeVar("S")


def open_store(url: str, *, endpoint: str | None = None) -> ObjectStore:
    """Return the store for `file:///folder` or `s3://bucket/prefix`.

    For S3 the standard AWS variables are read. Raises BadParameter.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path:
        return _folder(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc:
        require_for_setting(Extra.S3, "a store in s3://", parameter="store")
        from gateway.store.s3 import S3Store  # its clients take a moment to import

        return _s3(parts.netloc, parts.path, endpoint, S3Store)
    expected = "file:///folder or s3://bucket/prefix"
    raise BadParameter(f"store URL '{url}': want {expected}", parameter="store", expected=expected)


def _folder(path: Path) -> FilesystemStore:
    try:
        return FilesystemStore(path)
    except OSError as error:
        expected = "a folder that can be made and written"
        reason = (error.strerror or str(error)).lower()
        raise BadParameter(
            f"store folder {path}: {reason}; want {expected}", parameter="store", expected=expected
        ) from error


def open_place(url: str, *, endpoint: str | None = None) -> Place:
    """Return a place with objects that are not ours: `file:///folder` or `s3://bucket/prefix`.

    Raises BadParameter.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and Path(unquote(parts.path)).is_dir():
        return Folder(url)
    if parts.scheme == "s3" and parts.netloc:
        require_for_setting(Extra.S3, "an archive in s3://", parameter="PATH")
        from gateway.store.inplace_s3 import Bucket  # its clients take a moment to import

        return _s3(parts.netloc, parts.path, endpoint, partial(Bucket, url=url))
    expected = "a folder, or s3://bucket/prefix"
    raise BadParameter(f"'{url}': want {expected}", parameter="PATH", expected=expected)


def _s3(bucket: str, prefix: str, endpoint: str | None, made: Callable[..., S]) -> S:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        if not os.environ.get(name):
            raise BadParameter(f"{name} is not set: an s3 store wants credentials", parameter=name)
    return made(
        bucket,
        prefix,
        endpoint=endpoint,
        access=os.environ["AWS_ACCESS_KEY_ID"],
        secret=os.environ["AWS_SECRET_ACCESS_KEY"],
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
        token=os.environ.get("AWS_SESSION_TOKEN") or None,
    )
