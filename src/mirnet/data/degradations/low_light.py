"""A well exposed picture, taken with far too little light."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet.data.degradations.camera import camera_noise
from mirnet.data.degradations.draws import (
    LUMA,
    Array,
    Span,
    log_uniform,
    require_picture,
    require_span,
)
from mirnet.data.degradations.light import to_display, to_light


def low_light(
    clean: NDArray[Any],
    rng: np.random.Generator,
    *,
    light: Span = (0.007, 0.09),
    cast: float = 0.08,
    saturation: Span = (0.6, 1.0),
    shot_noise: Span = (1e-4, 8e-4),
) -> Array:
    """``clean`` with a fraction of its light, and the noise that then shows; it is the target.

    The light, its colour and how much of the colour is left are one for the whole picture, so a
    network can only learn them from pictures that are seen whole.

    Args:
        clean: ``(H, W, 3)``, float32 sRGB in [0, 1], of any size.
        rng: the only source of randomness; its state and ``clean`` fix the result.
        light: the part of the linear light that is left, drawn log-uniformly; in 49 pairs of LoL
            it was 0.007 to 0.058 (10th and 90th percentile). In (0, 1].
        cast: by how much the light of a channel may deviate from that of the others, drawn
            uniformly on both sides. From 0 to 0.5.
        saturation: the part of the colour that is left, drawn uniformly. From 0 to 1.
        shot_noise: of `camera_noise`. In (0, 1).

    Returns:
        ``(H, W, 3)``, float32 sRGB in [0, 1], on the grid of 8 bits.

    Raises:
        DataError: ``clean`` is no float32 ``(H, W, 3)`` picture, or a range is empty.
    """
    require_picture(clean)
    require_span("light", light, least=0, most=1, exclusive=True)
    require_span("cast", (cast, cast), least=0, most=0.5)
    require_span("saturation", saturation, least=0, most=1)
    require_span("shot_noise", shot_noise, least=0, most=1, exclusive=True)
    part = np.float32(log_uniform(rng, light))
    colour = 1 + rng.uniform(-cast, cast, 3).astype(np.float32)
    linear = to_light(clean) * part * colour
    grey = (linear @ LUMA)[..., None]
    linear = grey + np.float32(rng.uniform(*saturation)) * (linear - grey)
    return camera_noise(to_display(linear), rng, shot_noise=shot_noise, quantize=1.0)
