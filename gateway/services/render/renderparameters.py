"""The parameters of a rendering, which HTTP fills in and rendering reads (PS3.18 8.3.5, 9.5.1.2)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from gateway.render.rendering import (
    IccTarget,
    Region,
    Rendering,
    Viewport,
    VoiFunction,
    Window,
    valid_width,
)
from gateway.render.stages.annotate import KNOWN

__all__ = [
    "KNOWN",
    "IccTarget",
    "Region",
    "RenderRequest",
    "Rendering",
    "Viewport",
    "VoiFunction",
    "Window",
    "valid_width",
]


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """The parameters of one rendering.

    `unsupported` are annotation keywords that are not known here, `given` the names of the parameters in the
    request. Without `overlays`, the overlays of the object are left out: they may identify the patient. They
    are also left out where `anonymous` is set.
    """

    how: Rendering = field(default_factory=Rendering)
    unsupported: tuple[str, ...] = ()
    given: frozenset[str] = frozenset()
    overlays: bool = True
    anonymous: bool = False

    @property
    def changes_picture(self) -> bool:
        """Return whether a stored video cannot be sent as it is; `quality` alone may be ignored (8.3.5.1.2)."""
        how = self.how
        sized = how.viewport or how.region or how.rows or how.columns
        return bool(sized or how.window or how.annotation or self.profile)

    @property
    def profile(self) -> bool:
        """Return whether an ICC profile is to be embedded."""
        return self.how.icc not in (None, IccTarget.NO)

    def key(self, *, lossy: bool = True) -> str:
        """Return a key of everything the bytes depend on, the same in every process.

        `quality` counts only where the media type is lossy.
        """
        how = self.how
        plain = replace(how, annotation=frozenset(), quality=how.quality if lossy else 0, presentation=None)
        return f"{sorted(how.annotation)} {self.overlays} {self.anonymous} {plain!r}"

    def warning(self, service: str) -> str:
        """Return the value of a Warning field (PS3.18 8.3.5.1.1); empty where all values are supported."""
        if not self.unsupported:
            return ""
        values = ",".join(self.unsupported)
        return f"299 {service}: The following annotation values are not supported: {values}"
