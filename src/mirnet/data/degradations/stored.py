"""The noise that a camera leaves in the photos it stores: weak, coarse, and pressed into a JPEG."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet.data.degradations.camera import camera_noise
from mirnet.data.degradations.draws import (
    Array,
    Span,
    log_uniform,
    require_picture,
    require_span,
)
from mirnet.data.degradations.files import as_stored
from mirnet.imaging.resize import resized


def camera_jpeg(
    clean: NDArray[Any],
    rng: np.random.Generator,
    *,
    sigma: Span = (0.5 / 255, 14 / 255),
    enlarge: Span = (1.0, 2.5),
    colour_enlarge: Span = (1.0, 1.0),
    colour: Span = (1.0, 1.0),
    untouched: float = 0.1,
    jpeg: float = 0.7,
    quality: Span = (80, 98),
) -> Array:
    """``clean`` as a camera stores it after denoising and resizing: the grain is coarse and weak.

    Args:
        clean: ``(H, W, 3)``, float32 sRGB in [0, 1], of any size.
        rng: the only source of randomness; its state and ``clean`` fix the result.
        sigma: standard deviation of the noise in sRGB, drawn log-uniformly. Positive.
        enlarge: how many times `camera_noise` is enlarged, drawn uniformly. At least 1.
        colour_enlarge: how many times more its colour is, drawn uniformly. At least 1. Cameras
            store colour at half the resolution, and smooth it more than brightness.
        colour: what its colour is multiplied by, drawn uniformly. At least 0.
        untouched: probability that there is no noise, so that clean photos stay as they are.
        jpeg: probability that the result is stored as a JPEG; otherwise it is rounded to 8 bits.
        quality: of the JPEG, drawn uniformly and rounded down. From 1 to 100.

    Returns:
        ``(H, W, 3)``, float32 sRGB in [0, 1].

    Raises:
        DataError: ``clean`` is no float32 ``(H, W, 3)`` picture, or a range is empty.
    """
    require_picture(clean)
    require_span("sigma", sigma, least=0, exclusive=True)
    require_span("enlarge", enlarge, least=1)
    require_span("colour_enlarge", colour_enlarge, least=1)
    require_span("colour", colour, least=0)
    require_span("quality", quality, least=1, most=100)
    require_span("untouched", (untouched, untouched), least=0, most=1)
    require_span("jpeg", (jpeg, jpeg), least=0, most=1)
    noisy: Array = clean
    if rng.random() >= untouched:
        factor = float(rng.uniform(*enlarge))
        noise = _enlarged_noise(clean, factor, rng)
        if (*colour_enlarge, *colour) != (1, 1, 1, 1):
            coarser = _enlarged_noise(clean, factor * float(rng.uniform(*colour_enlarge)), rng)
            noise = _grey(noise) + np.float32(rng.uniform(*colour)) * _like(
                coarser - _grey(coarser), noise - _grey(noise)
            )
        noise *= np.float32(log_uniform(rng, sigma)) / max(noise.std(), np.float32(1e-6))
        noisy = clean + noise
    return as_stored(noisy, rng, jpeg=jpeg, quality=quality)


def _enlarged_noise(clean: Array, factor: float, rng: np.random.Generator) -> Array:
    """What `camera_noise` adds to a picture ``factor`` times smaller, at the size of ``clean``."""
    height, width = clean.shape[:2]
    small = resized(clean, max(1, round(height / factor)), max(1, round(width / factor)))
    small = np.clip(small, 0, 1)  # cubic interpolation overshoots
    return resized(camera_noise(small, rng, quantize=0.0) - small, height, width)


def _grey(noise: Array) -> Array:
    grey: Array = noise.mean(2, keepdims=True)
    return grey


def _like(noise: Array, other: Array) -> Array:
    """As strong as the other; enlarging makes it weaker."""
    scaled: Array = noise * (other.std() / max(noise.std(), np.float32(1e-6)))
    return scaled
