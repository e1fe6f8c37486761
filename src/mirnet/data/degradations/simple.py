"""White noise, and darker targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet.data.degradations.draws import (
    LUMA,
    Array,
    Span,
    log_uniform,
    require_picture,
    require_span,
)
from mirnet.data.degradations.light import to_display, to_light


def gaussian_noise(
    clean: NDArray[Any], rng: np.random.Generator, *, sigma: Span = (0.004, 0.2)
) -> Array:
    """``clean`` with white noise in sRGB, clipped; its deviation drawn from ``sigma``.

    It is drawn log-uniformly: most photos have little noise, and a network that has seen little
    of it takes their fine detail for noise.
    """
    require_picture(clean)
    require_span("sigma", sigma, least=0, exclusive=True)
    deviation = np.float32(log_uniform(rng, sigma))
    noise = rng.standard_normal(clean.shape, np.float32) * deviation
    noisy: Array = np.clip(clean + noise, 0, 1)
    return noisy


def random_exposure(
    clean: NDArray[Any],
    rng: np.random.Generator,
    *,
    exposure: Span = (0.08, 1.0),
    saturation: Span = (0.6, 1.0),
) -> Array:
    """``clean`` taken with less light, and so less colour: a new target, without noise.

    Real noise is found in dark photos; clean collections hold few. In linear light, the
    picture is scaled by ``exposure`` (drawn log-uniformly) and its colour by ``saturation``.
    """
    require_picture(clean)
    require_span("exposure", exposure, least=0, most=1, exclusive=True)
    require_span("saturation", saturation, least=0, most=1)
    light = to_light(clean)
    light *= np.float32(log_uniform(rng, exposure))
    grey = (light @ LUMA)[..., None]
    return to_display(grey + np.float32(rng.uniform(*saturation)) * (light - grey))
