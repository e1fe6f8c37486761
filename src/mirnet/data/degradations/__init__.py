"""Synthetic degradations: a clean ``(H, W, 3)`` float32 sRGB picture in, a degraded one out.

A degradation is a pure function of the picture and the state of a random generator. The
clean picture is the target, so a degradation changes nothing but what is to be restored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet.data.degradations.camera import camera_noise
from mirnet.data.degradations.simple import gaussian_noise, random_exposure
from mirnet.data.degradations.stored import camera_jpeg

Degradation = Callable[[NDArray[Any], np.random.Generator], NDArray[Any]]
"""``(clean picture, random generator) → degraded picture``; nothing else is read."""

DEGRADATIONS: dict[str, Degradation] = {
    "camera-noise": camera_noise,
    "camera-jpeg": camera_jpeg,
    "gaussian-noise": gaussian_noise,
}

__all__ = [
    "DEGRADATIONS",
    "Degradation",
    "camera_jpeg",
    "camera_noise",
    "gaussian_noise",
    "random_exposure",
]
