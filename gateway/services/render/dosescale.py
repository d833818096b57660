"""Find one colour scale for a whole grid of doses, for which all frames are needed (PS3.3 C.8.8.3)."""

from __future__ import annotations

from gateway.index.base import Scope
from gateway.model import FrameNumber
from gateway.render.attributes import Attributes
from gateway.render.objects import dose
from gateway.render.pool import CodecPool, SingleFlight
from gateway.services.freshness import Freshness, StudyCache
from gateway.services.render.rendertarget import RenderTarget
from gateway.services.retrieve.retrieve import Retrieve

# Larger grids, in samples, are shown with a scale for each frame.
SAMPLES_AT_MOST = 1 << 27
_KEPT = 10_000


class Doses:
    """Finds the largest stored value of a grid, once."""

    def __init__(self, retrieve: Retrieve, freshness: Freshness, pool: CodecPool) -> None:
        self._retrieve = retrieve
        self._pool = pool
        self._flights: SingleFlight[int] = SingleFlight()
        self._kept: StudyCache[int] = freshness.watch(StudyCache(_KEPT))

    async def scale(self, scope: Scope, subject: RenderTarget, attributes: Attributes) -> Attributes:
        """Return the attributes of a dose with its Largest Image Pixel Value; others unchanged.

        Raises CodecError, StoreError.
        """
        pixels = subject.pixels
        samples = pixels.rows * pixels.columns * subject.frames
        if not dose.is_dose(attributes) or samples > SAMPLES_AT_MOST:
            return attributes
        key = (scope.fingerprint, subject.version)
        largest = self._kept.get(key)
        if largest is None:
            largest = await self._flights.run(key, lambda: self._largest(subject, attributes))
            self._kept.put(key, largest, study=subject.path.study)
        return attributes.with_changes({dose.LARGEST: largest})

    async def _largest(self, subject: RenderTarget, attributes: Attributes) -> int:
        """Return the largest stored value, with one frame at a time in memory."""
        found = 0
        for number in range(1, subject.frames + 1):
            native = await self._retrieve.read_native_frame(
                subject.located, subject.pixels, FrameNumber(number)
            )
            found = max(found, await self._pool.run(dose.largest, native, attributes))
        return found
