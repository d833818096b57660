"""Settings: the command line over GATEWAY_… variables over a TOML file over defaults; checked at start."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import unquote, urlsplit

from gateway.errors import BadParameter

PREFIX = "GATEWAY_"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a gateway process. Field names are the option names and the TOML keys.

    `data` is the folder of the embedded default; `store` and `index` are URLs and default to it. `policy` is
    what happens to other content under a known UID: refuse, replace or keep-first.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    data: str = "./.data"
    store: str = ""
    index: str = ""
    s3_endpoint: str = ""
    workers: int = 1
    public_url: str = ""
    cors_origin: tuple[str, ...] = ()
    trusted_proxy: tuple[str, ...] = ()
    insecure: bool = False
    policy: str = "refuse"
    store_rules: str = ""
    """Rules for instances by their origin: [[store_rules]] in TOML, a JSON array in a variable."""
    default_limit: int = 0
    """Results of a search without a limit; 0 is `max_limit`, in accordance with PS3.18 8.3.4.4."""
    max_limit: int = 5000
    max_matches: int = 0
    """Searches that match more are refused with 413; 0 means no such limit."""
    search_timeout: str = "10s"
    """How long a search may take, waiting included; then it is given up with 503."""
    strict: bool = False
    """Whether requests that PS3.18 does not permit are refused even where the fault could be ignored."""
    unsupported_matching: tuple[str, ...] = ()
    """Kinds of matching to switch off: fuzzymatching, emptyvaluematching, multiplevaluematching."""
    query_keys: tuple[str, ...] = ()
    """Attributes to index for searches, such as `00181030` or `00231001[Acme 1.0]:DS` (see README)."""
    relative_bulkdata: bool = False
    """Whether BulkDataURIs in metadata are relative to its URL, such as `../../studies/…`.

    For gateways with many names.
    """
    max_body: int = 0
    """Bytes that a request body may have; 0 is no limit."""
    header_timeout: str = "30s"
    """How long the header of a request may take to arrive."""
    stall_timeout: str = "60s"
    """How long a body may fail to arrive, or an answer may stay unread, before `min_rate` applies."""
    min_rate: int = 1024
    """Bytes a second at which a body must arrive at least, and an answer must be read."""
    idle_timeout: str = "75s"
    """How long a connection is kept for another request."""
    max_connections: int = 0
    """Connections of a process; 0 is as many as its open files (`ulimit -n`) leave room for, 8192 at most."""
    max_peer_connections: int = 0
    """Connections of one address that is no trusted proxy; 0 is half of all."""
    max_uploads: int = 128
    """Instances of a process that may wait for the rest of their bytes at once."""
    stop_timeout: str = "20s"
    """How long requests may go on once the server is stopped; 5 s later it has ended."""
    min_free: int = 256
    """MiB left free in the folders of objects and index; below, nothing is stored and /readyz says so."""
    undo_window: str = "7d"
    """How long a deleted instance can be restored, such as 12h or 7d; `never` reclaims nothing by itself."""
    verify_transcoding: bool = True
    """Whether every lossless codestream is decoded again and compared before it is kept or sent."""
    video_encoder: str = ""
    """FFmpeg's encoder of rendered MP4: libopenh264, libvpx-vp9 or libx264; empty is the first there of the former two."""
    deidentification_key: str = ""
    """File with the key of pseudonyms, 32 random bytes or more.

    With SQLite it is made as `deidentification.key` in `data`.
    """

    @property
    def store_url(self) -> str:
        return self.store or (Path(self.data).resolve() / "objects").as_uri()

    @property
    def index_url(self) -> str:
        return self.index or f"sqlite://{Path(self.data).resolve() / 'index.sqlite'}"

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders of objects and index, where these are files."""
        store, index = urlsplit(self.store_url), self.index_url
        found = [Path(unquote(store.path))] if store.scheme == "file" else []
        return (
            *found,
            *([Path(index.removeprefix("sqlite://")).parent] if index.startswith("sqlite://") else []),
        )

    @property
    def deidentification_key_file(self) -> Path | None:
        """The file with the key of pseudonyms; None where nothing is de-identified.

        An index of several machines needs one key for all of them, so none is made.
        """
        if self.deidentification_key:
            return Path(self.deidentification_key).resolve()
        return Path(self.data).resolve() / "deidentification.key" if self.makes_deidentification_key else None

    @property
    def makes_deidentification_key(self) -> bool:
        return not self.deidentification_key and self.index_url.startswith("sqlite://")

    @property
    def search_seconds(self) -> float:
        return seconds("search_timeout", self.search_timeout)

    @property
    def undo_seconds(self) -> float | None:
        """The undo window in seconds; None where only the command reclaims."""
        return None if self.undo_window == "never" else seconds("undo_window", self.undo_window)

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    def environment(self) -> dict[str, str]:
        """Return the settings as GATEWAY_… variables, for worker processes."""
        return {PREFIX + f.name.upper(): _text(getattr(self, f.name)) for f in fields(self)}

    def printable(self) -> dict[str, str]:
        """Return the settings for logs, with passwords in URLs masked."""
        return {f.name: mask(_text(getattr(self, f.name))) for f in fields(self)}


def load(
    options: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    config: Path | None = None,
) -> Settings:
    """Read settings from the command line (None means not given), variables and a file.

    Raises BadParameter naming the option, variable or key.
    """
    environment = os.environ if environment is None else environment
    given: dict[str, object] = {}
    if config is not None:
        given.update(_from_file(config))
    known = {f.name for f in fields(Settings)}
    given.update({n: environment[PREFIX + n.upper()] for n in known if PREFIX + n.upper() in environment})
    given.update({n: v for n, v in (options or {}).items() if v is not None and n in known})
    settings = Settings(**{name: _check_type(name, value) for name, value in given.items()})  # type: ignore[arg-type]
    _check(settings)
    return settings


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def seconds(name: str, text: str) -> float:
    """Return the seconds of a duration such as `30m`, `12h` or `7d`. Raises BadParameter naming `name`."""
    number, unit = text.strip()[:-1], text.strip()[-1:]
    if not number.isdecimal() or not number.isascii() or len(number) > 6 or unit not in _UNITS:
        raise BadParameter(
            f"{name} '{text[:20]}': want a whole number and s, m, h, d or w, such as 7d", parameter=name
        )
    return float(int(number) * _UNITS[unit])


def _from_file(path: Path) -> dict[str, object]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # TOML or UTF-8 that cannot be read is a ValueError
        raise BadParameter(f"config file {path}: {error}", parameter="config") from error
    unknown = set(table) - {f.name for f in fields(Settings)}
    if unknown:
        name = min(unknown)
        raise BadParameter(f"config file {path}: no setting is called '{name}'", parameter=name)
    return table


def _check_type(name: str, value: object) -> object:
    default = next(f.default for f in fields(Settings) if f.name == name)
    if isinstance(default, tuple):
        return _items(name, value)
    if isinstance(default, bool):
        return _flag(name, value)
    if isinstance(default, int):
        try:
            return int(str(value))
        except ValueError as error:
            raise BadParameter(f"{name} '{value}': want a whole number", parameter=name) from error
    if name == "store_rules" and isinstance(value, list | dict):
        return json.dumps(value, default=str)  # services/ingest/policy.py reports what is wrong with it
    if not isinstance(value, str):
        raise BadParameter(f"{name} '{value}': want a text", parameter=name)
    return value


def _items(name: str, value: object) -> tuple[str, ...]:
    items: object = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise BadParameter(f"{name} '{value}': want a list of texts", parameter=name)
    return tuple(item.strip() for item in items if item.strip())


def _flag(name: str, value: object) -> bool:
    """Return the truth value of a word.

    An unknown word must not count as 'off': it would switch a promise off unseen. Raises BadParameter.
    """
    word = str(value).strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off", ""}:
        return False
    raise BadParameter(f"{name} '{value}': want true or false", parameter=name)


# As browsers write it: no path, no slash at the end, letters small (RFC 6454 6.1).
_ORIGIN = re.compile(r"https?://[^/?#@\sA-Z]+\Z")


def _check(settings: Settings) -> None:
    if not 0 <= settings.port <= 65535:
        raise BadParameter(f"port {settings.port}: want 0 to 65535", parameter="port")
    if settings.workers < 1:
        raise BadParameter(f"workers {settings.workers}: want 1 or more", parameter="workers")
    if settings.policy not in {"refuse", "replace", "keep-first"}:
        raise BadParameter(
            f"policy '{settings.policy}': want refuse, replace or keep-first", parameter="policy"
        )
    if settings.video_encoder not in {"", "libopenh264", "libvpx-vp9", "libx264"}:
        raise BadParameter(
            f"video_encoder '{settings.video_encoder}': want libopenh264, libvpx-vp9 or libx264",
            parameter="video_encoder",
        )
    if settings.undo_window != "never":
        seconds("undo_window", settings.undo_window)
    if not settings.search_seconds:
        raise BadParameter("search_timeout '0s': want a second or more", parameter="search_timeout")
    _check_bounds(settings)
    for kind in settings.unsupported_matching:
        if kind not in {"fuzzymatching", "emptyvaluematching", "multiplevaluematching"}:
            raise BadParameter(
                f"unsupported_matching '{kind}': want fuzzymatching, emptyvaluematching or multiplevaluematching",
                parameter="unsupported_matching",
            )
    for network in settings.trusted_proxy:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            raise BadParameter(
                f"trusted_proxy '{network}': want a network such as 10.0.0.0/8", parameter="trusted_proxy"
            ) from error
    for origin in settings.cors_origin:
        if origin != "*" and not _ORIGIN.match(origin):
            raise BadParameter(
                f"cors_origin '{origin}': want * or an origin such as https://viewer.example.org",
                parameter="cors_origin",
            )
    if settings.public_url and urlsplit(settings.public_url).scheme not in {"http", "https"}:
        raise BadParameter(
            f"public_url '{settings.public_url}': want http://… or https://…", parameter="public_url"
        )


def _check_bounds(settings: Settings) -> None:
    for name in ("header_timeout", "stall_timeout", "idle_timeout", "stop_timeout"):
        if not seconds(name, getattr(settings, name)):
            raise BadParameter(f"{name} '0s': want a second or more", parameter=name)
    least = {"min_rate": 1, "max_uploads": 1, "max_connections": 0, "max_peer_connections": 0, "min_free": 0}
    for name, low in least.items():
        if getattr(settings, name) < low:
            raise BadParameter(f"{name} {getattr(settings, name)}: want {low} or more", parameter=name)


def _text(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def mask(text: str) -> str:
    """Return a URL without its password."""
    parts = urlsplit(text) if "://" in text else None
    if parts is None or not parts.password:
        return text
    return text.replace(f":{parts.password}@", ":***@")
