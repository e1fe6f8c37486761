"""What a shorter lens would have caught, brought back to the size of the clean picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from mirnet.data.degradations.draws import Array, Span, log_uniform, require_picture, require_span
from mirnet.data.degradations.files import as_stored
from mirnet.imaging.resize import resized

REACH = 3.0
"""A Gaussian is cut off at this many deviations."""


def downscale(
    clean: NDArray[Any],
    rng: np.random.Generator,
    *,
    factor: float = 4.0,
    blur: Span = (0.2, 0.6),
    noise: Span = (0.3 / 255, 4 / 255),
    jpeg: float = 0.3,
    quality: Span = (75, 98),
) -> Array:
    """``clean`` with the detail of a picture ``factor`` times smaller, at its own size.

    So are RealSR's pairs: both pictures have the same size, and nothing is shifted. A lens blurs
    the light, a coarser sensor averages it, its noise is enlarged with it, a file may be a JPEG.

    Args:
        clean: ``(H, W, 3)``, float32 sRGB in [0, 1], of any size.
        rng: the only source of randomness; its state and ``clean`` fix the result.
        factor: how many times smaller. From 1 to 16.
        blur: deviation of the lens's Gaussian along each of its axes, in pixels of the smaller
            picture, drawn uniformly; its angle is drawn too. From 0 to 4.
        noise: standard deviation in sRGB of the smaller picture, drawn log-uniformly. Positive.
        jpeg: probability that the smaller picture is stored as a JPEG.
        quality: of the JPEG, drawn uniformly and rounded down. From 1 to 100.

    Returns:
        ``(H, W, 3)``, float32 sRGB in [0, 1].

    Raises:
        DataError: ``clean`` is no float32 ``(H, W, 3)`` picture, or a range is empty.
    """
    require_picture(clean)
    require_span("factor", (factor, factor), least=1, most=16)
    require_span("blur", blur, least=0, most=4)
    require_span("noise", noise, least=0, exclusive=True)
    require_span("jpeg", (jpeg, jpeg), least=0, most=1)
    require_span("quality", quality, least=1, most=100)
    height, width = clean.shape[:2]
    along, across = rng.uniform(*blur, size=2) * factor
    lens = filtered(clean, gaussian(along, across, float(rng.uniform(0, np.pi))))
    small = resized(lens, max(1, round(height / factor)), max(1, round(width / factor)))
    deviation = np.float32(log_uniform(rng, noise))
    small = small + rng.standard_normal(small.shape, np.float32) * deviation
    back: Array = np.clip(
        resized(as_stored(small, rng, jpeg=jpeg, quality=quality), height, width), 0, 1
    )
    return back


def gaussian(along: float, across: float, angle: float) -> Array:
    """A Gaussian kernel ``(K, K)`` of two deviations, in pixels, turned by ``angle``; sum 1."""
    radius = int(np.ceil(REACH * max(along, across)))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    exponent = (u / max(along, 1e-3)) ** 2 + (v / max(across, 1e-3)) ** 2
    kernel = np.exp(-exponent / 2)
    normal: Array = (kernel / kernel.sum()).astype(np.float32)
    return normal


def filtered(picture: Array, kernel: Array) -> Array:
    """``(H, W, C)`` convolved with a kernel ``(K, K)`` of odd size; edges are repeated."""
    planes = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[:, None]
    radius = kernel.shape[0] // 2
    padded = F.pad(planes, (radius,) * 4, mode="replicate")
    weight = torch.from_numpy(np.ascontiguousarray(kernel[::-1, ::-1]))[None, None]
    result: Array = F.conv2d(padded, weight)[:, 0].numpy().transpose(1, 2, 0)
    return np.ascontiguousarray(result)
