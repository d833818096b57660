"""How long a picture takes: `python -m tests.bench.rendering`. Prints milliseconds, the median of many."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from gateway.render.attributes import Attributes
from gateway.render.output.imageformats import encode
from gateway.render.pipeline import render_frame
from gateway.render.rendering import Image, Rendering, Viewport, Window
from tests.render.factories import described, element

SECONDS = 1.0


def milliseconds(job: Callable[[], object]) -> float:
    times: list[float] = []
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until or len(times) < 5:
        begin = time.perf_counter()
        job()
        times.append(1000 * (time.perf_counter() - begin))
    return statistics.median(times)


def phantom(size: int) -> tuple[bytes, Attributes]:
    """A CT slice: smooth bodies and noise, 12 bits, with a window and a slope."""
    y, x = np.mgrid[0:size, 0:size] / size - 0.5
    body = 1000 * (np.hypot(x, y) < 0.4) + 800 * (np.hypot(x - 0.1, y) < 0.1) + 24
    pixels = (body + np.random.default_rng(1).normal(0, 12, body.shape)).clip(0, 4095).astype("<u2")
    members = described(
        pixels,
        t00280101=element("US", 12),
        t00280102=element("US", 11),
        t00281050=element("DS", 40),
        t00281051=element("DS", 400),
        t00281052=element("DS", -1024),
        t00281053=element("DS", 1),
    )
    return pixels.tobytes(), Attributes(members)


def main() -> None:
    native, attributes = phantom(512)
    plain, window = Rendering(), Rendering(window=Window(40, 400))
    thumbnail = Rendering(viewport=Viewport(128, 128))
    image = render_frame(native, attributes, 1, plain)
    colour = Image(np.repeat(image.pixels[..., None], 3, axis=2))
    jobs: dict[str, Callable[[], object]] = {
        "512 x 512 CT rendered": lambda: render_frame(native, attributes, 1, window),
        "512 x 512 CT rendered, as JPEG": lambda: encode(
            render_frame(native, attributes, 1, plain), "image/jpeg", 90
        ),
        "512 x 512 CT as thumbnail of 128, JPEG": lambda: encode(
            render_frame(native, attributes, 1, thumbnail), "image/jpeg", 90
        ),
        "512 x 512 CT in sRGB, converted to Display P3": lambda: render_frame(
            native, attributes, 1, Rendering(icc="displayp3")
        ),
    }
    for media in ("image/jpeg", "image/png", "image/gif", "image/jp2", "image/jph", "image/jxl"):
        jobs[f"grey to {media}"] = lambda media=media: encode(image, media, 90)  # type: ignore[misc]
        jobs[f"colour to {media}"] = lambda media=media: encode(colour, media, 90)  # type: ignore[misc]
    for name, job in jobs.items():
        print(f"{milliseconds(job):8.2f} ms  {name}")


if __name__ == "__main__":
    main()
