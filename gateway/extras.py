"""Parts that only some sites need: which of them are installed, and how to install one.

Each is an extra of the distribution (`pyproject.toml`); `gateway/decisions/0010-what-we-depend-on.md` says
why. The packages of a part are imported where they are used, never while one of our modules is loaded.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from importlib.util import find_spec

from gateway.errors import BadParameter, NotInstalled


class Extra(StrEnum):
    """An extra by its name in `pyproject.toml`."""

    FONTS = "fonts"
    POSTGRES = "postgres"
    REPORTS = "reports"
    S3 = "s3"
    VIDEO = "video"


_FONTS = (
    "arabic_reshaper",
    "bidi",
    "cvttf_NotoSansCJK_Regular",
    "fontpkg_heebo",
    "fontpkg_noto_sans_arabic",
    "fontpkg_noto_sans_thai",
)
# The top-level modules of each extra; all of them are imported or looked up somewhere.
MODULES: dict[Extra, tuple[str, ...]] = {
    Extra.FONTS: _FONTS,
    Extra.POSTGRES: ("asyncpg",),
    Extra.REPORTS: ("fpdf", *_FONTS),
    Extra.S3: ("certifi", "minio", "obstore", "urllib3"),
    Extra.VIDEO: ("av",),
}


@cache
def is_installed(extra: Extra) -> bool:
    """Return whether every module of the extra can be found; nothing is imported."""
    return all(find_spec(module) is not None for module in MODULES[extra])


def list_missing() -> list[Extra]:
    """Return the extras that are not installed, in the order of their names."""
    return [extra for extra in Extra if not is_installed(extra)]


def explain_missing(extra: Extra, what: str) -> str:
    """Return a sentence for users of `what`, with the command that installs the extra."""
    return f"{what} needs a part that is not installed: pip install 'dicomweb-gateway[{extra}]'"


def require_for_setting(extra: Extra, what: str, *, parameter: str) -> None:
    """Raise BadParameter where `what`, which a setting or argument names, needs an extra that is missing."""
    if not is_installed(extra):
        raise BadParameter(explain_missing(extra, what), parameter=parameter)


def require_for_request(extra: Extra, what: str) -> None:
    """Raise NotInstalled where `what`, which a request needs, needs an extra that is missing."""
    if not is_installed(extra):
        raise NotInstalled(explain_missing(extra, what))
