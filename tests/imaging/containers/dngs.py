"""DNG files with a colour filter array, written by hand."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet.imaging.directories import Directory, Field, serialize

CHANNELS = {"R": 0, "G": 1, "B": 2}
SRGB_FROM_XYZ = (3.2404542, -1.5371385, -0.4985314, -0.969266, 1.8760108, 0.041556, 0.0556434,
                 -0.2040259, 1.0572252)  # fmt: skip
"""Of a camera whose primaries are sRGB's, so that its development is its light."""


def numbers(kind: int, *values: int) -> Field:
    form = {1: "B", 3: "H", 4: "L"}[kind]
    return Field(kind, len(values), struct.pack(f"<{len(values)}{form}", *values))


def text(value: str) -> Field:
    return Field(2, len(value) + 1, value.encode() + b"\0")


def fractions(values: Sequence[float], *, signed: bool = False) -> Field:
    terms = [term for value in values for term in (round(value * 10**6), 10**6)]
    form = f"<{len(terms)}{'l' if signed else 'L'}"
    return Field(10 if signed else 5, len(values), struct.pack(form, *terms))


def mosaic(light: NDArray[Any], pattern: str = "RGGB") -> NDArray[Any]:
    """One colour for each pixel of ``(H, W, 3)``: ``(H, W)``."""
    values = np.empty_like(light[:, :, 0])
    for index, letter in enumerate(pattern):
        rows, columns = slice(index // 2, None, 2), slice(index % 2, None, 2)
        values[rows, columns] = light[rows, columns, CHANNELS[letter]]
    return values


def dng(
    light: NDArray[Any],
    *,
    pattern: str = "RGGB",
    bits: int = 16,
    black: int = 0,
    white: int | None = None,
    neutral: Sequence[float] = (1.0, 1.0, 1.0),
    orientation: int = 1,
    more: dict[int, Field] | None = None,
    children: dict[int, Directory] | None = None,
) -> bytes:
    """A file that holds linear light ``(H, W, 3)`` in [0, 1] as a sensor sees it.

    ``neutral`` is what grey is to the sensor; values are packed in ``bits`` each, from ``black`` on
    to ``white``.
    """
    white = (1 << bits) - 1 if white is None else white
    seen = mosaic(light * np.asarray(neutral), pattern)
    values = np.clip(np.round(black + seen * (white - black)), 0, (1 << bits) - 1).astype(np.uint32)
    height, width = values.shape
    pixels = values.astype("<u2").tobytes() if bits == 16 else packed(values, bits)
    fields = {
        254: numbers(4, 0), 256: numbers(4, width), 257: numbers(4, height),
        258: numbers(3, bits), 259: numbers(3, 1), 262: numbers(3, 32803),
        271: text("Acme"), 272: text("One"), 273: numbers(4, 0), 274: numbers(3, orientation),
        277: numbers(3, 1), 278: numbers(4, height), 279: numbers(4, len(pixels)),
        33421: numbers(3, 2, 2), 33422: numbers(1, *(CHANNELS[each] for each in pattern)),
        50706: numbers(1, 1, 4, 0, 0), 50707: numbers(1, 1, 1, 0, 0), 50708: text("Acme One"),
        50714: numbers(4, black), 50717: numbers(4, white),
        50721: fractions(SRGB_FROM_XYZ, signed=True), 50728: fractions(neutral),
        50778: numbers(3, 21),
    }  # fmt: skip
    directory = Directory(fields | (more or {}), children or {})
    directory.fields[273] = numbers(4, 8 + len(serialize(directory, 8)))
    return b"II*\0" + struct.pack("<L", 8) + serialize(directory, 8) + pixels


def packed(values: NDArray[Any], bits: int) -> bytes:
    """Rows of values of so many bits, the highest first, each row from a byte on."""
    places = np.arange(bits - 1, -1, -1)
    rows = (values[:, :, None] >> places & 1).reshape(len(values), -1).astype(np.uint8)
    return np.packbits(rows, axis=1).tobytes()
