"""The noise that a camera leaves in the photos it stores: weak, coarse, and pressed into a JPEG."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyvips
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from mirnet.data.degradations.camera import camera_noise
from mirnet.data.degradations.draws import (
    Array,
    Span,
    log_uniform,
    require_picture,
    require_span,
)
from mirnet.imaging.quantize import to_float
from mirnet.imaging.vips import guarded

_BLOCK = 16  # pixels; JPEG's blocks, where colour is subsampled


def camera_jpeg(
    clean: NDArray[Any],
    rng: np.random.Generator,
    *,
    sigma: Span = (0.5 / 255, 14 / 255),
    enlarge: Span = (1.0, 2.5),
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
    require_span("quality", quality, least=1, most=100)
    require_span("untouched", (untouched, untouched), least=0, most=1)
    require_span("jpeg", (jpeg, jpeg), least=0, most=1)
    noisy: Array = clean
    if rng.random() >= untouched:
        noise = _enlarged_noise(clean, float(rng.uniform(*enlarge)), rng)
        noise *= np.float32(log_uniform(rng, sigma)) / max(noise.std(), np.float32(1e-6))
        noisy = clean + noise
    levels = np.rint(np.clip(noisy, 0, 1) * np.float32(255)).astype(np.uint8)
    if rng.random() < jpeg:
        levels = _through_jpeg(levels, int(rng.uniform(*quality)), rng)
    return to_float(levels)


def _enlarged_noise(clean: Array, factor: float, rng: np.random.Generator) -> Array:
    """What `camera_noise` adds to a picture ``factor`` times smaller, at the size of ``clean``."""
    height, width = clean.shape[:2]
    small = _resized(clean, max(1, round(height / factor)), max(1, round(width / factor)))
    small = np.clip(small, 0, 1)  # cubic interpolation overshoots
    return _resized(camera_noise(small, rng, quantize=0.0) - small, height, width)


def _resized(picture: Array, height: int, width: int) -> Array:
    planes = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]
    resized = F.interpolate(planes, (height, width), mode="bicubic", antialias=True)
    back: Array = np.ascontiguousarray(resized[0].numpy().transpose(1, 2, 0))
    return back


def _through_jpeg(levels: NDArray[np.uint8], quality: int, rng: np.random.Generator) -> Any:
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
