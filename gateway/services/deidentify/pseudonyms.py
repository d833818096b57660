"""Make pseudonyms, which only the holder of the key can make or trace back (PS3.15 E.3.9; PS3.5 B.2)."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from gateway.errors import StoreError

LENGTH = 32
_PURPOSE = b"dicomweb-gateway 1 "


class Pseudonyms:
    """Keyed digests: the same value and key always give the same pseudonym, in every process."""

    def __init__(self, key: bytes, domain: str = "anonymize") -> None:
        self._key = hmac.digest(key, _PURPOSE + domain.encode(), "sha256")
        self.fingerprint = self._digest("fingerprint", "").hex()[:16]

    def uid(self, uid: str) -> str:
        """Return a UID below 2.25, made like a UUID of version 8 (RFC 9562 5.8)."""
        digest = bytearray(self._digest("uid", uid)[:16])
        digest[6] = digest[6] & 0x0F | 0x80
        digest[8] = digest[8] & 0x3F | 0x80
        return f"2.25.{int.from_bytes(digest, 'big')}"

    def _digest(self, kind: str, value: str) -> bytes:
        name = kind.encode() + b"\0" + value.encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, name, hashlib.sha256)


def key_of(path: Path, *, make: bool) -> bytes:
    """Return the key in a file: 32 bytes or more, as `openssl rand 32` writes them.

    With `make`, a missing key is created. Several processes may create it at once: the first one's counts.
    Raises StoreError.
    """
    try:
        if make and not path.exists():
            _make(path)
        key = path.read_bytes()
    except OSError as error:
        raise StoreError(f"the key of pseudonyms cannot be read: {error.strerror}") from error
    if len(key) < LENGTH:
        raise StoreError(f"the key of pseudonyms has {len(key)} bytes: want {LENGTH} or more")
    return key


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as draft:  # readable by its owner only
        draft.write(secrets.token_bytes(LENGTH))
        draft.flush()
        os.fsync(draft.fileno())
        with suppress(FileExistsError):
            os.link(draft.name, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
