"""Read how long each frame of a multi-frame image is shown (PS3.3 C.7.6.5, C.7.6.16.2.2)."""

from __future__ import annotations

from gateway.dicom import tags
from gateway.render.attributes import Attributes

DEFAULT = 100.0
# Ten minutes in milliseconds: a longer time is a mistake.
_LONGEST = 600_000.0


def frame_times(attributes: Attributes, frames: int) -> list[float]:
    """Return the milliseconds that each frame is shown; 100 where the object does not say.

    Frame Time Vector holds the time before each frame, so its first value is not used.
    """
    vector = attributes.numbers(tags.FRAME_TIME_VECTOR)
    if len(vector) == frames > 1:
        times = [*vector[1:], vector[-1]]
        if all(0 < time <= _LONGEST for time in times):
            return times
    return [frame_time(attributes)] * frames


def frame_time(attributes: Attributes) -> float:
    """Return the milliseconds from frame to frame: Frame Time, or else by one of the frame rates."""
    time = attributes.number(tags.FRAME_TIME)
    if time is not None and 0 < time <= _LONGEST:
        return time
    for tag in (tags.RECOMMENDED_DISPLAY_FRAME_RATE, tags.CINE_RATE):
        rate = attributes.number(tag)
        if rate is not None and 0.01 <= rate <= 1000:
            return 1000 / rate
    return DEFAULT
