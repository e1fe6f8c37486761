"""What becomes of pictures on their way: stored as a JPEG."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from mirnet.data.degradations.draws import Array, Span
from mirnet.imaging.quantize import to_float
from mirnet.imaging.vips import guarded

_BLOCK = 16  # pixels; JPEG's blocks, where colour is subsampled


def through_jpeg(levels: NDArray[np.uint8], quality: int, rng: np.random.Generator) -> Any:
    """Encoded and decoded again, the grid of blocks anywhere, colour subsampled or not."""
    top, left = (int(offset) for offset in rng.integers(_BLOCK, size=2))
    padded = np.pad(levels, ((top, _BLOCK - top), (left, _BLOCK - left), (0, 0)), "symmetric")
    mode = "on" if rng.random() < 0.5 else "off"
    with guarded():
        image = pyvips.Image.new_from_array(padded).copy(interpretation="srgb")
        stored = image.jpegsave_buffer(Q=quality, subsample_mode=mode)
        decoded = np.asarray(pyvips.Image.new_from_buffer(stored, "").numpy())
    height, width = levels.shape[:2]
    return decoded[top : top + height, left : left + width]


def as_stored(picture: Array, rng: np.random.Generator, *, jpeg: float, quality: Span) -> Array:
    """``picture`` in 8 bits, with probability ``jpeg`` by way of a JPEG of a ``quality`` drawn."""
    levels = np.rint(np.clip(picture, 0, 1) * np.float32(255)).astype(np.uint8)
    if rng.random() < jpeg:
        levels = through_jpeg(levels, int(rng.uniform(*quality)), rng)
    return to_float(levels)
