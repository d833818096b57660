"""What is asked of a picture: the values that HTTP fills and rendering reads (PS3.18 8.3.5, 9.5.1.2)."""

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
    """`unsupported` are annotation keywords that are not known here, `given` the parameters that are there.

    Without `overlays`, those of the object are left out: they may say who the patient is. What is `anonymous` has
    none either.
    """

    how: Rendering = field(default_factory=Rendering)
    unsupported: tuple[str, ...] = ()
    given: frozenset[str] = frozenset()
    overlays: bool = True
    anonymous: bool = False

    @property
    def profile(self) -> bool:
        """Whether an ICC profile is to be embedded."""
        return self.how.icc not in (None, IccTarget.NO)

    def key(self, *, lossy: bool = True) -> str:
        """What the bytes depend on, the same in every process; `quality` counts where the media type is lossy."""
        how = self.how
        plain = replace(how, annotation=frozenset(), quality=how.quality if lossy else 0, presentation=None)
        return f"{sorted(how.annotation)} {self.overlays} {self.anonymous} {plain!r}"

    def warning(self, service: str) -> str:
        """The value of a Warning field (PS3.18 8.3.5.1.1); empty where all is supported."""
        if not self.unsupported:
            return ""
        values = ",".join(self.unsupported)
        return f"299 {service}: The following annotation values are not supported: {values}"
