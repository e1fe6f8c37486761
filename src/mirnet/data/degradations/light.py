"""Between sRGB and linear light."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet.data.degradations.draws import Array


def to_light(picture: NDArray[Any]) -> Array:
    """sRGB in [0, 1] → linear light in [0, 1]."""
    bent = ((picture + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    return np.where(picture <= 0.04045, picture / np.float32(12.92), bent).astype(np.float32)


def to_display(light: NDArray[Any]) -> Array:
    """Linear light in [0, 1] → sRGB in [0, 1]; clipped."""
    light = np.clip(light, 0, 1)
    bent = np.float32(1.055) * light ** np.float32(1 / 2.4) - np.float32(0.055)
    picture = np.where(light <= 0.0031308, np.float32(12.92) * light, bent)
    return np.clip(picture, 0, 1).astype(np.float32)
