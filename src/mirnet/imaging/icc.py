"""Colour profiles: what they are for, and those that a file names only by numbers."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

Chromaticities = tuple[float, float, float, float, float, float, float, float]
"""x and y of white, red, green and blue."""

D65 = (0.3127, 0.3290)
PRIMARIES: dict[int, Chromaticities] = {
    1: (*D65, 0.640, 0.330, 0.300, 0.600, 0.150, 0.060),  # BT.709, sRGB
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),  # BT.470 M
    5: (*D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),  # BT.470 BG
    6: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),  # BT.601
    7: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),  # SMPTE 240
    9: (*D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),  # BT.2020
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # DCI-P3
    12: (*D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # Display P3
    22: (*D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),  # EBU 3213
}
"""Colour primaries by their number in ITU-T H.273."""
SRGB = PRIMARIES[1]
UNSPECIFIED = 2

Curve = tuple[float, ...]
"""γ alone, or γ, a, b, c, d: ``(a x + b)^γ`` from d on, ``c x`` below (ICC's types 0 and 3)."""

SRGB_CURVE: Curve = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_BT709: Curve = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
CURVES: dict[int, Curve] = {
    1: _BT709, 4: (2.2,), 5: (2.8,), 6: _BT709, 13: SRGB_CURVE, 14: _BT709, 15: _BT709,
}  # fmt: skip
"""Transfer characteristics by their number in H.273, from stored values to light."""
LINEAR, PQ, HLG = 8, 16, 18

_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_D50 = np.array([0.9642, 1.0, 0.8249])


def name(profile: bytes) -> str | None:
    """The ``desc`` tag of a profile of version 2 or 4; None if there is no sound one."""
    tag = _tag(profile, b"desc")
    try:
        return _text(tag) if tag else None
    except (struct.error, UnicodeDecodeError):
        return None


def channels(profile: bytes) -> int | None:
    """The channels that a profile is for: 3 or 1; None for others."""
    return {b"RGB ": 3, b"GRAY": 1}.get(profile[16:20])


def transfer(profile: bytes) -> int | None:
    """The transfer characteristics in H.273 that the ``cicp`` tag says; None if there is none."""
    tag = _tag(profile, b"cicp") or b""
    return tag[9] if len(tag) >= 12 else None


def rgb_from_grey(profile: bytes) -> bytes | None:
    """A profile in which equal red, green and blue look as that grey does in ``profile``."""
    curve = _tag(profile, b"kTRC")
    return None if curve is None else _profile(name(profile) or "Grey", _colorants(SRGB), curve)


def rgb_profile(primaries: Chromaticities, curve: Curve, description: str) -> bytes:
    """A profile for RGB of these primaries and this curve. ValueError for impossible primaries."""
    return _profile(description, _colorants(primaries), _parametric(curve))


def grey_profile(curve: Curve, description: str) -> bytes:
    """A profile for grey of this curve."""
    return _profile(description, None, _parametric(curve))


def _tag(profile: bytes, signature: bytes) -> bytes | None:
    try:
        (count,) = struct.unpack_from(">L", profile, 128)
        for index in range(min(count, 200)):
            found, start, size = struct.unpack_from(">4sLL", profile, 132 + 12 * index)
            if found == signature:
                return profile[start : start + size]
    except struct.error:
        pass
    return None


def _text(tag: bytes) -> str | None:
    if tag[:4] == b"desc":
        (length,) = struct.unpack_from(">L", tag, 8)
        return tag[12 : 12 + length].split(b"\0")[0].decode("latin-1") or None
    if tag[:4] == b"mluc":
        # The first language will do: the names of profiles are rarely translated.
        length, start = struct.unpack_from(">LL", tag, 20)
        return tag[start : start + length].decode("utf-16-be").rstrip("\0") or None
    return None


def _colorants(primaries: Chromaticities) -> NDArray[np.float64]:
    """The columns XYZ of red, green and blue, adapted to D50 (Bradford)."""
    white, *colours = (_xyz(*primaries[i : i + 2]) for i in range(0, 8, 2))
    matrix = np.stack(colours, axis=1)
    if abs(np.linalg.det(matrix)) < 1e-6:
        raise ValueError("the primaries lie on a line")
    scaled = matrix * np.linalg.solve(matrix, white)
    gains = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    adapted: NDArray[np.float64] = np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD @ scaled
    return adapted


def _xyz(x: float, y: float) -> NDArray[np.float64]:
    if not 0 < y <= 1 or not 0 <= x <= 1:
        raise ValueError("a chromaticity is out of range")
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _parametric(curve: Curve) -> bytes:
    kind = 0 if len(curve) == 1 else 3
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + b"".join(map(_fixed, curve))


def _profile(description: str, colorants: NDArray[np.float64] | None, curve: bytes) -> bytes:
    """An ICC profile of version 4: a display, or grey without colorants."""
    tags = {
        b"desc": _localised(description),
        b"cprt": _localised("No copyright, use freely"),
        b"wtpt": b"XYZ " + bytes(4) + b"".join(map(_fixed, _D50)),
    }
    if colorants is None:
        tags[b"kTRC"] = curve
    else:
        for letter, colorant in zip(b"rgb", colorants.T, strict=True):
            tags[bytes([letter]) + b"XYZ"] = b"XYZ " + bytes(4) + b"".join(map(_fixed, colorant))
            tags[bytes([letter]) + b"TRC"] = curve
    table, body = struct.pack(">L", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for signature, value in tags.items():
        table += signature + struct.pack(">LL", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    size = 128 + len(table) + len(body)
    space = b"GRAY" if colorants is None else b"RGB "
    head = struct.pack(">L4x", size) + b"\x04\x30\0\0mntr" + space + b"XYZ "
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    return (head + b"".join(map(_fixed, _D50))).ljust(128, b"\0") + table + body


def _localised(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">4xLL4sLL", 1, 12, b"enUS", len(encoded), 28) + encoded


def _fixed(value: Any) -> bytes:
    """A signed number with 16 bits after the point."""
    scaled = round(float(value) * 65536)
    if not -(2**31) <= scaled < 2**31:
        raise ValueError("a number of a profile is out of range")
    return struct.pack(">l", scaled)
