"""What a camera adds to its noise, and what its denoising leaves: all on ``(3, H, W)``."""

from __future__ import annotations

import numpy as np

from mirnet.data.degradations.draws import LUMA, Array


def row_and_column_noise(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """An offset per row, per column or both, in parts of the read noise."""
    channels, height, width = shape
    kinds = int(rng.integers(1, 4))
    bands = np.zeros(shape, np.float32)
    if kinds & 1:
        bands += rng.uniform(0.05, 0.4) * rng.standard_normal((channels, height, 1), np.float32)
    if kinds & 2:
        bands += rng.uniform(0.05, 0.4) * rng.standard_normal((channels, 1, width), np.float32)
    return bands


def colour_blotches(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Smooth colour without luma: normal values on a coarse grid, linearly interpolated."""
    channels, height, width = shape
    step = rng.uniform(4, 16)
    rows, columns = _hats(height, step), _hats(width, step)
    knots = (channels, rows.shape[1], columns.shape[1])
    grid: Array = rng.standard_normal(knots, np.float32)
    grid -= np.tensordot(LUMA, grid, axes=1)
    blotches: Array = np.matmul(np.matmul(rows, grid), columns.T)
    return blotches


def _hats(length: int, step: float) -> Array:
    """Weights ``(length, knots)`` of linear interpolation between knots ``step`` apart."""
    knots = np.arange(int(np.ceil(length / step)) + 1)
    distance = np.abs(np.arange(length)[:, None] / step - knots)
    weights: Array = np.maximum(0, 1 - distance).astype(np.float32)
    return weights


def denoised(noise: Array, rng: np.random.Generator) -> Array:
    """What smoothing leaves: luma blurred a little, colour more, some of it as it was."""
    luma_sigma = rng.uniform(0.3, 1.2)
    chroma_sigma = luma_sigma * rng.uniform(1.0, 2.0)
    luma: Array = np.tensordot(LUMA, noise, axes=1)
    chroma = blurred(noise - luma, chroma_sigma) * np.float32(rng.uniform(0.4, 1.0))
    smooth: Array = chroma + blurred(luma, luma_sigma)
    kept = np.float32(rng.uniform(0, 0.3))
    smooth += kept * (noise - smooth)
    return smooth


def blurred(planes: Array, sigma: float) -> Array:
    """Gaussian blur of ``(…, H, W)``; beyond the border is zero."""
    radius = min(5, int(np.ceil(2.5 * sigma)))
    weights = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
    weights /= weights[0] + 2 * weights[1:].sum()
    for _ in range(2):
        total = planes * np.float32(weights[0])
        for distance in range(1, radius + 1):
            part = planes * np.float32(weights[distance])
            total[..., distance:, :] += part[..., :-distance, :]
            total[..., :-distance, :] += part[..., distance:, :]
        planes = total.swapaxes(-1, -2)
    return planes
