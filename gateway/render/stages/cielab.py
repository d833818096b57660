"""Convert the CIELab values of recommended display colours to sRGB (PS3.3 C.10.7.1.1)."""

from __future__ import annotations

from collections.abc import Sequence

_D50 = (0.9642, 1.0, 0.8249)
# Matrix from XYZ under D50, the white of these values, to linear sRGB, adapted by Bradford (ICC.1, IEC 61966-2-1).
_LINEAR = (
    (3.1338561, -1.6168667, -0.4906146),
    (-0.9787684, 1.9161415, 0.0334540),
    (0.0719453, -0.2289914, 1.4052427),
)
_BEND = 6 / 29


def srgb(encoded: Sequence[float]) -> tuple[int, int, int] | None:
    """Return red, green and blue of 8 bits; None where `encoded` is not three values of 16 bits.

    L* from 0 to 100 is encoded as 0 to 65535, a* and b* from -128 to 127 in the same way. Colours outside
    sRGB are clipped.
    """
    if len(encoded) != 3 or not all(0 <= value <= 65535 for value in encoded):
        return None
    lightness = encoded[0] * 100 / 65535
    a, b = (value * 255 / 65535 - 128 for value in encoded[1:])
    middle = (lightness + 16) / 116
    white = zip((middle + a / 500, middle, middle - b / 200), _D50, strict=True)
    xyz = [_unbent(value) * reference for value, reference in white]
    red, green, blue = (
        _code(sum(factor * part for factor, part in zip(row, xyz, strict=True))) for row in _LINEAR
    )
    return red, green, blue


def _unbent(value: float) -> float:
    return value**3 if value > _BEND else 3 * _BEND**2 * (value - 4 / 29)


def _code(light: float) -> int:
    light = min(max(light, 0.0), 1.0)
    bent = 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055
    return round(255 * bent)
